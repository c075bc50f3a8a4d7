//! A record of a file's configuration, which is read through the table of keys.

use super::{Place, Reading, find};
use crate::error::{Error, Result};
use crate::format::gguf;
use crate::model::{Config, Family};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;

/// Characters of a value that a message shows.
const SHOWN: usize = 64;

/// Keys that are told as not read; of more, their number.
const MOST_TOLD: usize = 100;

/// A value as its file holds it.
#[derive(Clone, Copy)]
pub(in crate::loader) enum Value<'a> {
    Json(&'a serde_json::Value),
    Gguf(&'a gguf::Value),
}

impl<'a> Value<'a> {
    pub(super) fn is_null(self) -> bool {
        matches!(self, Self::Json(value) if value.is_null())
    }

    /// A whole number; or, of a list of equal ones for each layer, that number.
    pub(super) fn size(self) -> Option<usize> {
        let number = match self {
            Self::Json(value) => value.as_u64()?,
            Self::Gguf(gguf::Value::Unsigned(number)) => *number,
            Self::Gguf(gguf::Value::Signed(number)) => u64::try_from(*number).ok()?,
            Self::Gguf(gguf::Value::Unsigneds(numbers)) => *same(numbers)?,
            Self::Gguf(gguf::Value::Signeds(numbers)) => u64::try_from(*same(numbers)?).ok()?,
            Self::Gguf(_) => return None,
        };
        Some(usize::try_from(number).unwrap_or(usize::MAX))
    }

    pub(super) fn float(self) -> Option<f64> {
        match self {
            Self::Json(value) => value.as_f64(),
            Self::Gguf(gguf::Value::Float(number)) => Some(*number),
            Self::Gguf(gguf::Value::Unsigned(number)) => Some(*number as f64),
            Self::Gguf(gguf::Value::Signed(number)) => Some(*number as f64),
            Self::Gguf(_) => None,
        }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Json(value) => value.as_str(),
            Self::Gguf(gguf::Value::String(text)) => Some(text),
            Self::Gguf(_) => None,
        }
    }

    pub(super) fn flag(self) -> Option<bool> {
        match self {
            Self::Json(value) => value.as_bool(),
            Self::Gguf(gguf::Value::Bool(flag)) => Some(*flag),
            Self::Gguf(_) => None,
        }
    }

    /// What it is, for messages: the value, or the type where that is long or wrong.
    fn shown(self) -> String {
        match self {
            Self::Json(value) => value.to_string().chars().take(SHOWN).collect(),
            Self::Gguf(gguf::Value::Unsigned(number)) => number.to_string(),
            Self::Gguf(gguf::Value::Signed(number)) => number.to_string(),
            Self::Gguf(gguf::Value::Float(number)) => number.to_string(),
            Self::Gguf(gguf::Value::Bool(flag)) => flag.to_string(),
            Self::Gguf(gguf::Value::String(text)) => {
                format!("`{}`", text.chars().take(SHOWN).collect::<String>())
            }
            Self::Gguf(gguf::Value::Unsigneds(numbers))
                if numbers.windows(2).any(|pair| pair[0] != pair[1]) =>
            {
                "numbers that differ by layer".into()
            }
            Self::Gguf(value) => value.kind().into(),
        }
    }

    /// Its type, for messages about that.
    fn kind(self) -> String {
        match self {
            Self::Gguf(gguf::Value::Unsigneds(_) | gguf::Value::Signeds(_)) | Self::Json(_) => self.shown(),
            Self::Gguf(value) => value.kind().into(),
        }
    }
}

/// The value that all of a list have.
fn same<T: PartialEq>(values: &[T]) -> Option<&T> {
    values.first().filter(|first| values.iter().all(|value| value == *first))
}

/// What is told of a configuration beside what it says.
#[derive(Default)]
pub(in crate::loader) struct Told {
    /// The keys of the file that no entry knows.
    pub not_read: Vec<String>,
    /// The keys that the file leaves out, with the default of the family.
    pub defaults: Vec<String>,
}

/// The values of one place of one file.
pub(in crate::loader) struct Record<'a> {
    file: &'a str,
    place: Place,
    family: Family,
    /// Stands before a key's name in messages: `qwen3.`, `rope_scaling.`
    prefix: String,
    values: BTreeMap<&'a str, Value<'a>>,
    defaults: RefCell<Vec<String>>,
}

impl<'a> Record<'a> {
    pub(in crate::loader) fn new(
        file: &'a str,
        place: Place,
        family: Family,
        prefix: impl Into<String>,
        values: impl IntoIterator<Item = (&'a str, Value<'a>)>,
    ) -> Self {
        let (prefix, values) = (prefix.into(), values.into_iter().collect());
        Self { file, place, family, prefix, values, defaults: RefCell::default() }
    }

    /// The family that it is read for.
    pub(in crate::loader) fn family(&self) -> Family {
        self.family
    }

    /// What stands before the keys of the object `name` in messages.
    pub(in crate::loader) fn below(&self, name: &str) -> String {
        format!("{}{name}.", self.prefix)
    }

