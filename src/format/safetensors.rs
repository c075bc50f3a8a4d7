//! Safetensors: the header's length (8 bytes), the header (JSON: name -> dtype, shape, data_offsets), the tensors.
//! Specification: <https://github.com/huggingface/safetensors#format>.
//! The `safetensors` crate is not used: it keeps offsets in a `usize`, and so would refuse every file of 4 GiB or more
//! on wasm32.

use super::{
    Source, TensorInfo, TensorType,
    sniff::{describe, foreign, without_mark},
    tensor::extent,
};
use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer, de};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::ops::Range;

/// The largest header that the format allows, in bytes.
const HEADER_LIMIT: u64 = 100_000_000;

/// The names of tensors that hold a tokenizer's file, as ComfyUI stores them.
const TOKENIZERS: [&str; 3] = ["spiece_model", "tekken_model", "tokenizer_json"];

/// The header of a safetensors file.
#[derive(Debug)]
pub struct Safetensors {
    /// The source's name, for messages.
    pub file: String,
    /// The tensors of types that are read, in the order of their bytes.
    pub tensors: Vec<TensorInfo>,
    /// Name and dtype of the tensors of other types, in the order of their bytes.
    pub skipped: Vec<(String, String)>,
    /// The texts of `__metadata__`.
    pub metadata: BTreeMap<String, String>,
    /// Tokenizers that are stored as tensors of bytes: name and place.
    pub tokenizers: Vec<(String, Range<u64>)>,
}

impl Safetensors {
    /// Reads and checks the header of `source`.
    ///
    /// # Errors
    /// Those of `source`; [`Error::NotAModel`], [`Error::Truncated`], [`Error::Absurd`] for the header's length,
    /// [`Error::Malformed`] for everything else.
    pub async fn read(source: &dyn Source) -> Result<Self> {
        let file = source.name().to_owned();
        let (len, bytes) = header(source).await?;
        let Entries(mut entries, metadata) = serde_json::from_slice(&bytes).map_err(|e| {
            let expected = "JSON of names with dtype, shape and data_offsets";
            Error::malformed(&file, "the header", expected, e.to_string())
        })?;
        entries.sort_by_key(|(_, entry)| entry.data_offsets);

        let data_start = 8 + len;
        let mut position = data_start;
        let (tensors, skipped, tokenizers) = (Vec::new(), Vec::new(), Vec::new());
        let mut read = Self { file, tensors, skipped, metadata, tokenizers };
        for (name, entry) in entries {
            position = read.push(name, entry, data_start, position, source.size())?;
        }
        if position != source.size() {
            let found = format!("byte {}", source.size());
            let expected = format!("byte {position}, after the last tensor");
            return Err(Error::malformed(read.file, "the file's end", expected, found));
        }
        Ok(read)
    }

    /// Adds a tensor, which has to start at byte `position` of the file. Returns the byte where it ends.
    fn push(&mut self, name: String, entry: Entry, data_start: u64, position: u64, size: u64) -> Result<u64> {
        let item = format!("tensor `{name}`");
        let (start, end) = entry.data_offsets;
        if data_start.saturating_add(start) != position || end < start {
            let expected = format!("data_offsets from {} upwards", position - data_start);
            return Err(Error::malformed(&self.file, item, expected, format!("{start} to {end}")));
        }
        let end = data_start.saturating_add(end);
        if end > size {
            return Err(Error::Truncated { file: self.file.clone(), item, expected: end, found: size });
        }
        let is_tokenizer = TOKENIZERS.contains(&name.rsplit('.').next().unwrap_or_default());
        if is_tokenizer && entry.dtype == "U8" && entry.shape == [end - position] {
            self.tokenizers.push((name, position..end));
            return Ok(end);
        }
        let Some(dtype) = tensor_type(&entry.dtype) else {
            self.skipped.push((name, entry.dtype));
            return Ok(end);
        };
        match extent(&entry.shape, dtype) {
            Some((shape, bytes)) if bytes == end - position => {
                self.tensors.push(TensorInfo { name, dtype, shape, range: position..end });
                Ok(end)
            }
            _ => {
                let expected = format!("the bytes of {dtype:?} {:?}", entry.shape);
                Err(Error::malformed(&self.file, item, expected, format!("{} bytes", end - position)))
            }
        }
    }
}

