//! The keys of config.json and of GGUF metadata that can change a vector, all in one [`table`]: whether each is applied,
//! refused unless it changes nothing, or without effect in the reference, for each family.
//!
//! A configuration is read through a [`Record`](record::Record), which gives the values of applied keys alone, refuses
//! those that are not computed, and lists the keys that stand in no entry: `inspect` and the card of a model show them.
//! The references are transformers 5.24 for config.json and llama.cpp for GGUF.

pub(super) mod record;
mod table;

use crate::model::{Config, Family};
use record::Value;
pub use table::KEYS;

/// A record in which keys stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// config.json, or its `text_config`.
    Config,
    /// config.json beside its `text_config`.
    Beside,
    /// `rope_parameters` or `rope_scaling`.
    Rope,
    /// GGUF metadata after `{architecture}.`.
    Gguf,
    /// GGUF metadata of any architecture.
    File,
}

/// How a key is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It decides the network, and is computed.
    Applied,
    /// It is refused, unless its value is what this says: then it changes nothing.
    Refused(&'static str),
    /// It changes no vector of the reference, for this reason.
    NoEffect(&'static str),
}

/// A key that is known.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The record that it stands in.
    pub place: Place,
    /// Its name. A last `*` stands for any ending.
    pub name: &'static str,
    /// The families that it is read so for.
    pub families: &'static [Family],
    /// How it is read.
    pub reading: Reading,
    /// Whether a value of a refused key changes nothing in the network of a configuration.
    neutral: fn(Value, &Config) -> bool,
}

impl Key {
    fn is(&self, place: Place, name: &str, family: Family) -> bool {
        let named = match self.name.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => self.name == name,
        };
        named && self.place == place && self.families.contains(&family)
    }
}

/// The entry of a key; `None` where no entry knows it.
fn find(place: Place, name: &str, family: Family) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.is(place, name, family))
}
