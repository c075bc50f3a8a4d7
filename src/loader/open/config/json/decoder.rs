//! The decoders of the llama kind, and the encoder of T5Gemma, whose layers are those of a decoder.

use super::windows::windows;
use super::{activation_of, rope, size};
use crate::error::Result;
use crate::loader::open::config::{alike, network, usual_scale};
use crate::loader::open::keys::record::{Record, Told};
use crate::model::{Biases, Config, Family, Norm, Positions};

/// The defaults of a class: keys that equal them may be left out of a file.
struct Defaults {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    /// `None`: as many as heads.
    num_key_value_heads: Option<usize>,
    /// `None`: the width over the heads.
    head_dim: Option<usize>,
    vocab_size: usize,
    max_position_embeddings: usize,
    rope_theta: f64,
    rms_norm_eps: f64,
}

impl Defaults {
    fn of(family: Family) -> Self {
        let qwen3 = Self {
            hidden_size: 4096,
            intermediate_size: 22_016,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: Some(32),
            head_dim: Some(128),
            vocab_size: 151_936,
            max_position_embeddings: 32_768,
            rope_theta: 10_000.0,
            rms_norm_eps: 1e-6,
        };
        let gemma = Self {
            hidden_size: 2304,
            intermediate_size: 9216,
            num_hidden_layers: 26,
            num_attention_heads: 8,
            num_key_value_heads: Some(4),
            head_dim: Some(256),
            vocab_size: 256_000,
            max_position_embeddings: 8192,
            ..qwen3
        };
        match family {
            Family::Mistral => Self {
                intermediate_size: 14_336,
                num_key_value_heads: Some(8),
                head_dim: None,
                vocab_size: 32_000,
                max_position_embeddings: 131_072,
                ..qwen3
            },
            Family::SmolLm3 => Self {
                hidden_size: 2048,
                intermediate_size: 11_008,
                num_hidden_layers: 36,
                num_attention_heads: 16,
                num_key_value_heads: Some(4),
                head_dim: None,
                vocab_size: 128_256,
                rope_theta: 2e6,
                ..qwen3
            },
            Family::Qwen2 => Self { head_dim: None, ..qwen3 },
            Family::Qwen2Vl => Self {
                hidden_size: 8192,
                intermediate_size: 29_568,
                num_hidden_layers: 80,
                num_attention_heads: 64,
                num_key_value_heads: Some(8),
                head_dim: None,
                vocab_size: 152_064,
                rope_theta: 1e6,
                rms_norm_eps: 1e-5,
                ..qwen3
            },
            Family::Qwen3 => qwen3,
            Family::Qwen3Vl => Self { max_position_embeddings: 128_000, rope_theta: 500_000.0, ..qwen3 },
            Family::Gemma2 | Family::T5Gemma => gemma,
            Family::Gemma3 => {
                Self { vocab_size: 262_208, max_position_embeddings: 131_072, rope_theta: 1e6, ..gemma }
            }
            _ => Self {
                intermediate_size: 11_008,
                num_key_value_heads: None,
                head_dim: None,
                vocab_size: 32_000,
                max_position_embeddings: 2048,
                ..qwen3
            },
        }
    }
}