    /// The value of `name`, be it null, where an entry applies it.
    fn raw(&self, name: &str) -> Option<Value<'a>> {
        let key = find(self.place, name, self.family)?;
        (key.reading == Reading::Applied).then(|| self.values.get(name).copied())?
    }

    /// Whether the file says null.
    pub(in crate::loader) fn is_null(&self, name: &str) -> bool {
        self.raw(name).is_some_and(Value::is_null)
    }

    /// The value of `name`, where an entry applies it; null counts as absent.
    pub(in crate::loader) fn value(&self, name: &str) -> Option<Value<'a>> {
        self.raw(name).filter(|value| !value.is_null())
    }

    fn read<T>(
        &self,
        name: &str,
        expected: [&str; 2],
        read: impl Fn(Value<'a>) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let [in_json, in_gguf] = expected;
        let expected = if matches!(value, Value::Json(_)) { in_json } else { in_gguf };
        read(value).map(Some).ok_or_else(|| self.malformed(name, expected, value.kind()))
    }

    /// A whole number; `None` where the key is absent.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a value of another type; likewise in the methods below.
    pub(in crate::loader) fn size(&self, name: &str) -> Result<Option<usize>> {
        self.read(name, ["a whole number", "an unsigned integer"], Value::size)
    }

    pub(in crate::loader) fn float(&self, name: &str) -> Result<Option<f64>> {
        self.read(name, ["a number", "a float"], Value::float)
    }

    pub(in crate::loader) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        self.read(name, ["a text", "a string"], Value::text)
    }

    pub(in crate::loader) fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.read(name, ["true or false", "a boolean"], Value::flag)
    }

    /// An object of config.json.
    pub(in crate::loader) fn object(
        &self,
        name: &str,
    ) -> Result<Option<&'a serde_json::Map<String, serde_json::Value>>> {
        self.read(name, ["an object", "an object"], |value| match value {
            Value::Json(value) => value.as_object(),
            Value::Gguf(_) => None,
        })
    }

    /// A list of texts of config.json.
    pub(in crate::loader) fn texts(&self, name: &str) -> Result<Option<Vec<&'a str>>> {
        self.read(name, ["a list of texts", "a list of texts"], |value| match value {
            Value::Json(value) => value.as_array()?.iter().map(serde_json::Value::as_str).collect(),
            Value::Gguf(_) => None,
        })
    }

    /// What the file says, else the family's default, which is told.
    pub(in crate::loader) fn or<T: Display>(&self, name: &str, said: Option<T>, default: T) -> T {
        said.unwrap_or_else(|| {
            self.defaults.borrow_mut().push(format!("{}{name} = {default}", self.prefix));
            default
        })
    }

    /// A list of whole numbers of config.json.
    pub(in crate::loader) fn sizes(&self, name: &str) -> Result<Option<Vec<usize>>> {
        self.read(name, ["a list of whole numbers", "a list of whole numbers"], |value| match value {
            Value::Json(value) => {
                value.as_array()?.iter().map(|value| usize::try_from(value.as_u64()?).ok()).collect()
            }
            Value::Gguf(_) => None,
        })
    }

    /// Refuses the keys whose values change the vectors of the network of `config`, and are not computed.
    ///
    /// # Errors
    /// [`Error::NotComputed`] names the first one.
    pub(in crate::loader) fn refuse(&self, config: &Config) -> Result<()> {
        for (name, value) in &self.values {
            let Some(key) = find(self.place, name, self.family) else { continue };
            if let Reading::Refused(expected) = key.reading
                && !value.is_null()
                && !(key.neutral)(*value, config)
            {
                return Err(self.not_computed(name, expected, value.shown()));
            }
        }
        Ok(())
    }

    /// Adds what this record tells.
    pub(in crate::loader) fn tell(&self, told: &mut Told) {
        told.defaults.extend(self.defaults.take());
        let unknown = self.values.keys().filter(|name| find(self.place, name, self.family).is_none());
        let shown = |name: &&str| {
            let name: String = name.chars().take(SHOWN).collect();
            format!("{}{}", self.prefix, name.escape_debug())
        };
        let (count, free) = (unknown.clone().count(), MOST_TOLD.saturating_sub(told.not_read.len()));
        told.not_read.extend(unknown.take(free).map(shown));
        if count > free {
            told.not_read.push(format!("{} more", count - free));
        }
    }

    /// The names that stand in it.
    pub(in crate::loader) fn names(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.values.iter().map(|(name, value)| (*name, *value))
    }

    /// [`Error::NotComputed`] about a key of this record.
    pub(in crate::loader) fn not_computed(
        &self,
        name: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        let (file, key) = (self.file.into(), format!("{}{name}", self.prefix));
        Error::NotComputed { file, key, expected: expected.into(), found: found.into() }
    }

    /// [`Error::Malformed`] about a key of this record.
    pub(in crate::loader) fn malformed(
        &self,
        name: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        let item = match self.place {
            Place::Gguf | Place::File => format!("metadata `{}{name}`", self.prefix),
            _ => format!("`{}{name}`", self.prefix),
        };
        Error::malformed(self.file, item, expected, found)
    }
}
