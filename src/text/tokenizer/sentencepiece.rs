//! What SentencePiece's models say, in their own files and in GGUF, and the steps that follow from it. Unigram models are
//! read as transformers reads them (T5, UMT5, XLM-R), with control tokens that a text may hold; BPE models as SentencePiece
//! itself reads them (Gemma, Llama 2).

use super::added::{AddedToken, MOST_ADDED};
use super::built::Parts;
use super::charsmap::Charsmap;
use super::keys::Reading;
use super::normalize::Normalizer;
use super::pattern::{Pattern, SPACES};
use super::pieces::{Piece, Pieces};
use super::special::{Added, Template};
use super::split::{Prepend, Splitter};
use super::unigram::LONGEST_TOKEN;
use super::{Built, Tokenizer};
use crate::error::Result;

/// The sign that stands for a blank.
const BLANK: char = '▁';

/// How texts become pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unigram,
    /// Byte-pair encoding by scores.
    Scored,
}

/// What a token is, by its number in SentencePiece's files and in GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Type {
    /// The type of the number `kind`.
    pub(super) fn of(kind: i64) -> Option<Self> {
        Some(match kind {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }
}

/// A token of the vocabulary.
pub(super) struct Token {
    pub text: String,
    pub score: f64,
    pub kind: Type,
}

/// What a model says.
pub(super) struct Spec {
    pub kind: Kind,
    pub tokens: Vec<Token>,
    /// The table of characters; empty where there is none.
    pub charsmap: Vec<u8>,
    /// Whether a blank is put before each text.
    pub space_prefix: bool,
    pub remove_extra_whitespaces: bool,
    pub byte_fallback: bool,
    pub unknown: Option<u32>,
    pub begin: Option<u32>,
    pub end: Option<u32>,
    pub padding: Option<u32>,
    /// Whether a control token that is written in a text is found there.
    pub control_in_texts: bool,
}

impl Spec {
    /// The tokens around each text that follow from a model's own ids: begin and end for XLM-R, end for T5 and UMT5, begin
    /// for BPE models.
    pub(super) fn template(&self) -> Template {
        let around = |id: Option<u32>, wanted: bool| {
            let id = id.filter(|_| wanted);
            let token = id.and_then(|id| Some((id, self.tokens.get(id as usize)?)));
            token.map(|(id, token)| Added { token: token.text.clone(), id }).into_iter().collect()
        };
        let is_unigram = self.kind == Kind::Unigram;
        Template { begin: around(self.begin, !is_unigram), end: around(self.end, is_unigram) }
    }

    /// Gives the ids that fairseq gives to the pieces of XLM-R: begin, padding and end token stand before the unknown one,
    /// and the pieces after it have one more. XLM-R's model is told by its own ids: unknown 0, begin 1, end 2, no padding.
    pub(super) fn with_ids_of_xlmr(mut self) -> (Self, Template) {
        let ids = (self.unknown, self.begin, self.end, self.padding);
        if self.kind != Kind::Unigram || ids != (Some(0), Some(1), Some(2), None) || self.tokens.len() < 3 {
            let template = self.template();
            return (self, template);
        }
        let special = |text: &str, kind| Token { text: text.into(), score: 0.0, kind };
        let padding = special("<pad>", Type::Control);
        self.tokens.swap(0, 1); // <s> <unk> </s>
        self.tokens.insert(1, padding); // <s> <pad> <unk> </s>
        self.tokens.swap(2, 3); // <s> <pad> </s> <unk>
        self.tokens.push(special("<mask>", Type::Control));
        (self.unknown, self.begin, self.end, self.padding) = (Some(3), Some(0), Some(2), Some(1));
        let around = |id: u32| vec![Added { token: self.tokens[id as usize].text.clone(), id }];
        let template = Template { begin: around(0), end: around(2) };
        (self, template)
    }

    /// The tokenizer with `template` around each text. `steps` name the file's kind in the digest.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::error::Error::Malformed) where the parts do not belong together.
    pub(super) fn build(
        self,
        reading: Reading,
        template: Template,
        warnings: Vec<String>,
    ) -> Result<Tokenizer> {
        // 1. Steps.
        let mut normalizers = Vec::new();
        if !self.charsmap.is_empty() {
            normalizers.push(Normalizer::Charsmap(Box::new(Charsmap::new(&reading, &self.charsmap)?)));
        }
        let unigram = self.kind == Kind::Unigram;
        if self.remove_extra_whitespaces {
            normalizers.push(Normalizer::Strip { left: !unigram, right: true });
            let content = if unigram { BLANK } else { ' ' }.to_string();
            let pattern = Pattern::regex(reading.file, SPACES)?;
            normalizers.push(Normalizer::Replace { pattern, blanks: false, content });
        }
        let mut splitters = Vec::new();
        if unigram {
            let prepend = if self.space_prefix { Prepend::First } else { Prepend::Never };
            splitters.push(Splitter::Metaspace { replacement: BLANK, prepend, split: true });
        } else {
            if self.space_prefix {
                normalizers.push(Normalizer::Prepend(BLANK.into()));
            }
            let pattern = Pattern::Text(" ".into());
            normalizers.push(Normalizer::Replace { pattern, blanks: false, content: BLANK.into() });
        }

        // 2. Tokens. Of a BPE model, those that its author defined are found where blanks are written as signs.
        let own = |(token, id): (&Token, u32)| {
            let special = match token.kind {
                Type::Control | Type::Unknown if self.control_in_texts => true,
                Type::UserDefined => false,
                _ => return None,
            };
            let (content, normalized) = (token.text.clone(), !special && !unigram);
            Some(AddedToken { content, id, special, normalized, ..AddedToken::default() })
        };
        let added = self.tokens.iter().zip(0..).filter_map(own).take(MOST_ADDED + 1).collect();

        // 3. The model.
        let steps = format!(
            "sentencepiece {:?} {} {} {} {}",
            self.kind,
            self.space_prefix,
            self.remove_extra_whitespaces,
            self.byte_fallback,
            crate::format::sha256_hex(&self.charsmap)
        );
        let reachable = |kind: Type| match kind {
            Type::Normal | Type::UserDefined => true,
            Type::Unused => false,
            Type::Control | Type::Unknown | Type::Byte => unigram,
        };
        let piece =
            |token: Token| Piece { reachable: reachable(token.kind), text: token.text, score: token.score };
        let list: Vec<Piece> = self.tokens.into_iter().map(piece).collect();
        if unigram {
            check_lengths(&reading, &list)?;
        }
        let pieces = Pieces::new(&reading, list, self.unknown, self.byte_fallback)?;
        let parts = match self.kind {
            Kind::Unigram => Parts::Unigram(pieces),
            Kind::Scored => Parts::Scored { pieces, ignore_merges: false },
        };
        let built = Built {
            normalizers,
            splitters,
            template,
            added,
            added_as_found: true,
            padding: self.padding,
            steps,
            warnings,
            ..Built::of(parts)
        };
        Tokenizer::build(reading, "vocab", built)
    }
}

/// Refuses a token of a unigram model that is longer than any real one.
pub(super) fn check_lengths(reading: &Reading, list: &[Piece]) -> Result<()> {
    match list.iter().find(|piece| piece.reachable && piece.text.len() > LONGEST_TOKEN) {
        None => Ok(()),
        Some(piece) => {
            let found = format!("one of {} bytes", piece.text.len());
            Err(reading.malformed("vocab", format!("tokens of at most {LONGEST_TOKEN} bytes"), found))
        }
    }
}
