//! The headers of a model's files, read and checked before any weight is.

mod beside;
mod config;
mod detect;
mod files;
mod foreign;
mod found;
pub(super) mod header;
mod json;
pub(super) mod keys;
mod names;
mod prefix;
mod records;
mod role;
mod scaled;
mod sets;
pub(super) mod split;
mod tokenizers;
mod weights;
