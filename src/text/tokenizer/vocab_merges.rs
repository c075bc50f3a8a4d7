//! vocab.json and merges.txt of a Qwen, GPT-2 or CLIP tokenizer, with tokenizer_config.json and added_tokens.json beside them:
//! the same ids as the tokenizer.json that transformers makes of them.

use super::added::AddedToken;
use super::bpe::{self, Options};
use super::built::Parts;
use super::json::{added_token, pair};
use super::keys::{Place, Reading, Treatment, shown, treatment};
use super::normalize::{Form, Normalizer};
use super::pattern::{BLANKS, CLIP, Pattern, QWEN2};
use super::special::{Added, Template};
use super::split::{Behavior, Splitter};
use super::{Built, Tokenizer};
use crate::error::{Error, Result};
use serde_json::Value;
use tokenizers::models::bpe::{Merges, Vocab};

/// CLIP's tokens around each text.
const CLIP_BEGIN: &str = "<|startoftext|>";
const CLIP_END: &str = "<|endoftext|>";

/// The tokenizer that the files describe.
pub(super) fn read(
    file: &str,
    vocab: &[u8],
    merges: &[u8],
    config: Option<&[u8]>,
    added: Option<&[u8]>,
) -> Result<Tokenizer> {
    let mut reading = Reading::new(file);

    // 1. What tokenizer_config.json says.
    let config = match config {
        Some(bytes) => object(&reading, "tokenizer_config.json", bytes)?,
        None => Value::Null,
    };
    let class = config["tokenizer_class"].as_str().map(|class| class.trim_end_matches("Fast"));
    reading.note_keys(Place::Config, &config);
    for (key, value) in config.as_object().into_iter().flatten() {
        // CLIP's letters are small whatever its file says.
        let is_said = key == "do_lower_case" && class == Some("CLIPTokenizer");
        if treatment(Place::Config, key) == Some(Treatment::Neutral) && !is_said {
            reading.neutral(key, value)?;
        }
    }

    // 2. Vocabulary and merges. A vocabulary that marks the ends of words is CLIP's.
    let vocab: Vocab = serde_json::from_slice(vocab)
        .map_err(|e| reading.malformed("vocab.json", "an object of tokens with their ids", e.to_string()))?;
    let merges = lines(&reading, merges)?;
    let marks_ends = || [CLIP_BEGIN, CLIP_END, "a</w>"].iter().all(|token| vocab.contains_key(*token));
    let kind = match class {
        None if marks_ends() => "CLIPTokenizer",
        None => "no tokenizer_config.json with `tokenizer_class`",
        Some(class) => class,
    };
    let mut options = Options::default();
    let (normalizers, splitters) = match kind {
        "Qwen2Tokenizer" => (vec![Normalizer::Form(Form::Nfc)], qwen2(file)?),
        "GPT2Tokenizer" => {
            let add_prefix_space = reading.flag(&config, "add_prefix_space", false)?;
            (Vec::new(), vec![Splitter::ByteLevel { add_prefix_space, gpt2: true }])
        }
        "CLIPTokenizer" => {
            options.end_of_word_suffix = Some("</w>".into());
            let unknown = name(&config["unk_token"]).unwrap_or(CLIP_END);
            options.unk_token = Some(unknown.into()).filter(|_| vocab.contains_key(unknown));
            clip(file)?
        }
        _ => {
            let expected = "`tokenizer_class` Qwen2Tokenizer, GPT2Tokenizer or CLIPTokenizer in tokenizer_config.json, or a \
                            tokenizer.json";
            return Err(Error::UnknownTokenizer { file: file.into(), expected, found: kind.into() });
        }
    };

    // 3. Added tokens, and the tokens around each text.
    let mut added = added_tokens(&mut reading, &config, added)?;
    let (template, padding) = match kind {
        "CLIPTokenizer" => clip_tokens(&reading, &config, &vocab, &mut added)?,
        _ => (template(&reading, &config, &vocab, &added)?, None),
    };
    let cut_left = config["truncation_side"] == "left";
    let steps = format!("{kind} {}", config["add_prefix_space"]);
    let parts = Parts::Merges(bpe::Parts { vocab, merges, options });
    Tokenizer::build(
        reading,
        "merges.txt",
        Built { normalizers, splitters, template, added, padding, cut_left, steps, ..Built::of(parts) },
    )
}

/// CLIP's steps: blanks are one, letters are small, words are cut from signs and digits.
fn clip(file: &str) -> Result<(Vec<Normalizer>, Vec<Splitter>)> {
    let blanks =
        Normalizer::Replace { pattern: Pattern::regex(file, BLANKS)?, blanks: true, content: " ".into() };
    let split =
        Splitter::Split { pattern: Pattern::regex(file, CLIP)?, behavior: Behavior::Removed, invert: true };
    let letters = Splitter::ByteLevel { add_prefix_space: false, gpt2: false };
    Ok((vec![Normalizer::Form(Form::Nfc), blanks, Normalizer::Lowercase], vec![split, letters]))
}

