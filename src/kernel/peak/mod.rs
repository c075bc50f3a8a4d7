//! Kernels that reach a device's limits, the peak of its arithmetic and of its memory: other kernels are measured against them.

pub mod copy;
pub mod multiply_adds;
