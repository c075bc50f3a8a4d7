//! What the files of a model say of themselves, before any weight is read.

mod config;
mod found;
pub mod header;
mod names;
pub mod split;
