//! What the tests share: writers of files, oracles, the device.

pub mod adapter_writer;
pub mod allocations;
pub mod device;
pub mod gguf_writer;
pub mod noise;
pub mod oracle;
pub mod torch_writer;
