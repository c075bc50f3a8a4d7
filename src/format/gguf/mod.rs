//! GGUF: `GGUF`, version, counts, metadata entries, tensor infos, then the tensors, aligned; little-endian.
//! Reads the header alone, in growing ranges, and believes no count, length or range before checking it.

mod header;

use super::{Source, TensorInfo};
use crate::error::{Error, Result};
use header::{Found, Header};
use std::collections::{HashMap, HashSet};

/// Real files have 32; one page of any system is less than this.
const MAX_ALIGNMENT: u64 = 1 << 16;

/// One metadata value; numbers of every width are widened.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    String(String),
    Unsigneds(Vec<u64>),
    Signeds(Vec<i64>),
    Floats(Vec<f64>),
    Bools(Vec<bool>),
    Strings(Vec<String>),
}

impl Value {
    /// What messages call such a value.
    fn kind(&self) -> &'static str {
        match self {
            Self::Unsigned(_) => "an unsigned integer",
            Self::Signed(_) => "a signed integer",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a boolean",
            Self::String(_) => "a string",
            Self::Unsigneds(_) => "an array of unsigned integers",
            Self::Signeds(_) => "an array of signed integers",
            Self::Floats(_) => "an array of floats",
            Self::Bools(_) => "an array of booleans",
            Self::Strings(_) => "an array of strings",
        }
    }

    /// The only element of an array of one.
    fn single(self) -> Self {
        match self {
            Self::Unsigneds(v) => Self::Unsigned(v[0]),
            Self::Signeds(v) => Self::Signed(v[0]),
            Self::Floats(v) => Self::Float(v[0]),
            Self::Bools(v) => Self::Bool(v[0]),
            Self::Strings(mut v) => Self::String(v.remove(0)),
            single => single,
        }
    }
}

/// The header of a GGUF file: configuration, tokenizer and the places of the tensors.
#[derive(Debug)]
pub struct Gguf {
    /// The source's name, for messages.
    pub file: String,
    /// 2 or 3, which have the same layout.
    pub version: u32,
    /// Configuration and tokenizer.
    pub metadata: HashMap<String, Value>,
    /// In file order.
    pub tensors: Vec<TensorInfo>,
    /// Names and types of tensors that we don't read: a model may do without them.
    pub skipped: Vec<(String, String)>,
}

impl Gguf {
    /// Whether a file that starts with `first_bytes` says it is GGUF.
    pub fn is_gguf(first_bytes: &[u8]) -> bool {
        first_bytes.starts_with(b"GGUF")
    }

    /// Reads and checks the header of `source`.
    ///
    /// # Errors
    /// [`Error::NotAModel`], [`Error::GgufVersion`], [`Error::Truncated`], [`Error::Absurd`] (a count or a length
    /// that no real header has), [`Error::Malformed`] for everything else.
    pub async fn read(source: &dyn Source) -> Result<Self> {
        // 1. Magic, version, counts.
        let mut header = Header::new(source);
        let version = header.version().await?;
        let (tensor_count, entry_count) = header.counts().await?;

        // 2. Metadata.
        let mut metadata = HashMap::new();
        for index in 0..entry_count {
            let (key, value) = header.entry(index).await?;
            if metadata.insert(key, value).is_some() {
                return Err(header.malformed("one entry of this name", "a second one"));
            }
        }
        let mut gguf =
            Self { file: source.name().into(), version, metadata, tensors: Vec::new(), skipped: Vec::new() };

        // 3. Tensors: infos, then their places in the file.
        let alignment = gguf.alignment()?;
        let mut names = HashSet::new();
        for index in 0..tensor_count {
            let tensor = header.tensor(index, alignment).await?;
            let name = match &tensor {
                Found::Tensor(info) => &info.name,
                Found::Skipped(name, _) => name,
            };
            if !names.insert(name.clone()) {
                return Err(header.malformed("one tensor of this name", "a second one"));
            }
            match tensor {
                Found::Tensor(info) => gguf.tensors.push(info),
                Found::Skipped(name, dtype) => gguf.skipped.push((name, dtype)),
            }
        }
        gguf.place_tensors(header.len(), alignment, source.size())?;
        Ok(gguf)
    }

    /// A whole number that is not negative.
    pub fn u64(&self, key: &str) -> Result<Option<u64>> {
        self.get(key, "an unsigned integer", |value| match value {
            Value::Unsigned(v) => Some(*v),
            Value::Signed(v) => u64::try_from(*v).ok(),
            _ => None,
        })
    }

    /// A float.
    pub fn f64(&self, key: &str) -> Result<Option<f64>> {
        self.get(key, "a float", |value| match value {
            Value::Float(v) => Some(*v),
            _ => None,
        })
    }

    /// A string.
    pub fn str(&self, key: &str) -> Result<Option<&str>> {
        self.get(key, "a string", |value| match value {
            Value::String(v) => Some(v.as_str()),
            _ => None,
        })
    }

    /// An array of strings.
    pub fn strings(&self, key: &str) -> Result<Option<&[String]>> {
        self.get(key, "an array of strings", |value| match value {
            Value::Strings(v) => Some(v.as_slice()),
            _ => None,
        })
    }

    /// An array of signed integers.
    pub fn signeds(&self, key: &str) -> Result<Option<&[i64]>> {
        self.get(key, "an array of signed integers", |value| match value {
            Value::Signeds(v) => Some(v.as_slice()),
            _ => None,
        })
    }

    fn get<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        pick: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        match pick(value) {
            Some(picked) => Ok(Some(picked)),
            None => Err(self.malformed(format!("metadata `{key}`"), expected, value.kind())),
        }
    }

    /// Bytes that each tensor's start is a multiple of.
    fn alignment(&self) -> Result<u64> {
        let alignment = self.u64("general.alignment")?.unwrap_or(32);
        if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
            let found = alignment.to_string();
            return Err(self.malformed("metadata `general.alignment`", "a power of two up to 65536", found));
        }
        Ok(alignment)
    }

    /// Turns offsets into places in the file, and checks that these exist and do not overlap.
    fn place_tensors(&mut self, header_end: u64, alignment: u64, size: u64) -> Result<()> {
        let data_start = header_end.next_multiple_of(alignment);
        self.tensors.sort_by_key(|tensor| tensor.range.start);
        let mut free_from = data_start;
        for i in 0..self.tensors.len() {
            let tensor = &mut self.tensors[i];
            let item = format!("tensor `{}`", tensor.name);
            let end = data_start.saturating_add(tensor.range.end);
            if end > size {
                return Err(Error::Truncated { file: self.file.clone(), item, expected: end, found: size });
            }
            tensor.range = data_start + tensor.range.start..end;
            let start = tensor.range.start;
            if start < free_from {
                let found = format!("byte {start}, inside `{}`", self.tensors[i - 1].name);
                return Err(self.malformed(item, format!("a start at byte {free_from} or later"), found));
            }
            free_from = end;
        }
        Ok(())
    }

    fn malformed(
        &self,
        item: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::malformed(&self.file, item, expected, found)
    }
}
