//! From the parts that a file describes to a tokenizer: checked against each other, joined, and told apart by a digest.

use super::added::{self, AddedToken, Finder};
use super::bpe;
use super::keys::Reading;
use super::model::Model;
use super::normalize::Normalizer;
use super::pieces::Pieces;
use super::special::{SpecialTokens, Template};
use super::split::Splitter;
use super::{Tokenizer, hex, normal};
use crate::error::Result;
use sha2::{Digest, Sha256};
use std::sync::OnceLock;
use tokenizers::models::bpe::Vocab;

/// What a digest begins with: another number says that the same files give other ids.
const PIPELINE: &str = "ids 1";

/// The parts of a model.
pub(super) enum Parts {
    Merges(bpe::Parts),
    Scored {
        pieces: Pieces,
        /// Whether a piece that is a token is not merged from its characters.
        ignore_merges: bool,
    },
    Unigram(Pieces),
    Bytes,
}

/// What the readers of files find, before it is checked and joined.
pub(super) struct Built {
    pub parts: Parts,
    pub normalizers: Vec<Normalizer>,
    pub splitters: Vec<Splitter>,
    pub template: Template,
    pub added: Vec<AddedToken>,
    /// Whether added tokens that are found in the normalized text are written so: else they are normalized before.
    pub added_as_found: bool,
    pub padding: Option<u32>,
    pub cut_left: bool,
    /// The steps in the file's own words, for the digest.
    pub steps: String,
    pub warnings: Vec<String>,
}

impl Built {
    /// A model that nothing stands before or after.
    pub(super) fn of(parts: Parts) -> Self {
        Self {
            parts,
            normalizers: Vec::new(),
            splitters: Vec::new(),
            template: Template::default(),
            added: Vec::new(),
            added_as_found: false,
            padding: None,
            cut_left: false,
            steps: String::new(),
            warnings: Vec::new(),
        }
    }

    /// The SHA-256 of what decides the ids of a text, without the tokens around it.
    fn digest(&self) -> String {
        let mut hash = Gathered::default();
        hash.text(PIPELINE);
        hash.text(&self.steps);
        self.parts.describe(&mut hash);
        self.added.iter().for_each(|token| hash.text(&format!("{token:?}")));
        hash.text(&format!("{}", self.cut_left));
        hash.finish()
    }
}

impl Parts {
    /// Gives all that decides ids to `hash`, in an order of its own.
    fn describe(&self, hash: &mut Gathered) {
        match self {
            Self::Merges(bpe::Parts { vocab, merges, options }) => {
                hash.text(&format!("{options:?}"));
                hash.number(vocab.len());
                for (id, token) in by_id(vocab) {
                    hash.number(id as usize);
                    hash.text(token);
                }
                hash.number(merges.len());
                for (left, right) in merges {
                    hash.text(left);
                    hash.text(right);
                }
            }
            Self::Scored { pieces, ignore_merges } => {
                hash.text(&format!("scored {ignore_merges}"));
                describe(pieces, hash);
            }
            Self::Unigram(pieces) => {
                hash.text("unigram");
                describe(pieces, hash);
            }
            Self::Bytes => hash.text("bytes"),
        }
    }

    /// Checks the ids of `added` against those of the model: each token has one id, and no two tokens share one.
    fn check(&self, file: &str, tokens: &[AddedToken]) -> Result<()> {
        let id_of = |token: &str| self.id_of(token);
        match self {
            Self::Merges(bpe::Parts { vocab, .. }) => {
                added::check(file, tokens, id_of, vocab.iter().map(|(token, id)| (token.as_str(), *id)))
            }
            Self::Scored { pieces, .. } | Self::Unigram(pieces) => {
                added::check(file, tokens, id_of, (0..pieces.len() as u32).map(|id| (pieces.text(id), id)))
            }
            Self::Bytes => added::check(file, tokens, id_of, std::iter::empty()),
        }
    }

    /// The id of the token `text` of the model's own vocabulary.
    pub(super) fn id_of(&self, text: &str) -> Option<u32> {
        match self {
            Self::Merges(bpe::Parts { vocab, .. }) => vocab.get(text).copied(),
            Self::Scored { pieces, .. } | Self::Unigram(pieces) => pieces.id_of(text),
            Self::Bytes => None,
        }
    }

