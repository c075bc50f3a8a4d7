//! JSON as it stands in the file: the order is kept, repeated keys are seen, and each fault is named by its path.
//! Used by `dataset`: the order of the items decides how their options are shuffled.

use crate::error::{Error, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::{collections::HashSet, fmt};

/// The longest text that is accepted, in bytes. No caption comes near it; it bounds memory.
const MAX_TEXT: usize = 1 << 20;

/// A JSON value. Numbers and booleans keep no value: nothing reads them.
pub(crate) enum Json {
    Null,
    Bool,
    Number,
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// A value and its path in the file. `json` is `None` if the key is missing.
pub(crate) struct Item<'a> {
    pub file: &'a str,
    pub path: String,
    pub json: Option<Json>,
}

/// An object whose keys are all different.
pub(crate) struct Object<'a> {
    file: &'a str,
    path: String,
    entries: Vec<(String, Json)>,
}

impl<'a> Item<'a> {
    /// The error that says that this value should be `expected`.
    pub(crate) fn wrong(&self, expected: &'static str) -> Error {
        let found = match &self.json {
            None => "nothing".into(),
            Some(Json::Null) => "null".into(),
            Some(Json::Bool) => "a boolean".into(),
            Some(Json::Number) => "a number".into(),
            Some(Json::Text(text)) => format!("`{}`", short(text)),
            Some(Json::Array(_)) => "an array".into(),
            Some(Json::Object(_)) => "an object".into(),
        };
        not_ted(self.file, &self.path, expected, found)
    }

    /// Whether the key is there and its value is null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.json, Some(Json::Null))
    }

    /// The string.
    pub(crate) fn text(self) -> Result<String> {
        match self.json {
            Some(Json::Text(text)) if text.len() > MAX_TEXT => {
                let found = format!("{} bytes", text.len());
                Err(not_ted(self.file, &self.path, "a text of at most 1 MiB", found))
            }
            Some(Json::Text(text)) => Ok(text),
            _ => Err(self.wrong("a string")),
        }
    }

    /// The string, or `None` if it is null or missing.
    pub(crate) fn optional_text(self) -> Result<Option<String>> {
        match self.json {
            None | Some(Json::Null) => Ok(None),
            _ => self.text().map(Some),
        }
    }

    /// The items of an array in order; a missing array has none.
    pub(crate) fn array(self) -> Result<Vec<Item<'a>>> {
        let Self { file, path, json } = self;
        match json {
            None => Ok(Vec::new()),
            Some(Json::Array(items)) => {
                let item = |(i, json)| Item { file, path: format!("{path}[{i}]"), json: Some(json) };
                Ok(items.into_iter().enumerate().map(item).collect())
            }
            json => Err(Item { file, path, json }.wrong("an array")),
        }
    }

    /// The object; the error of another value says that it should be `expected`.
    pub(crate) fn object(self, expected: &'static str) -> Result<Object<'a>> {
        let Some(Json::Object(entries)) = self.json else { return Err(self.wrong(expected)) };
        let object = Object { file: self.file, path: self.path, entries };
        let mut seen = HashSet::new();
        match object.entries.iter().find(|(key, _)| !seen.insert(key)) {
            Some((key, _)) => {
                Err(not_ted(object.file, &object.path_of(key), "a key used once", "it twice".into()))
            }
            None => Ok(object),
        }
    }
}

impl<'a> Object<'a> {
    /// Takes the value of `key` out of the object.
    pub(crate) fn take(&mut self, key: &str) -> Item<'a> {
        let json =
            self.entries.iter_mut().find(|(k, _)| k == key).map(|(_, v)| std::mem::replace(v, Json::Null));
        Item { file: self.file, path: self.path_of(key), json }
    }

    /// The keys and values, in the order of the file.
    pub(crate) fn into_items(mut self) -> impl Iterator<Item = (String, Item<'a>)> {
        let entries = std::mem::take(&mut self.entries);
        entries.into_iter().map(move |(key, json)| {
            let item = Item { file: self.file, path: self.path_of(&key), json: Some(json) };
            (key, item)
        })
    }

    fn path_of(&self, key: &str) -> String {
        let key = short(key);
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }
}

/// The error about the value at `path`; an empty path is the top level of the file.
fn not_ted(file: &str, path: &str, expected: &'static str, found: String) -> Error {
    let item = if path.is_empty() { "the top level".into() } else { format!("`{path}`") };
    Error::NotTed { file: file.into(), item, expected, found }
}

/// The first 60 characters of a text from a file, which are enough for a message.
pub(crate) fn short(text: &str) -> String {
    const LIMIT: usize = 60;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Bool)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Json::Object(entries))
    }
}
