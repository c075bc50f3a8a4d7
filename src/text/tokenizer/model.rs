//! From a piece of text to ids: byte-pair encoding by merges, which the `tokenizers` crate does, or by scores, unigram, or
//! the bytes themselves.

use super::pieces::Pieces;
use super::{scored, unigram};
use crate::error::{Error, Result};
use tokenizers::Model as _;
use tokenizers::models::bpe::BPE;

/// The first id of ByT5's bytes: padding, end and unknown token stand before them.
const FIRST_BYTE: u32 = 3;

/// What turns a piece of text into ids.
#[derive(Debug)]
pub(super) enum Model {
    Merges(Box<BPE>),
    Scored {
        pieces: Pieces,
        /// Whether a piece that is a token is not merged from its characters.
        ignore_merges: bool,
    },
    Unigram(Pieces),
    Bytes,
}

impl Model {
    /// Adds the ids of `piece`.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the model of `file` has no token for it.
    pub(super) fn push(&self, file: &str, piece: &str, ids: &mut Vec<u32>) -> Result<()> {
        let lacks = |found: String| Error::malformed(file, "the tokenizer", "a token for every text", found);
        let done = match self {
            Self::Merges(bpe) => {
                let tokens = bpe.tokenize(piece).map_err(|e| lacks(e.to_string()))?;
                ids.extend(tokens.iter().map(|token| token.id));
                return Ok(());
            }
            Self::Scored { pieces, ignore_merges } => {
                if let Some(id) = pieces.id_of(piece).filter(|_| *ignore_merges) {
                    ids.push(id);
                    return Ok(());
                }
                scored::ids(pieces, piece, ids)
            }
            Self::Unigram(pieces) => unigram::ids(pieces, piece, ids),
            Self::Bytes => {
                ids.extend(piece.bytes().map(|byte| u32::from(byte) + FIRST_BYTE));
                return Ok(());
            }
        };
        done.ok_or_else(|| lacks("neither an unknown token nor one for each byte".into()))
    }

    /// The id of the token `text` of the model's own vocabulary.
    pub(super) fn id_of(&self, text: &str) -> Option<u32> {
        match self {
            Self::Merges(bpe) => bpe.token_to_id(text),
            Self::Scored { pieces, .. } | Self::Unigram(pieces) => pieces.id_of(text),
            Self::Bytes => None,
        }
    }

    /// The text of the token `id` of the model's own vocabulary.
    pub(super) fn token(&self, id: u32) -> Option<String> {
        match self {
            Self::Merges(bpe) => bpe.id_to_token(id),
            Self::Scored { pieces, .. } | Self::Unigram(pieces) => pieces.get(id).map(String::from),
            Self::Bytes => {
                let byte = id.checked_sub(FIRST_BYTE).and_then(|byte| u8::try_from(byte).ok())?;
                Some(format!("<0x{byte:02X}>"))
            }
        }
    }

    /// Whether a token depends on where in a piece it stands.
    pub(super) fn has_affixes(&self) -> bool {
        match self {
            Self::Merges(bpe) => {
                bpe.get_continuing_subword_prefix().is_some() || bpe.end_of_word_suffix.is_some()
            }
            _ => false,
        }
    }

    /// Gives each token of the model's own vocabulary to `visit`.
    pub(super) fn each_token(&self, mut visit: impl FnMut(&str)) {
        match self {
            Self::Merges(bpe) => bpe.get_vocab().keys().for_each(|token| visit(token)),
            Self::Scored { pieces, .. } | Self::Unigram(pieces) => {
                (0..pieces.len() as u32).for_each(|id| visit(pieces.text(id)));
            }
            Self::Bytes => {}
        }
    }
}
