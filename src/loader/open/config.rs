//! A [`Config`] from GGUF metadata or from a Hugging Face config.json.

use crate::error::{Error, Result};
use crate::format::gguf::Gguf;
use crate::model::{Config, Family};
use serde_json::Value;

/// Tensors that hold factors of scaled RoPE.
pub(super) const ROPE_FACTORS: [&str; 3] =
    ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"];

/// From GGUF metadata; `vocab_size` is the token table's height.
pub(super) fn from_gguf(gguf: &Gguf, vocab_size: usize) -> Result<Config> {
    let file = &gguf.file;
    let name = gguf.str("general.architecture")?.ok_or_else(|| Error::MissingKey {
        file: file.clone(),
        key: "general.architecture".into(),
        family: "GGUF".into(),
    })?;
    let family = Family::parse(file, name)?;
    let key = |suffix: &str| format!("{name}.{suffix}");
    let missing = |key: String| Error::MissingKey { file: file.clone(), key, family: name.into() };
    let stated = |suffix: &str| -> Result<Option<usize>> {
        Ok(gguf.u64(&key(suffix))?.map(|value| usize::try_from(value).unwrap_or(usize::MAX)))
    };
    let size = |suffix: &str| stated(suffix)?.ok_or_else(|| missing(key(suffix)));
    let or = |suffix: &str, default: usize| -> Result<usize> { Ok(stated(suffix)?.unwrap_or(default)) };
    let float = |suffix: &str| -> Result<Option<f64>> { gguf.f64(&key(suffix)) };

    let scaling = gguf.str(&key("rope.scaling.type"))?.unwrap_or("none");
    refuse_scaling(file, scaling)?;
    let hidden_size = size("embedding_length")?;
    let num_attention_heads = size("attention.head_count")?;
    Config {
        family,
        hidden_size,
        intermediate_size: size("feed_forward_length")?,
        num_hidden_layers: size("block_count")?,
        num_attention_heads,
        num_key_value_heads: or("attention.head_count_kv", num_attention_heads)?,
        head_dim: or("attention.key_length", hidden_size / num_attention_heads.max(1))?,
        vocab_size,
        rms_norm_eps: float("attention.layer_norm_rms_epsilon")?
            .ok_or_else(|| missing(key("attention.layer_norm_rms_epsilon")))? as f32,
        rope_theta: float("rope.freq_base")?.unwrap_or(10_000.0),
        max_position_embeddings: or("context_length", 2048)?,
        attention_bias: family == Family::Qwen2,
        qk_norm: matches!(family, Family::Qwen3 | Family::Qwen3Vl),
    }
    .check(file)
}

/// From config.json; a vision-language model's text part is under `text_config`.
pub(super) fn from_json(file: &str, bytes: &[u8]) -> Result<Config> {
    let malformed = |item: &str, expected: &str, found: String| Error::Malformed {
        file: file.into(),
        item: item.into(),
        expected: expected.into(),
        found,
    };
    let root: Value = serde_json::from_slice(bytes)
        .map_err(|e| malformed("the configuration", "a Hugging Face config.json", e.to_string()))?;
    let model_type = root["model_type"].as_str().ok_or_else(|| Error::MissingKey {
        file: file.into(),
        key: "model_type".into(),
        family: "Hugging Face".into(),
    })?;
    let family = Family::parse(file, model_type)?;
    let text = root.get("text_config").unwrap_or(&root);

    let get = |key: &str| text.get(key).filter(|value| !value.is_null());
    let missing =
        |key: &str| Error::MissingKey { file: file.into(), key: key.into(), family: family.name().into() };
    let size = |key: &str| -> Result<Option<usize>> {
        get(key)
            .map(|value| match value.as_u64() {
                Some(size) => Ok(usize::try_from(size).unwrap_or(usize::MAX)),
                None => Err(malformed(key, "a whole number", value.to_string())),
            })
            .transpose()
    };
    let needed = |key: &str| size(key)?.ok_or_else(|| missing(key));
    let rope = get("rope_parameters").or(get("rope_scaling"));
    if let Some(scaling) = rope.and_then(|rope| rope.get("rope_type").or(rope.get("type"))?.as_str()) {
        refuse_scaling(file, scaling)?;
    }
    let rope_theta =
        get("rope_theta").or(rope.and_then(|rope| rope.get("rope_theta"))).and_then(Value::as_f64);
    let hidden_size = needed("hidden_size")?;
    let num_attention_heads = needed("num_attention_heads")?;
    Config {
        family,
        hidden_size,
        intermediate_size: needed("intermediate_size")?,
        num_hidden_layers: needed("num_hidden_layers")?,
        num_attention_heads,
        num_key_value_heads: size("num_key_value_heads")?.unwrap_or(num_attention_heads),
        head_dim: size("head_dim")?.unwrap_or(hidden_size / num_attention_heads.max(1)),
        vocab_size: needed("vocab_size")?,
        rms_norm_eps: get("rms_norm_eps").and_then(Value::as_f64).ok_or_else(|| missing("rms_norm_eps"))?
            as f32,
        rope_theta: rope_theta.unwrap_or(10_000.0),
        max_position_embeddings: size("max_position_embeddings")?.unwrap_or(2048),
        attention_bias: family == Family::Qwen2
            || get("attention_bias").and_then(Value::as_bool).unwrap_or(false),
        qk_norm: matches!(family, Family::Qwen3 | Family::Qwen3Vl),
    }
    .check(file)
}

/// Scaled RoPE would give other embeddings without a word.
pub(super) fn refuse_scaling(file: &str, found: &str) -> Result<()> {
    match found {
        "none" | "default" | "mrope" => Ok(()),
        _ => Err(Error::Malformed {
            file: file.into(),
            item: "RoPE scaling".into(),
            expected: "none".into(),
            found: found.chars().take(64).collect(),
        }),
    }
}
