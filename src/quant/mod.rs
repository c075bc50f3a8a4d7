//! The only codec of stored weights: GGUF blocks and dense values -> f32 values, and -> the device's layouts.
//!
//! Called by `loader`, `model::weights`, `text::token_table` and the self-test; checked against the Python `gguf`
//! package in tests/native/kernel.rs. Imported by `kernel`, which it doesn't import.

mod codec;
mod encode;
pub(crate) mod half_float;
mod join;
mod layout;
mod packer;
pub(crate) mod rounding;

pub use codec::dequantize;
pub use join::join_outputs;
pub use layout::{Layout, Quantize};
pub use packer::{Packed, Packer, pack, pack_as};
