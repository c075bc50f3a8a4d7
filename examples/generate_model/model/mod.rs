//! Models of random weights as GGUF files, any part of which a test can set otherwise.

mod gguf_writer;
mod random;
mod random_model;

pub use gguf_writer::{GgufWriter, byte_char, tokenizer};
pub use random::{Random, scatter};
pub use random_model::{Tiny, q4_k_m};
