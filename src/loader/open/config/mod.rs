//! A [`Config`] from GGUF metadata or from a Hugging Face config.json, with what else is told of it.

mod from_gguf;
mod from_json;
mod windows;

pub(super) use from_gguf::from_gguf;
pub(super) use from_json::from_json;

use super::keys::record::Told;
use crate::error::Error;
use crate::model::{Biases, Config, Family};

/// What a file says of a network.
pub(super) struct Said {
    pub config: Config,
    pub told: Told,
    /// Whether the output head and the token table are one, so that either may be left out.
    pub tied: bool,
    /// The file of the weights, or their index, where the configuration names it.
    pub weights: Option<String>,
}

/// Tensors that hold factors of scaled RoPE.
pub(super) const ROPE_FACTORS: [&str; 3] =
    ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"];

/// Refuses the tensors of scaled RoPE, which would give other embeddings without a word.
pub(super) fn refuse_factors(file: &str, tensor: &str) -> Error {
    Error::malformed(file, "RoPE scaling", "none", tensor)
}

/// Whether a family has norms over each head of q and k.
fn qk_norm(family: Family) -> bool {
    matches!(family, Family::Qwen3 | Family::Qwen3Vl)
}

/// The biases that a family has, whatever its files say.
fn biases(family: Family) -> Biases {
    let qkv = family == Family::Qwen2;
    Biases { q_proj: qkv, k_proj: qkv, v_proj: qkv, ..Biases::default() }
}
