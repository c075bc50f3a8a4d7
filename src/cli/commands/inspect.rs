//! `gran-ted inspect`: the facts in the header of a model, without reading its weights.

use crate::cli::args::QuantizeOption;
use crate::cli::output::print;
use gran_ted::error::{Result, shown};
use gran_ted::loader::{Fit, Header, Limits, SLOTS};
use gran_ted::model::{Config, Positions, Rope, RopeScaling};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::ExitCode;

/// The packed batches whose memory is shown: a word, a caption, the longest text.
const BATCHES: [usize; 3] = [1, 256, 2048];

pub fn inspect(model: &Path, as_json: bool, quantize: &QuantizeOption) -> Result<ExitCode> {
    let header = quantize.header(model)?;
    let fits = BATCHES.map(|tokens| header.fit(tokens, Limits::default()));
    let mut facts = facts(&header);
    if as_json {
        facts.insert("fit".into(), json!(fits));
        print(&format!("{:#}\n", Value::Object(facts)))?;
    } else {
        let facts = facts.iter().map(|(name, value)| format!("{name:<20} {}\n", shown(&line(name, value))));
        print(&facts.chain(fits.iter().map(memory)).collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn facts(header: &Header) -> Map<String, Value> {
    let (config, info) = (&header.config, &header.info);
    let types: Map<_, _> =
        info.tensor_types.iter().map(|(dtype, count)| (format!("{dtype:?}"), json!(count))).collect();
    let facts = json!({
        "file": info.name,
        "family": config.family.name(),
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocab_size,
        "positions": positions(config),
        "activation": format!("{:?}", config.activation),
        "max_length": info.max_length,
        "is_causal": config.is_causal,
        "sliding_window": config.window,
        "tokenizer": header.has_tokenizer(),
        "begin_tokens": info.begin_tokens,
        "end_tokens": info.end_tokens,
        "tokenizer_not_read": header.tokenizer().map(|tokenizer| tokenizer.not_read()).unwrap_or_default(),
        "recognized": info.recognized,
        "decided": info.decided,
        "warnings": info.warnings,
        "tensor_types": types,
        "quantize": info.quantize,
        "parameters": info.parameters,
        "file_bytes": info.file_bytes,
        "device_bytes": info.device_bytes,
        "defaults": info.defaults,
        "not_read": info.not_read,
    });
    match facts {
        Value::Object(facts) => facts,
        _ => unreachable!("made as an object"),
    }
}

/// How the network knows the places of tokens, in words.
fn positions(config: &Config) -> String {
    match &config.positions {
        Positions::Rotary(ropes) => {
            let rope = |rope: &Rope| match &rope.scaling {
                RopeScaling::None => format!("RoPE, theta {}", rope.theta),
                RopeScaling::Linear(factor) => format!("RoPE, theta {}, divided by {factor}", rope.theta),
                RopeScaling::Llama3 { factor, .. } => {
                    format!("RoPE, theta {}, llama3 by {factor}", rope.theta)
                }
                RopeScaling::Yarn { factor, .. } => format!("RoPE, theta {}, YaRN by {factor}", rope.theta),
                RopeScaling::Divisors(_) => format!("RoPE, theta {}, divided by rope_freqs", rope.theta),
            };
            ropes.iter().map(rope).collect::<Vec<_>>().join("; in layers with a window ")
        }
        Positions::Learned { rows, first, .. } => format!("learned, {rows} rows from {first} on"),
        Positions::Relative { buckets, max_distance, shared } => {
            let whose = if *shared { "of the first layer for all" } else { "of each layer" };
            format!("relative biases {whose}, {buckets} buckets to {max_distance}")
        }
    }
}

/// The memory for a batch, in a line.
fn memory(fit: &Fit) -> String {
    let [device, streamed, host] =
        [fit.device_bytes, fit.streamed_bytes(SLOTS), fit.host_bytes].map(|bytes| bytes as f64 / 1e6);
    let tokens = format!("with {} token{}", fit.tokens, if fit.tokens == 1 { "" } else { "s" });
    format!(
        "{tokens:<20} {device:.1} MB on the device ({streamed:.1} MB layer by layer), {host:.1} MB on the host\n"
    )
}

fn line(name: &str, value: &Value) -> String {
    match (name, value) {
        ("file_bytes" | "device_bytes", Value::Number(bytes)) => {
            format!("{bytes} ({:.1} MB)", bytes.as_f64().unwrap_or_default() / 1e6)
        }
        ("parameters", Value::Number(count)) => {
            format!("{count} ({:.1} million)", count.as_f64().unwrap_or_default() / 1e6)
        }
        (_, Value::Object(types)) => {
            let parts: Vec<_> = types.iter().map(|(dtype, count)| format!("{count} x {dtype}")).collect();
            parts.join(", ")
        }
        ("is_causal", Value::Bool(causal)) => causal.to_string(),
        (_, Value::Bool(found)) => if *found { "in the files" } else { "none" }.into(),
        ("sliding_window", Value::Null) => "none".into(),
        ("recognized", Value::Null) => "from config or metadata".into(),
        (_, Value::Null) => "as stored".into(),
        (_, Value::Array(names)) if names.is_empty() => "none".into(),
        (_, Value::Array(names)) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    }
}
