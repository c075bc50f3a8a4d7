//! Files of tensors. A [`Source`] gives the bytes; [`gguf`], [`safetensors`] and [`torch`] read the header in them
//! and say where each tensor lies. No reader takes the bytes of a tensor, and none knows the network.

pub mod gguf;
pub mod safetensors;
mod sniff;
mod source;
mod tensor;
pub mod torch;

#[cfg(not(target_family = "wasm"))]
pub use source::DiskFile;
pub use source::{Memory, Read, Source, check_range};
pub use tensor::{TensorInfo, TensorType};
