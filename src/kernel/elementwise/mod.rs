//! Operations on single elements.

pub(super) mod round_bf16;
pub(super) mod swiglu;
