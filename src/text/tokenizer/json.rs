//! A tokenizer.json of Hugging Face with a BPE model. The large parts, vocabulary and merges, are read as they come.

use super::added::{AddedToken, MOST_ADDED};
use super::beside::{Beside, Said};
use super::bpe::Parts;
use super::keys::{Place, Reading, Treatment, shown, treatment};
use super::normalize::Normalizer;
use super::special::Template;
use super::split::Splitter;
use super::{Built, Tokenizer};
use crate::error::{Error, Result};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;
use tokenizers::models::bpe::Merges;

const EXPECTED: &str = "a Hugging Face tokenizer.json with a BPE model";

/// The keys of tokenizer.json that decide ids, and the names of the others.
#[derive(Default)]
struct Document {
    parts: Option<Parts>,
    /// The options of the model, which are checked once all of them are read.
    options: Vec<(String, Value)>,
    kind: Option<String>,
    small: Vec<(String, Value)>,
    added_tokens: Vec<Value>,
    unknown: Vec<(Place, String)>,
}

/// The tokenizer that `bytes` describe.
pub(super) fn read(file: &str, bytes: &[u8], beside: Beside) -> Result<Tokenizer> {
    // 1. The document. A model of another kind is named before anything else.
    let malformed = |e: serde_json::Error| Error::malformed(file, "the tokenizer", EXPECTED, e.to_string());
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut document = DocumentSeed.deserialize(&mut json).map_err(malformed)?;
    json.end().map_err(malformed)?;
    if let Some(kind) = document.kind.filter(|kind| kind != "BPE") {
        return Err(Error::UnknownTokenizer { file: file.into(), expected: "a BPE model", found: kind });
    }
    let Some(mut parts) = document.parts.take() else {
        return Err(Error::malformed(file, "the tokenizer", EXPECTED, "no `model`"));
    };

    // 2. What the table of keys says of each.
    let mut reading = Reading::new(file);
    document.unknown.iter().for_each(|(place, key)| reading.note(*place, key));
    for (key, value) in &document.options {
        parts.options.set(&reading, key, value)?;
    }
    let of = |name: &str| {
        document.small.iter().rfind(|(key, _)| key == name).map_or(&Value::Null, |(_, value)| value)
    };
    let normalizers = Normalizer::read(&mut reading, of("normalizer"))?;
    let splitters = Splitter::read(&mut reading, of("pre_tokenizer"))?;
    let template = Template::read(&mut reading, of("post_processor"))?;
    let said = Said::read(&mut reading, beside)?;
    let cut_left = said.cut_left(&reading)?.unwrap_or(of("truncation")["direction"] == "Left");
    check_prefix_space(&reading, &said.config["add_prefix_space"], &splitters)?;

    // 3. Added tokens.
    let mut added = Vec::with_capacity(document.added_tokens.len());
    for value in &document.added_tokens {
        reading.note_keys(Place::AddedToken, value);
        added.push(added_token(&reading, value, value["id"].as_u64())?);
    }
    said.add(&mut reading, &mut added, &parts.vocab, &[])?;
    let steps = [of("normalizer"), of("pre_tokenizer")].map(Value::to_string).concat();
    Tokenizer::build(
        reading,
        "merges",
        Built { parts, normalizers, splitters, template, added, cut_left, steps, warnings: Vec::new() },
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

/// Reads the top of the document.
struct DocumentSeed;

impl<'de> DeserializeSeed<'de> for DocumentSeed {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DocumentSeed {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a tokenizer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::default();
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), treatment(Place::Json, &key)) {
                ("model", _) => map.next_value_seed(ModelSeed(&mut document))?,
                ("added_tokens", _) => {
                    document.added_tokens = map.next_value::<Option<Few>>()?.unwrap_or_default().0;
                }
                (_, Some(Treatment::Applied)) => document.small.push((key, map.next_value()?)),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    document.unknown.push((Place::Json, key));
                }
            }
        }
        Ok(document)
    }
}

/// Reads `model` into the document.
struct ModelSeed<'a>(&'a mut Document);

impl<'de> DeserializeSeed<'de> for ModelSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ModelSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a BPE model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let document = self.0;
        let (mut vocab, mut merges) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            let other_kind = document.kind.as_ref().is_some_and(|kind| kind != "BPE");
            match (key.as_str(), treatment(Place::Model, &key)) {
                ("type", _) => document.kind = map.next_value()?,
                // The vocabulary of another kind has another shape: its kind is what is refused.
                (_, Some(_)) if other_kind => drop(map.next_value::<IgnoredAny>()?),
                ("vocab", _) => vocab = Some(map.next_value()?),
                ("merges", _) => merges = Some(map.next_value::<MergeList>()?.0),
                (_, Some(_)) => document.options.push((key, map.next_value()?)),
                (_, None) => {
                    map.next_value::<IgnoredAny>()?;
                    document.unknown.push((Place::Model, key));
                }
            }
        }
        if document.kind.as_ref().is_none_or(|kind| kind == "BPE") {
            let missing = serde::de::Error::missing_field;
            let vocab = vocab.ok_or_else(|| missing("vocab"))?;
            let merges = merges.ok_or_else(|| missing("merges"))?;
            document.parts = Some(Parts { vocab, merges, ..Parts::default() });
        }
        Ok(())
    }
}

/// The added tokens, of which there are not more than any model has.
#[derive(Default)]
struct Few(Vec<Value>);

impl<'de> Deserialize<'de> for Few {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Few;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "at most {MOST_ADDED} added tokens")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few, A::Error> {
                let mut tokens = Vec::new();
                while let Some(token) = list.next_element()? {
                    tokens.push(token);
                    if tokens.len() > MOST_ADDED {
                        return Err(serde::de::Error::invalid_length(tokens.len(), &self));
                    }
                }
                Ok(Few(tokens))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Merges: pairs, or texts with a blank between two tokens.
struct MergeList(Merges);

impl<'de> Deserialize<'de> for MergeList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let merges = Vec::<Merge>::deserialize(deserializer)?;
        Ok(Self(merges.into_iter().map(|merge| merge.0).collect()))
    }
}

struct Merge((String, String));

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Merge;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("two tokens, in a list or with one blank between")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Merge, E> {
                pair(text).map(Merge).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merge, A::Error> {
                let tokens = (list.next_element()?, list.next_element()?, list.next_element::<IgnoredAny>()?);
                match tokens {
                    (Some(left), Some(right), None) => Ok(Merge((left, right))),
                    _ => Err(serde::de::Error::invalid_length(0, &self)),
                }
            }
        }
        deserializer.deserialize_any(Pair)
    }
}

/// The two tokens of a merge with a blank between.
pub(super) fn pair(merge: &str) -> Option<(String, String)> {
    let (left, right) = merge.split_once(' ')?;
    (!left.is_empty() && !right.is_empty() && !right.contains(' ')).then(|| (left.into(), right.into()))
}
