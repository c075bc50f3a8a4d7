//! What the tests share: writers of files, models, oracles, the device.

pub mod adapter_writer;
pub mod allocations;
pub mod checkpoint;
pub mod coded;
pub mod device;
pub mod files;
pub mod load;
pub mod models;
pub mod network;
mod noise;
pub mod oracle;
pub mod program;
pub mod sentencepiece;
pub mod torch_writer;
pub mod typescript;

/// Random models. They are files of the example that writes them, as a package of the crate has examples and no tests.
#[path = "../../../examples/generate_model/model/mod.rs"]
pub mod model;
