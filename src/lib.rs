//! The text encoder of a diffusion model, and the benchmark that measures it: GRAN-TED and TED-6K (arXiv 2512.15560).
//!
//! ```text
//! load      Source --range reads--> header -> Config, Tokenizer
//!                  --tensor by tensor--> repack -> device
//! embed     texts -> token ids -> PackedBatch                                      [T]
//!           token table on the host -> x                                           [T, D]
//!           for each layer l: x = layer(x); mix += alpha_l * LayerNorm(x)          [T, D]
//!           pooling -> unit vectors                                                [B, D]
//! evaluate  TED-6k.json -> items -> distinct texts -> embed -> scores -> report
//! ```
//!
//! Imports point down: frontends (`main`, `web`) -> `ted`, `bench` -> `encoder` -> `loader`, `model` -> `kernel`, `format`.

#![warn(missing_docs)]

pub mod bench;
pub mod device;
pub mod encoder;
pub mod error;
pub mod format;
pub mod kernel;
pub mod loader;
pub mod model;
mod named;
pub mod provenance;
pub mod quant;
pub mod ted;
pub mod text;
pub mod trial;
#[cfg(target_family = "wasm")]
pub mod web;
