//! JSON files, which are read whole.

use crate::error::{Error, Result};
use crate::format::{Source, sniff};

/// Largest config.json, tokenizer.json or index that is read, in bytes.
const MAX_JSON: u64 = 64 << 20;

/// The bytes of a JSON file, without a byte order mark.
///
/// # Errors
/// [`Error::Absurd`] for its length, [`Error::NotAModel`] where it is no JSON at all, those of `source`.
pub(super) async fn read_json(source: &dyn Source) -> Result<Vec<u8>> {
    let (file, found) = (source.name(), source.size());
    if found > MAX_JSON {
        return Err(Error::Absurd { file: file.into(), item: "the length".into(), found, limit: MAX_JSON });
    }
    let bytes = source.read(0..found).await?;
    match sniff::foreign(&bytes) {
        Some(seems) => Err(Error::malformed(file, "the content", "JSON", seems)),
        None => Ok(sniff::without_mark(&bytes).to_vec()),
    }
}
