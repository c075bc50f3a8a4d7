//! The tokenizer in the metadata of a GGUF file: byte-level BPE with a split that is told by its name, or the pieces of a
//! SentencePiece model, as llama.cpp reads them.

mod names;
mod pieces;

use super::added::AddedToken;
use super::bpe::{self, Options};
use super::built::Parts;
use super::json::pair;
use super::keys::{Place, Reading, Treatment, treatment};
use super::sentencepiece::{Kind, Type};
use super::special::{Added, Template};
use super::{Built, Tokenizer};
use crate::error::{Error, Result};
use crate::format::gguf::{Gguf, Value};
use names::{ENDS, NAMES, Pre};
use std::collections::{HashMap, HashSet};
use tokenizers::models::bpe::{Merges, Vocab};

/// The tokenizer that the metadata of `gguf` describes.
pub(super) fn read(gguf: &Gguf) -> Result<Tokenizer> {
    let file = &gguf.file;
    let Some(model) = gguf.str("tokenizer.ggml.model")? else {
        return Err(Error::NoTokenizer { file: file.clone() });
    };
    let name = gguf.str("tokenizer.ggml.pre")?;
    let pre = name.and_then(|name| NAMES.iter().find(|(_, names)| names.contains(&name)));
    match (model, pre) {
        ("t5", _) => pieces::read(gguf, reading(gguf)?, Kind::Unigram),
        ("llama", _) => pieces::read(gguf, reading(gguf)?, Kind::Scored),
        ("gpt2", Some(&(pre, _))) => byte_level(gguf, reading(gguf)?, pre),
        _ => {
            let found =
                name.map_or(format!("{model} without tokenizer.ggml.pre"), |name| format!("{model}, {name}"));
            let expected = "`t5`, `llama`, or `gpt2` with the split qwen2, qwen35, llama-bpe, smollm, gpt-2, tekken or one that \
                            means the same";
            Err(Error::UnknownTokenizer { file: file.clone(), expected, found })
        }
    }
}

/// What the table of keys says of each key.
fn reading(gguf: &Gguf) -> Result<Reading<'_>> {
    let mut reading = Reading::new(&gguf.file);
    let mut keys: Vec<_> =
        gguf.metadata.keys().filter_map(|key| key.strip_prefix("tokenizer.ggml.")).collect();
    keys.sort_unstable();
    for key in keys {
        reading.note(Place::Gguf, key);
        if treatment(Place::Gguf, key) == Some(Treatment::Neutral) && flag(gguf, key)? == Some(true) {
            return Err(malformed(gguf, key, "false, since nothing else is applied", "true"));
        }
    }
    Ok(reading)
}

/// Byte-level BPE: vocabulary, merges, added tokens.
fn byte_level(gguf: &Gguf, reading: Reading, pre: Pre) -> Result<Tokenizer> {
    let tokens = &tokens(gguf)?;
    let merges = merges(gguf)?;
    let types = types(gguf, tokens.len())?;
    let mut warnings = Vec::new();
    let added = added_tokens(tokens, types.as_deref(), &mut warnings);
    let ignore_merges = matches!(pre, Pre::Llama3 | Pre::Tekken);
    let vocab = vocab(gguf, tokens, &merges, &added, ignore_merges)?;
    let template = template(gguf, tokens, (matches!(pre, Pre::Llama3 | Pre::Tekken), false))?;
    let options = Options { ignore_merges, ..Options::default() };
    let (normalizers, splitters) = (pre.normalizers(), pre.splitters(&gguf.file)?);
    let (padding, steps) = (padding(gguf), format!("{pre:?}"));
    let parts = Parts::Merges(bpe::Parts { vocab, merges, options });
    let item = "metadata `tokenizer.ggml.merges`";
    Tokenizer::build(
        reading,
        item,
        Built { normalizers, splitters, template, added, padding, steps, warnings, ..Built::of(parts) },
    )
}

/// The vocabulary. A token that is not UTF-8 can stand in no text: a sign that no text becomes stands for it.
fn tokens(gguf: &Gguf) -> Result<Vec<String>> {
    let texts = gguf.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
    if texts.is_empty() {
        return Err(malformed(gguf, "tokens", "a vocabulary", "none"));
    }
    let named = texts.into_iter().enumerate();
    Ok(named.map(|(id, text)| text.map_or_else(|| format!("\0not UTF-8, {id}\0"), String::from)).collect())
}

fn malformed(gguf: &Gguf, key: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
    Error::malformed(&gguf.file, format!("metadata `tokenizer.ggml.{key}`"), expected, found)
}

/// A metadata value that is true or false.
fn flag(gguf: &Gguf, key: &str) -> Result<Option<bool>> {
    match gguf.metadata.get(&format!("tokenizer.ggml.{key}")) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(malformed(gguf, key, "true or false", "a value of another type")),
    }
}

fn merges(gguf: &Gguf) -> Result<Merges> {
    let Some(merges) = gguf.strings("tokenizer.ggml.merges")? else {
        return Err(malformed(
            gguf,
            "merges",
            "pairs of tokens: without them each text is cut into bytes",
            "none",
        ));
    };
    let two = |merge: &String| {
        pair(merge)
            .ok_or_else(|| malformed(gguf, "merges", "two tokens with a space between", format!("`{merge}`")))
    };
    merges.iter().map(two).collect()
}

