//! The bytes of a model, from its files to the device.

mod layers;
pub(super) mod loading;
pub(super) mod sequential;
mod upload;
