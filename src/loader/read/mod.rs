//! The bytes of a model, from its files to the device.

mod layers;
pub mod loading;
pub mod sequential;
mod upload;
