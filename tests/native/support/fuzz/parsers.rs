//! The targets that read files and load no weights.

use super::{Outcome, broken, memory, refused};
use crate::support::torch_writer::{Archive, bytes_of};
use gran_ted::device::DeviceKind;
use gran_ted::error::{Error, Result};
use gran_ted::format::gguf::Gguf;
use gran_ted::format::safetensors::{Index, Safetensors};
use gran_ted::format::torch::Torch;
use gran_ted::format::{Memory, Source};
use gran_ted::kernel::Arithmetic;
use gran_ted::loader::{Header, Limits, Part};
use gran_ted::model::{Feature, Pooling};
use gran_ted::quant::Quantize;
use gran_ted::ted::{Comparison, Dataset, Evaluation, Report, Subset, correlate};
use gran_ted::text::tokenizer::Tokenizer;
use pollster::block_on;
use serde_json::Value;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// Texts of several scripts, with tokens of chat templates, runs and controls.
const TEXTS: [&str; 7] = [
    "the red cube, left of 12 blue balls\n",
    "<|im_start|>user <think>",
    "日本 é  a\u{301}",
    "   \n\n\t  x'll DON'T",
    "a",
    "\u{0}\u{feff}\u{200d}👨\u{200d}👩\u{200d}👧",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
];

/// The outcome of a result without rules of its own.
fn told<T>(result: Result<T>, data: &[u8]) -> Outcome {
    result.map_or_else(|error| refused(&error, data), |_| Ok("read".into()))
}

pub fn gguf(data: &[u8]) -> Outcome {
    told(block_on(Gguf::read(&Memory::new("m.gguf", data.to_vec()))), data)
}

pub fn safetensors(data: &[u8]) -> Outcome {
    told(block_on(Safetensors::read(&Memory::new("m.safetensors", data.to_vec()))), data)
}

/// The header of a safetensors file, whose data are as long as it says.
pub fn safetensors_json(data: &[u8]) -> Outcome {
    told(block_on(Safetensors::read(&Memory::new("m.safetensors", with_data(data)))), data)
}

pub fn torch(data: &[u8]) -> Outcome {
    told(block_on(Torch::read(&Memory::new("m.pt", data.to_vec()))), data)
}

/// The pickle of a checkpoint, in an archive that holds two storages.
pub fn pickle(data: &[u8]) -> Outcome {
    let archive = Archive::default().entry("m/data.pkl", data, 0);
    torch(&bytes_of(archive.entry("m/data/0", &[7; 24], 4096).entry("m/data/1", &[8; 16], 0)))
}

/// An index, whose shards must lie beside it.
pub fn index(data: &[u8]) -> Outcome {
    let index = match Index::parse("model.safetensors.index.json", data) {
        Ok(index) => index,
        Err(error) => return refused(&error, data),
    };
    let folder = Path::new("/models/m");
    match index.shards().into_iter().find(|shard| folder.join(shard).parent() != Some(folder)) {
        Some(shard) => broken("path", shard),
        None => Ok("read".into()),
    }
}

/// The header of a GGUF file with its tokenizer.
pub fn gguf_header(data: &[u8]) -> Outcome {
    let outcome = header(vec![memory("m.gguf", data)])
        .map_or_else(|error| refused(&error, data), |_| Ok("read".into()))?;
    let Ok(gguf) = block_on(Gguf::read(&Memory::new("m.gguf", data.to_vec()))) else { return Ok(outcome) };
    let tokenized = Tokenizer::from_gguf(&gguf).and_then(|tokenizer| encode(&tokenizer));
    Ok(outcome + &told(tokenized, data)?)
}

/// config.json, tokenizer.json and the header of model.safetensors.
pub fn config(data: &[u8]) -> Outcome {
    told(header(parts(data)), data)
}

/// A tokenizer of any kind, told by its content.
pub fn tokenizer(data: &[u8]) -> Outcome {
    told(Tokenizer::from_bytes("tokenizer.json", data).and_then(|tokenizer| encode(&tokenizer)), data)
}

fn encode(tokenizer: &Tokenizer) -> Result<()> {
    let mut faults = TEXTS.iter().filter_map(|text| tokenizer.encode(text, 2048).err());
    faults.next().map_or(Ok(()), Err)
}

/// A header, asked all that can be asked of it.
pub fn header(files: Vec<Rc<dyn Source>>) -> Result<Header> {
    let header = block_on(Header::read(files))?;
    for (tokens, budget) in [(1, None), (256, Some(1 << 20)), (2048, Some(1 << 24))] {
        let limits = Limits { max_buffer_bytes: Some(1 << 27), budget_bytes: budget };
        drop(serde_json::to_string(&header.fit(tokens, limits)));
        drop(header.place(limits, tokens == 256));
    }
    header.layouts();
    Ok(header)
}

