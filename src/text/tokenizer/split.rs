//! The pre-tokenizers that real tokenizers have: they cut a text into the pieces that are merged on their own. Others
//! are refused by name. Pieces are made one by one, so that a long text is split only as far as it is used.

use super::keys::{Place, Reading};
use super::pattern::{BLANKS, GPT2_PATTERN, Pattern, Span, known};
use crate::error::Result;
use serde_json::Value;
use std::borrow::Cow;
use std::ops::{ControlFlow, Range};
use std::sync::LazyLock;

/// What becomes of the matches of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behavior {
    Isolated,
    Removed,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

/// Where the sign for a blank is put that no blank stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prepend {
    First,
    Never,
    Always,
}

/// A step from a text to its pieces.
#[derive(Debug)]
pub(super) enum Splitter {
    Split {
        pattern: Pattern,
        behavior: Behavior,
        invert: bool,
    },
    /// Writes each byte as a letter; `gpt2` splits by GPT-2's pattern before.
    ByteLevel {
        add_prefix_space: bool,
        gpt2: bool,
    },
    Metaspace {
        replacement: char,
        prepend: Prepend,
        split: bool,
    },
}

/// The letter for each byte, as GPT-2 writes them.
static LETTERS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 256;
    std::array::from_fn(|byte| match byte as u32 {
        plain @ (33..=126 | 161..=172 | 174..=255) => char::from_u32(plain).unwrap_or_default(),
        _ => {
            next += 1;
            char::from_u32(next - 1).unwrap_or_default()
        }
    })
});

/// Each byte as a letter.
pub(super) fn letters(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| LETTERS[byte as usize]).collect()
}

impl Splitter {
    /// The steps that `value`, the `pre_tokenizer` of a tokenizer.json, describes.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::error::Error::Malformed) for a pre-tokenizer that is not in the list.
    pub(super) fn read(reading: &mut Reading, value: &Value) -> Result<Vec<Self>> {
        reading.steps(value, (Place::PreTokenizer, "pre_tokenizer", "pretokenizers"), Self::one)
    }

    /// The step of the type `kind`.
    fn one(reading: &mut Reading, kind: &str, value: &Value) -> Result<Self> {
        Ok(match kind {
            "ByteLevel" => Self::ByteLevel {
                add_prefix_space: reading.flag(value, "add_prefix_space", true)?,
                gpt2: reading.flag(value, "use_regex", true)?,
            },
            "Digits" => {
                let behavior = match reading.flag(value, "individual_digits", false)? {
                    true => Behavior::Isolated,
                    false => Behavior::Contiguous,
                };
                Self::Split { pattern: Pattern::Numeric, behavior, invert: false }
            }
            "Split" => Self::Split {
                pattern: reading.pattern(value)?,
                behavior: behavior(reading, value)?,
                invert: reading.flag(value, "invert", false)?,
            },
            "WhitespaceSplit" => {
                let pattern = Pattern::regex(reading.file, BLANKS)?;
                Self::Split { pattern, behavior: Behavior::Removed, invert: false }
            }
            "Metaspace" => Self::metaspace(reading, value)?,
            other => {
                let expected = "ByteLevel, Digits, Metaspace, Split, WhitespaceSplit or a Sequence of them";
                return Err(reading.malformed("pre_tokenizer", expected, format!("`{other}`")));
            }
        })
    }

    fn metaspace(reading: &Reading, value: &Value) -> Result<Self> {
        let mut signs = value["replacement"].as_str().unwrap_or_default().chars();
        let (Some(replacement), None) = (signs.next(), signs.next()) else {
            let found = super::keys::shown(&value["replacement"]);
            return Err(reading.malformed("pre_tokenizer", "`replacement` with one character", found));
        };
        let before = reading.flag(value, "add_prefix_space", true)?;
        let prepend = match value["prepend_scheme"].as_str() {
            Some("first") if before => Prepend::First,
            Some("always") if before => Prepend::Always,
            Some("never") => Prepend::Never,
            None if value["prepend_scheme"].is_null() && before => Prepend::Always,
            None if value["prepend_scheme"].is_null() => Prepend::Never,
            _ => {
                let expected = "`prepend_scheme` first, never or always that agrees with `add_prefix_space`";
                let found = super::keys::shown(&value["prepend_scheme"]);
                return Err(reading.malformed("pre_tokenizer", expected, found));
            }
        };
        Ok(Self::Metaspace { replacement, prepend, split: reading.flag(value, "split", true)? })
    }

