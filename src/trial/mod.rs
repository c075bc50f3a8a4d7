//! What a device must show before it is trusted: that its kernels compute what the CPU does (`self_test`), and which of them
//! are fast (`tuning`); `clock` measures its time. Called by the frontends and by `bench`.

pub mod clock;
pub mod self_test;
mod tuning;

pub use tuning::{Tuning, TuningProgress};
