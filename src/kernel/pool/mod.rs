//! Operations that join the tokens of a text into one row.

pub mod segment_mean;
