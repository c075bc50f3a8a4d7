//! A configuration from GGUF metadata, as llama.cpp reads it.

use super::{Said, biases, qk_norm};
use crate::error::{Error, Result};
use crate::format::gguf::Gguf;
use crate::loader::open::keys::Place;
use crate::loader::open::keys::record::{Record, Told, Value};
use crate::model::{Config, Family};

/// From GGUF metadata; `vocab_size` is the token table's height.
pub(in crate::loader::open) fn from_gguf(gguf: &Gguf, vocab_size: usize) -> Result<Said> {
    let file = &gguf.file;
    let missing =
        |key: String, family: &str| Error::MissingKey { file: file.clone(), key, family: family.into() };
    let name =
        gguf.str("general.architecture")?.ok_or_else(|| missing("general.architecture".into(), "GGUF"))?;
    let family = Family::parse(file, name)?;
    let prefix = format!("{name}.");
    let all = || gguf.metadata.iter().map(|(key, value)| (key.as_str(), Value::Gguf(value)));
    let own = all().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value)));
    let keys = Record::new(file, Place::Gguf, family, &prefix, own);
    let others = all().filter(|(key, _)| !key.starts_with(&prefix));
    let others = Record::new(file, Place::File, family, "", others);

    let needed = |key: &str| keys.size(key)?.ok_or_else(|| missing(format!("{prefix}{key}"), name));
    let hidden_size = needed("embedding_length")?;
    let num_attention_heads = needed("attention.head_count")?;
    let num_hidden_layers = needed("block_count")?;
    let head_dim = hidden_size / num_attention_heads.max(1);
    let config = Config {
        family,
        hidden_size,
        intermediate_size: needed("feed_forward_length")?,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads: keys.size("attention.head_count_kv")?.unwrap_or(num_attention_heads),
        head_dim: keys.size("attention.key_length")?.unwrap_or(head_dim),
        vocab_size,
        rms_norm_eps: keys
            .float("attention.layer_norm_rms_epsilon")?
            .ok_or_else(|| missing(format!("{prefix}attention.layer_norm_rms_epsilon"), name))?
            as f32,
        rope_theta: keys.or("rope.freq_base", keys.float("rope.freq_base")?, 10_000.0),
        rope_factor: rope_factor(&keys)?,
        max_position_embeddings: keys.or("context_length", keys.size("context_length")?, 2048),
        is_causal: keys.flag("attention.causal")?.unwrap_or(true),
        window: None,
        windowed: vec![false; num_hidden_layers.min(1024)],
        biases: biases(family),
        qk_norm: qk_norm(family),
    }
    .check(file)?;
    keys.refuse(&config)?;
    let mut told = Told::default();
    keys.tell(&mut told);
    others.tell(&mut told);
    Ok(Said { config, told, tied: false, weights: None })
}

/// The number that positions are divided by. llama.cpp takes scaling without a type for linear, and reads the older
/// `rope.scale_linear` where `rope.scaling.factor` is absent or zero; without scaling it overlooks both.
fn rope_factor(keys: &Record) -> Result<f64> {
    let scaling = keys.text("rope.scaling.type")?.unwrap_or("linear");
    let [factor, older] = ["rope.scaling.factor", "rope.scale_linear"].map(|key| keys.float(key));
    let factor = factor?.filter(|factor| *factor != 0.0).or(older?).filter(|factor| *factor != 0.0);
    match scaling {
        "none" => Ok(1.0),
        "linear" => Ok(factor.unwrap_or(1.0)),
        other => Err(keys.not_computed("rope.scaling.type", "none or linear", format!("`{other}`"))),
    }
}
