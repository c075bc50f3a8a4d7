//! Unigram: of all ways to cut a piece of text into tokens, the one whose scores have the largest sum. Viterbi in f64, from
//! the left, the first of equal ones staying, as the `tokenizers` crate computes it.

use super::pieces::Pieces;
use std::ops::Range;

/// How much worse than the worst token a character without one is.
const UNKNOWN_PENALTY: f64 = 10.0;
/// The longest token, in bytes: it bounds the tokens that can begin at one place.
pub(super) const LONGEST_TOKEN: usize = 256;

/// The best way to a place in the text: its score, and its last token.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    /// `usize::MAX` where no way is known.
    from: usize,
    id: Option<u32>,
}

/// Adds the ids of `text`; neighboring characters without a token are one unknown stretch. `None`: the model lacks a token
/// for it.
pub(super) fn ids(pieces: &Pieces, text: &str, ids: &mut Vec<u32>) -> Option<()> {
    // 1. The best way to each place.
    let mut best = vec![Best { score: 0.0, from: usize::MAX, id: None }; text.len() + 1];
    let unknown_score = pieces.lowest() - UNKNOWN_PENALTY;
    for (at, c) in text.char_indices() {
        let before = best[at].score;
        let mut reach = |length: usize, score: f64, id: Option<u32>| {
            let (place, score) = (&mut best[at + length], before + score);
            if place.from == usize::MAX || score > place.score {
                *place = Best { score, from: at, id };
            }
        };
        let mut has_single = false;
        pieces.prefixes(&text.as_bytes()[at..], |length, id| {
            reach(length, pieces.score(id), Some(id).filter(|id| pieces.unknown() != Some(*id)));
            has_single |= length == c.len_utf8();
        });
        if !has_single {
            reach(c.len_utf8(), unknown_score, None);
        }
    }

    // 2. Back from the end.
    let mut path: Vec<(Range<usize>, Option<u32>)> = Vec::new();
    let mut end = text.len();
    while end > 0 {
        let Best { from, id, .. } = best[end];
        match path.last_mut() {
            Some((range, None)) if id.is_none() => range.start = from,
            _ => path.push((from..end, id)),
        }
        end = from;
    }
    path.into_iter().rev().try_for_each(|(range, id)| {
        let stretch = &text[range];
        match id.or_else(|| pieces.id_of(stretch)) {
            Some(id) => ids.push(id),
            None => pieces.push_unknown(stretch, ids)?,
        }
        Some(())
    })
}
