//! Operations on each element alone.

pub mod round_bf16;
pub mod swiglu;
