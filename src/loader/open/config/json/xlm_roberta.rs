//! XLM-RoBERTa, the text half of AltCLIP.

use super::{activation_of, size};
use crate::error::Result;
use crate::loader::open::config::{alike, network, usual_scale};
use crate::loader::open::keys::record::Record;
use crate::model::{Config, Norm, Positions};

/// The network that `keys` describe; the defaults are those of `AltCLIPTextConfig`.
pub(super) fn network_of(file: &str, keys: &Record) -> Result<Config> {
    let base = network(keys.family());
    let hidden_size = size(keys, "hidden_size", 1024)?;
    let num_attention_heads = size(keys, "num_attention_heads", 16)?;
    let head_dim = hidden_size / num_attention_heads.max(1);
    let rows = size(keys, "max_position_embeddings", 514)?;
    // Positions are counted from the id of the padding token on, which has a row of its own.
    let first = size(keys, "pad_token_id", 1)?.saturating_add(1);
    if rows <= first {
        return Err(keys.malformed(
            "max_position_embeddings",
            format!("more than {first} rows"),
            rows.to_string(),
        ));
    }
    let epsilon = keys.or("layer_norm_eps", keys.float("layer_norm_eps")?, 1e-5) as f32;
    let mut config = Config {
        hidden_size,
        intermediate_size: size(keys, "intermediate_size", 4096)?,
        num_hidden_layers: size(keys, "num_hidden_layers", 24)?,
        num_attention_heads,
        num_key_value_heads: num_attention_heads,
        head_dim,
        vocab_size: size(keys, "vocab_size", 250_002)?,
        max_position_embeddings: rows - first,
        norm: Norm { epsilon, ..base.norm },
        positions: Positions::Learned { rows, first, token_type: true },
        score_scale: usual_scale(head_dim),
        activation: activation_of(keys, "hidden_act", base.activation)?,
        ..base
    }
    .check(file)?;
    config.layers = alike(&config);
    keys.refuse(&config)?;
    Ok(config)
}
