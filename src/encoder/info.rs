//! The facts of a model beside its configuration: what its files hold and how they are computed with.

use crate::format::TensorType;
use crate::kernel::Arithmetic;
use crate::quant::Quantize;
use std::collections::BTreeMap;

/// The facts of a model that reports and people are told.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// The weight file's name, without folder, host and query: reports and links are passed on.
    pub name: String,
    /// Bytes of all weight files.
    pub file_bytes: u64,
    /// Bytes of the weights on the device.
    pub device_bytes: u64,
    /// Values in the tensors that are used, the token table among them.
    pub parameters: u64,
    /// How many of the used tensors have which type.
    pub tensor_types: BTreeMap<TensorType, usize>,
    /// How dense matrices are packed while they are loaded.
    pub quantize: Option<Quantize>,
    /// What the decoder's products with packed matrices are computed in.
    pub arithmetic: Arithmetic,
    /// Tokens that a text is cut to.
    pub max_length: usize,
    /// Name, as `name`, and SHA-256 of each weight file; empty before they were read.
    pub sha256: Vec<(String, String)>,
}
