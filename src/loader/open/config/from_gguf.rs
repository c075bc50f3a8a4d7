//! A configuration from GGUF metadata, as llama.cpp reads it.

use super::{Said, USUAL_THETA, alike, network, usual_scale, yarn_amplitude};
use crate::error::{Error, Result};
use crate::format::gguf::Gguf;
use crate::loader::open::keys::Place;
use crate::loader::open::keys::record::{Record, Told, Value};
use crate::model::{Config, Family, Norm, NormKind, Positions, Rope, RopeScaling};

/// What the tensors of a file say that its metadata leaves open.
pub(in crate::loader::open) struct GgufTensors {
    /// The height of the token table.
    pub vocab_size: usize,
    /// The divisors of Llama 3.1's frequencies, `[head_dim / 2]`.
    pub divisors: Option<Vec<f32>>,
    /// Whether an MLP has a gate.
    pub gated: bool,
    /// Whether layers after the first have relative biases of their own.
    pub own_relative_biases: bool,
}

/// From GGUF metadata.
pub(in crate::loader::open) fn from_gguf(gguf: &Gguf, tensors: GgufTensors) -> Result<Said> {
    let file = &gguf.file;
    let missing =
        |key: String, family: &str| Error::MissingKey { file: file.clone(), key, family: family.into() };
    let name =
        gguf.str("general.architecture")?.ok_or_else(|| missing("general.architecture".into(), "GGUF"))?;
    let mut family = Family::parse(file, name)?;
    if family == Family::T5 && tensors.own_relative_biases {
        family = Family::Umt5; // converters write one name for both
    }
    let prefix = format!("{name}.");
    let all = || gguf.metadata.iter().map(|(key, value)| (key.as_str(), Value::Gguf(value)));
    let own = all().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value)));
    let keys = Record::new(file, Place::Gguf, family, &prefix, own);
    let others = all().filter(|(key, _)| !key.starts_with(&prefix));
    let others = Record::new(file, Place::File, family, "", others);

    let needed = |key: &str| keys.size(key)?.ok_or_else(|| missing(format!("{prefix}{key}"), name));
    let base = network(family);
    let hidden_size = needed("embedding_length")?;
    let num_attention_heads = needed("attention.head_count")?;
    let num_hidden_layers = needed("block_count")?;
    let usual_head = hidden_size / num_attention_heads.max(1);
    let head_dim = keys.size("attention.key_length")?.unwrap_or(usual_head);
    let epsilon = match base.norm.kind {
        NormKind::Layer => "attention.layer_norm_epsilon",
        _ => "attention.layer_norm_rms_epsilon",
    };
    let epsilon = keys.float(epsilon)?.ok_or_else(|| missing(format!("{prefix}{epsilon}"), name))? as f32;
    // Converters add the 1 to Gemma's norms.
    let kind = if base.norm.kind == NormKind::RmsPlusOne { NormKind::Rms } else { base.norm.kind };
    let positions = match base.positions {
        Positions::Rotary(_) => {
            if let Some(divisors) = &tensors.divisors
                && divisors.len() != head_dim / 2
            {
                let (expected, found) = (format!("{} values, half a head", head_dim / 2), divisors.len());
                return Err(Error::malformed(
                    file,
                    "tensor `rope_freqs.weight`",
                    expected,
                    found.to_string(),
                ));
            }
            Positions::Rotary(ropes(&keys, tensors.divisors)?)
        }
        Positions::Relative { max_distance, shared, .. } => {
            let buckets = keys.size("attention.relative_buckets_count")?.unwrap_or(32);
            Positions::Relative { buckets, max_distance, shared }
        }
        other => other,
    };
    let is_relative = matches!(positions, Positions::Relative { .. });
    // llama.cpp scales the scores of the 27B models by the width of a head that the hidden size would have.
    let scaled_head = match (family, num_hidden_layers) {
        (Family::Gemma2, 46) | (Family::Gemma3, 62) => usual_head,
        _ => head_dim,
    };
    let is_gemma = matches!(family, Family::Gemma2 | Family::Gemma3);
    let score_cap = match family {
        Family::Gemma2 => {
            Some(keys.or("attn_logit_softcapping", keys.float("attn_logit_softcapping")?, 50.0))
        }
        _ => None,
    };
    let mut config = Config {
        hidden_size,
        intermediate_size: needed("feed_forward_length")?,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads: keys.size("attention.head_count_kv")?.unwrap_or(num_attention_heads),
        head_dim,
        vocab_size: tensors.vocab_size,
        max_position_embeddings: match is_relative {
            true => usize::MAX, // its context length is what it was trained on
            false => keys.or("context_length", keys.size("context_length")?, 2048),
        },
        norm: Norm { kind, epsilon },
        positions,
        is_causal: keys.flag("attention.causal")?.unwrap_or(base.is_causal),
        score_scale: if is_relative { 1.0 } else { usual_scale(scaled_head) },
        score_cap: score_cap.map(|cap| cap as f32).filter(|cap| *cap != 0.0),
        activation: match (is_relative, tensors.gated) {
            (true, false) => crate::kernel::Activation::Relu,
            _ => base.activation,
        },
        gated: tensors.gated,
        embedding_scale: if is_gemma { (hidden_size as f64).sqrt() as f32 } else { 1.0 },
        ..base
    }
    .check(file)?;
    config.layers = alike(&config);
    pattern(&keys, &mut config)?;
    keys.refuse(&config)?;
    others.refuse(&config)?;
    let mut told = Told::default();
    keys.tell(&mut told);
    others.tell(&mut told);
    Ok(Said { config, told, tied: false, weights: None })
}

