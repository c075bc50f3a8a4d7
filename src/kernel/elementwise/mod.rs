//! Operations on single elements.

pub mod round_bf16;
pub mod swiglu;
