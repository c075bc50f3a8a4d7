//! The facts of a model that its configuration does not hold: its files, their types, its arithmetic.

use crate::format::TensorType;
use crate::kernel::Arithmetic;
use crate::quant::Quantize;
use std::collections::BTreeMap;

/// The facts of a model that reports and people are told.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// The name of the weight file without folder, host and query, as reports and links show it to others.
    pub name: String,
    /// Bytes of all weight files.
    pub file_bytes: u64,
    /// Bytes of the weights on the device.
    pub device_bytes: u64,
    /// Values in the tensors that are used, the token table among them.
    pub parameters: u64,
    /// The number of used tensors of each type.
    pub tensor_types: BTreeMap<TensorType, usize>,
    /// How dense matrices are packed while they are loaded.
    pub quantize: Option<Quantize>,
    /// The arithmetic of the decoder's products with packed matrices.
    pub arithmetic: Arithmetic,
    /// Tokens that a text is cut to.
    pub max_length: usize,
    /// The tokens that the tokenizer adds before each text.
    pub begin_tokens: Vec<String>,
    /// The tokens that it adds after each text.
    pub end_tokens: Vec<String>,
    /// What a person should know before the vectors are used.
    pub warnings: Vec<String>,
    /// Keys of the configuration that nobody reads, by their names in the file.
    pub not_read: Vec<String>,
    /// Where no configuration came with the weights: what the names and shapes of the tensors show the encoder to be.
    pub recognized: Option<String>,
    /// Of such an encoder, what no tensor shows and was decided, and other encoders that lie in the file.
    pub decided: Vec<String>,
    /// Keys that the configuration leaves out, with the defaults of the family: `rms_norm_eps = 0.000001`.
    pub defaults: Vec<String>,
    /// The SHA-256 of the configuration as it was read, with the defaults of what the files leave out: the same for every
    /// way to write the same.
    pub config_sha256: String,
    /// The SHA-256 of the tokenizer; `None` where there is none.
    pub tokenizer_sha256: Option<String>,
    /// The name and the SHA-256 of each weight file; empty until the weights are read.
    pub sha256: Vec<(String, String)>,
}
