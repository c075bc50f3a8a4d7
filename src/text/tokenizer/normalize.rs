//! The normalizers that real tokenizers have. Others are refused by name.

use super::base64;
use super::charsmap::Charsmap;
use super::keys::{Place, Reading, shown};
use super::pattern::{BLANKS, Pattern};
use crate::error::Result;
use serde_json::Value;
use std::borrow::Cow;
use tokenizers::NormalizedString;

/// The longest text that a step puts in the place of another, in bytes.
const LONGEST_CONTENT: usize = 64;
/// Bytes that are normalized at once, where a text allows it: the `tokenizers` crate takes 16 bytes for each.
const CHUNK: usize = 4096;

/// A step from the raw text to the text that is split.
#[derive(Debug)]
pub(super) enum Normalizer {
    /// One of Unicode's normal forms.
    Form(Form),
    Lowercase,
    /// A table of characters and what they become.
    Charsmap(Box<Charsmap>),
    /// Cuts blanks off.
    Strip {
        left: bool,
        right: bool,
    },
    /// A text that is put before each stretch between added tokens.
    Prepend(String),
    /// Each match of the pattern becomes `content`.
    Replace {
        pattern: Pattern,
        blanks: bool,
        content: String,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

impl Normalizer {
    /// The steps that `value`, the `normalizer` of a tokenizer.json, describes.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::error::Error::Malformed) for a normalizer that is not in the list.
    pub(super) fn read(reading: &mut Reading, value: &Value) -> Result<Vec<Self>> {
        reading.steps(value, (Place::Normalizer, "normalizer", "normalizers"), Self::one)
    }

    /// The step of the type `kind`.
    fn one(reading: &mut Reading, kind: &str, value: &Value) -> Result<Self> {
        Ok(match kind {
            "NFC" => Self::Form(Form::Nfc),
            "NFD" => Self::Form(Form::Nfd),
            "NFKC" => Self::Form(Form::Nfkc),
            "NFKD" => Self::Form(Form::Nfkd),
            "Lowercase" => Self::Lowercase,
            "Precompiled" => {
                let table = &value["precompiled_charsmap"];
                let bytes = table.as_str().and_then(base64::decode);
                let bytes = bytes.ok_or_else(|| {
                    reading.malformed("precompiled_charsmap", "a table in base64", shown(table))
                })?;
                Self::Charsmap(Box::new(Charsmap::new(reading, &bytes)?))
            }
            "Strip" => Self::Strip {
                left: reading.flag(value, "strip_left", true)?,
                right: reading.flag(value, "strip_right", true)?,
            },
            "Prepend" => Self::Prepend(content(reading, value, "prepend")?),
            "Replace" => {
                let blanks = value["pattern"]["Regex"] == BLANKS;
                let pattern = reading.pattern(value)?;
                Self::Replace { pattern, blanks, content: content(reading, value, "content")? }
            }
            other => {
                let expected = "NFC, NFD, NFKC, NFKD, Lowercase, Precompiled, Prepend, Replace, Strip or a Sequence of them";
                return Err(reading.malformed("normalizer", expected, format!("`{other}`")));
            }
        })
    }

    /// As [`Pattern::is_local`].
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Form(_) | Self::Lowercase => true,
            Self::Charsmap(_) | Self::Strip { .. } | Self::Prepend(_) => false,
            Self::Replace { blanks, .. } => *blanks,
        }
    }

    /// `text` after the step.
    ///
    /// # Errors
    /// Those of the pattern.
    pub(super) fn apply<'a>(&self, file: &str, text: Cow<'a, str>) -> Result<Cow<'a, str>> {
        Ok(match self {
            Self::Form(_) if text.is_ascii() => text,
            Self::Form(form) => form.apply(&text).into(),
            Self::Lowercase => text.chars().flat_map(char::to_lowercase).collect::<String>().into(),
            Self::Charsmap(charsmap) => charsmap.apply(&text).into(),
            Self::Strip { left, right } => {
                let mut kept = &*text;
                kept = if *left { kept.trim_start() } else { kept };
                kept = if *right { kept.trim_end() } else { kept };
                kept.to_owned().into()
            }
            Self::Prepend(_) if text.is_empty() => text,
            Self::Prepend(content) => format!("{content}{text}").into(),
            Self::Replace { pattern, content, .. } => {
                let mut replaced = String::with_capacity(text.len());
                for span in pattern.spans(file, &text) {
                    let (range, matched) = span?;
                    replaced.push_str(if matched { content } else { &text[range] });
                }
                replaced.into()
            }
        })
    }
}

impl Form {
    /// The normal form of `text`, chunk by chunk: nothing joins an ASCII character to what stands before it.
    fn apply(self, text: &str) -> String {
        let mut normal = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let bytes = rest.as_bytes();
            let cut = (CHUNK.min(bytes.len())..bytes.len()).find(|&at| bytes[at].is_ascii());
            let (chunk, after) = rest.split_at(cut.unwrap_or(rest.len()));
            let mut chunk = NormalizedString::from(chunk);
            let chunk = match self {
                Self::Nfc => chunk.nfc(),
                Self::Nfd => chunk.nfd(),
                Self::Nfkc => chunk.nfkc(),
                Self::Nfkd => chunk.nfkd(),
            };
            normal.push_str(chunk.get());
            rest = after;
        }
        normal
    }
}

/// A text that a step writes.
fn content(reading: &Reading, value: &Value, key: &str) -> Result<String> {
    match value[key].as_str() {
        Some(content) if content.len() <= LONGEST_CONTENT => Ok(content.into()),
        _ => {
            let expected = format!("`{key}` with a text of at most {LONGEST_CONTENT} bytes");
            Err(reading.malformed("normalizer", expected, shown(&value[key])))
        }
    }
}
