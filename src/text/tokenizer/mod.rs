//! Texts -> token ids, by a tokenizer.json, by a model of SentencePiece, by a tekken.json, by GGUF metadata, or by vocab.json
//! and merges.txt.
//!
//! ```text
//! text -> added tokens, and the stretches between them -> normal form -> pieces -> byte-pair encoding or unigram -> ids
//! ```
//!
//! Only the byte-pair encoding by merges, the normal forms and the table of characters are the `tokenizers` crate's: it
//! counts added tokens' ids anew, takes a pattern that gave up for the end of a text, and panics on some files. Special
//! tokens written in a text are recognized where the reference does so.

mod added;
mod any;
mod base64;
mod beside;
mod bpe;
mod built;
mod charsmap;
mod encode;
mod gguf;
mod json;
mod keys;
mod model;
mod normalize;
mod pattern;
mod pieces;
mod proto;
mod scored;
mod sentencepiece;
mod special;
mod split;
mod tekken;
mod unigram;
mod vocab_merges;

pub use beside::Beside;
pub use keys::{KEYS, Place, Treatment, treatment};
pub use special::{Added, SpecialTokens, Template};

use crate::error::{Error, Result};
use crate::format::{gguf::Gguf, hex};
use added::{AddedToken, Finder};
use built::Built;
use encode::normal;
use model::Model;
use normalize::Normalizer;
use sha2::{Digest, Sha256};
use split::Splitter;
use std::collections::HashSet;
use std::sync::OnceLock;

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
    model: Model,
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
    padding: Option<u32>,
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

    /// Builds the tokenizer that `bytes` describe: a tokenizer.json, a model of SentencePiece (spiece.model, tokenizer.model)
    /// or a tekken.json, whichever it is. `file` is the name in messages.
    ///
    /// # Errors
    /// [`Error::Malformed`] if they do not, [`Error::UnknownTokenizer`] for a model of another kind, [`Error::Absurd`].
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Result<Self> {
        any::read(file, bytes)
    }

    /// Builds ByT5's tokenizer, which has no file: each byte is a token. `file` is the name in messages.
    ///
    /// # Errors
    /// None: its parts belong together.
    pub fn bytes(file: &str) -> Result<Self> {
        any::bytes(file)
    }

    /// Builds the tokenizer that needs no other file than the tokenizer_config.json in `config`: ByT5's. `None` where it
    /// names another one.
    ///
    /// # Errors
    /// [`Error::Malformed`] where `config` is no JSON.
    pub fn of_config(file: &str, config: &[u8]) -> Result<Option<Self>> {
        any::of_config(file, config)
    }

    /// Builds the tokenizer that `bytes` describe, a Hugging Face tokenizer.json with a BPE or a unigram model. `file` is
    /// its name in messages.
    ///
    /// # Errors
    /// As [`Self::from_bytes`].
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
    /// names the kind, Qwen's, GPT-2's or CLIP's, which needs no name. `file` is the name in messages.
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

    /// One more than the largest id: the number of rows that a token table needs for all of its tokens.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The text of the token `id`.
    pub fn token(&self, id: u32) -> Option<String> {
        let added = self.added.iter().find(|token| token.id == id).map(|token| token.content.clone());
        added.or_else(|| self.model.token(id))
    }

    /// The token that fills a batch up to one length, where the file names one.
    pub fn padding(&self) -> Option<u32> {
        self.padding
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
        let tokens = gguf.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
        let known = |(id, token): (u32, &Option<&str>)| Some((id, (*token)?.to_string()));
        let differs = |(id, token): &(u32, String)| self.token(*id).is_some_and(|ours| ours != *token);
        // Added tokens may be written in another way there: what counts is the model's own vocabulary. A token that is
        // not UTF-8 is used by nobody.
        let own = |(id, _): &(u32, &Option<&str>)| self.model.token(*id).is_some();
        match (0..).zip(&tokens).filter(own).filter_map(known).find(differs) {
            None => Ok(()),
            Some((id, token)) => Err(Error::SeveralModels {
                first: gguf.file.clone(),
                second: self.file.clone(),
                expected: format!("`{token}` with the id {id} in both"),
                found: format!("`{}`", self.token(id).unwrap_or_default()),
            }),
        }
    }
}