    /// As [`Pattern::is_local`].
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Split { pattern, behavior, invert } => {
                let whole = *behavior == Behavior::Isolated || (*behavior == Behavior::Removed && *invert);
                pattern.is_local() && (whole || matches!(pattern, Pattern::Numeric))
            }
            Self::ByteLevel { .. } => true,
            Self::Metaspace { .. } => false,
        }
    }

    /// Gives the pieces of `text` to `visit` until it breaks. `first`: the text has nothing before it.
    fn pieces(
        &self,
        file: &str,
        text: &str,
        first: bool,
        visit: &mut dyn FnMut(&str, bool) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        match self {
            Self::Split { pattern, behavior, invert } => {
                let spans = pattern.spans(file, text).map(|span| span.map(|(at, hit)| (at, hit != *invert)));
                merged(text, first, spans, *behavior, visit)
            }
            Self::ByteLevel { add_prefix_space, gpt2 } => {
                let text = match *add_prefix_space && !text.starts_with(' ') {
                    true => Cow::Owned(format!(" {text}")),
                    false => Cow::Borrowed(text),
                };
                let mut written = |piece: &str, first| visit(&letters(piece.as_bytes()), first);
                match GPT2_PATTERN.as_ref().filter(|_| *gpt2) {
                    Some(regex) => {
                        let spans = known(regex, file, &text).map(|found| Ok((found?, true)));
                        merged(&text, first, spans, Behavior::Isolated, &mut written)
                    }
                    None => written(&text, first),
                }
            }
            Self::Metaspace { replacement, prepend, split } => {
                let sign = replacement.to_string();
                let mut text = text.replace(' ', &sign);
                let wanted = *prepend == Prepend::Always || (*prepend == Prepend::First && first);
                if wanted && !text.starts_with(*replacement) {
                    text.insert(0, *replacement);
                }
                match split {
                    true => {
                        let pattern = Pattern::Text(sign);
                        merged(&text, first, pattern.spans(file, &text), Behavior::MergedWithNext, visit)
                    }
                    false => visit(&text, first),
                }
            }
        }
    }
}

/// Gives the pieces of `text` after all `steps` to `visit` until it breaks.
pub(super) fn split(
    steps: &[Splitter],
    file: &str,
    text: &str,
    first: bool,
    visit: &mut dyn FnMut(&str) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    match steps {
        _ if text.is_empty() => Ok(ControlFlow::Continue(())),
        [] => visit(text),
        [step, rest @ ..] => {
            step.pieces(file, text, first, &mut |piece, first| split(rest, file, piece, first, visit))
        }
    }
}

/// Joins neighboring spans as `behavior` says, and visits each of them.
fn merged(
    text: &str,
    first: bool,
    spans: impl Iterator<Item = Result<Span>>,
    behavior: Behavior,
    visit: &mut dyn FnMut(&str, bool) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    let mut last: Option<(Range<usize>, bool)> = None;
    for span in spans {
        let (range, hit) = span?;
        if behavior == Behavior::Removed && hit {
            continue;
        }
        match &mut last {
            Some((joined, before)) if joins(behavior, *before, hit) => {
                (joined.end, *before) = (range.end, hit);
            }
            _ => {
                if let Some((range, _)) = last.replace((range, hit))
                    && visit(&text[range.clone()], first && range.start == 0)?.is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }
    match last {
        Some((range, _)) => visit(&text[range.clone()], first && range.start == 0),
        None => Ok(ControlFlow::Continue(())),
    }
}

/// Whether a span is one piece with the one `before` it; both are said by whether they match.
fn joins(behavior: Behavior, before: bool, hit: bool) -> bool {
    match behavior {
        Behavior::Isolated | Behavior::Removed => false,
        Behavior::MergedWithPrevious => hit && !before,
        Behavior::MergedWithNext => before && !hit,
        Behavior::Contiguous => before == hit,
    }
}

fn behavior(reading: &Reading, value: &Value) -> Result<Behavior> {
    Ok(match value["behavior"].as_str() {
        Some("Isolated") => Behavior::Isolated,
        Some("Removed") => Behavior::Removed,
        Some("MergedWithPrevious") => Behavior::MergedWithPrevious,
        Some("MergedWithNext") => Behavior::MergedWithNext,
        Some("Contiguous") => Behavior::Contiguous,
        _ => {
            let expected = "`behavior` Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous";
            return Err(reading.malformed("pre_tokenizer", expected, super::keys::shown(&value["behavior"])));
        }
    })
}
