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
        let mut hash = Sha256::new();
        let mut write = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        write(PIPELINE);
        write(&self.steps);
        self.parts.describe(&mut write);
        self.added.iter().for_each(|token| write(&format!("{token:?}")));
        write(&format!("{}", self.cut_left));
        hex(&hash.finalize())
    }
}

impl Parts {
    /// Gives all that decides ids to `write`, in an order of its own.
    fn describe(&self, write: &mut dyn FnMut(&str)) {
        match self {
            Self::Merges(bpe::Parts { vocab, merges, options }) => {
                write(&format!("{options:?}"));
                let mut tokens: Vec<_> = vocab.iter().map(|(token, id)| (id, token)).collect();
                tokens.sort_unstable();
                tokens.into_iter().for_each(|(id, token)| write(&format!("{id} {token}")));
                merges.iter().for_each(|(left, right)| write(&format!("{left} {right}")));
            }
            Self::Scored { pieces, ignore_merges } => {
                write(&format!("scored {ignore_merges}"));
                describe(pieces, write);
            }
            Self::Unigram(pieces) => {
                write("unigram");
                describe(pieces, write);
            }
            Self::Bytes => write("bytes"),
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

fn describe(pieces: &Pieces, write: &mut dyn FnMut(&str)) {
    write(&format!("{:?} {}", pieces.unknown(), pieces.has_bytes()));
    (0..pieces.len() as u32).for_each(|id| write(&format!("{} {}", pieces.score(id), pieces.text(id))));
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
