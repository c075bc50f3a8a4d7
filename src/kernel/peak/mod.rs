//! What a device can do at most: its arithmetic and its memory, to measure kernels against.

pub mod copy;
pub mod multiply_adds;
