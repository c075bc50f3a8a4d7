//! The rotations of a config.json. transformers takes `rope_scaling`, else `rope_parameters`; the base stands there, else
//! beside it, else it is the class's own. Gemma 3 has a second set for its layers with a window.

use super::entries;
use crate::error::Result;
use crate::loader::open::config::{USUAL_THETA, yarn_amplitude};
use crate::loader::open::keys::Place;
use crate::loader::open::keys::record::{Record, Value};
use crate::model::{Family, Rope, RopeScaling};
use serde_json::{Map, Value as Json};

/// The rotations of a model: one set, or one for layers without a window and one for those with it.
pub(super) struct Rotations<'a> {
    pub ropes: Vec<Rope>,
    /// The records that describe them.
    pub records: Vec<Record<'a>>,
}

/// Reads the rotations of a model that is made for texts of `max_positions` tokens.
pub(super) fn ropes<'a>(
    file: &'a str,
    keys: &Record<'a>,
    default_theta: f64,
    max_positions: usize,
) -> Result<Rotations<'a>> {
    let outer = keys.float("rope_theta")?;
    let object = |name: &'static str| -> Result<_> {
        Ok(keys.object(name)?.filter(|object| !object.is_empty()).map(|object| (name, object)))
    };
    let (scaling, parameters) = (object("rope_scaling")?, object("rope_parameters")?);
    let two = keys.family() == Family::Gemma3;
    let Some((name, object)) = scaling.or(parameters) else {
        let mut ropes = vec![Rope::new(theta(keys, outer, default_theta)?)];
        if two {
            ropes.push(Rope::new(local_theta(keys)?));
        }
        return Ok(Rotations { ropes, records: Vec::new() });
    };

    let record = |name: String, object: &'a Map<String, Json>| {
        Record::new(file, Place::Rope, keys.family(), name, entries(object))
    };
    let whole = record(keys.below(name), object);
    let nested = whole.names().find(|(_, value)| matches!(value, Value::Json(Json::Object(_))));
    if let Some((nested, _)) = nested {
        let [Some(full), Some(sliding)] =
            ["full_attention", "sliding_attention"].map(|kind| object.get(kind).and_then(Json::as_object))
        else {
            let expected = "one set of parameters for all layers, or full_attention and sliding_attention";
            return Err(whole.not_computed(nested, expected, "parameters of its own"));
        };
        if !two {
            let expected = "one set of parameters for all layers";
            return Err(whole.not_computed(nested, expected, "parameters of its own"));
        }
        let [full, sliding] = [("full_attention", full), ("sliding_attention", sliding)]
            .map(|(kind, object)| record(whole.below(kind), object));
        let ropes = vec![
            rope_of(&full, keys, outer, default_theta, max_positions)?,
            rope_of(&sliding, keys, None, USUAL_THETA, max_positions)?,
        ];
        return Ok(Rotations { ropes, records: vec![full, sliding] });
    }
    let mut ropes = vec![rope_of(&whole, keys, outer, default_theta, max_positions)?];
    if two {
        ropes.push(Rope::new(local_theta(keys)?));
    }
    Ok(Rotations { ropes, records: vec![whole] })
}

/// The base of the layers with a window.
fn local_theta(keys: &Record) -> Result<f64> {
    Ok(keys.or("rope_local_base_freq", keys.float("rope_local_base_freq")?, USUAL_THETA))
}

/// The rotations that one record describes.
fn rope_of(
    rope: &Record,
    keys: &Record,
    outer: Option<f64>,
    default_theta: f64,
    max_positions: usize,
) -> Result<Rope> {
    if rope.is_null("rope_type") {
        return Err(rope.not_computed("rope_type", KINDS, "null"));
    }
    let kind = match rope.text("rope_type")? {
        None => rope.text("type")?,
        kind => kind,
    };
    let kind_key = if rope.value("rope_type").is_some() { "rope_type" } else { "type" };
    let kind = kind.unwrap_or("default");
    let needed = |name: &str| -> Result<f64> {
        let missing = || rope.malformed(name, format!("a number, which `{kind}` scaling needs"), "none");
        rope.float(name)?.ok_or_else(missing)
    };
    let original = || -> Result<f64> {
        let said = rope.float("original_max_position_embeddings")?;
        Ok(rope.or("original_max_position_embeddings", said, max_positions as f64))
    };
    let scaling = match kind {
        "default" => RopeScaling::None,
        "mrope" if matches!(keys.family(), Family::Qwen2Vl | Family::Qwen3Vl) => RopeScaling::None,
        "linear" => RopeScaling::Linear(needed("factor")?),
        "llama3" => RopeScaling::Llama3 {
            factor: needed("factor")?,
            low_freq_factor: needed("low_freq_factor")?,
            high_freq_factor: needed("high_freq_factor")?,
            original: original()?,
        },
        "yarn" => {
            let factor = needed("factor")?;
            let [mscale, all] = ["mscale", "mscale_all_dim"].map(|name| rope.float(name));
            let usual = match (mscale?.filter(|x| *x != 0.0), all?.filter(|x| *x != 0.0)) {
                (Some(mscale), Some(all)) => yarn_amplitude(factor, mscale) / yarn_amplitude(factor, all),
                _ => yarn_amplitude(factor, 1.0),
            };
            RopeScaling::Yarn {
                factor,
                beta_fast: rope.float("beta_fast")?.unwrap_or(32.0),
                beta_slow: rope.float("beta_slow")?.unwrap_or(1.0),
                original: original()?,
                attention_factor: rope.float("attention_factor")?.unwrap_or(usual),
                truncate: rope.flag("truncate")?.unwrap_or(true),
            }
        }
        other => return Err(rope.not_computed(kind_key, KINDS, format!("`{other}`"))),
    };
    let theta = match rope.float("rope_theta")? {
        Some(theta) => theta,
        None if rope.is_null("rope_theta") => return Err(rope.malformed("rope_theta", "a number", "null")),
        None => theta(keys, outer, default_theta)?,
    };
    Ok(Rope { theta, scaling })
}

/// The kinds of scaling that are computed.
const KINDS: &str = "default, linear, llama3 or yarn";

/// The base that stands beside the parameters, or the class's own.
fn theta(keys: &Record, outer: Option<f64>, default: f64) -> Result<f64> {
    if keys.is_null("rope_theta") {
        return Err(keys.malformed("rope_theta", "a number", "null"));
    }
    Ok(keys.or("rope_theta", outer, default))
}
