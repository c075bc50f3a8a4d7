//! `gran-ted states`: the hidden states of texts as a safetensors file, to be held against another program's.

use crate::cli::args::LoadOptions;
use crate::cli::load::{Model, load};
use crate::cli::output::print;
use crate::cli::{read, written};
use gran_ted::encoder::{States, TextEncoder};
use gran_ted::error::{Error, Result};
use gran_ted::format::SafetensorsWriter;
use pollster::block_on;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes `input_ids`, `hidden_states.0` to `hidden_states.L` and `last_prenorm` of each text to `out`.
pub fn states(
    model: &Path,
    arguments: &[String],
    lists: &[String],
    out: &PathBuf,
    options: &LoadOptions,
) -> Result<ExitCode> {
    // 1. Everything that can be wrong before the weights are read.
    let texts = read::texts(arguments)?;
    let given = lists.iter().map(|list| token_ids(list)).collect::<Result<Vec<_>>>()?;
    if texts.is_empty() && given.is_empty() {
        return Err(Error::UnknownOption {
            option: "texts",
            expected: "a text, or token ids by --ids".into(),
            found: "none".into(),
        });
    }
    let model = Model::open(model, options)?;
    written::check([out], &model.files)?;
    let mut inputs: Vec<(Option<&String>, Vec<u32>)> = Vec::new();
    if !texts.is_empty() {
        let encoded = model.header.tokenize(&texts)?;
        inputs.extend(texts.iter().zip(encoded).map(|(text, encoded)| (Some(text), encoded.ids)));
    }
    inputs.extend(given.into_iter().map(|ids| (None, ids)));
    let longest = model.header.info.max_length;
    if let Some(index) = inputs.iter().position(|(_, ids)| ids.len() > longest) {
        let (item, found) = (format!("list {} of token ids", index + 1 - texts.len()), inputs[index].1.len());
        return Err(malformed("--ids", item, format!("at most {longest} ids"), found.to_string()));
    }

    // 2. The states, text by text.
    let (encoder, _) = load(model, options)?;
    let described = inputs.iter().enumerate().filter_map(|(index, (text, _))| {
        Some((format!("{}text", before(index, inputs.len())), (*text)?.clone()))
    });
    let facts = [
        ("model".to_string(), encoder.info.name.clone()),
        ("device".to_string(), encoder.device().adapter.clone()),
        ("arithmetic".to_string(), encoder.info.arithmetic.to_string()),
    ];
    let mut file = SafetensorsWriter::new(facts.into_iter().chain(described));
    for (index, (_, ids)) in inputs.iter().enumerate() {
        let states = block_on(encoder.states(ids))?;
        add(&mut file, &before(index, inputs.len()), &encoder, ids, &states);
    }
    written::write(out, file.finish())?;
    print(&format!(
        "{} text{}, {} states of width {} in {}\n",
        inputs.len(),
        if inputs.len() == 1 { "" } else { "s" },
        encoder.config.num_hidden_layers + 1,
        encoder.config.hidden_size,
        out.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// What stands before the names of a text's tensors: nothing where there is one text alone.
fn before(index: usize, count: usize) -> String {
    if count == 1 { String::new() } else { format!("{index}.") }
}

fn add(file: &mut SafetensorsWriter, before: &str, encoder: &TextEncoder, ids: &[u32], states: &States) {
    let shape = [ids.len(), encoder.config.hidden_size];
    let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
    file.integers(&format!("{before}input_ids"), &[ids.len()], &ids);
    for (layer, state) in states.hidden.iter().enumerate() {
        file.floats(&format!("{before}hidden_states.{layer}"), &shape, state);
    }
    // A file that was cut does not hold the model's last layer.
    if encoder.config.cut_from.is_none() {
        file.floats(&format!("{before}last_prenorm"), &shape, &states.last_prenorm);
    }
}

fn malformed(
    option: &str,
    item: impl Into<String>,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> Error {
    let (file, item) = (option.into(), item.into());
    Error::Malformed { file, item, expected: expected.into(), found: found.into() }
}

/// Token ids with blanks or commas between them.
fn token_ids(list: &str) -> Result<Vec<u32>> {
    let words = list.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    let ids = words.map(|word| {
        word.parse().map_err(|_| malformed("--ids", "a token id", "a whole number", format!("`{word}`")))
    });
    let ids = ids.collect::<Result<Vec<u32>>>()?;
    if ids.is_empty() {
        return Err(malformed("--ids", "a list of token ids", "at least one id", "none"));
    }
    Ok(ids)
}
