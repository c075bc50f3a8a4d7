//! Which tokens a token attends to, by config.json: all of its text or those before it, whole or within a window.

use crate::error::Result;
use crate::loader::open::keys::record::Record;
use crate::model::Config;

/// The default window of the classes that have one.
const WINDOW: usize = 4096;
/// The default of `max_window_layers`.
const FIRST_WINDOWED: usize = 28;

/// Fills the pattern of attention of `config`, whose sizes are checked.
///
/// With `use_sliding_window`, layers from `max_window_layers` on have a window, or those that `layer_types` names.
pub(super) fn windows(keys: &Record, config: &mut Config) -> Result<()> {
    if keys.is_null("is_causal") {
        return Err(keys.malformed("is_causal", "true or false", "null"));
    }
    config.is_causal = keys.flag("is_causal")?.unwrap_or(true);

    // 1. The window.
    let said = keys.size("sliding_window")?;
    let window = match keys.flag("use_sliding_window")?.unwrap_or(false) {
        true if keys.is_null("sliding_window") => None,
        true => Some(said.unwrap_or(WINDOW)),
        false => None,
    };
    if window == Some(0) {
        return Err(keys.malformed("sliding_window", "at least 1", "0"));
    }

    // 2. The layers that have it.
    let layers = config.num_hidden_layers;
    let first = keys.size("max_window_layers")?.unwrap_or(FIRST_WINDOWED);
    config.windowed = match keys.texts("layer_types")? {
        None => (0..layers).map(|layer| window.is_some() && layer >= first).collect(),
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

    // 3. A window that no text reaches is none.
    config.window =
        window.filter(|window| *window < config.longest_text() && config.windowed.contains(&true));
    if config.window.is_none() {
        config.windowed = vec![false; layers];
    }
    Ok(())
}
