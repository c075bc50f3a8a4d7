//! Operations with a norm over each row.

pub mod layer_mix;
pub mod rms_norm;
