//! The loaded tensors, taken by name while the decoder is put together.

use crate::error::{Error, Result};
use crate::kernel::PackedWeight;
use burn::tensor::Tensor;
use std::collections::HashMap;

/// A tensor on the device.
pub enum Weight {
    /// A linear layer's `[out, in]`.
    Matrix(Box<PackedWeight>),
    /// A norm's weight or a bias.
    Vector(Tensor<1>),
}

/// The tensors of one file, by Hugging Face's names without prefix.
pub struct Weights {
    file: String,
    tensors: HashMap<String, Weight>,
}

impl Weights {
    /// None yet, for `file`.
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), tensors: HashMap::new() }
    }

    /// Keeps a tensor.
    pub fn insert(&mut self, name: String, weight: Weight) {
        self.tensors.insert(name, weight);
    }

    /// The matrix `name`.
    pub(super) fn matrix(&mut self, name: &str) -> Result<PackedWeight> {
        match self.tensors.remove(name) {
            Some(Weight::Matrix(weight)) => Ok(*weight),
            _ => Err(self.missing(name)),
        }
    }

    /// The vector `name`.
    pub(super) fn vector(&mut self, name: &str) -> Result<Tensor<1>> {
        match self.tensors.remove(name) {
            Some(Weight::Vector(weight)) => Ok(weight),
            _ => Err(self.missing(name)),
        }
    }

    fn missing(&self, name: &str) -> Error {
        Error::MissingTensor { file: self.file.clone(), tensor: name.into() }
    }
}
