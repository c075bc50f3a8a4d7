//! The headers of a model's files, read and checked before any weight is.

mod config;
mod found;
pub(super) mod header;
pub(super) mod keys;
mod names;
pub(super) mod split;