/// Reads the header of `source`: its length and its bytes.
async fn header(source: &dyn Source) -> Result<(u64, Vec<u8>)> {
    let (file, size) = (source.name().to_owned(), source.size());
    let first_bytes = source.read(0..size.min(16)).await?;
    let Some((len, [b'{', ..])) = first_bytes.split_first_chunk::<8>() else {
        return Err(Error::NotAModel { file, expected: "a safetensors file", found: describe(&first_bytes) });
    };
    let len = u64::from_le_bytes(*len);
    if len > HEADER_LIMIT {
        let item = "the length of the header".into();
        return Err(Error::Absurd { file, item, found: len, limit: HEADER_LIMIT });
    }
    if 8 + len > size {
        return Err(Error::Truncated { file, item: "the header".into(), expected: 8 + len, found: size });
    }
    Ok((len, source.read(8..8 + len).await?))
}

/// The header's entry for one tensor.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The header's entries, as a list: a map would hide a name that stands there twice. And the texts of its metadata.
struct Entries(Vec<(String, Entry)>, BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> de::Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let (mut entries, mut names, mut metadata) = (Vec::new(), HashSet::new(), BTreeMap::new());
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(de::Error::custom(format!("a second `{name}`")));
            }
            if name == "__metadata__" {
                metadata = map.next_value::<Option<BTreeMap<String, String>>>()?.unwrap_or_default();
            } else {
                entries.push((name, map.next_value()?));
            }
        }
        Ok(Entries(entries, metadata))
    }
}

fn tensor_type(dtype: &str) -> Option<TensorType> {
    match dtype {
        "F32" => Some(TensorType::F32),
        "F16" => Some(TensorType::F16),
        "BF16" => Some(TensorType::BF16),
        "F8_E4M3" => Some(TensorType::F8_E4M3),
        "F8_E5M2" => Some(TensorType::F8_E5M2),
        "F8_E8M0" => Some(TensorType::F8_E8M0),
        "I8" => Some(TensorType::I8),
        "U8" => Some(TensorType::U8),
        _ => None,
    }
}

/// `model.safetensors.index.json`: the file, or shard, in which each tensor of a model lies.
#[derive(Debug)]
pub struct Index {
    /// The source's name, for messages.
    pub file: String,
    /// By tensor, the name of its file, which lies in the folder of the index.
    pub weight_map: BTreeMap<String, String>,
}

impl Index {
    /// The ending of an index's file name.
    pub const ENDING: &str = ".safetensors.index.json";

    /// Whether `name` is that of an index, also of a variant: `model.safetensors.index.fp16.json`.
    pub fn is_name(name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        name.ends_with(".json") && name.contains(".safetensors.index.")
    }

    /// Reads and checks `bytes`, those of the index named `file`.
    ///
    /// # Errors
    /// [`Error::Malformed`] where they are not such JSON, or name a file in another folder.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Document {
            weight_map: BTreeMap<String, String>,
        }
        let malformed = |expected: &str, found: String| Error::malformed(file, "the index", expected, found);
        let Document { weight_map } = serde_json::from_slice(without_mark(bytes)).map_err(|e| {
            let found = foreign(bytes).map_or_else(|| e.to_string(), String::from);
            malformed("JSON with `weight_map`, the file of each tensor", found)
        })?;
        let is_elsewhere =
            |shard: &&String| shard.contains(['/', '\\']) || ["", ".", ".."].contains(&shard.as_str());
        if let Some(shard) = weight_map.values().find(is_elsewhere) {
            return Err(malformed("names of files beside it", format!("`{shard}`")));
        }
        Ok(Self { file: file.into(), weight_map })
    }

    /// The names of the files that make up the model.
    pub fn shards(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }
}
