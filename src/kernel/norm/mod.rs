//! Norms over the rows of a tensor.

pub mod layer_mix;
pub mod rms_norm;
