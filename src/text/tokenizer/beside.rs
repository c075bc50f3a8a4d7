//! The files that lie beside a tokenizer.json or a vocab.json, and what they change of the ids, as transformers 5.24 reads
//! them: tokenizer_config.json, special_tokens_map.json, added_tokens.json.

use super::added::AddedToken;
use super::built::Parts;
use super::json::added_token;
use super::keys::{Place, Reading, Treatment, shown, treatment};
use crate::error::Result;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The bytes of the files, as far as there are some.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// tokenizer_config.json
    pub config: Option<&'a [u8]>,
    /// special_tokens_map.json
    pub special: Option<&'a [u8]>,
    /// added_tokens.json
    pub added: Option<&'a [u8]>,
}

/// What the files say.
pub(super) struct Said {
    /// tokenizer_config.json, with the tokens of special_tokens_map.json.
    pub config: Value,
    added: Value,
}

impl Said {
    /// Reads the files. Keys of tokenizer_config.json that no table knows are noted.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::error::Error::Malformed) for a file that is no object, and for a key that would change
    /// ids in a way that is not applied.
    pub(super) fn read(reading: &mut Reading, beside: Beside) -> Result<Self> {
        let object = |name: &str, bytes: Option<&[u8]>| match bytes {
            Some(bytes) => object(reading, name, bytes),
            None => Ok(Value::Object(serde_json::Map::new())),
        };
        let mut config = object("tokenizer_config.json", beside.config)?;
        let special = object("special_tokens_map.json", beside.special)?;
        let added = object("added_tokens.json", beside.added)?;
        for (key, value) in config.as_object().into_iter().flatten() {
            if !(key.ends_with("_token") && token(value).is_some()) {
                reading.note(Place::Config, key);
            }
            if treatment(Place::Config, key) == Some(Treatment::Neutral) {
                reading.neutral(key, value)?;
            }
        }
        // A config that lists its added tokens is of a newer kind, which does without the map.
        if config.get("added_tokens_decoder").is_none() {
            for (key, value) in special.as_object().into_iter().flatten() {
                config[key.as_str()] = value.clone();
            }
        }
        Ok(Self { config, added })
    }

    /// Whether a text that is too long loses its beginning; `None` where nothing says so.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::error::Error::Malformed).
    pub(super) fn cut_left(&self, reading: &Reading) -> Result<Option<bool>> {
        match &self.config["truncation_side"] {
            Value::Null => Ok(None),
            Value::String(side) if side == "left" => Ok(Some(true)),
            Value::String(side) if side == "right" => Ok(Some(false)),
            other => Err(reading.malformed("truncation_side", "left or right", shown(other))),
        }
    }

    /// Adds the added tokens of the files to `tokens`: those with an id, and those that are named for a purpose, of which
    /// one that is in no list has its id in the vocabulary, else the next one. `defaults` are the tokens that a
    /// class names where the files do not.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::error::Error::Malformed) for a token with two ids, or no id.
    pub(super) fn add(
        &self,
        reading: &mut Reading,
        tokens: &mut Vec<AddedToken>,
        parts: &Parts,
        defaults: &[(&str, &str)],
    ) -> Result<()> {
        let mut list = List::new(std::mem::take(tokens));

        // 1. Those of tokenizer_config.json, whose options come before those of tokenizer.json.
        for (id, value) in self.config["added_tokens_decoder"].as_object().into_iter().flatten() {
            reading.note_keys(Place::AddedToken, value);
            let token = added_token(reading, value, id.parse().ok())?;
            match list.find(&token.content) {
                Some(other) => {
                    reading.same_id("added_tokens_decoder", other, token.id)?;
                    *other = token;
                }
                None => list.push(token),
            }
        }

        // 2. Those of added_tokens.json, which counts where tokenizer_config.json lists none.
        let is_listed = self.config.get("added_tokens_decoder").is_some();
        let named = self.named(defaults);
        let special: HashSet<&str> = named.iter().map(|token| token.content.as_str()).collect();
        for (content, id) in self.added.as_object().into_iter().flatten() {
            let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) else {
                return Err(reading.malformed("added_tokens.json", "tokens with their ids", shown(id)));
            };
            match list.find(content) {
                Some(other) => reading.same_id("added_tokens.json", other, id)?,
                None if is_listed => {}
                None => {
                    let special = special.contains(content.as_str());
                    let (content, normalized) = (content.clone(), !special);
                    list.push(AddedToken { content, id, special, normalized, ..AddedToken::default() });
                }
            }
        }

