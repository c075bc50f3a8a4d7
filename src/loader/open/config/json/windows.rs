//! Which tokens a token attends to, by config.json: all of its text or those before it, whole or within a window.

use crate::error::Result;
use crate::loader::open::keys::record::Record;
use crate::model::{Config, Family};

/// The default window of the classes that have one.
const WINDOW: usize = 4096;
/// The default of `max_window_layers`.
const FIRST_WINDOWED: usize = 28;

/// Fills the pattern of attention of `config`, whose sizes are checked.
///
/// Qwen's classes have windows with `use_sliding_window`, in layers from `max_window_layers` on or in those that
/// `layer_types` names; Gemma's in every other layer, or in five of six; Mistral's in all layers.
pub(super) fn windows(keys: &Record, config: &mut Config) -> Result<()> {
    if keys.is_null("is_causal") {
        return Err(keys.malformed("is_causal", "true or false", "null"));
    }
    config.is_causal = keys.flag("is_causal")?.unwrap_or(config.is_causal);

    // 1. The window.
    let said = keys.size("sliding_window")?;
    let is_null = keys.is_null("sliding_window");
    let always = matches!(config.family, Family::Gemma2 | Family::Gemma3 | Family::T5Gemma | Family::Mistral);
    let uses = always || keys.flag("use_sliding_window")?.unwrap_or(false);
    let window = match uses {
        true if is_null => None,
        true if always => Some(keys.or("sliding_window", said, WINDOW)),
        true => Some(said.unwrap_or(WINDOW)),
        false => None,
    };
    if window == Some(0) {
        return Err(keys.malformed("sliding_window", "at least 1", "0"));
    }

    // 2. The layers that have it.
    let layers = config.num_hidden_layers;
    let first = keys.size("max_window_layers")?.unwrap_or(FIRST_WINDOWED);
    let patterns = ["sliding_window_pattern", "_sliding_window_pattern"].map(|key| keys.size(key));
    let [pattern, older] = patterns;
    let pattern = pattern?.or(older?).unwrap_or(6).max(1);
    let usual = |layer: usize| match config.family {
        Family::Gemma2 | Family::T5Gemma => layer.is_multiple_of(2),
        Family::Gemma3 => !(layer + 1).is_multiple_of(pattern),
        Family::Mistral => true,
        Family::SmolLm3 => config.layers[layer].rope.is_none(),
        _ => layer >= first,
    };
    let windowed: Vec<bool> = match keys.texts("layer_types")? {
        None => (0..layers).map(|layer| window.is_some() && usual(layer)).collect(),
        Some(kinds) if kinds.len() != layers => {
            let expected = format!("{layers} of them, one for each layer");
            return Err(keys.malformed("layer_types", expected, kinds.len().to_string()));
        }
        Some(kinds) => kinds
            .into_iter()
            .map(|kind| match kind {
                "full_attention" | "attention" => Ok(false),
                "sliding_attention" if window.is_some() => Ok(true),
                "sliding_attention" => {
                    let expected = "full_attention, as no sliding_window is used";
                    Err(keys.not_computed("layer_types", expected, "`sliding_attention`"))
                }
                other => {
                    let expected = "full_attention or sliding_attention";
                    Err(keys.not_computed("layer_types", expected, format!("`{other}`")))
                }
            })
            .collect::<Result<_>>()?,
    };
    config.window = window.filter(|_| windowed.contains(&true));
    config.layers.iter_mut().zip(windowed).for_each(|(layer, windowed)| layer.windowed = windowed);

    // 3. A window that no text reaches is none, but where its layers have rotations of their own.
    if config.ropes().len() < 2 && config.window.is_none_or(|window| window >= config.longest_text()) {
        config.window = None;
        config.layers.iter_mut().for_each(|layer| layer.windowed = false);
    }
    Ok(())
}
