//! The document that a tokenizer.json is: the large parts, vocabulary and merges, are read as they come.

use super::super::added::MOST_ADDED;
use super::super::keys::{Place, Treatment, treatment};
use super::super::pieces::MOST_PIECES;
use super::pair;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;
use tokenizers::models::bpe::{Merges, Vocab};

/// The kinds of models that are read.
pub(super) const KINDS: [&str; 2] = ["BPE", "Unigram"];

/// The keys of tokenizer.json that decide ids, and the names of the others.
#[derive(Default)]
pub(super) struct Document {
    pub has_model: bool,
    pub vocab: Option<Vocabulary>,
    pub merges: Option<Merges>,
    /// The options of the model, which are checked once all of them are read.
    pub options: Vec<(String, Value)>,
    pub kind: Option<String>,
    pub small: Vec<(String, Value)>,
    pub added_tokens: Vec<Value>,
    pub unknown: Vec<(Place, String)>,
}

/// Reads the top of the document.
pub(super) struct DocumentSeed;

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
                ("padding", _) | (_, Some(Treatment::Applied)) => {
                    document.small.push((key, map.next_value()?))
                }
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
        f.write_str("a model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let document = self.0;
        document.has_model = true;
        while let Some(key) = map.next_key::<String>()? {
            let other_kind = document.kind.as_ref().is_some_and(|kind| !KINDS.contains(&kind.as_str()));
            match (key.as_str(), treatment(Place::Model, &key)) {
                ("type", _) => document.kind = map.next_value()?,
                // The vocabulary of another kind has another shape: its kind is what is refused.
                (_, Some(_)) if other_kind => drop(map.next_value::<IgnoredAny>()?),
                ("vocab", _) => document.vocab = map.next_value()?,
                ("merges", _) => document.merges = map.next_value::<Option<MergeList>>()?.map(|list| list.0),
                (_, Some(_)) => document.options.push((key, map.next_value()?)),
                (_, None) => {
                    map.next_value::<IgnoredAny>()?;
                    document.unknown.push((Place::Model, key));
                }
            }
        }
        Ok(())
    }
}

/// A vocabulary: tokens with their ids, or in the order of their ids with scores.
pub(super) enum Vocabulary {
    Map(Vocab),
    List(Vec<(String, f64)>),
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Vocabulary;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(
                    f,
                    "tokens with their ids, or a list of at most {MOST_PIECES} tokens with their scores"
                )
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vocabulary, A::Error> {
                Vocab::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Vocabulary::Map)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vocabulary, A::Error> {
                let mut pieces = Vec::new();
                while let Some(piece) = list.next_element()? {
                    pieces.push(piece);
                    if pieces.len() > MOST_PIECES {
                        return Err(serde::de::Error::invalid_length(pieces.len(), &self));
                    }
                }
                Ok(Vocabulary::List(pieces))
            }
        }
        deserializer.deserialize_any(Either)
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
