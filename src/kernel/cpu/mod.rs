//! What the CPU twins share.

pub mod vector;
