//! Fuzzing of everything that reads a stranger's file: seeds -> mutations that know the format -> a target -> its rules.
//!
//! An input is kept as a seed of later ones where its outcome is new: another error, or another way to succeed. One seed
//! makes one sequence of inputs, so that a fault can be had again.

mod binary;
mod engine;
mod json;
mod models;
mod parsers;
mod seeds;
pub mod watch;

pub use engine::{Budget, Fault, LONGEST, processor_time, run};
pub use seeds::seeds;

use gran_ted::error::Error;
use gran_ted::format::{Memory, Source};
use std::rc::Rc;

/// What an input came to: a short text where the input was taken, an error's, or a broken rule.
pub type Outcome = Result<String, Broken>;

/// A rule that an input broke.
#[derive(Debug)]
pub struct Broken {
    /// `vector`, `batch`, `roundtrip`, `message` or `path`; the engine adds `panic`, `memory` and `slow`.
    pub rule: &'static str,
    /// What was seen.
    pub detail: String,
}

/// A thing that reads files, and how its inputs are mutated.
pub struct Target {
    /// Its name, which is also the folder of its corpus.
    pub name: &'static str,
    /// Runs one input.
    pub run: fn(&[u8]) -> Outcome,
    /// What the mutations know of the input.
    pub shape: Shape,
    /// The most inputs of a short run.
    pub short: usize,
}

/// What the mutations of a target know of its inputs.
#[derive(Clone, Copy)]
pub enum Shape {
    Gguf,
    Safetensors,
    Json,
    /// JSON documents between bytes 0x1e.
    Parts,
    Bytes,
}

/// All of them.
pub const TARGETS: [Target; 21] = [
    Target { name: "gguf", run: parsers::gguf, shape: Shape::Gguf, short: 3000 },
    Target { name: "gguf_header", run: parsers::gguf_header, shape: Shape::Gguf, short: 400 },
    Target { name: "safetensors", run: parsers::safetensors, shape: Shape::Safetensors, short: 3000 },
    Target { name: "safetensors_json", run: parsers::safetensors_json, shape: Shape::Json, short: 3000 },
    Target { name: "index", run: parsers::index, shape: Shape::Json, short: 3000 },
    Target { name: "config", run: parsers::config, shape: Shape::Parts, short: 1500 },
    Target { name: "torch", run: parsers::torch, shape: Shape::Bytes, short: 3000 },
    Target { name: "pickle", run: parsers::pickle, shape: Shape::Bytes, short: 3000 },
    Target { name: "tokenizer", run: parsers::tokenizer, shape: Shape::Json, short: 1500 },
    Target { name: "sentencepiece", run: parsers::tokenizer, shape: Shape::Bytes, short: 1000 },
    Target { name: "dataset", run: parsers::dataset, shape: Shape::Json, short: 2000 },
    Target { name: "report", run: parsers::report, shape: Shape::Json, short: 3000 },
    Target { name: "scores", run: parsers::scores, shape: Shape::Json, short: 3000 },
    Target { name: "csv", run: parsers::scores, shape: Shape::Bytes, short: 2000 },
    Target { name: "words", run: parsers::words, shape: Shape::Bytes, short: 3000 },
    Target { name: "layer_weights", run: models::adapter_json, shape: Shape::Json, short: 300 },
    Target { name: "adapter", run: models::adapter, shape: Shape::Safetensors, short: 150 },
    Target { name: "adapter_torch", run: models::adapter_torch, shape: Shape::Bytes, short: 300 },
    Target { name: "model_gguf", run: models::gguf, shape: Shape::Gguf, short: 100 },
    Target { name: "model_safetensors", run: models::safetensors, shape: Shape::Parts, short: 150 },
    Target { name: "model_made", run: models::made, shape: Shape::Bytes, short: 100 },
];

fn memory(name: &str, bytes: &[u8]) -> Rc<dyn Source> {
    Rc::new(Memory::new(name, bytes.to_vec()))
}

/// The outcome of an error: its code and message, which must not be much longer than the input.
fn refused(error: &Error, data: &[u8]) -> Outcome {
    let text = error.to_string();
    if text.len() > 4096 + 2 * data.len() {
        return broken("message", format!("{}: {} bytes", error.code(), text.len()));
    }
    Ok(format!("{}: {text}", error.code()))
}

fn broken(rule: &'static str, detail: impl Into<String>) -> Outcome {
    Err(Broken { rule, detail: detail.into() })
}
