//! Texts -> token ids, by a tokenizer.json or by GGUF metadata (byte-level BPE of the qwen2 or the smollm kind).
//! No special token is added; special tokens written in a text are recognized, as by the reference.

use crate::{
    error::{Error, Result},
    format::gguf::Gguf,
};
use serde::Deserialize;
use tokenizers::{
    AddedToken, NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior,
    models::bpe::{BPE, Merges, Vocab},
    normalizers::NFC,
    pre_tokenizers::{
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

/// The pattern by which Qwen splits a text: contractions, words with the sign before them, single digits, signs, line
/// ends, spaces.
const QWEN2_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The values of `tokenizer.ggml.token_type` whose tokens are found in the text before it is split.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// The token ids of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The ids, of which there are at most `max_length`.
    pub ids: Vec<u32>,
    /// Whether the text has more tokens than that.
    pub truncated: bool,
}

/// The tokenizer of a model.
#[derive(Debug)]
pub struct Tokenizer {
    file: String,
    inner: tokenizers::Tokenizer,
    vocab_size: usize,
}

impl Tokenizer {
    /// Builds the tokenizer that the metadata of a GGUF file describes.
    ///
    /// # Errors
    /// [`Error::NoTokenizer`], [`Error::UnknownTokenizer`], [`Error::Malformed`] if tokens, types and merges do not
    /// belong together.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self> {
        let file = &gguf.file;
        let Some(model) = gguf.str("tokenizer.ggml.model")? else {
            return Err(Error::NoTokenizer { file: file.clone() });
        };
        let pre = gguf.str("tokenizer.ggml.pre")?;
        let (Some(pre_tokenizer), "gpt2") = (pre.and_then(pre_tokenizer), model) else {
            let found = pre.map_or(model.into(), |pre| format!("{model}, {pre}"));
            let expected = "`gpt2, qwen2` or `gpt2, smollm`";
            return Err(Error::UnknownTokenizer { file: file.clone(), expected, found });
        };
        let tokens = gguf.strings("tokenizer.ggml.tokens")?.unwrap_or_default();
        let merges = gguf.strings("tokenizer.ggml.merges")?.unwrap_or_default();

        let mut inner = tokenizers::Tokenizer::new(bpe(file, tokens, merges)?);
        inner.with_normalizer((pre == Some("qwen2")).then_some(NFC));
        inner.with_pre_tokenizer(Some(pre_tokenizer));
        inner.add_tokens(&added_tokens(gguf, tokens)?);
        Ok(Self { file: file.clone(), inner, vocab_size: tokens.len() })
    }

    /// Builds the tokenizer that `bytes` describe, a Hugging Face tokenizer.json with a BPE model. `file` is its name
    /// in messages.
    ///
    /// # Errors
    /// [`Error::Malformed`] if they do not.
    pub fn from_json(file: &str, bytes: &[u8]) -> Result<Self> {
        let document: Document = serde_json::from_slice(bytes).map_err(|e| {
            let expected = "a Hugging Face tokenizer.json with a BPE model";
            Error::malformed(file, "the tokenizer", expected, e.to_string())
        })?;
        let mut inner = tokenizers::Tokenizer::new(document.model);
        inner.with_normalizer(document.normalizer);
        inner.with_pre_tokenizer(document.pre_tokenizer);
        inner.add_tokens(&document.added_tokens);
        let vocab_size = inner.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        Ok(Self { file: file.into(), inner, vocab_size })
    }

    /// The first `max_length` token ids of `text`; an empty text has none.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a tokenizer.json lacks the very token that it names for unknown text.
    pub fn encode(&self, text: &str, max_length: usize) -> Result<Encoded> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| {
            Error::malformed(&self.file, "the tokenizer", "a token for every text", e.to_string())
        })?;
        let mut ids = encoding.get_ids().to_vec();
        let truncated = ids.len() > max_length;
        ids.truncate(max_length);
        Ok(Encoded { ids, truncated })
    }

    /// One more than the largest id: the number of rows that a token table needs.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }
}

/// The parts of a tokenizer.json that make ids. Its limits, padding, template and decoder are left unparsed: the
/// encoder uses none of them, and the `tokenizers` crate panics on a file that ends inside the decoder.
#[derive(Deserialize)]
struct Document {
    model: BPE,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

/// The byte-level BPE of `tokens` and `merges`, which drops bytes without a token.
fn bpe(file: &str, tokens: &[String], merges: &[String]) -> Result<BPE> {
    let malformed = |key: &str, expected: &str, found: String| {
        Error::malformed(file, format!("metadata `tokenizer.ggml.{key}`"), expected, found)
    };
    if tokens.is_empty() {
        return Err(malformed("tokens", "a vocabulary", "none".into()));
    }
    let mut vocab = Vocab::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        if let Some(first) = vocab.insert(token.clone(), id as u32) {
            let found = format!("`{token}` with the ids {first} and {id}");
            return Err(malformed("tokens", "each token once", found));
        }
    }
    let mut pairs = Merges::with_capacity(merges.len());
    for merge in merges {
        let Some((left, right)) = merge.split_once(' ') else {
            return Err(malformed("merges", "two tokens with a space between", format!("`{merge}`")));
        };
        pairs.push((left.to_owned(), right.to_owned()));
    }
    let builder = BPE::builder().vocab_and_merges(vocab, pairs);
    builder.build().map_err(|e| malformed("merges", "pairs of tokens that make a token", e.to_string()))
}

/// The tokens that are matched in the raw text, before it is normalized and split.
fn added_tokens(gguf: &Gguf, tokens: &[String]) -> Result<Vec<AddedToken>> {
    let types = gguf.signeds("tokenizer.ggml.token_type")?.unwrap_or_default();
    if !types.is_empty() && types.len() != tokens.len() {
        let expected = format!("{} types, one for each token", tokens.len());
        let item = "metadata `tokenizer.ggml.token_type`";
        return Err(Error::malformed(&gguf.file, item, expected, types.len().to_string()));
    }
    let added = tokens.iter().zip(types.iter()).filter(|&(_, &kind)| kind == CONTROL || kind == USER_DEFINED);
    Ok(added.map(|(token, &kind)| AddedToken::from(token, kind == CONTROL).normalized(false)).collect())
}

/// The splitter of the kind `pre`, which cuts a text into the pieces that are merged on their own.
fn pre_tokenizer(pre: &str) -> Option<Sequence> {
    let byte_level = |use_regex| PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, use_regex));
    Some(match pre {
        "qwen2" => {
            let pattern = SplitPattern::Regex(QWEN2_SPLIT.into());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).ok()?;
            Sequence::new(vec![split.into(), byte_level(false)])
        }
        "smollm" => Sequence::new(vec![Digits::new(true).into(), byte_level(true)]),
        _ => return None,
    })
}
