//! Bytes -> UTF-8 -> JSON -> a type, for every file of the benchmark: data sets, reports and lists of scores. Each
//! fault says where it is, what was expected and what was found; the callers add what the file is not. (A data set is
//! parsed into `data::json`, which sees repeated keys.)

use crate::format::sniff;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The largest file that is read, in bytes. The published data set has some 7 MB, a report on all of it some 20 MB.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// The first thing that is wrong with a file.
pub(crate) struct Fault {
    /// The place: a path, a line and column, a row.
    pub item: String,
    /// The thing that should stand there.
    pub expected: &'static str,
    /// The thing that stands there.
    pub found: String,
}

impl Fault {
    /// `item` is `found`, but should be `expected`.
    pub(crate) fn new(item: impl Into<String>, expected: &'static str, found: impl Into<String>) -> Self {
        Self { item: item.into(), expected, found: found.into() }
    }

    /// The syntax error of a JSON text.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        Self::new(format!("line {}, column {}", error.line(), error.column()), "JSON", reason(error))
    }
}

/// The UTF-8 text in `bytes`, without its byte order mark; of 64 MiB at most.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Fault> {
    if let Some(found) = sniff::foreign(bytes).filter(|_| !bytes.is_empty()) {
        return Err(Fault::new("the content", "UTF-8 text", found));
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Fault::new("its size", "at most 64 MiB", format!("{} bytes or more", bytes.len())));
    }
    let bytes = sniff::without_mark(bytes);
    std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        Fault::new("the encoding", "UTF-8", format!("byte 0x{:02x} at {at}", bytes[at]))
    })
}

/// The JSON value in `text`.
pub(crate) fn json(text: &str) -> Result<Value, Fault> {
    serde_json::from_str(text).map_err(|e| {
        let fault = Fault::json(&e);
        match not_finite(text, e.line(), e.column()) {
            Some(word) => Fault::new(fault.item, "a finite number", word),
            None => fault,
        }
    })
}

/// `value` as `T`, which is described as `expected`; `item` says where it is.
pub(crate) fn typed<T: DeserializeOwned>(
    item: &str,
    value: Value,
    expected: &'static str,
) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(|e| Fault::new(item, expected, reason(&e)))
}

/// The message of a JSON error, without its place.
fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    format!("an error: {}", message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason))
}

/// The word that Python's `json` writes for a number that is not finite, if the parser stopped at one: it stops within
/// the first two bytes of the word.
fn not_finite(text: &str, line: usize, column: usize) -> Option<&'static str> {
    let line = text.split('\n').nth(line.checked_sub(1)?)?;
    let before = column.saturating_sub(2)..column;
    let starts =
        |word: &&str| before.clone().any(|at| line.get(at..).is_some_and(|rest| rest.starts_with(*word)));
    ["-Infinity", "Infinity", "NaN"].into_iter().find(starts)
}
