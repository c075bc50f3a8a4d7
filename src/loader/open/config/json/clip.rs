//! The text half of CLIP.

use super::{activation_of, size};
use crate::error::Result;
use crate::loader::open::config::{alike, network, usual_scale};
use crate::loader::open::keys::record::Record;
use crate::model::{Config, Norm, Positions};

/// The network that `keys` describe; the defaults are those of `CLIPTextConfig`.
pub(super) fn network_of(file: &str, keys: &Record) -> Result<Config> {
    let base = network(keys.family());
    let hidden_size = size(keys, "hidden_size", 512)?;
    let num_attention_heads = size(keys, "num_attention_heads", 8)?;
    let rows = size(keys, "max_position_embeddings", 77)?;
    let head_dim = hidden_size / num_attention_heads.max(1);
    let epsilon = keys.or("layer_norm_eps", keys.float("layer_norm_eps")?, 1e-5) as f32;
    let mut config = Config {
        hidden_size,
        intermediate_size: size(keys, "intermediate_size", 2048)?,
        num_hidden_layers: size(keys, "num_hidden_layers", 12)?,
        num_attention_heads,
        num_key_value_heads: num_attention_heads,
        head_dim,
        vocab_size: size(keys, "vocab_size", 49_408)?,
        max_position_embeddings: rows,
        norm: Norm { epsilon, ..base.norm },
        positions: Positions::Learned { rows, first: 0, token_type: false },
        score_scale: usual_scale(head_dim),
        activation: activation_of(keys, "hidden_act", base.activation)?,
        ..base
    }
    .check(file)?;
    config.layers = alike(&config);
    keys.refuse(&config)?;
    Ok(config)
}
