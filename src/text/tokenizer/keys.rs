//! The keys that decide token ids: one table of what is applied, what is refused unless it changes nothing, and what
//! decides no id. A key that the table does not have is listed as not read.

use super::added;
use super::pattern::Pattern;
use crate::error::{Error, Result};
use serde_json::Value;

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The top of tokenizer.json.
    Json,
    /// `model` of tokenizer.json.
    Model,
    /// A step of `normalizer`.
    Normalizer,
    /// A step of `pre_tokenizer`.
    PreTokenizer,
    /// A step of `post_processor`.
    PostProcessor,
    /// An entry of `added_tokens`, or of `added_tokens_decoder` in tokenizer_config.json.
    AddedToken,
    /// tokenizer_config.json, which is read beside tokenizer.json, or beside vocab.json and merges.txt. Beside a
    /// tokenizer.json, class and begin and end tokens decide no id: transformers takes them from that file. Every key that
    /// ends with `_token` names a special token.
    Config,
    /// The metadata of GGUF, without `tokenizer.ggml.`.
    Gguf,
}

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It changes ids as its file says.
    Applied,
    /// It is refused by name, unless its value is null, false, 0 or empty.
    Neutral,
    /// It decides no id of a text.
    NoId,
}

use Place::{AddedToken, Config, Gguf, Json, Model, Normalizer, PostProcessor, PreTokenizer};
use Treatment::{Applied, Neutral, NoId};

/// The table: each key with its place and its treatment.
#[rustfmt::skip]
pub const KEYS: &[(Place, Treatment, &[&str])] = &[
    (Json, Applied, &["added_tokens", "normalizer", "pre_tokenizer", "post_processor", "model", "truncation"]),
    (Json, NoId, &["version", "padding", "decoder"]),
    (Model, Applied, &["type", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
        "ignore_merges", "vocab", "merges", "unk_id"]),
    (Model, Neutral, &["dropout"]),
    (Normalizer, Applied, &["type", "normalizers", "prepend", "pattern", "content", "precompiled_charsmap",
        "strip_left", "strip_right"]),
    (PreTokenizer, Applied, &["type", "pretokenizers", "add_prefix_space", "use_regex", "individual_digits", "pattern",
        "behavior", "invert", "replacement", "prepend_scheme", "split"]),
    (PreTokenizer, NoId, &["trim_offsets", "str_rep"]),
    (PostProcessor, Applied, &["type", "processors", "single", "special_tokens", "sep", "cls"]),
    (PostProcessor, NoId, &["pair", "trim_offsets", "add_prefix_space", "use_regex"]),
    (AddedToken, Applied, &["id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"]),
    (Config, Applied, &["tokenizer_class", "add_prefix_space", "add_bos_token", "add_eos_token", "bos_token", "eos_token",
        "unk_token", "pad_token", "sep_token", "cls_token", "mask_token", "additional_special_tokens",
        "extra_special_tokens", "added_tokens_decoder", "truncation_side"]),
    (Config, Neutral, &["split_special_tokens"]),
    (Config, NoId, &["do_lower_case", "chat_template", "clean_up_tokenization_spaces", "errors", "model_max_length",
        "padding_side", "model_input_names", "spaces_between_special_tokens", "use_default_system_prompt",
        "processor_class", "auto_map", "name_or_path", "special_tokens_map_file", "tokenizer_file"]),
    (Gguf, Applied, &["model", "pre", "tokens", "token_type", "merges", "add_bos_token", "add_eos_token", "bos_token_id",
        "eos_token_id", "unknown_token_id", "scores", "add_space_prefix", "remove_extra_whitespaces", "precompiled_charsmap"]),
    (Gguf, Neutral, &["add_sep_token", "normalizer.lowercase", "normalizer.strip_accents"]),
    (Gguf, NoId, &["padding_token_id", "seperator_token_id", "separator_token_id",
        "cls_token_id", "mask_token_id", "eot_token_id", "eom_token_id", "prefix_token_id", "suffix_token_id",
        "middle_token_id", "fim_pre_token_id", "fim_suf_token_id", "fim_mid_token_id", "fim_pad_token_id",
        "fim_rep_token_id", "fim_sep_token_id", "token_type_count", "suppress_tokens"]),
];

/// What is done with `key` at `place`; `None` where no table knows it.
pub fn treatment(place: Place, key: &str) -> Option<Treatment> {
    KEYS.iter().find(|(at, _, keys)| *at == place && keys.contains(&key)).map(|(_, treatment, _)| *treatment)
}

/// The most steps of a normalizer, a pre-tokenizer or a post-processor.
const MOST_STEPS: usize = 32;

