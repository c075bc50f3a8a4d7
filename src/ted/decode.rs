//! Bytes -> UTF-8 -> JSON -> a type; each fault says where it is, what was expected and what was found.
//! For `import` and `leaderboard`, which say what the file is not. (A data set has `json`.)

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A report on all of TED-6K has some 20 MB.
const MAX_BYTES: usize = 64 << 20;

/// What is wrong with a file.
pub struct Fault {
    pub item: String,
    pub expected: &'static str,
    pub found: String,
}

impl Fault {
    /// `item` should be `expected`.
    pub fn new(item: impl Into<String>, expected: &'static str, found: impl Into<String>) -> Self {
        Self { item: item.into(), expected, found: found.into() }
    }
}

/// The text in `bytes`, without its byte order mark.
pub fn text(bytes: &[u8]) -> Result<&str, Fault> {
    if bytes.len() > MAX_BYTES {
        return Err(Fault::new("its size", "at most 64 MiB", format!("{} bytes", bytes.len())));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        Fault::new("the encoding", "UTF-8", format!("byte 0x{:02x} at {at}", bytes[at]))
    })
}

/// The JSON value in `text`.
pub fn json(text: &str) -> Result<Value, Fault> {
    serde_json::from_str(text).map_err(|e| {
        let item = format!("line {}, column {}", e.line(), e.column());
        match not_finite(text, e.line(), e.column()) {
            Some(word) => Fault::new(item, "a finite number", word),
            None => Fault::new(item, "JSON", reason(&e)),
        }
    })
}

/// `value` as `T`, which is described as `expected`; `item` says where it is.
pub fn typed<T: DeserializeOwned>(item: &str, value: Value, expected: &'static str) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(|e| Fault::new(item, expected, reason(&e)))
}

/// The fault without its place.
fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    format!("an error: {}", message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason))
}

/// What Python's `json` writes where a number is none; the parser stops within its first two bytes.
fn not_finite(text: &str, line: usize, column: usize) -> Option<&'static str> {
    let line = text.split('\n').nth(line.checked_sub(1)?)?;
    let before = column.saturating_sub(2)..column;
    let starts =
        |word: &&str| before.clone().any(|at| line.get(at..).is_some_and(|rest| rest.starts_with(*word)));
    ["-Infinity", "Infinity", "NaN"].into_iter().find(starts)
}
