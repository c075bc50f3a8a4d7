//! Operations with a norm over each row.

pub(super) mod layer_mix;
pub(super) mod rms_norm;