/// The layers with a window or without rotations, which llama.cpp knows by the family.
fn pattern(keys: &Record, config: &mut Config) -> Result<()> {
    let layers = config.layers.iter_mut().enumerate();
    match config.family {
        Family::SmolLm3 => {
            layers.for_each(|(index, layer)| layer.rope = (index % 4 != 3).then_some(0));
        }
        Family::Gemma2 => layers.for_each(|(index, layer)| layer.windowed = index % 2 == 0),
        Family::Gemma3 => {
            for (index, layer) in layers {
                layer.windowed = index % 6 != 5;
                layer.rope = Some(usize::from(layer.windowed));
            }
        }
        _ => return Ok(()),
    }
    if config.family == Family::SmolLm3 {
        return Ok(());
    }
    let usual = if config.family == Family::Gemma2 { 4096 } else { 1024 };
    let window = keys.or("attention.sliding_window", keys.size("attention.sliding_window")?, usual);
    config.window = Some(window).filter(|window| (1..config.longest_text()).contains(window));
    if config.window.is_none() {
        config.layers.iter_mut().for_each(|layer| layer.windowed = false);
    }
    Ok(())
}

/// The rotations: one set, and for Gemma 3 a second one for layers with a window.
fn ropes(keys: &Record, divisors: Option<Vec<f32>>) -> Result<Vec<Rope>> {
    let usual = if keys.family() == Family::Gemma3 { 1e6 } else { USUAL_THETA };
    let theta = keys.or("rope.freq_base", keys.float("rope.freq_base")?, usual);
    let scaling = match (scaling(keys)?, divisors) {
        (scaling, None) => scaling,
        (RopeScaling::None, Some(divisors)) => RopeScaling::Divisors(divisors),
        (_, Some(_)) => {
            let expected = "none beside the tensor `rope_freqs.weight`";
            return Err(keys.not_computed("rope.scaling.type", expected, "both"));
        }
    };
    let mut ropes = vec![Rope { theta, scaling }];
    if keys.family() == Family::Gemma3 {
        ropes.push(Rope::new(keys.float("rope.freq_base_swa")?.unwrap_or(USUAL_THETA)));
    }
    Ok(ropes)
}

/// The scaling of frequencies. llama.cpp takes scaling without a type for linear, and reads the older `rope.scale_linear`
/// where `rope.scaling.factor` is absent or zero; without scaling it overlooks both.
fn scaling(keys: &Record) -> Result<RopeScaling> {
    let kind = keys.text("rope.scaling.type")?.unwrap_or("linear");
    let [factor, older] = ["rope.scaling.factor", "rope.scale_linear"].map(|key| keys.float(key));
    let factor = factor?.filter(|factor| *factor != 0.0).or(older?).filter(|factor| *factor != 0.0);
    match kind {
        "none" => Ok(RopeScaling::None),
        "linear" => Ok(match factor {
            None | Some(1.0) => RopeScaling::None,
            Some(factor) => RopeScaling::Linear(factor),
        }),
        "yarn" => {
            let factor = factor.unwrap_or(1.0);
            let original = keys.float("rope.scaling.original_context_length")?;
            let missing =
                || keys.malformed("rope.scaling.original_context_length", "a number for `yarn`", "none");
            Ok(RopeScaling::Yarn {
                factor,
                beta_fast: keys.float("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
                beta_slow: keys.float("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
                original: original.ok_or_else(missing)?,
                attention_factor: yarn_amplitude(factor, 1.0),
                truncate: true,
            })
        }
        other => Err(keys.not_computed("rope.scaling.type", "none, linear or yarn", format!("`{other}`"))),
    }
}
