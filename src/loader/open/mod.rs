//! The headers of a model's files, read and checked before any weight is.

mod config;
mod detect;
mod files;
mod found;
pub(super) mod header;
pub(super) mod keys;
mod names;
mod prefix;
mod records;
mod scaled;
mod sets;
pub(super) mod split;
mod tokenizers;