/// The files of a model in safetensors, whose weights are made for the header.
pub fn parts(data: &[u8]) -> Vec<Rc<dyn Source>> {
    let parts: Vec<&[u8]> = data.split(|byte| *byte == 0x1e).collect();
    let mut files = vec![memory("config.json", parts[0])];
    if let Some(tokenizer) = parts.get(1).filter(|part| !part.is_empty()) {
        files.push(memory("tokenizer.json", tokenizer));
    }
    if let Some(header) = parts.get(2) {
        files.push(memory("model.safetensors", &with_data(header)));
    }
    files
}

/// A safetensors file: as much data as its header says, of 1 MB at most, each value around 1/16 in F32 and in BF16.
fn with_data(header: &[u8]) -> Vec<u8> {
    let end = match serde_json::from_slice(header) {
        Ok(Value::Object(entries)) => {
            entries.values().filter_map(|entry| entry["data_offsets"][1].as_u64()).max().unwrap_or(0)
        }
        _ => 0,
    };
    let mut file = [&(header.len() as u64).to_le_bytes(), header].concat();
    let mut state = 1u32;
    file.extend((0..end.min(1 << 20)).map(|at| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if at % 2 == 1 { 0x3d } else { (state >> 24) as u8 }
    }));
    file
}

/// A data set, evaluated with made-up vectors over four subsets; each report is read back.
pub fn dataset(data: &[u8]) -> Outcome {
    let dataset = match Dataset::parse("ted.json", data) {
        Ok(dataset) => Arc::new(dataset),
        Err(error) => return refused(&error, data),
    };
    drop(serde_json::to_string(&dataset.card()));
    for subset in ["all", "n=1;seed=7", "captions=1", "caption=image"] {
        let evaluation = Subset::parse(subset).and_then(|subset| {
            subset.id(&dataset.sha256);
            Evaluation::new(dataset.clone(), &subset)
        });
        let Ok(mut evaluation) = evaluation else { continue };
        for at in 0..evaluation.texts().len() {
            evaluation.insert(at, vec![1.0, at as f32]);
        }
        read_back(&evaluation.report(None))?;
    }
    Ok("read".into())
}

pub fn report(data: &[u8]) -> Outcome {
    let report = match Report::import("r.json", data) {
        Ok(report) => report,
        Err(error) => return refused(&error, data),
    };
    if let Ok(comparison) = Comparison::new(&report, &report) {
        drop(serde_json::to_string(&comparison));
    }
    read_back(&report)
}

/// A report is written in every form, and its JSON reads back as itself.
fn read_back(report: &Report) -> Outcome {
    report.to_csv();
    report.to_jsonl();
    let json =
        serde_json::to_vec(report).or_else(|error| broken("roundtrip", error.to_string()).map(|_| vec![]))?;
    match Report::import("r.json", &json) {
        Ok(read) if read == *report => Ok("read".into()),
        Ok(_) => broken("roundtrip", "a report read back differs"),
        Err(error) => broken("roundtrip", error.to_string()),
    }
}

/// Scores of a leaderboard, in JSON or CSV: every correlation is a number.
pub fn scores(data: &[u8]) -> Outcome {
    let tasks = match correlate("s.json", data) {
        Ok(tasks) => tasks,
        Err(error) => return refused(&error, data),
    };
    for found in tasks.iter().flat_map(|task| [&task.pearson, &task.spearman]) {
        if ![found.r, found.p, found.interval[0], found.interval[1]].iter().all(|value| value.is_finite()) {
            return broken("finite", format!("{found:?}"));
        }
    }
    Ok(format!("read {}", tasks.len()))
}

/// Subsets, features and other settings: what is written reads back as itself.
pub fn words(data: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(data);
    let subset = match Subset::parse(&text) {
        Ok(subset) => {
            let written = subset.to_string();
            // A seed without a number of items says nothing, and is not written.
            if Subset::parse(&written).map(|read| read.to_string()).ok().as_ref() != Some(&written) {
                return broken("roundtrip", format!("the subset {written}"));
            }
            "subset".into()
        }
        Err(error) => refused(&error, data)?,
    };
    let layer_weights = [0.0, 1.0];
    let feature = match Feature::parse(&text, Some(&layer_weights)) {
        Ok(feature) => {
            drop(feature.check_counts(2, 2));
            if Feature::parse(&feature.to_string(), Some(&layer_weights)).ok() != Some(feature) {
                return broken("roundtrip", format!("the feature {text}"));
            }
            "feature".into()
        }
        Err(error) => refused(&error, data)?,
    };
    let errors: [Option<Error>; 4] = [
        Pooling::parse(&text, None).err(),
        text.parse::<Arithmetic>().err(),
        text.parse::<Quantize>().err(),
        text.parse::<DeviceKind>().err(),
    ];
    for error in errors.iter().flatten() {
        refused(error, data)?;
    }
    let part = Part::of(&text).map(|part| part.sibling(part.count));
    Ok(format!("{subset} {feature} {}", part.is_some()))
}
