//! A text's way to its ids, no further than they are needed.

use super::added::Found;
use super::model::Model;
use super::normalize::Normalizer;
use super::split::split;
use super::{Encoded, Tokenizer};
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::ControlFlow;

/// The longest piece that is merged, in bytes.
const LONGEST_PIECE: usize = 1 << 20;
/// Bytes of a long text that are normalized and split at once, where the steps allow it.
const CHUNK: usize = 16 << 10;

impl Tokenizer {
    /// The first `max_length` token ids of `text`, with begin and end tokens, which are kept where a text is cut. A
    /// text without tokens of its own has these alone.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a tokenizer.json lacks the very token that it names for unknown text, or if its pattern
    /// cannot split the text within its bounds; [`Error::Absurd`] for a piece that is longer than any word.
    pub fn encode(&self, text: &str, max_length: usize) -> Result<Encoded> {
        let template = self.template();
        let room = max_length.saturating_sub(template.len());
        let mut ids = Vec::new();
        let limit = if self.cut_left { usize::MAX } else { room };
        self.raw.split(text, &mut |found| {
            match found {
                Found::Token(id) => ids.push(id),
                Found::Text(stretch) => {
                    let first = std::ptr::eq(stretch.as_ptr(), text.as_ptr());
                    self.stretch(stretch, first, limit, &mut ids)?;
                }
            }
            Ok(ids.len() <= limit)
        })?;
        let truncated = ids.len() > room;
        if self.cut_left {
            ids.drain(..ids.len().saturating_sub(room));
        }
        ids.truncate(room);
        if !template.is_empty() {
            ids.splice(0..0, template.begin.iter().map(|token| token.id));
            ids.extend(template.end.iter().map(|token| token.id));
            ids.truncate(max_length);
        }
        Ok(Encoded { ids, truncated })
    }

    /// Adds the ids of a stretch between added tokens, until there are more than `limit`. `first`: nothing stands before
    /// it.
    fn stretch(&self, text: &str, first: bool, limit: usize, ids: &mut Vec<u32>) -> Result<()> {
        let (mut rest, mut first) = (text, first);
        while !rest.is_empty() && ids.len() <= limit {
            let (chunk, after) = rest.split_at(if self.local { cut(rest) } else { rest.len() });
            let normal = normal(&self.normalizers, &self.file, chunk)?;
            self.normalized.split(&normal, &mut |found| {
                match found {
                    Found::Token(id) => ids.push(id),
                    Found::Text(part) => {
                        let first = first && std::ptr::eq(part.as_ptr(), normal.as_ptr());
                        let _ = split(&self.splitters, &self.file, part, first, &mut |piece| {
                            self.merge(piece, limit, ids)?;
                            Ok(if ids.len() > limit {
                                ControlFlow::Break(())
                            } else {
                                ControlFlow::Continue(())
                            })
                        })?;
                    }
                }
                Ok(ids.len() <= limit)
            })?;
            (rest, first) = (after, false);
        }
        Ok(())
    }

    /// Adds the ids of a piece, until there are more than `limit`.
    fn merge(&self, piece: &str, limit: usize, ids: &mut Vec<u32>) -> Result<()> {
        let mut rest = piece;
        while !rest.is_empty() && ids.len() <= limit {
            let (part, after) = rest.split_at(if rest.len() > CHUNK { self.seam(rest) } else { rest.len() });
            self.merge_whole(part, ids)?;
            rest = after;
        }
        Ok(())
    }

    /// Where a long piece is cut without a change of its ids: between two characters that no token holds side by side,
    /// so that no merge joins them.
    fn seam(&self, piece: &str) -> usize {
        if self.model.has_affixes() {
            return piece.len();
        }
        let neighbors = self.neighbors.get_or_init(|| {
            let mut pairs = HashSet::new();
            self.model.each_token(|token| pairs.extend(token.chars().zip(token.chars().skip(1))));
            pairs
        });
        let known = |c: char| {
            matches!(self.model, Model::Bytes) || self.model.id_of(c.encode_utf8(&mut [0; 4])).is_some()
        };
        let mut before = None;
        for (at, c) in piece.char_indices().skip_while(|(at, _)| *at < CHUNK) {
            if before.is_some_and(|before| !neighbors.contains(&(before, c)) && known(before) && known(c)) {
                return at;
            }
            before = Some(c);
        }
        piece.len()
    }

    /// Adds the ids of a piece that is merged at once.
    fn merge_whole(&self, piece: &str, ids: &mut Vec<u32>) -> Result<()> {
        if piece.len() > LONGEST_PIECE {
            return Err(Error::Absurd {
                file: self.file.clone(),
                item: "the length in bytes of a piece of the text, which is merged at once,".into(),
                found: piece.len() as u64,
                limit: LONGEST_PIECE as u64,
            });
        }
        self.model.push(&self.file, piece, ids)
    }
}

/// `text` after all `steps`.
pub(super) fn normal<'a>(steps: &[Normalizer], file: &str, text: &'a str) -> Result<Cow<'a, str>> {
    steps.iter().try_fold(Cow::Borrowed(text), |text, step| step.apply(file, text))
}

/// Where a long text is cut: before the first blank after [`CHUNK`] bytes that follows another character.
fn cut(text: &str) -> usize {
    let bytes = text.as_bytes();
    if bytes.len() <= CHUNK {
        return bytes.len();
    }
    let blank = |at: &usize| {
        bytes[*at] == b' ' && text[..*at].chars().next_back().is_some_and(|before| !before.is_whitespace())
    };
    (CHUNK..bytes.len()).find(blank).unwrap_or(bytes.len())
}
