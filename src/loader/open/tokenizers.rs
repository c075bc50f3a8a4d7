//! The files and the tensors that a model's tokenizer is made from.

use super::files::File;
use super::json::{read_json, read_whole};
use super::prefix::Prefix;
use crate::error::{Error, Result};
use crate::format::Source;
use crate::format::safetensors::Safetensors;
use crate::text::tokenizer::{Beside, Tokenizer};
use std::rc::Rc;

/// The longest tokenizer that is stored as a tensor, in bytes.
const MAX_STORED: u64 = 64 << 20;

/// The files that a tokenizer is made from, of which the first that is there counts: tokenizer.json, a model of
/// SentencePiece, tekken.json, vocab.json with merges.txt.
#[derive(Clone, Default)]
pub(super) struct TokenizerFiles {
    pub json: Option<File>,
    /// spiece.model, tokenizer.model, sentencepiece.bpe.model, or `.model` after another name
    pub pieces: Option<File>,
    pub tekken: Option<File>,
    pub vocab: Option<File>,
    pub merges: Option<File>,
    /// tokenizer_config.json
    pub config: Option<File>,
    /// special_tokens_map.json
    pub special: Option<File>,
    /// added_tokens.json
    pub added: Option<File>,
}

impl TokenizerFiles {
    /// Whether none of the files is there that hold a vocabulary.
    pub(super) fn is_none(&self) -> bool {
        self.json.is_none() && self.pieces.is_none() && self.tekken.is_none() && self.vocab.is_none()
    }
}

/// The tokenizer that the files hold; `None` where there is none.
///
/// # Errors
/// Those of the files and of [`Tokenizer::from_bytes`].
pub(super) async fn beside(files: TokenizerFiles) -> Result<Option<Tokenizer>> {
    let whole = files.pieces.as_ref().or(files.tekken.as_ref());
    if let Some(file) = whole.filter(|_| files.json.is_none()) {
        return Tokenizer::from_bytes(file.name(), &read_whole(&**file).await?).map(Some);
    }
    let [config, special, added] =
        [bytes(&files.config).await?, bytes(&files.special).await?, bytes(&files.added).await?];
    let [config, special, added] = [&config, &special, &added].map(Option::as_deref);
    let beside = Beside { config, special, added };
    if let Some(file) = &files.json {
        return Tokenizer::from_json_beside(file.name(), &read_json(&**file).await?, beside).map(Some);
    }
    match (&files.vocab, &files.merges, &files.config) {
        (Some(vocab), Some(merges), _) => {
            let (tokens, pairs) = (read_json(&**vocab).await?, read_json(&**merges).await?);
            Tokenizer::from_vocab_merges(vocab.name(), &tokens, &pairs, beside).map(Some)
        }
        (_, _, Some(file)) => Tokenizer::of_config(file.name(), config.unwrap_or_default()),
        _ => Ok(None),
    }
}

async fn bytes(file: &Option<File>) -> Result<Option<Vec<u8>>> {
    match file {
        Some(file) => read_json(&**file).await.map(Some),
        None => Ok(None),
    }
}

/// The tokenizer that is stored as a tensor: the one nearest to the decoder, whose names begin with `prefix`, or the only one
/// that is stored at all.
pub(super) async fn stored(
    sources: &[Rc<dyn Source>],
    files: &[Safetensors],
    prefix: &Prefix,
) -> Result<Option<Tokenizer>> {
    let all: Vec<_> = sources
        .iter()
        .zip(files)
        .flat_map(|(source, file)| file.tokenizers.iter().map(move |of| (source, of)))
        .collect();
    let folder = |name: &str| name.rfind('.').map_or(0, |dot| dot + 1);
    let near = all.iter().filter(|(_, (name, _))| prefix.prefix.starts_with(&name[..folder(name)]));
    let ours = near.max_by_key(|(_, (name, _))| folder(name));
    let Some((source, (name, range))) = ours.or(all.first().filter(|_| all.len() == 1)) else {
        return Ok(None);
    };
    let file = format!("{}, tensor {name}", source.name());
    let found = range.end - range.start;
    if found > MAX_STORED {
        return Err(Error::Absurd { file, item: "the length".into(), found, limit: MAX_STORED });
    }
    Tokenizer::from_bytes(&file, &source.read(range.clone()).await?).map(Some)
}
