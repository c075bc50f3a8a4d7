//! The network: a decoder of the llama family that is run as an encoder. Field names are the checkpoint's weight names.

pub mod adapter;
pub mod config;
mod decoder;
pub mod features;
mod linear;
mod weights;

pub use adapter::{Adapter, Precision};
pub use config::{Biases, Config, Family};
pub(crate) use decoder::{Batch, Decoder, LayerSource, Part};
pub use features::{Feature, Pooling};
pub(crate) use weights::Weights;
