//! The encoders of T5, ByT5 and UMT5.

use super::{activation_of, size};
use crate::error::Result;
use crate::kernel::Activation;
use crate::loader::open::config::{alike, network};
use crate::loader::open::keys::record::Record;
use crate::model::{Config, Family, Norm, Positions};

/// The network that `keys` describe; the defaults are those of `T5Config` and `UMT5Config`.
pub(super) fn network_of(file: &str, keys: &Record) -> Result<Config> {
    let family = keys.family();
    let base = network(family);
    let is_t5 = family == Family::T5;
    let num_attention_heads = size(keys, "num_heads", if is_t5 { 8 } else { 6 })?;
    let (activation, gated) = feed_forward(keys, if is_t5 { "relu" } else { "gated-gelu" })?;
    let epsilon = keys.or("layer_norm_epsilon", keys.float("layer_norm_epsilon")?, 1e-6) as f32;
    let mut config = Config {
        hidden_size: size(keys, "d_model", 512)?,
        intermediate_size: size(keys, "d_ff", if is_t5 { 2048 } else { 1024 })?,
        num_hidden_layers: size(keys, "num_layers", if is_t5 { 6 } else { 8 })?,
        num_attention_heads,
        num_key_value_heads: num_attention_heads,
        head_dim: size(keys, "d_kv", 64)?,
        vocab_size: size(keys, "vocab_size", if is_t5 { 32_128 } else { 250_112 })?,
        norm: Norm { epsilon, ..base.norm },
        positions: Positions::Relative {
            buckets: size(keys, "relative_attention_num_buckets", 32)?,
            max_distance: size(keys, "relative_attention_max_distance", 128)?,
            shared: is_t5,
        },
        activation,
        gated,
        ..base
    }
    .check(file)?;
    config.layers = alike(&config);
    keys.refuse(&config)?;
    Ok(config)
}

/// The activation and whether it gates: `gated-gelu` is the tanh form, as in T5's own program.
fn feed_forward(keys: &Record, default: &str) -> Result<(Activation, bool)> {
    let named = keys.text("feed_forward_proj")?.unwrap_or(default);
    let (name, gated) = match named.strip_prefix("gated-") {
        Some(name) => (name, true),
        None => (named, false),
    };
    let activation = match (name, gated) {
        ("gelu", true) => Activation::GeluTanh,
        ("relu" | "gelu" | "gelu_new" | "silu" | "gelu_pytorch_tanh", _) => {
            super::activation(name).unwrap_or(Activation::Relu)
        }
        _ => {
            let expected = "relu, gated-gelu, gated-silu or another activation with or without gated-";
            return Err(keys.not_computed("feed_forward_proj", expected, format!("`{named}`")));
        }
    };
    // What transformers 5 writes beside it follows from it.
    let said = activation_of(keys, "dense_act_fn", activation)?;
    if said != activation || keys.flag("is_gated_act")?.is_some_and(|said| said != gated) {
        let key = if said != activation { "dense_act_fn" } else { "is_gated_act" };
        return Err(keys.not_computed(key, format!("what `feed_forward_proj` = {named} says"), "another"));
    }
    Ok((activation, gated))
}
