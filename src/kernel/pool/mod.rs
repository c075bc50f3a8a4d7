//! Operations that join the tokens of a text.

pub mod segment_mean;
