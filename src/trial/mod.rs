//! What a device must show before it is trusted, and how its time is measured.

pub mod clock;
pub mod self_test;
mod tuning;

pub use tuning::{Tuning, TuningProgress};
