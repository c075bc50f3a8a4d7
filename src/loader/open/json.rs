//! The files beside weights, which are read whole: JSON, and models of SentencePiece.

use crate::error::{Error, Result};
use crate::format::{Source, sniff};

/// Largest config.json, tokenizer or index that is read, in bytes.
const MAX_JSON: u64 = 64 << 20;

/// The bytes of a file that is not longer than any real one beside weights.
///
/// # Errors
/// [`Error::Absurd`] for its length, those of `source`.
pub(super) async fn read_whole(source: &dyn Source) -> Result<Vec<u8>> {
    let (file, found) = (source.name(), source.size());
    if found > MAX_JSON {
        return Err(Error::Absurd { file: file.into(), item: "the length".into(), found, limit: MAX_JSON });
    }
    source.read(0..found).await
}

/// The bytes of a JSON file, without a byte order mark.
///
/// # Errors
/// [`Error::Absurd`] for its length, [`Error::NotAModel`] where it is no JSON at all, those of `source`.
pub(super) async fn read_json(source: &dyn Source) -> Result<Vec<u8>> {
    let bytes = read_whole(source).await?;
    match sniff::foreign(&bytes) {
        Some(seems) => Err(Error::malformed(source.name(), "the content", "JSON", seems)),
        None => Ok(sniff::without_mark(&bytes).to_vec()),
    }
}
