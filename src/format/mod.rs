//! Files of tensors. A [`Source`] gives the bytes; [`gguf`], [`safetensors`] and [`torch`] read the header in them
//! and say where each tensor lies. No reader takes the bytes of a tensor, and none knows the network.

pub mod gguf;
pub(crate) mod name;
pub mod safetensors;
mod safetensors_writer;
mod sha256;
pub(crate) mod sniff;
mod source;
mod tensor;
pub mod torch;

pub use name::short_name;
pub use safetensors_writer::SafetensorsWriter;
pub(crate) use sha256::sha256;
pub use sha256::{hex, sha256_hex};
#[cfg(not(target_family = "wasm"))]
pub use source::{DiskFile, reason};
pub use source::{Memory, Read, Source, check_range};
pub use tensor::{TensorInfo, TensorType};
