//! The trials of a device before it is trusted: whether its kernels compute what the CPU does (`self_test`), and which
//! of them are fastest (`tuning`); `clock` measures its time. Called by the frontends and by `bench`.

pub mod clock;
pub mod self_test;
mod tuning;

pub use tuning::{Tuning, TuningProgress};