/// The network that `keys` describe.
pub(super) fn network_of(file: &str, keys: &Record, told: &mut Told) -> Result<Config> {
    let family = keys.family();
    let defaults = Defaults::of(family);
    let hidden_size = size(keys, "hidden_size", defaults.hidden_size)?;
    let num_attention_heads = size(keys, "num_attention_heads", defaults.num_attention_heads)?;
    let num_hidden_layers = size(keys, "num_hidden_layers", defaults.num_hidden_layers)?;
    let num_key_value_heads = match (keys.size("num_key_value_heads")?, defaults.num_key_value_heads) {
        (None, Some(default)) if !keys.is_null("num_key_value_heads") => {
            keys.or("num_key_value_heads", None, default)
        }
        (heads, _) => heads.unwrap_or(num_attention_heads),
    };
    let head_dim = match (keys.size("head_dim")?, defaults.head_dim) {
        (Some(dim), _) => dim,
        (None, Some(default)) => keys.or("head_dim", None, default),
        (None, None) => hidden_size / num_attention_heads.max(1),
    };
    let max_position_embeddings = size(keys, "max_position_embeddings", defaults.max_position_embeddings)?;
    let rotations = rope::ropes(file, keys, defaults.rope_theta, max_position_embeddings)?;
    let base = network(family);
    let own = base.biases;
    let (attention, mlp) =
        (keys.flag("attention_bias")?.unwrap_or(false), keys.flag("mlp_bias")?.unwrap_or(false));
    let epsilon = keys.or("rms_norm_eps", keys.float("rms_norm_eps")?, defaults.rms_norm_eps) as f32;
    let is_gemma = matches!(family, Family::Gemma2 | Family::Gemma3 | Family::T5Gemma);
    let (score_scale, score_cap, embedding_scale) = match is_gemma {
        true => gemma(keys, hidden_size)?,
        false => (usual_scale(head_dim), None, 1.0),
    };
    let key = if is_gemma { "hidden_activation" } else { "hidden_act" };
    let mut config = Config {
        hidden_size,
        intermediate_size: size(keys, "intermediate_size", defaults.intermediate_size)?,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        vocab_size: size(keys, "vocab_size", defaults.vocab_size)?,
        max_position_embeddings,
        norm: Norm { epsilon, ..base.norm },
        positions: Positions::Rotary(rotations.ropes),
        score_scale,
        score_cap,
        activation: activation_of(keys, key, base.activation)?,
        // A bias of o_proj that is missing is zero in the reference: exports of other families to llama have none.
        biases: Biases {
            q_proj: own.q_proj || attention,
            k_proj: own.k_proj || attention,
            v_proj: own.v_proj || attention,
            o_proj: false,
            gate_proj: mlp,
            up_proj: mlp,
            down_proj: mlp,
        },
        embedding_scale,
        ..base
    }
    .check(file)?;
    config.layers = alike(&config);
    if family == Family::SmolLm3 {
        without_rotations(keys, &mut config)?;
    }
    windows(keys, &mut config)?;
    if config.ropes().len() > 1 {
        config.layers.iter_mut().for_each(|layer| layer.rope = Some(usize::from(layer.windowed)));
        forget_window(&mut config);
    }
    keys.refuse(&config)?;
    // The first of the two takes the place of the other.
    if keys.object("rope_scaling")?.is_some_and(|scaling| !scaling.is_empty())
        && keys.value("rope_parameters").is_some()
    {
        told.not_read.push(keys.below("rope_parameters").trim_end_matches('.').into());
    }
    for record in rotations.records {
        record.refuse(&config)?;
        record.tell(told);
    }
    Ok(config)
}

/// A window that no text reaches is none: it has no list of keys of its own.
fn forget_window(config: &mut Config) {
    let longest = config.longest_text();
    config.window = config.window.filter(|window| *window < longest);
    if config.window.is_none() {
        config.layers.iter_mut().for_each(|layer| layer.windowed = false);
    }
}

/// The scale and the cap of Gemma's scores, and the scale of its token embeddings.
fn gemma(keys: &Record, hidden_size: usize) -> Result<(f32, Option<f32>, f32)> {
    let scalar = keys.or("query_pre_attn_scalar", keys.float("query_pre_attn_scalar")?, 256.0);
    let cap = match keys.float("attn_logit_softcapping")? {
        None if keys.family() == Family::Gemma3 || keys.is_null("attn_logit_softcapping") => None,
        cap => Some(keys.or("attn_logit_softcapping", cap, 50.0) as f32),
    };
    Ok((scalar.powf(-0.5) as f32, cap, (hidden_size as f64).sqrt() as f32))
}

/// SmolLM3's layers without rotations: those that `no_rope_layers` has as 0, or every `no_rope_layer_interval`-th.
fn without_rotations(keys: &Record, config: &mut Config) -> Result<()> {
    let interval = size(keys, "no_rope_layer_interval", 4)?;
    let listed = keys.sizes("no_rope_layers")?;
    if let Some(listed) = &listed
        && listed.len() != config.num_hidden_layers
    {
        let expected = format!("{} of them, one for each layer", config.num_hidden_layers);
        return Err(keys.malformed("no_rope_layers", expected, listed.len().to_string()));
    }
    for (index, layer) in config.layers.iter_mut().enumerate() {
        let rotates = match &listed {
            Some(listed) => listed[index] != 0,
            None => interval == 0 || !(index + 1).is_multiple_of(interval),
        };
        layer.rope = rotates.then_some(0);
    }
    Ok(())
}
