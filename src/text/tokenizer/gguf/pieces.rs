//! The pieces of a SentencePiece model in GGUF: `t5` is unigram, `llama` byte-pair encoding by scores.

use super::super::keys::Reading;
use super::super::sentencepiece::{Kind, Spec, Token, Type};
use super::super::{Template, Tokenizer};
use super::{added_tokens, flag, id, malformed, padding, template, tokens, types};
use crate::error::Result;
use crate::format::gguf::{Gguf, Value};

/// The tokenizer that the metadata of `gguf` describes.
pub(super) fn read(gguf: &Gguf, reading: Reading, kind: Kind) -> Result<Tokenizer> {
    let texts = tokens(gguf)?;
    let types = types(gguf, texts.len())?;
    let scores = scores(gguf, texts.len())?;
    let is_unigram = kind == Kind::Unigram;

    // 1. Types. A control token of a wrong type is one here as among byte-level tokens.
    let mut warnings = Vec::new();
    let mut kinds = types.clone().unwrap_or_else(|| vec![Type::Normal; texts.len()]);
    for token in added_tokens(&texts, types.as_deref(), &mut warnings) {
        let kind = &mut kinds[token.id as usize];
        if token.special && *kind == Type::Normal {
            *kind = Type::Control;
        }
    }

    // 2. The tokens around each text, and the ids that llama.cpp takes where the file says nothing.
    let template: Template = template(gguf, &texts, (!is_unigram, is_unigram))?;
    let unknown = id(gguf, "unknown_token_id")?.unwrap_or(if is_unigram { 2 } else { 0 });
    let spec = Spec {
        kind,
        charsmap: charsmap(gguf)?,
        space_prefix: flag(gguf, "add_space_prefix")?.unwrap_or(true),
        remove_extra_whitespaces: flag(gguf, "remove_extra_whitespaces")?.unwrap_or(is_unigram),
        byte_fallback: kinds.contains(&Type::Byte),
        unknown: Some(unknown).filter(|&id| (id as usize) < texts.len()),
        begin: None,
        end: None,
        padding: padding(gguf),
        control_in_texts: true,
        tokens: texts
            .into_iter()
            .zip(kinds)
            .zip(scores)
            .map(|((text, kind), score)| Token { text, score, kind })
            .collect(),
    };
    spec.build(reading, template, warnings)
}

/// The score of each token.
fn scores(gguf: &Gguf, tokens: usize) -> Result<Vec<f64>> {
    match gguf.metadata.get("tokenizer.ggml.scores") {
        Some(Value::Floats(scores)) if scores.len() == tokens => Ok(scores.clone()),
        Some(Value::Floats(scores)) => {
            let expected = format!("{tokens} scores, one for each token");
            Err(malformed(gguf, "scores", expected, scores.len().to_string()))
        }
        Some(other) => Err(malformed(gguf, "scores", "an array of floats", other.kind())),
        None => Err(malformed(gguf, "scores", "a score for each token", "none")),
    }
}

/// The table of characters.
fn charsmap(gguf: &Gguf) -> Result<Vec<u8>> {
    const KEY: &str = "precompiled_charsmap";
    let bytes = match gguf.metadata.get(&format!("tokenizer.ggml.{KEY}")) {
        None => Some(Vec::new()),
        Some(Value::Unsigneds(bytes)) => bytes.iter().map(|&byte| u8::try_from(byte).ok()).collect(),
        Some(Value::Signeds(bytes)) => {
            bytes.iter().map(|&byte| i8::try_from(byte).ok().map(|byte| byte as u8)).collect()
        }
        Some(_) => None,
    };
    bytes.ok_or_else(|| malformed(gguf, KEY, "an array of bytes", "something else"))
}
