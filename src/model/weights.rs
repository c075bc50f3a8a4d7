//! The loaded tensors of a model, from which its layers take theirs by name.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::kernel::{Arithmetic, PackedWeight};
use crate::quant::{Packed, join_outputs};
use burn::tensor::Tensor;
use std::collections::HashMap;

/// The tensors of one model, by Hugging Face's names without prefix.
pub(crate) struct Weights {
    /// The name of the file, for messages.
    file: String,
    /// The arithmetic of products with the matrices that are inserted next.
    arithmetic: Arithmetic,
    /// The weights of linear layers, `[out, in]`. Of joined ones, the first name has all.
    matrices: HashMap<String, PackedWeight>,
    /// The weights that wait for others to be joined with.
    waiting: HashMap<String, Packed>,
    /// The weights of norms, and biases.
    vectors: HashMap<String, Tensor<1>>,
}

impl Weights {
    /// No tensors yet; `file` is the name of their file, for messages.
    pub(crate) fn new(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            arithmetic: Arithmetic::F32,
            matrices: HashMap::new(),
            waiting: HashMap::new(),
            vectors: HashMap::new(),
        }
    }

    /// From now on, products with inserted matrices are computed in `arithmetic`.
    #[must_use]
    pub(crate) fn computed_in(self, arithmetic: Arithmetic) -> Self {
        Self { arithmetic, ..self }
    }

    /// Adds the weight of a linear layer.
    pub(crate) fn insert_matrix(&mut self, name: String, weight: PackedWeight) {
        self.matrices.insert(name, weight.computed_in(self.arithmetic));
    }

    /// Adds the weight of a linear layer and moves it to `device`. If it is one of `joined`, it waits for the last of
    /// them, and they become one matrix if their layouts agree.
    pub(crate) fn insert_packed(&mut self, name: String, packed: Packed, joined: &[String], device: &Device) {
        let Some(first) = joined.first() else {
            return self.insert_matrix(name, PackedWeight::upload(packed, device));
        };
        self.waiting.insert(name, packed);
        if !joined.iter().all(|name| self.waiting.contains_key(name)) {
            return;
        }
        let parts: Vec<_> = joined.iter().filter_map(|name| self.waiting.remove(name)).collect();
        match join_outputs(&parts) {
            Some(whole) => {
                drop(parts);
                self.insert_matrix(first.clone(), PackedWeight::upload(whole, device));
            }
            None => joined.iter().zip(parts).for_each(|(name, packed)| {
                self.insert_matrix(name.clone(), PackedWeight::upload(packed, device));
            }),
        }
    }

    /// Adds the weight of a norm, or a bias.
    pub(crate) fn insert_vector(&mut self, name: String, weight: Tensor<1>) {
        self.vectors.insert(name, weight);
    }

    /// Takes the matrix `name` out.
    pub(super) fn matrix(&mut self, name: &str) -> Result<PackedWeight> {
        self.matrices.remove(name).ok_or_else(|| self.missing(name))
    }

    /// Takes the vector `name` out.
    pub(super) fn vector(&mut self, name: &str) -> Result<Tensor<1>> {
        self.vectors.remove(name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> Error {
        Error::MissingTensor { file: self.file.clone(), tensor: name.into() }
    }
}
