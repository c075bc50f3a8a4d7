//! Byte-pair encoding by scores, as SentencePiece (`llama`, Gemma) and tiktoken (tekken) have it: of all neighbors whose
//! text is a token, those with the best score are joined first, and the leftmost of equal ones. The `tokenizers` crate
//! needs a list of merges for it, which is several times as long as the vocabulary.

use super::pieces::Pieces;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A stretch of the text that is not cut any more, and its neighbors.
#[derive(Clone, Copy)]
struct Symbol {
    start: usize,
    /// As `start` once it is joined to its left neighbor.
    end: usize,
    before: usize,
    after: usize,
}

/// No neighbor.
const NONE: usize = usize::MAX;

/// Two neighbors whose text is a token.
struct Pair {
    score: f64,
    left: usize,
    right: usize,
    /// Where the text of both begins and ends: another one says that they have changed since.
    start: usize,
    end: usize,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |pair: &Self| Reverse((pair.start, pair.end));
        self.score.total_cmp(&other.score).then_with(|| key(self).cmp(&key(other)))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Pair {}

/// Adds the ids of `text`. `None`: the model lacks a token for a part of it.
pub(super) fn ids(pieces: &Pieces, text: &str, ids: &mut Vec<u32>) -> Option<()> {
    // 1. Characters.
    let mut symbols: Vec<Symbol> = Vec::new();
    for (index, (start, c)) in text.char_indices().enumerate() {
        let before = index.checked_sub(1).unwrap_or(NONE);
        symbols.push(Symbol { start, end: start + c.len_utf8(), before, after: index + 1 });
    }
    if let Some(last) = symbols.last_mut() {
        last.after = NONE;
    }

    // 2. Join the best neighbors until there are none.
    let mut pairs = BinaryHeap::new();
    let push = |symbols: &[Symbol], left: usize, right: usize, pairs: &mut BinaryHeap<Pair>| {
        if left != NONE && right != NONE {
            let (start, end) = (symbols[left].start, symbols[right].end);
            if let Some(id) = pieces.id_of(&text[start..end]) {
                pairs.push(Pair { score: pieces.score(id), left, right, start, end });
            }
        }
    };
    for right in 1..symbols.len() {
        push(&symbols, right - 1, right, &mut pairs);
    }
    while let Some(Pair { left, right, start, end, .. }) = pairs.pop() {
        let [Symbol { before, .. }, second] = [symbols[left], symbols[right]];
        let changed = symbols[left].start != start
            || symbols[left].end != second.start
            || symbols[left].end == start
            || second.end != end
            || second.start == second.end;
        if changed {
            continue;
        }
        symbols[left].end = end;
        symbols[left].after = second.after;
        symbols[right].start = end;
        if second.after != NONE {
            symbols[second.after].before = left;
        }
        push(&symbols, before, left, &mut pairs);
        push(&symbols, left, second.after, &mut pairs);
    }

    // 3. The tokens. Neighbors without one are one unknown stretch.
    let mut unknown = 0..0;
    let mut at = if symbols.is_empty() { NONE } else { 0 };
    while at != NONE {
        let Symbol { start, end, after, .. } = symbols[at];
        match pieces.id_of(&text[start..end]) {
            Some(id) => {
                flush(pieces, text, &mut unknown, ids)?;
                ids.push(id);
            }
            None if unknown.is_empty() => unknown = start..end,
            None => unknown.end = end,
        }
        at = after;
    }
    flush(pieces, text, &mut unknown, ids)
}

/// Adds the ids of the unknown stretch that waits, if there is one.
fn flush(
    pieces: &Pieces,
    text: &str,
    unknown: &mut std::ops::Range<usize>,
    ids: &mut Vec<u32>,
) -> Option<()> {
    let stretch = &text[std::mem::take(unknown)];
    if stretch.is_empty() { Some(()) } else { pieces.push_unknown(stretch, ids) }
}
