//! A configuration from a Hugging Face config.json, as the classes of transformers 5.24 read it.

use super::windows::windows;
use super::{Said, biases, qk_norm};
use crate::error::{Error, Result};
use crate::loader::open::keys::Place;
use crate::loader::open::keys::record::{Record, Told, Value};
use crate::model::{Biases, Config, Family};
use serde_json::{Map, Value as Json};

/// The defaults of a class: keys that equal them may be left out of a file.
struct Defaults {
    intermediate_size: usize,
    /// `None`: as many as heads.
    num_key_value_heads: Option<usize>,
    /// `None`: the width over the heads.
    head_dim: Option<usize>,
    vocab_size: usize,
    max_position_embeddings: usize,
    rope_theta: f64,
}

impl Defaults {
    fn of(family: Family) -> Self {
        let qwen = Self {
            intermediate_size: 22_016,
            num_key_value_heads: Some(32),
            head_dim: Some(128),
            vocab_size: 151_936,
            max_position_embeddings: 32_768,
            rope_theta: 10_000.0,
        };
        match family {
            Family::Llama => Self {
                intermediate_size: 11_008,
                num_key_value_heads: None,
                head_dim: None,
                vocab_size: 32_000,
                max_position_embeddings: 2048,
                ..qwen
            },
            Family::Qwen2 => Self { head_dim: None, ..qwen },
            Family::Qwen3 => qwen,
            Family::Qwen3Vl => Self { max_position_embeddings: 128_000, rope_theta: 500_000.0, ..qwen },
        }
    }
}

/// From config.json; a vision-language model's text part is under `text_config`.
pub(in crate::loader::open) fn from_json(file: &str, bytes: &[u8]) -> Result<Said> {
    let malformed = |found: String| {
        Error::malformed(file, "the configuration", "a Hugging Face config.json, an object", found)
    };
    let root: Json = serde_json::from_slice(bytes).map_err(|e| malformed(e.to_string()))?;
    let Json::Object(root) = &root else { return Err(malformed("another value".into())) };
    let model_type = match root.get("model_type") {
        Some(Json::String(name)) => name,
        None | Some(Json::Null) => {
            let (file, key) = (file.into(), "model_type".into());
            return Err(Error::MissingKey { file, key, family: "Hugging Face".into() });
        }
        Some(other) => return Err(Error::malformed(file, "`model_type`", "a text", other.to_string())),
    };
    let family = Family::parse(file, model_type)?;
    let mut told = Told::default();
    let whole = Record::new(file, Place::Config, family, "", entries(root));
    let Some(text) = whole.object("text_config")? else {
        let config = text_part(file, &whole, &mut told)?;
        whole.tell(&mut told);
        let tied = whole.flag("tie_word_embeddings")?.unwrap_or(false);
        return Ok(Said { config, told, tied, weights: weights(&whole)? });
    };

    // The classes read the text part alone, but for what says how the parts are stored.
    let beside = Record::new(file, Place::Beside, family, "", entries(root));
    let text = Record::new(file, Place::Config, family, "text_config.", entries(text));
    if let Some(name) = text.text("model_type")?
        && Family::parse(file, name)? != family
    {
        return Err(text.not_computed("model_type", format!("that of `{model_type}`"), format!("`{name}`")));
    }
    let config = text_part(file, &text, &mut told)?;
    beside.refuse(&config)?;
    text.tell(&mut told);
    beside.tell(&mut told);
    let weights = weights(&beside)?;
    let tied = [&beside, &text].map(|record| record.flag("tie_word_embeddings"));
    let [beside, text] = tied;
    Ok(Said { config, told, tied: beside?.unwrap_or(false) || text?.unwrap_or(false), weights })
}

/// The file of the weights that the top of config.json names.
fn weights(top: &Record) -> Result<Option<String>> {
    Ok(top.text("transformers_weights")?.map(str::to_owned))
}

fn entries(object: &Map<String, Json>) -> impl Iterator<Item = (&str, Value<'_>)> {
    object.iter().map(|(key, value)| (key.as_str(), Value::Json(value)))
}

