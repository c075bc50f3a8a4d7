//! From the parts that a file describes to a tokenizer: checked against each other, joined, and told apart by a digest.

use super::added::{self, AddedToken, Finder};
use super::bpe::Parts;
use super::keys::Reading;
use super::normalize::Normalizer;
use super::special::{SpecialTokens, Template};
use super::split::Splitter;
use super::{Tokenizer, hex, normal};
use crate::error::Result;
use sha2::{Digest, Sha256};
use std::sync::OnceLock;
use tokenizers::models::bpe::Vocab;

/// What a digest begins with: another number says that the same files give other ids.
const PIPELINE: &str = "ids 1";

/// What the readers of files find, before it is checked and joined.
pub(super) struct Built {
    pub parts: Parts,
    pub normalizers: Vec<Normalizer>,
    pub splitters: Vec<Splitter>,
    pub template: Template,
    pub added: Vec<AddedToken>,
    pub cut_left: bool,
    /// The steps in the file's own words, for the digest.
    pub steps: String,
    pub warnings: Vec<String>,
}

impl Tokenizer {
    /// Checks the parts against each other and joins them. `item` names the merges in messages.
    pub(super) fn build(reading: Reading, item: &str, built: Built) -> Result<Self> {
        // 1. Ids: each is the one that the file gives to its token.
        let vocab = &built.parts.vocab;
        added::check(reading.file, &built.added, |token| vocab.get(token).copied(), vocab.iter())?;
        let ids = vocab.values().chain(built.added.iter().map(|token| &token.id));
        let vocab_size = ids.max().map_or(0, |&id| id as usize + 1);
        let digest = built.digest();

        // 2. Added tokens. Special ones come first where two are written the same after normalization.
        let (mut raw, mut normalized) = (Finder::default(), Finder::default());
        let (special, other): (Vec<_>, Vec<_>) = built.added.iter().partition(|token| token.special);
        for token in special.into_iter().chain(other).filter(|token| !token.content.is_empty()) {
            match token.normalized {
                false => raw.insert(token.content.clone(), token.clone()),
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
            cut_left: built.cut_left,
            added: built.added,
            vocab_size,
            digest,
            not_read: reading.not_read,
            warnings: built.warnings,
        })
    }
}

impl Built {
    /// The SHA-256 of what decides the ids of a text, without the tokens around it.
    fn digest(&self) -> String {
        let mut hash = Gathered::default();
        [PIPELINE, &self.steps, &format!("{:?}", self.parts.options)].iter().for_each(|text| hash.text(text));
        hash.number(self.parts.vocab.len());
        for (id, token) in by_id(&self.parts.vocab) {
            hash.number(id as usize);
            hash.text(token);
        }
        hash.number(self.parts.merges.len());
        for (left, right) in &self.parts.merges {
            hash.text(left);
            hash.text(right);
        }
        self.added.iter().for_each(|token| hash.text(&format!("{token:?}")));
        hash.text(&format!("{}", self.cut_left));
        hash.finish()
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
