//! Patterns of strangers' tokenizers, bounded in time and memory: a pattern that gives up is an error, and never another
//! split. Called by `normalize` and `split`.

use crate::error::{Error, Result};
use fancy_regex::{Regex, RegexBuilder};
use std::ops::Range;
use std::sync::LazyLock;
use web_time::{Duration, Instant};

/// Qwen's split: contractions, words with the sign before them, single digits, signs, line ends, spaces.
pub(super) const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen3.5's split: as Qwen's, with marks among the letters.
pub(super) const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Llama 3's split: as Qwen's, with up to three digits in a piece.
pub(super) const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// GPT-2's split, which the step `ByteLevel` makes by itself.
pub(super) const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Mistral's split (tekken): words end where small letters are followed by a capital one.
pub(super) const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The split of GPT-4o and others after it.
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// CLIP's split.
pub(super) const CLIP: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
/// Runs of blanks, which CLIP's normalizer makes one.
pub(super) const BLANKS: &str = r"\s+";
/// Runs of spaces, which the normalizers of unigram models make one.
pub(super) const SPACES: &str = " {2,}";

/// The patterns that need few steps for each character, whatever the text. None of their matches goes on over a blank
/// after another character, and none looks past one: see [`Pattern::is_local`].
const KNOWN: [&str; 9] = [QWEN2, QWEN35, LLAMA3, GPT2, TEKKEN, O200K, CLIP, BLANKS, SPACES];

/// Steps back within one match of a pattern that is not known.
const STEPS: usize = 5_000;
/// The longest text, in bytes, that a pattern that is not known is asked to split.
const LONGEST_TEXT: usize = 32 << 10;
/// The longest pattern, in bytes.
const LONGEST_PATTERN: usize = 4096;
/// Bytes that a compiled part of a pattern that is not known may take.
const COMPILED: usize = 1 << 20;
/// The time that such a pattern may take on one text.
const TIME: Duration = Duration::from_millis(1000);

/// What a text is searched for.
#[derive(Debug)]
pub(super) enum Pattern {
    /// A text as it is.
    Text(String),
    /// One of [`KNOWN`].
    Known(Regex),
    /// Any other pattern, which is bounded.
    Unknown(Regex),
    /// A digit of any script.
    Numeric,
}

/// A stretch of a text, and whether the pattern matches it.
pub(super) type Span = (Range<usize>, bool);

/// GPT-2's pattern, compiled once for all tokenizers.
pub(super) static GPT2_PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(GPT2).ok());

impl Pattern {
    /// Compiles a regular expression of the tokenizer `file`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is none, is longer than any real one, or would take too much memory.
    pub(super) fn regex(file: &str, pattern: &str) -> Result<Self> {
        let refused = |found: String| {
            let expected = format!(
                "a regular expression of at most {LONGEST_PATTERN} bytes that compiles to at most 1 MiB"
            );
            Error::malformed(file, "the tokenizer's pattern", expected, found)
        };
        if pattern.len() > LONGEST_PATTERN {
            return Err(refused(format!("{} bytes", pattern.len())));
        }
        if KNOWN.contains(&pattern) {
            return Ok(Self::Known(Regex::new(pattern).map_err(|e| refused(e.to_string()))?));
        }
        let compiled = RegexBuilder::new(pattern)
            .backtrack_limit(STEPS)
            .delegate_size_limit(COMPILED)
            .delegate_dfa_size_limit(COMPILED)
            .build();
        compiled.map(Self::Unknown).map_err(|e| refused(format!("`{}`: {e}", shown(pattern))))
    }

    /// Whether a text may be cut before a blank that follows another character, without a change of what is matched on
    /// either side.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Known(_) | Self::Numeric)
    }

    /// The matches in `text` and the stretches between them, in order.
    pub(super) fn spans<'a>(
        &'a self,
        file: &'a str,
        text: &'a str,
    ) -> Box<dyn Iterator<Item = Result<Span>> + 'a> {
        let matches: Box<dyn Iterator<Item = Result<Range<usize>>>> = match self {
            Self::Text(part) => {
                Box::new(text.match_indices(&**part).map(|(at, found)| Ok(at..at + found.len())))
            }
            Self::Numeric => {
                let digits = text.char_indices().filter(|(_, c)| c.is_numeric());
                Box::new(digits.map(|(at, c)| Ok(at..at + c.len_utf8())))
            }
            Self::Known(regex) => Box::new(known(regex, file, text)),
            Self::Unknown(regex) => Box::new(bounded(regex, file, text)),
        };
        Box::new(Spans { matches, from: 0, end: text.len(), waiting: None })
    }
}

/// The matches of one of the known patterns.
pub(super) fn known<'a>(
    regex: &'a Regex,
    file: &'a str,
    text: &'a str,
) -> impl Iterator<Item = Result<Range<usize>>> + 'a {
    regex.find_iter(text).map(move |found| match found {
        Ok(found) => Ok(found.range()),
        Err(e) => {
            let unknown = !KNOWN.contains(&regex.as_str());
            let expected = "no stretch of more than a million characters of one kind".to_string();
            Err(gives_up(file, regex, if unknown { bounds() } else { expected }, e.to_string()))
        }
    })
}

/// The matches of a pattern that is not known: the text's length, the steps of a match and the time are bounded.
fn bounded<'a>(
    regex: &'a Regex,
    file: &'a str,
    text: &'a str,
) -> impl Iterator<Item = Result<Range<usize>>> + 'a {
    let too_long = (text.len() > LONGEST_TEXT)
        .then(|| Err(gives_up(file, regex, bounds(), format!("a text of {} bytes", text.len()))));
    let started = Instant::now();
    let matches = known(regex, file, text).map(move |found| match started.elapsed() {
        time if time > TIME => {
            Err(gives_up(file, regex, bounds(), format!("more than {} ms", TIME.as_millis())))
        }
        _ => found,
    });
    let end = if too_long.is_some() { 0 } else { usize::MAX };
    too_long.into_iter().chain(matches.take(end))
}

/// The bounds of a pattern that is not known, for messages.
fn bounds() -> String {
    let time = TIME.as_millis();
    format!("a split of at most {LONGEST_TEXT} bytes within {time} ms and {STEPS} steps back for each match")
}

/// The error of a pattern that cannot split a text.
fn gives_up(file: &str, regex: &Regex, expected: String, found: String) -> Error {
    Error::malformed(file, format!("the tokenizer's pattern `{}`", shown(regex.as_str())), expected, found)
}

/// The beginning of a pattern, as messages show it.
fn shown(pattern: &str) -> String {
    let short: String = pattern.chars().take(60).collect();
    if short.len() < pattern.len() { short + "…" } else { short }
}

/// Joins matches with the stretches between them.
struct Spans<'a> {
    matches: Box<dyn Iterator<Item = Result<Range<usize>>> + 'a>,
    from: usize,
    end: usize,
    /// A match that waits until the stretch before it is given.
    waiting: Option<Range<usize>>,
}

impl Iterator for Spans<'_> {
    type Item = Result<Span>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(found) = self.waiting.take() {
            return Some(Ok((found, true)));
        }
        let (from, end) = (self.from, self.end);
        match self.matches.next() {
            Some(Ok(found)) => {
                self.from = found.end;
                if found.start == from {
                    return Some(Ok((found, true)));
                }
                let between = from..found.start;
                self.waiting = Some(found);
                Some(Ok((between, false)))
            }
            Some(Err(error)) => Some(Err(error)),
            None if from < end => {
                self.from = end;
                Some(Ok((from..end, false)))
            }
            None => None,
        }
    }
}
