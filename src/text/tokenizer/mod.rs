//! Texts -> token ids, by a tokenizer.json, by GGUF metadata, or by vocab.json and merges.txt.
//!
//! ```text
//! text -> added tokens, and the stretches between them -> normal form -> pieces -> byte-pair encoding -> ids
//! ```
//!
//! Only the byte-pair encoding and the normal forms are the `tokenizers` crate's: it counts added tokens' ids anew, takes
//! a pattern that gave up for the end of a text, and panics on some files. Special tokens written in a text are
//! recognized, as by the reference.

mod added;
mod beside;
mod bpe;
mod built;
mod gguf;
mod json;
mod keys;
mod normalize;
mod pattern;
mod special;
mod split;
mod vocab_merges;

pub use beside::Beside;
pub use keys::{KEYS, Place, Treatment, treatment};
pub use special::{Added, SpecialTokens, Template};

use crate::error::{Error, Result};
use crate::format::{gguf::Gguf, hex};
use added::{AddedToken, Finder, Found};
use built::Built;
use normalize::Normalizer;
use sha2::{Digest, Sha256};
use split::{Splitter, split};
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::OnceLock;
use tokenizers::Model;
use tokenizers::models::bpe::BPE;

/// The longest piece that is merged, in bytes.
const LONGEST_PIECE: usize = 1 << 20;
/// Bytes of a long text that are normalized and split at once, where the steps allow it.
const CHUNK: usize = 16 << 10;

/// The token ids of one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The ids, of which there are at most `max_length`, begin and end tokens among them.
    pub ids: Vec<u32>,
    /// Whether the text has more tokens than that.
    pub truncated: bool,
}

/// The tokenizer of a model.
#[derive(Debug)]
pub struct Tokenizer {
    file: String,
    model: BPE,
    /// Added tokens that are found in the raw text, and those found in the normalized one.
    raw: Finder,
    normalized: Finder,
    normalizers: Vec<Normalizer>,
    splitters: Vec<Splitter>,
    /// Whether a long text may be cut before a blank: no step looks past one.
    local: bool,
    /// The characters that stand side by side in a token, once a long piece needs them.
    neighbors: OnceLock<HashSet<(char, char)>>,
    template: Template,
    special: SpecialTokens,
    /// Whether a long text loses its beginning and not its end.
    cut_left: bool,
    added: Vec<AddedToken>,
    vocab_size: usize,
    digest: String,
    not_read: Vec<String>,
    warnings: Vec<String>,
}

impl Tokenizer {
    /// Builds the tokenizer that the metadata of a GGUF file describes.
    ///
    /// # Errors
    /// [`Error::NoTokenizer`], [`Error::UnknownTokenizer`], [`Error::Malformed`] if tokens, types and merges do not
    /// belong together.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self> {
        gguf::read(gguf)
    }

    /// Builds the tokenizer that `bytes` describe, a Hugging Face tokenizer.json with a BPE model. `file` is its name
    /// in messages.
    ///
    /// # Errors
    /// [`Error::Malformed`] if they do not, [`Error::UnknownTokenizer`] for a model of another kind, [`Error::Absurd`].
    pub fn from_json(file: &str, bytes: &[u8]) -> Result<Self> {
        Self::from_json_beside(file, bytes, Beside::default())
    }

    /// As [`Self::from_json`], with the files that lie beside tokenizer.json.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_json_beside(file: &str, bytes: &[u8], beside: Beside) -> Result<Self> {
        json::read(file, bytes, beside)
    }

    /// Builds the tokenizer that vocab.json and merges.txt describe, with the files beside them: tokenizer_config.json
    /// names the kind, Qwen's or GPT-2's. `file` is the name in messages.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_vocab_merges(file: &str, vocab: &[u8], merges: &[u8], beside: Beside) -> Result<Self> {
        vocab_merges::read(file, vocab, merges, beside)
    }

    /// Adds the begin and end tokens of its file, or none.
    #[must_use]
    pub fn special_tokens(mut self, special: SpecialTokens) -> Self {
        self.special = special;
        self
    }

    /// The tokens that are added to each text.
    pub fn template(&self) -> &Template {
        static NONE: Template = Template { begin: Vec::new(), end: Vec::new() };
        match self.special {
            SpecialTokens::File => &self.template,
            SpecialTokens::None => &NONE,
        }
    }

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
        if self.model.get_continuing_subword_prefix().is_some() || self.model.end_of_word_suffix.is_some() {
            return piece.len();
        }
        let neighbors = self.neighbors.get_or_init(|| {
            let pairs = |token: &String| token.chars().zip(token.chars().skip(1)).collect::<Vec<_>>();
            self.model.get_vocab().keys().flat_map(pairs).collect()
        });
        let known = |c: char| self.model.token_to_id(c.encode_utf8(&mut [0; 4])).is_some();
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
        let tokens = self.model.tokenize(piece).map_err(|e| {
            Error::malformed(&self.file, "the tokenizer", "a token for every text", e.to_string())
        })?;
        ids.extend(tokens.iter().map(|token| token.id));
        Ok(())
    }

    /// One more than the largest id: the number of rows that a token table needs for all of its tokens.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The text of the token `id`.
    pub fn token(&self, id: u32) -> Option<String> {
        let added = self.added.iter().find(|token| token.id == id).map(|token| token.content.clone());
        added.or_else(|| self.model.id_to_token(id))
    }

    /// The SHA-256 of everything that decides ids, in hexadecimal digits: vocabulary, merges, steps, added tokens, the
    /// tokens around each text, and the version of this code. Kept vectors are looked up by it.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.digest);
        hash.update(format!("{:?}", self.template()));
        hex(&hash.finalize())
    }

    /// The keys of its file that no table knows.
    pub fn not_read(&self) -> &[String] {
        &self.not_read
    }

    /// What a person should know: tokens whose type contradicts their name.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Checks a tokenizer.json that was given beside a GGUF file against the tokens of that file, where it has some.
    ///
    /// # Errors
    /// [`Error::SeveralModels`] naming the first token that has another id.
    pub fn check_against(&self, gguf: &Gguf) -> Result<()> {
        let tokens = gguf.strings("tokenizer.ggml.tokens")?.unwrap_or_default();
        let differs = |(id, token): &(usize, &String)| {
            let ours = u32::try_from(*id).ok().and_then(|id| self.token(id));
            ours.is_some_and(|ours| ours != **token)
        };
        // Added tokens may be written in another way there: what counts is the model's own vocabulary.
        let own = |id: usize| u32::try_from(id).is_ok_and(|id| self.model.id_to_token(id).is_some());
        match tokens.iter().enumerate().filter(|(id, _)| own(*id)).find(differs) {
            None => Ok(()),
            Some((id, token)) => Err(Error::SeveralModels {
                first: gguf.file.clone(),
                second: self.file.clone(),
                expected: format!("`{token}` with the id {id} in both"),
                found: format!("`{}`", self.token(id as u32).unwrap_or_default()),
            }),
        }
    }
}

/// `text` after all `steps`.
fn normal<'a>(steps: &[Normalizer], file: &str, text: &'a str) -> Result<Cow<'a, str>> {
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
