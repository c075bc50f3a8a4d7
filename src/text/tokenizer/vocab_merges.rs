//! vocab.json and merges.txt of a Qwen, GPT-2 or CLIP tokenizer, with tokenizer_config.json and others beside them: the
//! same ids as the tokenizer.json that transformers makes of them.

use super::added::AddedToken;
use super::beside::{Beside, Said};
use super::bpe::{self, Options};
use super::built::Parts;
use super::json::pair;
use super::keys::{Reading, shown};
use super::normalize::{Form, Normalizer};
use super::pattern::{BLANKS, CLIP, Pattern, QWEN2};
use super::special::{Added, Template};
use super::split::{Behavior, Splitter};
use super::{Built, Tokenizer};
use crate::error::{Error, Result};
use serde_json::Value;
use tokenizers::models::bpe::{Merges, Vocab};

/// The special tokens that transformers' classes have where no file names others.
type Defaults = [(&'static str, &'static str)];
const QWEN2_TOKENS: &Defaults =
    &[("unk_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>"), ("pad_token", "<|endoftext|>")];
const GPT2_TOKENS: &Defaults =
    &[("unk_token", "<|endoftext|>"), ("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>")];
const CLIP_TOKENS: &Defaults = &[
    ("unk_token", "<|endoftext|>"),
    ("bos_token", "<|startoftext|>"),
    ("eos_token", "<|endoftext|>"),
    ("pad_token", "<|endoftext|>"),
];

/// The tokenizer that the files describe.
pub(super) fn read(file: &str, vocab: &[u8], merges: &[u8], beside: Beside) -> Result<Tokenizer> {
    let mut reading = Reading::new(file);

    // 1. What tokenizer_config.json says.
    let said = Said::read(&mut reading, beside)?;
    let config = &said.config;
    let class = config["tokenizer_class"].as_str().map(|class| class.trim_end_matches("Fast"));
    let add_prefix_space = reading.flag(config, "add_prefix_space", false)?;

    // 2. Vocabulary and merges. A vocabulary that marks the ends of words is CLIP's.
    let vocab: Vocab = serde_json::from_slice(vocab)
        .map_err(|e| reading.malformed("vocab.json", "an object of tokens with their ids", e.to_string()))?;
    let merges = lines(&reading, merges)?;
    let marks_ends =
        || ["<|startoftext|>", "<|endoftext|>", "a</w>"].iter().all(|token| vocab.contains_key(*token));
    let kind = match class {
        None if marks_ends() => "CLIPTokenizer",
        None => "no tokenizer_config.json with `tokenizer_class`",
        Some(class) => class,
    };
    let mut options = Options::default();
    let (normalizers, splitters, defaults) = match kind {
        "Qwen2Tokenizer" => (vec![Normalizer::Form(Form::Nfc)], qwen2(file, add_prefix_space)?, QWEN2_TOKENS),
        "GPT2Tokenizer" => {
            (Vec::new(), vec![Splitter::ByteLevel { add_prefix_space, gpt2: true }], GPT2_TOKENS)
        }
        "CLIPTokenizer" => {
            let unknown = said.name("unk_token", CLIP_TOKENS).filter(|token| vocab.contains_key(*token));
            options.unk_token = unknown.map(String::from);
            options.end_of_word_suffix = Some("</w>".into());
            let (normalizers, splitters) = clip(file)?;
            (normalizers, splitters, CLIP_TOKENS)
        }
        _ => {
            let expected = "`tokenizer_class` Qwen2Tokenizer, GPT2Tokenizer or CLIPTokenizer in tokenizer_config.json, or a \
                            tokenizer.json";
            return Err(Error::UnknownTokenizer { file: file.into(), expected, found: kind.into() });
        }
    };
    let parts = Parts::Merges(bpe::Parts { vocab, merges, options });

    // 3. Added tokens, and the tokens around each text.
    let mut added = Vec::new();
    said.add(&mut reading, &mut added, &parts, defaults)?;
    let template = template(&reading, &said, defaults, &added, kind == "CLIPTokenizer")?;
    let padding = said.name("pad_token", defaults).and_then(|token| id_of(&added, token));
    let cut_left = said.cut_left(&reading)?.unwrap_or(false);
    let steps = format!("{kind} {}", config["add_prefix_space"]);
    Tokenizer::build(
        reading,
        "merges.txt",
        Built { normalizers, splitters, template, added, padding, cut_left, steps, ..Built::of(parts) },
    )
}

/// CLIP's steps: blanks are one, letters are small, words are cut from signs and digits. Its class overlooks
/// `add_prefix_space` and `do_lower_case`.
fn clip(file: &str) -> Result<(Vec<Normalizer>, Vec<Splitter>)> {
    let blanks =
        Normalizer::Replace { pattern: Pattern::regex(file, BLANKS)?, blanks: true, content: " ".into() };
    let split =
        Splitter::Split { pattern: Pattern::regex(file, CLIP)?, behavior: Behavior::Removed, invert: true };
    let letters = Splitter::ByteLevel { add_prefix_space: false, gpt2: false };
    Ok((vec![Normalizer::Form(Form::Nfc), blanks, Normalizer::Lowercase], vec![split, letters]))
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

/// The tokens around each text: those of `add_bos_token` and `add_eos_token`, where the class or the files have them; both
/// where the class `always` puts them there.
fn template(
    reading: &Reading,
    said: &Said,
    defaults: &Defaults,
    added: &[AddedToken],
    always: bool,
) -> Result<Template> {
    let token = |add: &str, key: &str| {
        if !reading.flag(&said.config, add, false)? && !always {
            return Ok(Vec::new());
        }
        let lacks = |found: String| Err(reading.malformed(key, "a token with an id", found));
        match said.name(key, defaults) {
            None if always => lacks("none".into()),
            None => Ok(Vec::new()),
            Some(token) => match id_of(added, token) {
                Some(id) => Ok(vec![Added { token: token.into(), id }]),
                None => lacks(format!("`{token}`, which has none")),
            },
        }
    };
    Ok(Template { begin: token("add_bos_token", "bos_token")?, end: token("add_eos_token", "eos_token")? })
}

fn id_of(added: &[AddedToken], token: &str) -> Option<u32> {
    added.iter().find(|entry| entry.content == token).map(|entry| entry.id)
}