/// CLIP's tokens around each text, which are found in texts too, and the one that fills a batch up.
fn clip_tokens(
    reading: &Reading,
    config: &Value,
    vocab: &Vocab,
    added: &mut Vec<AddedToken>,
) -> Result<(Template, Option<u32>)> {
    let mut token = |key: &str, usual: &str| {
        let content = name(&config[key]).unwrap_or(usual);
        if let Some(known) = added.iter().find(|token| token.content == content) {
            return Ok(Added { token: content.into(), id: known.id });
        }
        let Some(&id) = vocab.get(content) else {
            return Err(reading.malformed(key, "a token with an id", format!("`{content}`, which has none")));
        };
        added.push(AddedToken { content: content.into(), id, special: true, ..AddedToken::default() });
        Ok(Added { token: content.into(), id })
    };
    let (begin, end) = (token("bos_token", CLIP_BEGIN)?, token("eos_token", CLIP_END)?);
    let padding = name(&config["pad_token"]).unwrap_or(&end.token);
    let listed = added.iter().find(|token| token.content == padding).map(|token| token.id);
    let padding = listed.or_else(|| vocab.get(padding).copied());
    Ok((Template { begin: vec![begin], end: vec![end] }, padding))
}

fn qwen2(file: &str) -> Result<Vec<Splitter>> {
    let pattern = Pattern::regex(file, QWEN2)?;
    let split = Splitter::Split { pattern, behavior: Behavior::Isolated, invert: false };
    Ok(vec![split, Splitter::ByteLevel { add_prefix_space: false, gpt2: false }])
}

/// A JSON object.
fn object(reading: &Reading, name: &str, bytes: &[u8]) -> Result<Value> {
    match serde_json::from_slice(bytes) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(value) => Err(reading.malformed(name, "an object", shown(&value))),
        Err(e) => Err(reading.malformed(name, "an object", e.to_string())),
    }
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

/// The added tokens of `added_tokens_decoder`, and those that only added_tokens.json has.
fn added_tokens(reading: &mut Reading, config: &Value, added: Option<&[u8]>) -> Result<Vec<AddedToken>> {
    let mut tokens: Vec<AddedToken> = Vec::new();
    for (id, value) in config["added_tokens_decoder"].as_object().into_iter().flatten() {
        reading.note_keys(Place::AddedToken, value);
        tokens.push(added_token(reading, value, id.parse().ok())?);
    }
    let Some(bytes) = added else { return Ok(tokens) };
    for (content, id) in object(reading, "added_tokens.json", bytes)?.as_object().into_iter().flatten() {
        let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) else {
            return Err(reading.malformed("added_tokens.json", "tokens with their ids", shown(id)));
        };
        match tokens.iter().find(|token| token.content == *content) {
            Some(token) if token.id != id => {
                let expected = format!("`{content}` with the id {} of tokenizer_config.json", token.id);
                return Err(reading.malformed("added_tokens.json", expected, id.to_string()));
            }
            Some(_) => {}
            None => {
                let special = is_special(config, content);
                let token = AddedToken {
                    content: content.clone(),
                    id,
                    special,
                    normalized: !special,
                    ..AddedToken::default()
                };
                tokens.push(token);
            }
        }
    }
    Ok(tokens)
}

/// Whether tokenizer_config.json names `token` for a special purpose.
fn is_special(config: &Value, token: &str) -> bool {
    let named = ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"];
    let listed = config["additional_special_tokens"].as_array();
    named.iter().any(|key| name(&config[key]) == Some(token))
        || listed.is_some_and(|list| list.iter().any(|entry| name(entry) == Some(token)))
}

/// A token that is written as a text or as an object with `content`.
fn name(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str())
}

/// The tokens that `add_bos_token` and `add_eos_token` put around each text, where the config has the tokens.
fn template(reading: &Reading, config: &Value, vocab: &Vocab, added: &[AddedToken]) -> Result<Template> {
    let token = |add: &str, key: &str| {
        let Some(token) = name(&config[key]).filter(|_| config[add] == true) else {
            return Ok(Vec::new());
        };
        let among = added.iter().find(|entry| entry.content == token).map(|entry| entry.id);
        match among.or(vocab.get(token).copied()) {
            Some(id) => Ok(vec![Added { token: token.into(), id }]),
            None => Err(reading.malformed(key, "a token with an id", format!("`{token}`, which has none"))),
        }
    };
    reading.flag(config, "add_bos_token", false)?;
    reading.flag(config, "add_eos_token", false)?;
    Ok(Template { begin: token("add_bos_token", "bos_token")?, end: token("add_eos_token", "eos_token")? })
}
