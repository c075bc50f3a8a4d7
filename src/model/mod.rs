//! The network: a transformer that a [`Config`] describes, run as an encoder. Field names are the weight names of llama
//! checkpoints.

pub mod adapter;
pub mod config;
mod decoder;
pub mod features;
mod linear;
pub mod rope;
mod weights;

pub use adapter::{Adapter, Precision};
pub use config::{Biases, Config, Family, LayerAttention, Norm, NormKind, NormPlaces, Positions, Projection};
pub(crate) use decoder::{Batch, Decoder, LayerSource, Part, State};
pub use features::{Feature, Pooling};
pub use rope::{Rope, RopeScaling};
pub(crate) use weights::Weights;
