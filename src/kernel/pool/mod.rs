//! Operations that join the tokens of a text into one row.

pub(super) mod segment_mean;
