//! Checkpoints of `torch.save`: a zip archive with the pickle `data.pkl`, which describes the tensors, and one entry
//! for the bytes of each storage. The reader takes none of the tensors' bytes and runs nothing that the pickle names.
//! Specification: <https://docs.pytorch.org/docs/stable/notes/serialization.html>.

mod global;
mod pickle;
mod value;
mod weights;
mod zip;

use super::{Source, TensorInfo, TensorType, sniff::describe};
use crate::error::{Error, Result};
use std::collections::HashMap;
use value::Pickle;
use weights::Weights;
use zip::Zip;

/// The largest pickle that is read, in bytes. A tensor takes about 100 of them: this is enough for 40000, including
/// those of an optimizer. A pickle made to do harm takes 64 times as much memory.
const PICKLE_LIMIT: u64 = 4 << 20;

/// The weights of a checkpoint.
#[derive(Debug)]
pub struct Torch {
    /// The source's name, for messages.
    pub file: String,
    /// The tensors of types that are read, in the order of their bytes. Tied weights have the same range.
    pub tensors: Vec<TensorInfo>,
    /// Name and torch's dtype of the tensors of other types, and of tensors that an unknown function makes.
    pub skipped: Vec<(String, String)>,
    /// Names of the values between the weights that an unknown class or function makes, and what they are. No weight
    /// depends on them.
    pub inert: Vec<(String, String)>,
}

impl Torch {
    /// Whether a file that starts with `first_bytes` is a zip archive, as a checkpoint is.
    pub fn is_torch(first_bytes: &[u8]) -> bool {
        first_bytes.starts_with(b"PK\x03\x04")
    }

    /// Reads and checks the description of the weights in `source`. The weights are the tensors in the dictionary under
    /// `model`, `state_dict`, `model_state_dict` or `module`; where there is none, those in the outermost one except under
    /// `optimizer…`. Dots join the names of dictionaries and tensors; `module.` and `_orig_mod.` that all names begin with
    /// are removed. Values that are no tensors are left out, whatever code they name: none is run.
    ///
    /// # Errors
    /// Those of `source`; [`Error::NotAModel`] (also for files of torch before 1.6, and files without a weight of a
    /// type that is read), [`Error::Absurd`] for counts and lengths, [`Error::Malformed`] for everything else.
    pub async fn read(source: &dyn Source) -> Result<Self> {
        // 1. The archive, and the pickle in it.
        let file = source.name();
        check_first_bytes(file, &source.read(0..source.size().min(16)).await?)?;
        let zip = Zip::read(source).await?;
        let folder = folder(file, &zip)?;
        check_byte_order(file, &zip, &format!("{folder}/byteorder")).await?;
        let bytes = zip.bytes(&format!("{folder}/data.pkl"), PICKLE_LIMIT).await?;
        let (root, values) = Pickle::read(file, &bytes)?;
        let weights = Weights::find(file, root, &values)?;

        // 2. The places of the weights, from the places of their storages.
        let mut read =
            Self { file: file.into(), tensors: Vec::new(), skipped: Vec::new(), inert: Vec::new() };
        let mut places = HashMap::new();
        for (name, tensor) in &weights.tensors {
            let Some(dtype) = tensor_type(tensor.dtype) else {
                read.skipped.push((name.clone(), tensor.dtype.into()));
                continue;
            };
            let (shape, range) = weights.extent(name, tensor, dtype)?;
            let storage = &values.storages[tensor.storage];
            let entry = format!("{folder}/data/{}", storage.key);
            let place = match places.get(storage.key) {
                Some(place) => place,
                None => places.entry(storage.key).or_insert(zip.range(&entry).await?),
            };
            if place.end - place.start < storage.len {
                let (item, found) = (format!("the zip entry `{entry}`"), place.end - place.start);
                let expected = format!("{} bytes", storage.len);
                return Err(Error::malformed(file, item, expected, found.to_string()));
            }
            let range = place.start + range.start..place.start + range.end;
            read.tensors.push(TensorInfo { name: name.clone(), dtype, shape, range });
        }
        // torch's own functions of this name make tensors: sparse ones, quantized ones, subclasses.
        let (rebuilt, inert) =
            weights.inert.iter().cloned().partition(|(_, made)| made.contains("._rebuild_"));
        (read.inert, read.skipped) = (inert, [read.skipped, rebuilt].concat());
        if read.tensors.is_empty() {
            let found = match (read.skipped.first(), read.inert.first()) {
                (Some((name, dtype)), _) => format!("others alone, such as `{name}` of {dtype}"),
                (None, Some((name, made))) => {
                    format!("no tensors, but `{name}`, {made}, which nothing here reads")
                }
                (None, None) => "no tensors".into(),
            };
            let expected = "a checkpoint with tensors of float32, float16 or bfloat16";
            return Err(Error::NotAModel { file: file.into(), expected, found });
        }
        read.tensors.sort_by_key(|tensor| tensor.range.start);
        Ok(read)
    }
}

fn check_first_bytes(file: &str, first_bytes: &[u8]) -> Result<()> {
    if Torch::is_torch(first_bytes) {
        return Ok(());
    }
    let found = match first_bytes {
        [0x80, 2..=5, ..] => {
            "one of the old format; load it and save it again with torch 1.6 or later".into()
        }
        _ => describe(first_bytes),
    };
    Err(not_a_checkpoint(file, found))
}

/// The folder of all entries. Its name is the one that the file had when it was saved.
fn folder<'a>(file: &str, zip: &'a Zip) -> Result<&'a str> {
    let folders = zip.names().filter_map(|name| name.strip_suffix("/data.pkl"));
    let mut folders = folders.filter(|folder| !folder.contains('/'));
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(folder),
        (None, _) => Err(not_a_checkpoint(file, "a zip archive without data.pkl".into())),
        (Some(_), Some(_)) => Err(not_a_checkpoint(file, "a zip archive with more than one data.pkl".into())),
    }
}

/// Refuses the numbers of big-endian machines. Older files do not name their byte order.
async fn check_byte_order(file: &str, zip: &Zip<'_>, entry: &str) -> Result<()> {
    if !zip.contains(entry) {
        return Ok(());
    }
    match &zip.bytes(entry, 16).await?[..] {
        b"little" => Ok(()),
        other => {
            let found = format!("`{}`", String::from_utf8_lossy(other));
            Err(Error::malformed(file, format!("the zip entry `{entry}`"), "`little`", found))
        }
    }
}

fn tensor_type(dtype: &str) -> Option<TensorType> {
    match dtype {
        "float32" => Some(TensorType::F32),
        "float16" => Some(TensorType::F16),
        "bfloat16" => Some(TensorType::BF16),
        _ => None,
    }
}

fn not_a_checkpoint(file: &str, found: String) -> Error {
    Error::NotAModel { file: file.into(), expected: "a checkpoint of torch.save", found }
}
