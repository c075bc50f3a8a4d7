//! The only codec of stored weights: GGUF blocks and dense values -> f32 values, and -> the device's layouts.
//!
//! Called by `loader`, `model::weights`, `text::token_table` and the self-test; checked against the Python `gguf`
//! package in tests/native/kernel.rs. Imported by `kernel`, which it doesn't import.

mod codec;
mod encode;
pub(crate) mod half_float;
mod join;
mod layout;
mod packed;
mod packer;
pub(crate) mod rounding;
mod scales;

pub use codec::dequantize;
pub(crate) use codec::floats8;
pub use join::join_outputs;
pub use layout::{Code, Half, Layout, NEAREST, Quantize};
pub use packed::Packed;
pub use packer::{Packer, pack, pack_as};
pub use scales::{Scales, Shared};
