//! How a model will lie in memory: what it takes, and which matrices become one.

pub mod fit;
mod joining;
pub mod plan;
