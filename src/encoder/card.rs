//! The facts of a loaded model, for a page or a script.

use super::TextEncoder;
use crate::device::DeviceMemory;
use crate::format::TensorType;
use crate::kernel::Arithmetic;
use crate::quant::Quantize;
use serde::Serialize;
use std::collections::BTreeMap;

/// A loaded model. Sizes have the names of Hugging Face's config.json.
#[derive(Clone, Debug, Serialize)]
pub struct ModelCard {
    /// The weight file's name, without its folder.
    pub name: String,
    /// `qwen3vl`, `llama`, …
    pub family: &'static str,
    /// D
    pub hidden_size: usize,
    /// L
    pub num_hidden_layers: usize,
    /// Heads of the queries.
    pub num_attention_heads: usize,
    /// Heads of the keys and values.
    pub num_key_value_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Rows of the token table.
    pub vocab_size: usize,
    /// Tokens that a text is cut to.
    pub max_length: usize,
    /// Values in the tensors that are used.
    pub parameters: u64,
    /// Bytes of all weight files.
    pub file_bytes: u64,
    /// Bytes of the weights on the device.
    pub device_bytes: u64,
    /// Device memory that the process holds; `None` on the CPU, which doesn't count it.
    pub device_memory: Option<DeviceMemory>,
    /// Whether the layers are brought to the device for each pass.
    pub streamed: bool,
    /// How dense weights were packed while they were loaded.
    pub quantize: Option<Quantize>,
    /// The arithmetic of products with packed weights.
    pub arithmetic: Arithmetic,
    /// The number of used tensors of each type.
    pub tensor_types: BTreeMap<TensorType, usize>,
    /// The tokens that the tokenizer adds before each text.
    pub begin_tokens: Vec<String>,
    /// The tokens that it adds after each text.
    pub end_tokens: Vec<String>,
    /// Where no configuration came with the weights: what their tensors show the encoder to be.
    pub recognized: Option<String>,
    /// Of such an encoder, what no tensor shows and was decided.
    pub decided: Vec<String>,
    /// What a person should know before the vectors are used.
    pub warnings: Vec<String>,
    /// Keys of the tokenizer's file that are not read.
    pub tokenizer_not_read: Vec<String>,
    /// Keys of the configuration that nobody reads.
    pub not_read: Vec<String>,
    /// The SHA-256 of the first weight file.
    pub sha256: String,
    /// The weight files.
    pub files: Vec<FileCard>,
}

/// A file and its content.
#[derive(Clone, Debug, Serialize)]
pub struct FileCard {
    /// Its name, without its folder.
    pub file: String,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

impl TextEncoder {
    /// The facts of this model.
    pub fn card(&self) -> ModelCard {
        let (config, info) = (&self.config, &self.info);
        let file =
            |(file, sha256): &(String, String)| FileCard { file: file.clone(), sha256: sha256.clone() };
        ModelCard {
            name: info.name.clone(),
            family: config.family.name(),
            hidden_size: config.hidden_size,
            num_hidden_layers: config.num_hidden_layers,
            num_attention_heads: config.num_attention_heads,
            num_key_value_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
            vocab_size: config.vocab_size,
            max_length: info.max_length,
            parameters: info.parameters,
            file_bytes: info.file_bytes,
            device_bytes: info.device_bytes,
            device_memory: self.device().memory(),
            streamed: self.is_streamed(),
            quantize: info.quantize,
            arithmetic: info.arithmetic,
            tensor_types: info.tensor_types.clone(),
            begin_tokens: info.begin_tokens.clone(),
            end_tokens: info.end_tokens.clone(),
            recognized: info.recognized.clone(),
            decided: info.decided.clone(),
            warnings: info.warnings.clone(),
            tokenizer_not_read: self
                .tokenizer()
                .map_or_else(Vec::new, |tokenizer| tokenizer.not_read().to_vec()),
            not_read: info.not_read.clone(),
            sha256: info.sha256.first().map_or_else(String::new, |(_, digits)| digits.clone()),
            files: info.sha256.iter().map(file).collect(),
        }
    }
}
