//! The loaded tensors, taken by name while the decoder is put together.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::kernel::PackedWeight;
use crate::kernel::quant::{Packed, join_outputs};
use burn::tensor::Tensor;
use std::collections::HashMap;

/// Linear layers of the same input, which become one product where their layouts agree.
pub const JOINED: [&[&str]; 2] = [&["q_proj", "k_proj", "v_proj"], &["gate_proj", "up_proj"]];

/// The tensors of one file, by Hugging Face's names without prefix.
pub struct Weights {
    file: String,
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
        Self { file: file.into(), matrices: HashMap::new(), waiting: HashMap::new(), vectors: HashMap::new() }
    }

    /// Keeps a linear layer's weight.
    pub fn insert_matrix(&mut self, name: String, weight: PackedWeight) {
        self.matrices.insert(name, weight);
    }

    /// Moves a weight of the decoder to the device, where it is one of [`JOINED`] once the last of them is here.
    pub fn insert_packed(&mut self, name: String, packed: Packed, device: &Device) {
        let Some(names) = joined_names(&name) else {
            return self.insert_matrix(name, PackedWeight::upload(packed, device));
        };
        self.waiting.insert(name, packed);
        if !names.iter().all(|name| self.waiting.contains_key(name)) {
            return;
        }
        let parts: Vec<_> = names.iter().filter_map(|name| self.waiting.remove(name)).collect();
        let (count, joined) = join_first(&parts, device.max_buffer_bytes);
        let rest = parts.into_iter().skip(count);
        let uploads = joined.into_iter().chain(rest).map(|packed| PackedWeight::upload(packed, device));
        let first_names = names.iter().take(1).chain(names.iter().skip(count));
        self.matrices.extend(first_names.cloned().zip(uploads));
    }

    /// Keeps a norm's weight or a bias.
    pub fn insert_vector(&mut self, name: String, weight: Tensor<1>) {
        self.vectors.insert(name, weight);
    }

    /// The matrix `name`.
    pub(super) fn matrix(&mut self, name: &str) -> Result<PackedWeight> {
        self.matrices.remove(name).ok_or_else(|| self.missing(name))
    }

    /// Whether there is a matrix `name` that is not joined to the one before it.
    pub(super) fn has_matrix(&self, name: &str) -> bool {
        self.matrices.contains_key(name)
    }

    /// The vector `name`.
    pub(super) fn vector(&mut self, name: &str) -> Result<Tensor<1>> {
        self.vectors.remove(name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> Error {
        Error::MissingTensor { file: self.file.clone(), tensor: name.into() }
    }
}

/// The names of all matrices that `name` is joined with, in order.
fn joined_names(name: &str) -> Option<Vec<String>> {
    let (prefix, part) = name.strip_suffix(".weight")?.rsplit_once('.')?;
    let parts = JOINED.into_iter().find(|parts| parts.contains(&part))?;
    Some(parts.iter().map(|part| format!("{prefix}.{part}.weight")).collect())
}

/// As many of the first parts as agree and fit into one buffer, in one; and how many they are.
fn join_first(parts: &[Packed], limit: Option<u64>) -> (usize, Option<Packed>) {
    let bytes = |parts: &[Packed]| parts.iter().map(|part| part.words.len() as u64 * 4).sum::<u64>();
    (2..=parts.len())
        .rev()
        .filter(|count| limit.is_none_or(|limit| bytes(&parts[..*count]) <= limit))
        .find_map(|count| Some((count, Some(join_outputs(&parts[..count])?))))
        .unwrap_or((0, None))
}
