//! SentencePiece's table of characters (`precompiled_charsmap`): a trie as a double array, and the texts that it points to.
//! The `tokenizers` crate applies it, after everything was checked on which that crate panics.
//!
//! ```text
//! length of the trie in bytes (u32) | trie: units of 32 bits | texts, each of them ended by a zero byte
//! ```

use super::keys::Reading;
use crate::error::Result;
use tokenizers::normalizers::Precompiled;

/// The longest table, in bytes: that of NFKC has some 240,000.
const LONGEST_TABLE: usize = 2 << 20;
/// The longest text that a character becomes, in bytes: that of U+FDFA has 33.
const LONGEST_TEXT: usize = 256;

/// A table that was checked.
#[derive(Debug)]
pub(super) struct Charsmap(Precompiled);

impl Charsmap {
    /// The table that `bytes` hold.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::error::Error::Malformed) for a table that is longer than any real one, or points out
    /// of itself.
    pub(super) fn new(reading: &Reading, bytes: &[u8]) -> Result<Self> {
        let refused = |found: &str| {
            let expected = format!("a table of at most {LONGEST_TABLE} bytes that stays within itself");
            reading.malformed("precompiled_charsmap", expected, found)
        };
        if bytes.len() > LONGEST_TABLE {
            return Err(refused(&format!("{} bytes", bytes.len())));
        }
        check(bytes).map_err(refused)?;
        Precompiled::from(bytes).map(Self).map_err(|e| refused(&e.to_string()))
    }

    /// `text` with each character, or group of them, as the table writes it.
    pub(super) fn apply(&self, text: &str) -> String {
        self.0.normalize_string(text)
    }
}

/// Walks the whole trie: no step leaves it, and each value is the place of a short text.
fn check(bytes: &[u8]) -> Result<(), &'static str> {
    // 1. Trie and texts.
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Err("no table") };
    let length = u32::from_le_bytes(*length) as usize / 4 * 4;
    let Some((trie, texts)) = rest.split_at_checked(length) else { return Err("a trie that is not whole") };
    let units: Vec<u32> = trie.as_chunks::<4>().0.iter().map(|&unit| u32::from_le_bytes(unit)).collect();
    let Ok(texts) = std::str::from_utf8(texts) else { return Err("texts that are not UTF-8") };
    let Some(&root) = units.first() else { return Err("a trie without units") };

    // 2. Each node: what its children are counted from.
    let offset = |unit: u32| ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize;
    let is_text = |at: usize| {
        let rest = texts.get(at..)?;
        let end = rest.bytes().take(LONGEST_TEXT + 1).position(|byte| byte == 0);
        end.or((rest.len() <= LONGEST_TEXT).then_some(rest.len()))
    };
    let mut seen = vec![false; units.len()];
    let mut waiting = vec![offset(root)];
    while let Some(node) = waiting.pop() {
        if node | 0xff >= units.len() {
            return Err("a step out of the trie");
        }
        if std::mem::replace(&mut seen[node], true) {
            continue;
        }
        for byte in 1..=255 {
            let at = node ^ byte;
            let unit = units[at];
            if unit & (1 << 31 | 0xff) != byte as u32 {
                continue;
            }
            let child = at ^ offset(unit);
            if unit & 1 << 8 != 0 {
                let value = units.get(child).ok_or("a step out of the trie")?;
                is_text((value & !(1 << 31)) as usize).ok_or("a place that is none of a short text")?;
            }
            waiting.push(child);
        }
    }
    Ok(())
}
