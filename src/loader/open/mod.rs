//! The headers of a model's files, read and checked before any weight is.

mod config;
mod found;
pub mod header;
mod names;
pub mod split;
