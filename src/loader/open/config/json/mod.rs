//! A configuration from a Hugging Face config.json, as the classes of transformers 5.24 read it.

mod clip;
mod decoder;
mod rope;
mod t5;
mod windows;
mod xlm_roberta;

use super::{ACTIVATIONS, Said, activation};
use crate::error::{Error, Result};
use crate::kernel::Activation;
use crate::loader::open::keys::Place;
use crate::loader::open::keys::record::{Record, Told, Value};
use crate::model::{Config, Family};
use serde_json::{Map, Value as Json};

/// The keys under which models of several parts hold their text part, in the order in which they are looked for.
const PARTS: [&str; 3] = ["text_config", "llm_config", "encoder"];

/// Models whose text part is a network of another name.
const WRAPPERS: [&str; 7] =
    ["llava", "llava_next", "internvl", "internvl_chat", "ovis2_5", "siglip2_ovis", "mimo_vl"];

/// From config.json; a model of several parts has its text part under a key of its own.
pub(in crate::loader::open) fn from_json(file: &str, bytes: &[u8]) -> Result<Said> {
    let malformed = |found: String| {
        Error::malformed(file, "the configuration", "a Hugging Face config.json, an object", found)
    };
    let root: Json = serde_json::from_slice(bytes).map_err(|e| malformed(e.to_string()))?;
    let Json::Object(root) = &root else { return Err(malformed("another value".into())) };
    let model_type = match root.get("model_type") {
        Some(Json::String(name)) => name.as_str(),
        None | Some(Json::Null) => {
            let (file, key) = (file.into(), "model_type".into());
            return Err(Error::MissingKey { file, key, family: "Hugging Face".into() });
        }
        Some(other) => return Err(Error::malformed(file, "`model_type`", "a text", other.to_string())),
    };
    let part = PARTS.into_iter().find_map(|key| Some((key, root.get(key)?.as_object()?)));
    let (family, part) = match (Family::parse(file, model_type), part) {
        (Ok(family), part) => (family, part.filter(|_| has_parts(family))),
        // The part of a wrapper says what it is.
        (Err(_), Some((key, part))) if WRAPPERS.contains(&model_type) => {
            let name = part.get("model_type").and_then(Json::as_str).unwrap_or(model_type);
            (Family::parse(file, name)?, Some((key, part)))
        }
        (Err(error), _) => return Err(error),
    };
    let mut told = Told::default();
    let whole = Record::new(file, Place::Config, family, "", entries(root));
    let Some((key, part)) = part else {
        for key in PARTS {
            whole.object(key)?; // a part that is no object is refused
        }
        let config = text_part(file, &whole, &mut told)?;
        whole.tell(&mut told);
        let tied = whole.flag("tie_word_embeddings")?.unwrap_or(false);
        return Ok(Said { config, told, tied, weights: weights(&whole)? });
    };

    // The classes read the text part alone, but for what says how the parts are stored.
    let beside = Record::new(file, Place::Beside, family, "", entries(root));
    let text = Record::new(file, Place::Config, family, format!("{key}."), entries(part));
    if let Some(name) = text.text("model_type")?
        && name != "t5_gemma_module"
        && Family::parse(file, name)? != family
    {
        return Err(text.not_computed("model_type", format!("that of `{model_type}`"), format!("`{name}`")));
    }
    if family == Family::T5Gemma && key != "encoder" {
        return Err(beside.malformed("encoder", "the configuration of the encoder", "none"));
    }
    let config = text_part(file, &text, &mut told)?;
    beside.refuse(&config)?;
    text.tell(&mut told);
    beside.tell(&mut told);
    let weights = weights(&beside)?;
    let [beside, text] = [&beside, &text].map(|record| record.flag("tie_word_embeddings"));
    Ok(Said { config, told, tied: beside?.unwrap_or(false) || text?.unwrap_or(false), weights })
}

/// The file of the weights that the top of config.json names.
fn weights(top: &Record) -> Result<Option<String>> {
    Ok(top.text("transformers_weights")?.map(str::to_owned))
}

/// Whether models of the family have other parts beside the text part.
fn has_parts(family: Family) -> bool {
    matches!(
        family,
        Family::Mistral
            | Family::Qwen2Vl
            | Family::Qwen3Vl
            | Family::Gemma3
            | Family::T5Gemma
            | Family::Clip
            | Family::XlmRoberta
    )
}

fn entries(object: &Map<String, Json>) -> impl Iterator<Item = (&str, Value<'_>)> {
    object.iter().map(|(key, value)| (key.as_str(), Value::Json(value)))
}

/// The network that `keys` describe.
fn text_part(file: &str, keys: &Record, told: &mut Told) -> Result<Config> {
    match keys.family() {
        Family::T5 | Family::Umt5 => t5::network_of(file, keys),
        Family::Clip => clip::network_of(file, keys),
        Family::XlmRoberta => xlm_roberta::network_of(file, keys),
        _ => decoder::network_of(file, keys, told),
    }
}

/// What the key says, else the class's default, which is told.
fn size(keys: &Record, name: &str, default: usize) -> Result<usize> {
    Ok(keys.or(name, keys.size(name)?, default))
}

/// The activation that the key names, else the class's default.
fn activation_of(keys: &Record, name: &str, default: Activation) -> Result<Activation> {
    let Some(named) = keys.text(name)? else { return Ok(default) };
    activation(named).ok_or_else(|| keys.not_computed(name, ACTIVATIONS, format!("`{named}`")))
}
