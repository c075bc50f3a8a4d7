//! What the files of a model say of themselves, before any weight is read.

pub mod config;
pub mod header;
pub mod split;