        // 3. Those that are only named.
        let after = |token: &AddedToken| token.id.saturating_add(1);
        let last = list.tokens.iter().map(after).max().unwrap_or(0);
        let mut next = last.max(u32::try_from(parts.len()).unwrap_or(u32::MAX));
        for mut token in named.into_iter().filter(|token| !token.content.is_empty()) {
            if list.find(&token.content).is_none() {
                token.id = parts.id_of(&token.content).unwrap_or(next);
                next = next.max(after(&token));
                list.push(token);
            }
        }
        *tokens = list.tokens;
        Ok(())
    }

    /// The token of `key`, or the one of its class.
    pub(super) fn name<'s>(&'s self, key: &str, defaults: &[(&str, &'s str)]) -> Option<&'s str> {
        match self.config.get(key) {
            Some(value) => token(value),
            None => defaults.iter().find(|(name, _)| *name == key).map(|(_, token)| *token),
        }
    }

    /// The special tokens that the files name for a purpose, without their ids.
    fn named(&self, defaults: &[(&str, &str)]) -> Vec<AddedToken> {
        let keys = self.config.as_object().into_iter().flatten();
        let lists = ["additional_special_tokens", "extra_special_tokens"].map(|key| &self.config[key]);
        let listed = lists.into_iter().flat_map(|list| match list {
            Value::Array(tokens) => tokens.iter().collect::<Vec<_>>(),
            Value::Object(tokens) => tokens.values().collect(),
            _ => Vec::new(),
        });
        let own = keys.filter(|(key, _)| key.ends_with("_token")).map(|(_, value)| value).chain(listed);
        let special = |value: &Value| {
            let flag = |key: &str| value[key] == true;
            let (single_word, lstrip, rstrip) = (flag("single_word"), flag("lstrip"), flag("rstrip"));
            let (content, normalized) = (token(value)?.to_owned(), flag("normalized"));
            Some(AddedToken { content, id: 0, single_word, lstrip, rstrip, normalized, special: true })
        };
        let left_out = defaults.iter().filter(|(key, _)| self.config.get(*key).is_none());
        let of_class = left_out.filter_map(|(_, token)| special(&Value::from(*token)));
        own.filter_map(special).chain(of_class).collect()
    }
}

/// Added tokens, each once, and where each stands.
struct List {
    tokens: Vec<AddedToken>,
    places: HashMap<String, usize>,
}

impl List {
    fn new(tokens: Vec<AddedToken>) -> Self {
        let places = tokens.iter().zip(0..).map(|(token, place)| (token.content.clone(), place)).collect();
        Self { tokens, places }
    }

    fn find(&mut self, content: &str) -> Option<&mut AddedToken> {
        self.places.get(content).map(|place| &mut self.tokens[*place])
    }

    fn push(&mut self, token: AddedToken) {
        self.places.insert(token.content.clone(), self.tokens.len());
        self.tokens.push(token);
    }
}

/// A token that is written as a text or as an object with `content`.
fn token(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str())
}

/// A JSON object.
fn object(reading: &Reading, name: &str, bytes: &[u8]) -> Result<Value> {
    match serde_json::from_slice(bytes) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(value) => Err(reading.malformed(name, "an object", shown(&value))),
        Err(e) => Err(reading.malformed(name, "an object", e.to_string())),
    }
}
