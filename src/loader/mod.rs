//! From files to an encoder: header, checks, then tensor by tensor: read, repack, upload, drop.
//!
//! The only place that joins `format` and `model`. [`Header::read`] alone costs a few hundred kilobytes and finds
//! every fault that can be found before the weights are read. [`Opening`] and [`Loading`] are driven step by step, so that
//! the caller shows progress and stops when it likes.

mod adapter;
mod open;
mod opening;
mod plan;
mod planned;
mod read;
mod scaling;

pub use adapter::{AdapterCard, AdapterFile};
pub use open::header::Header;
pub use open::keys::{KEYS, Key, Place, Reading};
pub use open::split::Part;
pub use opening::{OpenOptions, Opened, Opening, OpeningProgress};
pub use plan::Plan;
pub use plan::fit::{Fit, Limits, SLOTS, Sentence};
pub use read::loading::{Loading, Progress};