/// The decoder that `keys` describe.
fn text_part(file: &str, keys: &Record, told: &mut Told) -> Result<Config> {
    let family = keys.family();
    let defaults = Defaults::of(family);
    let size = |name: &str, default: usize| Ok::<_, Error>(keys.or(name, keys.size(name)?, default));
    let hidden_size = size("hidden_size", 4096)?;
    let num_attention_heads = size("num_attention_heads", 32)?;
    let num_hidden_layers = size("num_hidden_layers", 32)?;
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
    let (rope_theta, rope_factor, rope) = rope(file, keys, defaults.rope_theta)?;
    let own = biases(family);
    let (attention, mlp) =
        (keys.flag("attention_bias")?.unwrap_or(false), keys.flag("mlp_bias")?.unwrap_or(false));
    let mut config = Config {
        family,
        hidden_size,
        intermediate_size: size("intermediate_size", defaults.intermediate_size)?,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        vocab_size: size("vocab_size", defaults.vocab_size)?,
        rms_norm_eps: keys.or("rms_norm_eps", keys.float("rms_norm_eps")?, 1e-6) as f32,
        rope_theta,
        rope_factor,
        max_position_embeddings: size("max_position_embeddings", defaults.max_position_embeddings)?,
        is_causal: true,
        window: None,
        windowed: Vec::new(),
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
        qk_norm: qk_norm(family),
    }
    .check(file)?;
    windows(keys, &mut config)?;
    keys.refuse(&config)?;
    // The first of the two takes the place of the other.
    if keys.object("rope_scaling")?.is_some_and(|scaling| !scaling.is_empty())
        && keys.value("rope_parameters").is_some()
    {
        told.not_read.push(keys.below("rope_parameters").trim_end_matches('.').into());
    }
    if let Some(rope) = rope {
        rope.refuse(&config)?;
        rope.tell(told);
    }
    Ok(config)
}

/// The base and the linear factor of the rotary table, and the record that has them. transformers takes `rope_scaling`,
/// else `rope_parameters`; the base stands there, else beside it, else it is the class's own.
fn rope<'a>(file: &'a str, keys: &Record<'a>, default_theta: f64) -> Result<(f64, f64, Option<Record<'a>>)> {
    let outer = keys.float("rope_theta")?;
    let object = |name: &'static str| -> Result<_> {
        Ok(keys.object(name)?.filter(|object| !object.is_empty()).map(|object| (name, object)))
    };
    let (scaling, parameters) = (object("rope_scaling")?, object("rope_parameters")?);
    let Some((name, object)) = scaling.or(parameters) else {
        return Ok((theta(keys, outer, default_theta)?, 1.0, None));
    };
    let rope = Record::new(file, Place::Rope, keys.family(), keys.below(name), entries(object));
    if let Some((nested, _)) = rope.names().find(|(_, value)| matches!(value, Value::Json(Json::Object(_)))) {
        let expected = "one set of parameters for all layers";
        return Err(rope.not_computed(nested, expected, "parameters of its own"));
    }
    if rope.is_null("rope_type") {
        return Err(rope.not_computed("rope_type", "default or linear", "null"));
    }
    let kind = match rope.text("rope_type")? {
        None => rope.text("type")?,
        kind => kind,
    };
    let kind_key = if rope.value("rope_type").is_some() { "rope_type" } else { "type" };
    let factor = match kind.unwrap_or("default") {
        "default" => 1.0,
        "mrope" if keys.family() == Family::Qwen3Vl => 1.0,
        "linear" => rope
            .float("factor")?
            .ok_or_else(|| rope.malformed("factor", "a number, which linear scaling needs", "none"))?,
        other => return Err(rope.not_computed(kind_key, "default or linear", format!("`{other}`"))),
    };
    let theta = match rope.float("rope_theta")? {
        Some(theta) => theta,
        None if rope.is_null("rope_theta") => return Err(rope.malformed("rope_theta", "a number", "null")),
        None => theta(keys, outer, default_theta)?,
    };
    Ok((theta, factor, Some(rope)))
}

/// The base that stands beside the parameters, or the class's own.
fn theta(keys: &Record, outer: Option<f64>, default: f64) -> Result<f64> {
    if keys.is_null("rope_theta") {
        return Err(keys.malformed("rope_theta", "a number", "null"));
    }
    Ok(keys.or("rope_theta", outer, default))
}
