//! How a model will lie in memory: what it takes, and which matrices become one.

pub(super) mod fit;
mod joining;
pub(super) mod plan;
