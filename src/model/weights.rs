//! The loaded tensors, taken by name while the decoder is put together.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::kernel::{Arithmetic, PackedWeight};
use crate::quant::{Packed, join_outputs};
use burn::tensor::Tensor;
use std::collections::HashMap;

/// The tensors of one file, by Hugging Face's names without prefix.
pub struct Weights {
    file: String,
    /// What the products with them are computed in.
    arithmetic: Arithmetic,
    /// Linear layers, `[out, in]`; of joined ones the first name has all.
    matrices: HashMap<String, PackedWeight>,
    /// Those that wait for the others they are joined with.
    waiting: HashMap<String, Packed>,
    /// Norms and biases.
    vectors: HashMap<String, Tensor<1>>,
}

impl Weights {
    /// None yet, for `file`.
    pub fn new(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            arithmetic: Arithmetic::F32,
            matrices: HashMap::new(),
            waiting: HashMap::new(),
            vectors: HashMap::new(),
        }
    }

    /// Products with the matrices inserted from now on are computed in `arithmetic`.
    #[must_use]
    pub fn computed_in(self, arithmetic: Arithmetic) -> Self {
        Self { arithmetic, ..self }
    }

    /// Keeps a linear layer's weight.
    pub fn insert_matrix(&mut self, name: String, weight: PackedWeight) {
        self.matrices.insert(name, weight.computed_in(self.arithmetic));
    }

    /// Moves a weight of the decoder to the device; one of `joined` once the last of them is here, all of them as one.
    pub fn insert_packed(&mut self, name: String, packed: Packed, joined: &[String], device: &Device) {
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
