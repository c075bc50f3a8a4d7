//! The loaded tensors, taken by name while the decoder is put together.

use crate::error::{Error, Result};
use crate::kernel::PackedWeight;
use burn::tensor::Tensor;
use std::collections::HashMap;

/// The tensors of one file, by Hugging Face's names without prefix.
pub struct Weights {
    file: String,
    /// Linear layers, `[out, in]`.
    matrices: HashMap<String, PackedWeight>,
    /// Norms and biases.
    vectors: HashMap<String, Tensor<1>>,
}

impl Weights {
    /// None yet, for `file`.
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), matrices: HashMap::new(), vectors: HashMap::new() }
    }

    /// Keeps a linear layer's weight.
    pub fn insert_matrix(&mut self, name: String, weight: PackedWeight) {
        self.matrices.insert(name, weight);
    }

    /// Keeps a norm's weight or a bias.
    pub fn insert_vector(&mut self, name: String, weight: Tensor<1>) {
        self.vectors.insert(name, weight);
    }

    /// The matrix `name`.
    pub(super) fn matrix(&mut self, name: &str) -> Result<PackedWeight> {
        self.matrices.remove(name).ok_or_else(|| self.missing(name))
    }

    /// The vector `name`.
    pub(super) fn vector(&mut self, name: &str) -> Result<Tensor<1>> {
        self.vectors.remove(name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> Error {
        Error::MissingTensor { file: self.file.clone(), tensor: name.into() }
    }
}
