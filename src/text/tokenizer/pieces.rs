//! A vocabulary of pieces with scores, as SentencePiece and tekken have it: the texts end to end, and the order of those
//! that a text can become. The `tokenizers` crate keeps such a vocabulary in a tree of hash maps, which takes more than 146 MB
//! for UMT5's 256,300 pieces, and goes as deep as the longest piece when it is freed.

use super::keys::Reading;
use crate::error::{Error, Result};
use std::cmp::Reverse;

/// The most pieces: real models have up to 262,144.
pub(super) const MOST_PIECES: usize = 1 << 20;

/// One piece of a vocabulary; its number in the list is its id.
pub(super) struct Piece {
    pub text: String,
    pub score: f64,
    /// Whether a text can become it.
    pub reachable: bool,
}

/// The pieces of a vocabulary, by id and by text.
#[derive(Debug)]
pub(super) struct Pieces {
    texts: String,
    /// Where the text of each id ends.
    ends: Vec<u32>,
    scores: Vec<f64>,
    /// The ids of the pieces that can be reached, in the order of their texts' bytes; of twins the last.
    order: Vec<u32>,
    longest: usize,
    lowest: f64,
    /// The token for what no piece holds.
    unknown: Option<u32>,
    /// The tokens `<0x00>` to `<0xFF>`, where unknown text becomes its bytes.
    bytes: Option<Vec<Option<u32>>>,
}

impl Pieces {
    /// Takes the pieces of `file`, with the id of the unknown token.
    ///
    /// # Errors
    /// [`Error::Absurd`] for more pieces than any model has, [`Error::Malformed`] for a score that is no number or an
    /// unknown token that is none of them.
    pub(super) fn new(
        reading: &Reading,
        list: Vec<Piece>,
        unknown: Option<u32>,
        byte_fallback: bool,
    ) -> Result<Self> {
        let count = list.len();
        if count > MOST_PIECES {
            let (file, item) = (reading.file.into(), "the number of pieces of the tokenizer".into());
            return Err(Error::Absurd { file, item, found: count as u64, limit: MOST_PIECES as u64 });
        }
        if let Some(id) = unknown.filter(|&id| id as usize >= count) {
            return Err(reading.malformed("unk_id", format!("an id below {count}"), id.to_string()));
        }
        let mut pieces = Self {
            texts: String::with_capacity(list.iter().map(|piece| piece.text.len()).sum()),
            ends: Vec::with_capacity(count),
            scores: Vec::with_capacity(count),
            order: Vec::with_capacity(count),
            longest: 0,
            lowest: f64::INFINITY,
            unknown,
            bytes: None,
        };
        for (Piece { text, score, reachable }, id) in list.into_iter().zip(0..) {
            if !score.is_finite() {
                let found = format!("`{text}` with {score}");
                return Err(reading.malformed("vocab", "a finite score for each piece", found));
            }
            pieces.texts.push_str(&text);
            pieces.ends.push(pieces.texts.len() as u32);
            pieces.scores.push(score);
            if reachable && !text.is_empty() {
                pieces.order.push(id);
                pieces.longest = pieces.longest.max(text.len());
            }
            if reachable {
                pieces.lowest = pieces.lowest.min(score);
            }
        }
        let mut order = std::mem::take(&mut pieces.order);
        order.sort_unstable_by_key(|&id| (pieces.text(id), Reverse(id)));
        order.dedup_by_key(|id| pieces.text(*id));
        pieces.order = order;
        pieces.bytes = byte_fallback.then(|| (0..=255).map(|byte| pieces.byte_token(byte)).collect());
        Ok(pieces)
    }

    /// The id of `<0x41>`, whether a text can become it or not.
    fn byte_token(&self, byte: u8) -> Option<u32> {
        let name = format!("<0x{byte:02X}>");
        self.id_of(&name).or_else(|| (0..self.ends.len() as u32).rfind(|&id| self.text(id) == name))
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of the piece `id`, which is one.
    pub(super) fn text(&self, id: u32) -> &str {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.texts[start as usize..self.ends[id] as usize]
    }

    /// The text of the piece `id`.
    pub(super) fn get(&self, id: u32) -> Option<&str> {
        ((id as usize) < self.len()).then(|| self.text(id))
    }

    pub(super) fn score(&self, id: u32) -> f64 {
        self.scores[id as usize]
    }

    /// The lowest score of a piece that can be reached.
    pub(super) fn lowest(&self) -> f64 {
        self.lowest
    }

    pub(super) fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// Whether unknown text becomes its bytes.
    pub(super) fn has_bytes(&self) -> bool {
        self.bytes.is_some()
    }

    /// The id of the piece that is `text`.
    pub(super) fn id_of(&self, text: &str) -> Option<u32> {
        if text.len() > self.longest {
            return None;
        }
        let at = self.order.binary_search_by(|&id| self.text(id).cmp(text)).ok()?;
        Some(self.order[at])
    }

    /// Gives the length and the id of each piece that `text` begins with, the shortest first.
    pub(super) fn prefixes(&self, text: &[u8], mut visit: impl FnMut(usize, u32)) {
        let mut among = &self.order[..];
        for (depth, &byte) in text.iter().enumerate() {
            // A piece that ends here stands before those that go on.
            let at = |id: u32| self.text(id).as_bytes().get(depth).copied();
            among = &among[leading(among.len(), |place| at(among[place]) < Some(byte))..];
            let last = among.len().saturating_sub(1);
            let above = leading(among.len(), |place| at(among[last - place]) > Some(byte));
            among = &among[..among.len() - above];
            match among.first() {
                Some(&id) if self.text(id).len() == depth + 1 => visit(depth + 1, id),
                Some(_) => {}
                None => return,
            }
        }
    }

    /// The ids for a stretch that no piece holds: its bytes, where each has a token, else the unknown token.
    pub(super) fn push_unknown(&self, text: &str, ids: &mut Vec<u32>) -> Option<()> {
        let of_bytes = |tokens: &Vec<Option<u32>>| text.bytes().map(|byte| tokens[byte as usize]).collect();
        match self.bytes.as_ref().and_then(of_bytes) {
            Some(bytes) => ids.extend::<Vec<u32>>(bytes),
            None => ids.push(self.unknown?),
        }
        Some(())
    }
}

/// How many of `count` places, from the first on, `holds` is true for: in steps that double, so that few cost little.
fn leading(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut known, mut step) = (0, 1);
    while known + step <= count && holds(known + step - 1) {
        (known, step) = (known + step, step * 2);
    }
    let mut end = count.min(known + step - 1);
    while known < end {
        let middle = known.midpoint(end);
        match holds(middle) {
            true => known = middle + 1,
            false => end = middle,
        }
    }
    known
}
