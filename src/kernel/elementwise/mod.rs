//! Operations on single elements.

pub(super) mod glu;
pub(super) mod round_bf16;
