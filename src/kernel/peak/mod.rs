//! Kernels that reach a device's limits, the peak of its arithmetic and of its memory: other kernels are measured
//! against them.

pub(super) mod copy;
pub(super) mod multiply_adds;
