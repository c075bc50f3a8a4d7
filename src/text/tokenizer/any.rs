//! A tokenizer's file by its content, whatever its name: of the tensors `spiece_model`, `tekken_model` and `tokenizer_json`,
//! of files that a person picks. And the tokenizer that needs no file.

use super::added::AddedToken;
use super::built::Parts;
use super::keys::Reading;
use super::special::{Added, Template};
use super::{Beside, Built, Tokenizer, json, proto, tekken};
use crate::error::{Error, Result};
use crate::format::sniff::without_mark;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The tokenizer that `bytes` describe.
pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Tokenizer> {
    let bytes = without_mark(bytes);
    if bytes.trim_ascii_start().starts_with(b"{") {
        #[derive(Deserialize)]
        struct Keys {
            model: Option<IgnoredAny>,
            config: Option<IgnoredAny>,
            vocab: Option<IgnoredAny>,
        }
        return match serde_json::from_slice(bytes) {
            Ok(Keys { model: None, config: Some(_), vocab: Some(_) }) => tekken::read(file, bytes),
            _ => json::read(file, bytes, Beside::default()),
        };
    }
    if proto::begins(bytes) {
        let reading = Reading::new(file);
        let (spec, template) = proto::read(&reading, bytes)?.with_ids_of_xlmr();
        return spec.build(reading, template, Vec::new());
    }
    let found = match bytes {
        [] => "nothing".into(),
        _ => "a file of another kind".into(),
    };
    let expected =
        "a tokenizer.json, a tekken.json, or a model of SentencePiece (spiece.model, tokenizer.model)";
    Err(Error::UnknownTokenizer { file: file.into(), expected, found })
}

/// The tokenizer of a tokenizer_config.json that needs nothing beside it.
pub(super) fn of_config(file: &str, config: &[u8]) -> Result<Option<Tokenizer>> {
    let config: Value = serde_json::from_slice(config)
        .map_err(|e| Error::malformed(file, "the content", "JSON of a tokenizer", e.to_string()))?;
    match config["tokenizer_class"].as_str() {
        Some("ByT5Tokenizer") => bytes(file).map(Some),
        _ => Ok(None),
    }
}

/// ByT5's tokenizer: padding, end and unknown token, the bytes, and 125 tokens for gaps, after google/byt5-small.
pub(super) fn bytes(file: &str) -> Result<Tokenizer> {
    let token = |id: u32, content: String| AddedToken { content, id, special: true, ..AddedToken::default() };
    // The reference's take the blanks around them.
    let blank = |token: AddedToken| AddedToken { lstrip: true, rstrip: true, ..token };
    let special =
        ["<pad>", "</s>", "<unk>"].into_iter().zip(0..).map(|(text, id)| blank(token(id, text.into())));
    let gaps = (0..125).map(|gap| token(259 + gap, format!("<extra_id_{gap}>")));
    let added = special.chain(gaps).collect();
    let template = Template { begin: Vec::new(), end: vec![Added { token: "</s>".into(), id: 1 }] };
    let built = Built { added, template, padding: Some(0), ..Built::of(Parts::Bytes) };
    Tokenizer::build(Reading::new(file), "bytes", built)
}
