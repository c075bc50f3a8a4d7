//! The benchmark's file, and the part of it that is evaluated.

pub mod dataset;
mod json;
mod shuffle;
pub mod subset;
