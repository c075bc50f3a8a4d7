//! The model: byte-pair encoding by the `tokenizers` crate, after everything was checked on which that crate panics.

use super::keys::{Reading, shown};
use crate::error::Result;
use serde_json::Value;
use tokenizers::models::bpe::{BPE, Merges, Vocab};

/// The longest prefix of subwords and suffix of words, in bytes.
const LONGEST_AFFIX: usize = 64;

/// The parts of a BPE model.
#[derive(Default)]
pub(super) struct Parts {
    pub vocab: Vocab,
    pub merges: Merges,
    pub options: Options,
}

/// The options of a BPE model, by their names in tokenizer.json.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub unk_token: Option<String>,
    pub continuing_subword_prefix: Option<String>,
    pub end_of_word_suffix: Option<String>,
    pub fuse_unk: bool,
    pub byte_fallback: bool,
    pub ignore_merges: bool,
}

impl Options {
    /// Takes the value of `key`, or refuses it.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::error::Error::Malformed) for a value of another type.
    pub(super) fn set(&mut self, reading: &Reading, key: &str, value: &Value) -> Result<()> {
        let text = || match value {
            Value::Null => Ok(None),
            Value::String(text) if text.len() <= LONGEST_AFFIX => Ok(Some(text.clone())),
            other => {
                let expected = format!("a text of at most {LONGEST_AFFIX} bytes, or null");
                Err(reading.malformed(key, expected, shown(other)))
            }
        };
        let flag = || match value {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            other => Err(reading.malformed(key, "true or false", shown(other))),
        };
        match key {
            "unk_token" => self.unk_token = text()?,
            "continuing_subword_prefix" => {
                self.continuing_subword_prefix = text()?.filter(|prefix| !prefix.is_empty());
            }
            "end_of_word_suffix" => self.end_of_word_suffix = text()?.filter(|suffix| !suffix.is_empty()),
            "fuse_unk" => self.fuse_unk = flag()?,
            "byte_fallback" => self.byte_fallback = flag()?,
            "ignore_merges" => self.ignore_merges = flag()?,
            _ => reading.neutral(key, value)?,
        }
        Ok(())
    }
}

impl Parts {
    /// The model.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::error::Error::Malformed) where merges and vocabulary do not belong together.
    pub(super) fn build(self, reading: &Reading, item: &str) -> Result<BPE> {
        let Options { unk_token, continuing_subword_prefix, end_of_word_suffix, .. } = self.options;
        if let Some(prefix) = &continuing_subword_prefix {
            // The crate cuts the second token of a merge by the prefix's length, whatever it begins with.
            if let Some((left, right)) =
                self.merges.iter().find(|(_, right)| !right.starts_with(prefix.as_str()))
            {
                let expected =
                    format!("`continuing_subword_prefix` `{prefix}` before each merge's second token");
                return Err(reading.malformed("merges", expected, format!("`{left} {right}`")));
            }
        }
        let mut builder = BPE::builder()
            .vocab_and_merges(self.vocab, self.merges)
            .fuse_unk(self.options.fuse_unk)
            .byte_fallback(self.options.byte_fallback)
            .ignore_merges(self.options.ignore_merges);
        if let Some(unk_token) = unk_token {
            builder = builder.unk_token(unk_token);
        }
        if let Some(prefix) = continuing_subword_prefix {
            builder = builder.continuing_subword_prefix(prefix);
        }
        if let Some(suffix) = end_of_word_suffix {
            builder = builder.end_of_word_suffix(suffix);
        }
        builder
            .build()
            .map_err(|e| reading.malformed(item, "pairs of tokens that make a token", e.to_string()))
    }
}
