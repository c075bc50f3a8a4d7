//! The benchmark's file: its items, the order of their options, and the subset of them that is evaluated.

pub(crate) mod dataset;
pub(crate) mod json;
mod shuffle;
pub(crate) mod subset;
