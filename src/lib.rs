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
//! A model is opened by its header, loaded step by step, and then embeds texts:
//!
//! ```no_run
//! use gran_ted::{device::Device, encoder::Settings, error::Result, format::DiskFile};
//! use gran_ted::{loader::{Header, Loading}, model::{Feature, Pooling}};
//!
//! async fn similarity(path: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
//!     let file = std::rc::Rc::new(DiskFile::open(path.as_ref())?);
//!     let header = Header::read(vec![file]).await?;
//!     let mut loading = Loading::new(header, Device::cpu())?;
//!     while let Some(progress) = loading.step().await? {
//!         println!("{} of {} bytes", progress.done, progress.total);
//!     }
//!     let encoder = loading.finish()?;
//!     let settings = Settings::new(Feature::NormAvg, Pooling::Mean);
//!     Ok(encoder.embed(texts, &settings).await?.similarity())
//! }
//!
//! let cosines = pollster::block_on(similarity("model.gguf", &["a red cube", "a blue ball"]))?;
//! println!("{}", cosines[0][1]);
//! # Ok::<(), gran_ted::error::Error>(())
//! ```
//!
//! Imports point down, along the arrows that are drawn in docs/architecture.md; a test reads every one of them.

#![warn(missing_docs, unreachable_pub)]

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