/// The type of each token, where the file has types.
fn types(gguf: &Gguf, tokens: usize) -> Result<Option<Vec<Type>>> {
    match gguf.signeds("tokenizer.ggml.token_type")? {
        Some(types) if types.len() != tokens => {
            let expected = format!("{tokens} types, one for each token");
            Err(malformed(gguf, "token_type", expected, types.len().to_string()))
        }
        types => {
            Ok(types.map(|types| types.iter().map(|&kind| Type::of(kind).unwrap_or(Type::Normal)).collect()))
        }
    }
}

/// The tokens that are found in the raw text, before it is normalized and split.
fn added_tokens(tokens: &[String], types: Option<&[Type]>, warnings: &mut Vec<String>) -> Vec<AddedToken> {
    let (mut overridden, mut plain) = (Vec::new(), Vec::new());
    let mut added = Vec::new();
    for (id, token) in tokens.iter().enumerate() {
        let kind = types.map_or(Type::Normal, |types| types[id]);
        let control = match kind {
            Type::Control | Type::Unknown => true,
            Type::UserDefined => false,
            Type::Normal if ENDS.contains(&token.as_str()) => {
                overridden.push(token.as_str());
                true
            }
            _ => {
                if kind == Type::Normal && token.len() > 4 && token.starts_with("<|") && token.ends_with("|>")
                {
                    plain.push(token.as_str());
                }
                continue;
            }
        };
        let token =
            AddedToken { content: token.clone(), id: id as u32, special: control, ..AddedToken::default() };
        added.push(token);
    }
    let mut warn = |names: &[&str], what: &str| {
        if !names.is_empty() {
            let shown: Vec<_> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
            let more = if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() };
            let kind = if types.is_some() { "is NORMAL" } else { "is missing" };
            warnings.push(format!(
                "tokenizer.ggml.token_type of {}{more} {kind}, though a control token is written so: {what}",
                shown.join(", ")
            ));
        }
    };
    warn(&overridden, "taken for control tokens, as llama.cpp does");
    warn(&plain, "a text that holds one is split as any other, as llama.cpp does");
    added
}

/// The id of each token. A token that stands twice is taken where no text can reach it.
fn vocab(gguf: &Gguf, tokens: &[String], merges: &Merges, added: &[AddedToken], all: bool) -> Result<Vocab> {
    let mut vocab = Vocab::with_capacity(tokens.len());
    let mut twins = HashMap::new();
    for (id, token) in tokens.iter().enumerate() {
        match vocab.get(token) {
            Some(&first) => drop(twins.entry(token.as_str()).or_insert((first, id))),
            None => drop(vocab.insert(token.clone(), id as u32)),
        }
    }
    if twins.is_empty() {
        return Ok(vocab);
    }
    let found: HashSet<&str> = added.iter().map(|token| token.content.as_str()).collect();
    let made: HashSet<String> = merges.iter().map(|(left, right)| format!("{left}{right}")).collect();
    let types = types(gguf, tokens.len())?;
    let unused = |id: usize| types.as_deref().is_some_and(|types| types[id] == Type::Unused);
    for (token, (first, id)) in twins {
        let hidden = all && unused(first as usize) && unused(id);
        if found.contains(token) || token.chars().count() == 1 || (all && !hidden) || made.contains(token) {
            let found = format!("`{token}` with the ids {first} and {id}");
            return Err(malformed(gguf, "tokens", "each token once that a text can have", found));
        }
    }
    Ok(vocab)
}

/// The tokens around each text: what the file says, else what the kind of tokenizer has, at the beginning and at the end.
fn template(gguf: &Gguf, tokens: &[String], usual: (bool, bool)) -> Result<Template> {
    let begins = flag(gguf, "add_bos_token")?.unwrap_or(usual.0);
    let ends = flag(gguf, "add_eos_token")?.unwrap_or(usual.1);
    let token = |add: bool, key: &str, because: &str| {
        if !add {
            return Ok(Vec::new());
        }
        let id = gguf.u64(&format!("tokenizer.ggml.{key}"))?;
        match id.and_then(|id| Some((u32::try_from(id).ok()?, tokens.get(usize::try_from(id).ok()?)?))) {
            Some((id, token)) => Ok(vec![Added { token: token.clone(), id }]),
            None => {
                let expected = format!("the id of a token, which `{because}` adds to each text");
                Err(malformed(gguf, key, expected, id.map_or("none".into(), |id| id.to_string())))
            }
        }
    };
    Ok(Template {
        begin: token(begins, "bos_token_id", "tokenizer.ggml.add_bos_token")?,
        end: token(ends, "eos_token_id", "tokenizer.ggml.add_eos_token")?,
    })
}

/// The token that fills a batch up; it decides no id of a text.
fn padding(gguf: &Gguf) -> Option<u32> {
    id(gguf, "padding_token_id").ok().flatten()
}

/// The metadata value of `key` as the id of a token.
fn id(gguf: &Gguf, key: &str) -> Result<Option<u32>> {
    Ok(gguf.u64(&format!("tokenizer.ggml.{key}"))?.and_then(|id| u32::try_from(id).ok()))
}