    /// One more than the largest id.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Merges(bpe::Parts { vocab, .. }) => vocab.values().max().map_or(0, |&id| id as usize + 1),
            Self::Scored { pieces, .. } | Self::Unigram(pieces) => pieces.len(),
            Self::Bytes => 259,
        }
    }

    fn build(self, reading: &Reading, item: &str) -> Result<Model> {
        Ok(match self {
            Self::Merges(parts) => Model::Merges(Box::new(parts.build(reading, item)?)),
            Self::Scored { pieces, ignore_merges } => Model::Scored { pieces, ignore_merges },
            Self::Unigram(pieces) => Model::Unigram(pieces),
            Self::Bytes => Model::Bytes,
        })
    }
}

fn describe(pieces: &Pieces, hash: &mut Gathered) {
    hash.text(&format!("{:?} {}", pieces.unknown(), pieces.has_bytes()));
    hash.number(pieces.len());
    for id in 0..pieces.len() as u32 {
        hash.text(&format!("{}", pieces.score(id)));
        hash.text(pieces.text(id));
    }
}

impl Tokenizer {
    /// Checks the parts against each other and joins them. `item` names the merges in messages.
    pub(super) fn build(reading: Reading, item: &str, built: Built) -> Result<Self> {
        // 1. Ids: each is the one that the file gives to its token.
        built.parts.check(reading.file, &built.added)?;
        let added = built.added.iter().map(|token| token.id as usize + 1).max().unwrap_or(0);
        let vocab_size = built.parts.len().max(added);
        let digest = built.digest();

        // 2. Added tokens. Special ones come first where two are written the same after normalization.
        let (mut raw, mut normalized) = (Finder::default(), Finder::default());
        let (special, other): (Vec<_>, Vec<_>) = built.added.iter().partition(|token| token.special);
        for token in special.into_iter().chain(other).filter(|token| !token.content.is_empty()) {
            match token.normalized {
                false => raw.insert(token.content.clone(), token.clone()),
                true if built.added_as_found => normalized.insert(token.content.clone(), token.clone()),
                true => {
                    let text = normal(&built.normalizers, reading.file, &token.content)?;
                    normalized.insert(text.into_owned(), token.clone());
                }
            }
        }

        // 3. The model.
        let local = normalized.is_empty()
            && built.normalizers.iter().all(Normalizer::is_local)
            && built.splitters.iter().all(Splitter::is_local)
            && !built.splitters.is_empty();
        Ok(Self {
            file: reading.file.into(),
            model: built.parts.build(&reading, item)?,
            raw,
            normalized,
            normalizers: built.normalizers,
            splitters: built.splitters,
            local,
            neighbors: OnceLock::new(),
            template: built.template,
            special: SpecialTokens::File,
            padding: built.padding,
            cut_left: built.cut_left,
            added: built.added,
            vocab_size,
            digest,
            not_read: reading.not_read,
            warnings: built.warnings,
        })
    }
}

/// Tokens in the order of their ids, and of their texts where an id stands twice. Nearly all ids are below the number of
/// tokens: a place for each costs less than sorting.
fn by_id(vocab: &Vocab) -> Vec<(u32, &str)> {
    let mut places: Vec<Option<&str>> = vec![None; vocab.len()];
    let mut others = Vec::new();
    for (token, &id) in vocab {
        match places.get_mut(id as usize) {
            Some(place @ None) => *place = Some(token),
            _ => others.push((id, token.as_str())),
        }
    }
    let placed = places.into_iter().zip(0..).filter_map(|(token, id)| Some((id, token?)));
    let mut all: Vec<_> = placed.chain(others.iter().copied()).collect();
    if !others.is_empty() {
        all.sort_unstable();
    }
    all
}

/// A hash of many small pieces, which are gathered first: each call of the hash costs more than the piece.
#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    hash: Sha256,
}

impl Gathered {
    /// Bytes that are hashed at once.
    const FULL: usize = 32 << 10;

    fn number(&mut self, number: usize) {
        self.bytes.extend_from_slice(&(number as u64).to_le_bytes());
    }

    /// Takes a text, behind its length.
    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
        if self.bytes.len() > Self::FULL {
            self.hash.update(&self.bytes);
            self.bytes.clear();
        }
    }

    fn finish(mut self) -> String {
        self.hash.update(&self.bytes);
        hex(&self.hash.finalize())
    }
}
