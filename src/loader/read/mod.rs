//! The bytes of a model, from its files to the device.

pub mod sequential;
