//! The tokenizer of a model's files: tokenizer.json, or vocab.json and merges.txt, with what lies beside them.

use super::files::{File, TokenizerFiles};
use super::json::read_json;
use crate::error::Result;
use crate::text::tokenizer::{Beside, Tokenizer};

/// The tokenizer that the files hold; `None` where there is none.
///
/// # Errors
/// Those of the files and of [`Tokenizer::from_json`].
pub(super) async fn tokenizer(files: TokenizerFiles) -> Result<Option<Tokenizer>> {
    let [config, special, added] =
        [bytes(&files.config).await?, bytes(&files.special).await?, bytes(&files.added).await?];
    let [config, special, added] = [&config, &special, &added].map(Option::as_deref);
    let beside = Beside { config, special, added };
    if let Some(file) = &files.json {
        return Tokenizer::from_json_beside(file.name(), &read_json(&**file).await?, beside).map(Some);
    }
    let (Some(vocab), Some(merges)) = (&files.vocab, &files.merges) else { return Ok(None) };
    let (tokens, pairs) = (read_json(&**vocab).await?, read_json(&**merges).await?);
    Tokenizer::from_vocab_merges(vocab.name(), &tokens, &pairs, beside).map(Some)
}

async fn bytes(file: &Option<File>) -> Result<Option<Vec<u8>>> {
    match file {
        Some(file) => read_json(&**file).await.map(Some),
        None => Ok(None),
    }
}
