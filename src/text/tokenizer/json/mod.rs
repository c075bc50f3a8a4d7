//! A tokenizer.json of Hugging Face with a BPE or a unigram model.

mod document;

use super::added::AddedToken;
use super::beside::{Beside, Said};
use super::bpe;
use super::built::Parts;
use super::keys::{Place, Reading, shown};
use super::normalize::Normalizer;
use super::pieces::{Piece, Pieces};
use super::sentencepiece::check_lengths;
use super::special::Template;
use super::split::Splitter;
use super::{Built, Tokenizer};
use crate::error::{Error, Result};
use document::{Document, DocumentSeed, KINDS, Vocabulary};
use serde::de::DeserializeSeed;
use serde_json::Value;

const EXPECTED: &str = "a Hugging Face tokenizer.json with a BPE or a unigram model";

/// The tokenizer that `bytes` describe.
pub(super) fn read(file: &str, bytes: &[u8], beside: Beside) -> Result<Tokenizer> {
    // 1. The document. A model of another kind is named before anything else.
    let malformed = |e: serde_json::Error| Error::malformed(file, "the tokenizer", EXPECTED, e.to_string());
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut document = DocumentSeed.deserialize(&mut json).map_err(malformed)?;
    json.end().map_err(malformed)?;
    if !document.has_model {
        return Err(Error::malformed(file, "the tokenizer", EXPECTED, "no `model`"));
    }
    if let Some(kind) = document.kind.as_ref().filter(|kind| !KINDS.contains(&kind.as_str())) {
        let (file, found) = (file.into(), kind.clone());
        return Err(Error::UnknownTokenizer { file, expected: "a BPE or a Unigram model", found });
    }

    // 2. What the table of keys says of each.
    let mut reading = Reading::new(file);
    document.unknown.iter().for_each(|(place, key)| reading.note(*place, key));
    let parts = parts(&reading, &mut document)?;
    let of = |name: &str| {
        document.small.iter().rfind(|(key, _)| key == name).map_or(&Value::Null, |(_, value)| value)
    };
    let normalizers = Normalizer::read(&mut reading, of("normalizer"))?;
    let splitters = Splitter::read(&mut reading, of("pre_tokenizer"))?;
    let template = Template::read(&mut reading, of("post_processor"))?;
    let said = Said::read(&mut reading, beside)?;
    let cut_left = said.cut_left(&reading)?.unwrap_or(of("truncation")["direction"] == "Left");
    check_prefix_space(&reading, &said.config["add_prefix_space"], &splitters)?;
    let padding = of("padding")["pad_id"].as_u64().and_then(|id| u32::try_from(id).ok());

    // 3. Added tokens.
    let mut added = Vec::with_capacity(document.added_tokens.len());
    for value in &document.added_tokens {
        reading.note_keys(Place::AddedToken, value);
        added.push(added_token(&reading, value, value["id"].as_u64())?);
    }
    said.add(&mut reading, &mut added, &parts, &[])?;
    let steps = [of("normalizer"), of("pre_tokenizer")].map(Value::to_string).concat();
    Tokenizer::build(
        reading,
        "merges",
        Built { normalizers, splitters, template, added, padding, cut_left, steps, ..Built::of(parts) },
    )
}

/// Refuses an `add_prefix_space` of tokenizer_config.json that contradicts tokenizer.json: which of the two counts is
/// another matter in each class and version of the reference.
fn check_prefix_space(reading: &Reading, value: &Value, splitters: &[Splitter]) -> Result<()> {
    let other = |splitter: &Splitter| match splitter {
        Splitter::ByteLevel { add_prefix_space, .. } => value.as_bool() == Some(!add_prefix_space),
        _ => false,
    };
    match splitters.iter().any(other) {
        true => {
            let expected = "what `pre_tokenizer` of tokenizer.json says";
            Err(reading.malformed("add_prefix_space", expected, shown(value)))
        }
        false => Ok(()),
    }
}

/// The model: a list of pieces with scores is unigram, as the `tokenizers` crate tells it where no type stands there.
fn parts(reading: &Reading, document: &mut Document) -> Result<Parts> {
    let missing = |key: &str, found: &str| reading.malformed("model", format!("a model with `{key}`"), found);
    let vocab = document.vocab.take().ok_or_else(|| missing("vocab", "missing field `vocab`"))?;
    let (is_unigram, said) = (matches!(vocab, Vocabulary::List(_)), document.kind.as_deref());
    if said.is_some_and(|said| is_unigram != (said == "Unigram")) {
        let expected = "tokens with their ids for BPE, a list of tokens with their scores for Unigram";
        return Err(reading.malformed("vocab", expected, if is_unigram { "a list" } else { "an object" }));
    }
    match vocab {
        Vocabulary::Map(vocab) => {
            let merges = document.merges.take();
            let merges = merges.ok_or_else(|| missing("merges", "missing field `merges`"))?;
            let mut parts = bpe::Parts { vocab, merges, ..bpe::Parts::default() };
            for (key, value) in &document.options {
                parts.options.set(reading, key, value)?;
            }
            Ok(Parts::Merges(parts))
        }
        Vocabulary::List(list) => {
            let (mut unknown, mut byte_fallback) = (None, false);
            for (key, value) in &document.options {
                match key.as_str() {
                    "unk_id" if value.is_null() => unknown = None,
                    "unk_id" => match value.as_u64().and_then(|id| u32::try_from(id).ok()) {
                        Some(id) => unknown = Some(id),
                        None => return Err(reading.malformed(key, "the id of a token", shown(value))),
                    },
                    "byte_fallback" => {
                        byte_fallback = match value {
                            Value::Null => false,
                            Value::Bool(flag) => *flag,
                            other => return Err(reading.malformed(key, "true or false", shown(other))),
                        }
                    }
                    _ => reading.neutral(key, value)?,
                }
            }
            let piece = |(text, score)| Piece { text, score, reachable: true };
            let list: Vec<Piece> = list.into_iter().map(piece).collect();
            check_lengths(reading, &list)?;
            Pieces::new(reading, list, unknown, byte_fallback).map(Parts::Unigram)
        }
    }
}

/// An added token as its file describes it, with the id `id`.
pub(super) fn added_token(reading: &Reading, value: &Value, id: Option<u64>) -> Result<AddedToken> {
    let (Some(content), Some(id)) = (value["content"].as_str(), id.and_then(|id| u32::try_from(id).ok()))
    else {
        return Err(reading.malformed("added_tokens", "tokens with `id` and `content`", shown(value)));
    };
    let special = reading.flag(value, "special", false)?;
    Ok(AddedToken {
        content: content.into(),
        id,
        single_word: reading.flag(value, "single_word", false)?,
        lstrip: reading.flag(value, "lstrip", false)?,
        rstrip: reading.flag(value, "rstrip", false)?,
        normalized: reading.flag(value, "normalized", !special)?,
        special,
    })
}

/// The two tokens of a merge with a blank between.
pub(super) fn pair(merge: &str) -> Option<(String, String)> {
    let (left, right) = merge.split_once(' ')?;
    (!left.is_empty() && !right.is_empty() && !right.contains(' ')).then(|| (left.into(), right.into()))
}