/// A tokenizer's file while it is read.
pub(super) struct Reading<'a> {
    pub file: &'a str,
    /// The keys that no table knows.
    pub not_read: Vec<String>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, not_read: Vec::new() }
    }

    pub(super) fn malformed(
        &self,
        item: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::malformed(self.file, format!("the tokenizer's `{item}`"), expected, found)
    }

    /// Notes the keys of the object `value` that no table knows.
    pub(super) fn note_keys(&mut self, place: Place, value: &Value) {
        let keys = value.as_object().into_iter().flat_map(|object| object.keys());
        keys.for_each(|key| self.note(place, key));
    }

    /// Notes `key` where no table knows it.
    pub(super) fn note(&mut self, place: Place, key: &str) {
        let name = match place {
            Place::Json => key.to_string(),
            Place::Config => format!("tokenizer_config.json: {key}"),
            Place::Gguf => format!("tokenizer.ggml.{key}"),
            Place::Model => format!("model.{key}"),
            Place::Normalizer => format!("normalizer.{key}"),
            Place::PreTokenizer => format!("pre_tokenizer.{key}"),
            Place::PostProcessor => format!("post_processor.{key}"),
            Place::AddedToken => format!("added_tokens.{key}"),
        };
        if treatment(place, key).is_none() && !self.not_read.contains(&name) && self.not_read.len() < 100 {
            self.not_read.push(name);
        }
    }

    /// Refuses a key whose value would change ids in a way that is not applied.
    pub(super) fn neutral(&self, key: &str, value: &Value) -> Result<()> {
        let neutral = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        match neutral {
            true => Ok(()),
            false => {
                Err(self.malformed(key, "null, false or 0, since nothing else is applied", shown(value)))
            }
        }
    }

    /// `type` of a step.
    pub(super) fn kind<'v>(&self, value: &'v Value, item: &str) -> Result<&'v str> {
        value["type"].as_str().ok_or_else(|| self.malformed(item, "an object with a `type`", shown(value)))
    }

    /// The steps of a sequence.
    pub(super) fn list<'v>(&self, value: &'v Value, key: &str) -> Result<&'v [Value]> {
        let steps = value[key].as_array().ok_or_else(|| self.malformed(key, "a list", shown(&value[key])))?;
        self.at_most(steps.len()).map(|()| steps.as_slice())
    }

    /// The steps that `value` describes: none where it is null, those of a `Sequence` in their order, else the one that
    /// `read` makes of its `type`. `item` names the part in messages, `list` the key of a sequence's steps.
    pub(super) fn steps<T>(
        &mut self,
        value: &Value,
        (place, item, list): (Place, &str, &str),
        read: fn(&mut Self, &str, &Value) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut steps = Vec::new();
        if !value.is_null() {
            self.push_steps(value, (place, item, list), read, &mut steps)?;
        }
        Ok(steps)
    }

    fn push_steps<T>(
        &mut self,
        value: &Value,
        names: (Place, &str, &str),
        read: fn(&mut Self, &str, &Value) -> Result<T>,
        steps: &mut Vec<T>,
    ) -> Result<()> {
        let (place, item, list) = names;
        let kind = self.kind(value, item)?;
        self.note_keys(place, value);
        if kind != "Sequence" {
            steps.push(read(self, kind, value)?);
            return Ok(());
        }
        for step in self.list(value, list)? {
            self.push_steps(step, names, read, steps)?;
        }
        self.at_most(steps.len())
    }

    /// Refuses a number of steps that no real tokenizer has.
    pub(super) fn at_most(&self, steps: usize) -> Result<()> {
        match steps {
            0..=MOST_STEPS => Ok(()),
            _ => {
                let (item, limit) = ("the number of steps of the tokenizer".into(), MOST_STEPS as u64);
                Err(Error::Absurd { file: self.file.into(), item, found: steps as u64, limit })
            }
        }
    }

    /// Refuses a token to which `item` gives another id than it has.
    pub(super) fn same_id(&self, item: &str, token: &added::AddedToken, found: u32) -> Result<()> {
        match token.id == found {
            true => Ok(()),
            false => {
                let expected =
                    format!("`{}` with the id {}, which it has elsewhere", token.content, token.id);
                Err(self.malformed(item, expected, found.to_string()))
            }
        }
    }

    pub(super) fn flag(&self, value: &Value, key: &str, default: bool) -> Result<bool> {
        match &value[key] {
            Value::Null => Ok(default),
            Value::Bool(flag) => Ok(*flag),
            other => Err(self.malformed(key, "true or false", shown(other))),
        }
    }

    /// `pattern` of a step: `{"String": …}` or `{"Regex": …}`.
    pub(super) fn pattern(&self, value: &Value) -> Result<Pattern> {
        match (value["pattern"]["String"].as_str(), value["pattern"]["Regex"].as_str()) {
            (Some(text), None) if !text.is_empty() => Ok(Pattern::Text(text.into())),
            (None, Some(pattern)) => Pattern::regex(self.file, pattern),
            _ => Err(self.malformed("pattern", "a String or a Regex", shown(&value["pattern"]))),
        }
    }
}

/// The beginning of a value, as messages show it.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
