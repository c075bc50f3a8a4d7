//! vocab.json and merges.txt of a Qwen or GPT-2 tokenizer, with tokenizer_config.json and others beside them: the same ids
//! as the tokenizer.json that transformers makes of them.

use super::added::AddedToken;
use super::beside::{Beside, Said};
use super::bpe::Parts;
use super::json::pair;
use super::keys::{Reading, shown};
use super::normalize::{Form, Normalizer};
use super::pattern::{Pattern, QWEN2};
use super::special::{Added, Template};
use super::split::{Behavior, Splitter};
use super::{Built, Tokenizer};
use crate::error::{Error, Result};
use serde_json::Value;
use tokenizers::models::bpe::{Merges, Vocab};

/// The special tokens that transformers' classes have where no file names others.
const QWEN2_TOKENS: &[(&str, &str)] =
    &[("unk_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>"), ("pad_token", "<|endoftext|>")];
const GPT2_TOKENS: &[(&str, &str)] =
    &[("unk_token", "<|endoftext|>"), ("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>")];

/// The tokenizer that the files describe.
pub(super) fn read(file: &str, vocab: &[u8], merges: &[u8], beside: Beside) -> Result<Tokenizer> {
    let mut reading = Reading::new(file);

    // 1. What tokenizer_config.json says.
    let said = Said::read(&mut reading, beside)?;
    let config = &said.config;
    let kind =
        config["tokenizer_class"].as_str().unwrap_or("no tokenizer_config.json with `tokenizer_class`");
    let add_prefix_space = reading.flag(config, "add_prefix_space", false)?;
    let (normalizers, splitters, defaults) = match kind.trim_end_matches("Fast") {
        "Qwen2Tokenizer" => (vec![Normalizer::Form(Form::Nfc)], qwen2(file, add_prefix_space)?, QWEN2_TOKENS),
        "GPT2Tokenizer" => {
            (Vec::new(), vec![Splitter::ByteLevel { add_prefix_space, gpt2: true }], GPT2_TOKENS)
        }
        _ => {
            let expected = "`tokenizer_class` Qwen2Tokenizer or GPT2Tokenizer in tokenizer_config.json, or a tokenizer.json";
            return Err(Error::UnknownTokenizer { file: file.into(), expected, found: kind.into() });
        }
    };

    // 2. Vocabulary and merges.
    let vocab: Vocab = serde_json::from_slice(vocab)
        .map_err(|e| reading.malformed("vocab.json", "an object of tokens with their ids", e.to_string()))?;
    let merges = lines(&reading, merges)?;

    // 3. Added tokens, and the tokens around each text.
    let mut added = Vec::new();
    said.add(&mut reading, &mut added, &vocab, defaults)?;
    let template = template(&reading, &said, defaults, &added)?;
    let cut_left = said.cut_left(&reading)?.unwrap_or(false);
    let steps = format!("{kind} {}", config["add_prefix_space"]);
    let parts = Parts { vocab, merges, ..Parts::default() };
    Tokenizer::build(
        reading,
        "merges.txt",
        Built { parts, normalizers, splitters, template, added, cut_left, steps, warnings: Vec::new() },
    )
}

fn qwen2(file: &str, add_prefix_space: bool) -> Result<Vec<Splitter>> {
    let pattern = Pattern::regex(file, QWEN2)?;
    let split = Splitter::Split { pattern, behavior: Behavior::Isolated, invert: false };
    Ok(vec![split, Splitter::ByteLevel { add_prefix_space, gpt2: false }])
}

/// The merges of merges.txt, one in a line; the first line may name a version.
fn lines(reading: &Reading, merges: &[u8]) -> Result<Merges> {
    let text =
        std::str::from_utf8(merges).map_err(|e| reading.malformed("merges.txt", "UTF-8", e.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).enumerate();
    let merges =
        lines.filter(|(number, line)| !(line.is_empty() || *number == 0 && line.starts_with("#version")));
    let two = |(number, line): (usize, &str)| {
        pair(line).ok_or_else(|| {
            let found = format!("line {}: {}", number + 1, shown(&Value::from(line)));
            reading.malformed("merges.txt", "two tokens with a space between in each line", found)
        })
    };
    merges.map(two).collect()
}

/// The tokens that `add_bos_token` and `add_eos_token` put around each text, where the class or the files have the tokens.
fn template(
    reading: &Reading,
    said: &Said,
    defaults: &[(&str, &str)],
    added: &[AddedToken],
) -> Result<Template> {
    let token = |add: &str, key: &str| {
        let Some(token) = said.name(key, defaults).filter(|_| said.config[add] == true) else {
            return Ok(Vec::new());
        };
        match added.iter().find(|entry| entry.content == token) {
            Some(AddedToken { id, .. }) => Ok(vec![Added { token: token.into(), id: *id }]),
            None => Err(reading.malformed(key, "a token with an id", format!("`{token}`, which has none"))),
        }
    };
    reading.flag(&said.config, "add_bos_token", false)?;
    reading.flag(&said.config, "add_eos_token", false)?;
    Ok(Template { begin: token("add_bos_token", "bos_token")?, end: token("add_eos_token", "eos_token")? })
}
