//! GGUF: `GGUF`, version, counts, metadata entries, tensor infos, then the tensors, aligned; little-endian.
//! Specification: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.
//! [`Gguf::read`] reads the header alone, in growing ranges, and checks every count, length and range before it uses
//! it.

mod header;

use super::{Source, TensorInfo};
use crate::error::{Error, Result};
use header::{Found, Header};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// The largest alignment that is accepted, in bytes. Real files have 32; a memory page is smaller than this.
const MAX_ALIGNMENT: u64 = 1 << 16;

/// One metadata value; numbers of every width are widened.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A `uint8`, `uint16`, `uint32` or `uint64`.
    Unsigned(u64),
    /// An `int8`, `int16`, `int32` or `int64`.
    Signed(i64),
    /// A `float32` or `float64`.
    Float(f64),
    /// A byte that is 0 or 1.
    Bool(bool),
    /// Text in UTF-8.
    String(String),
    /// An array of unsigned integers, of any width.
    Unsigneds(Vec<u64>),
    /// An array of signed integers, of any width.
    Signeds(Vec<i64>),
    /// An array of floats, of either width.
    Floats(Vec<f64>),
    /// An array of booleans.
    Bools(Vec<bool>),
    /// An array of texts.
    Strings(Vec<String>),
    /// Text that is not UTF-8. Nobody can read it, and only who wants to is told.
    NotUtf8,
    /// An array of texts of which some are not UTF-8, here `None`.
    SomeStrings(Vec<Option<String>>),
}

impl Value {
    /// The name of this type of value in messages.
    pub(crate) fn kind(&self) -> &'static str {
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
            Self::NotUtf8 => "text that is not UTF-8",
            Self::SomeStrings(_) => "an array of strings of which some are not UTF-8",
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
            Self::SomeStrings(_) => Self::NotUtf8,
            single => single,
        }
    }
}

/// The header of a GGUF file: configuration, tokenizer and the places of the tensors.
#[derive(Debug)]
pub struct Gguf {
    /// The source's name, for messages.
    pub file: String,
    /// The version of the format, 2 or 3. Both have the same layout.
    pub version: u32,
    /// The configuration and the tokenizer, by key.
    pub metadata: HashMap<String, Value>,
    /// The tensors of types that are read, in the order of their bytes.
    pub tensors: Vec<TensorInfo>,
    /// Name and type of the tensors of other types. A model may do without them.
    pub skipped: Vec<(String, String)>,
}

impl Gguf {
    /// Whether a file that starts with `first_bytes` claims to be GGUF.
    pub fn is_gguf(first_bytes: &[u8]) -> bool {
        first_bytes.starts_with(b"GGUF")
    }

    /// Reads and checks the header of `source`.
    ///
    /// # Errors
    /// Those of `source`; [`Error::NotAModel`], [`Error::GgufVersion`], [`Error::Truncated`], [`Error::Absurd`] (a
    /// count or a length that no real header has), [`Error::Malformed`] for everything else.
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

    /// The metadata value of `key` as a whole number that is not negative; `None` where the key is missing.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a value of another type; likewise in the methods below.
    pub fn u64(&self, key: &str) -> Result<Option<u64>> {
        self.get(key, "an unsigned integer", |value| match value {
            Value::Unsigned(v) => Some(*v),
            Value::Signed(v) => u64::try_from(*v).ok(),
            _ => None,
        })
    }

    /// The metadata value of `key` as a float; `None` where the key is missing.
    pub fn f64(&self, key: &str) -> Result<Option<f64>> {
        self.get(key, "a float", |value| match value {
            Value::Float(v) => Some(*v),
            _ => None,
        })
    }

    /// The metadata value of `key` as text; `None` where the key is missing.
    pub fn str(&self, key: &str) -> Result<Option<&str>> {
        self.get(key, "a string", |value| match value {
            Value::String(v) => Some(v.as_str()),
            _ => None,
        })
    }

    /// The metadata value of `key` as a list of texts; `None` where the key is missing.
    pub fn strings(&self, key: &str) -> Result<Option<&[String]>> {
        self.get(key, "an array of strings", |value| match value {
            Value::Strings(v) => Some(v.as_slice()),
            _ => None,
        })
    }

    /// The metadata value of `key` as a list of texts, those that are not UTF-8 as `None`: a list may hold some that
    /// nobody uses. `None` where the key is missing.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<Option<&str>>>> {
        self.get(key, "an array of strings", |value| match value {
            Value::Strings(v) => Some(v.iter().map(|text| Some(text.as_str())).collect()),
            Value::SomeStrings(v) => Some(v.iter().map(Option::as_deref).collect()),
            _ => None,
        })
    }

    /// The metadata value of `key` as a list of whole numbers, whatever the type that they are stored in; `None` where
    /// the key is missing.
    pub fn signeds(&self, key: &str) -> Result<Option<Cow<'_, [i64]>>> {
        self.get(key, "an array of integers", |value| match value {
            Value::Signeds(v) => Some(Cow::Borrowed(v.as_slice())),
            Value::Unsigneds(v) => {
                v.iter().map(|n| i64::try_from(*n).ok()).collect::<Option<_>>().map(Cow::Owned)
            }
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

    /// The alignment: the start of each tensor, in bytes, is a multiple of it.
    fn alignment(&self) -> Result<u64> {
        let alignment = self.u64("general.alignment")?.unwrap_or(32);
        if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
            let found = alignment.to_string();
            return Err(self.malformed("metadata `general.alignment`", "a power of two up to 65536", found));
        }
        Ok(alignment)
    }

    /// Turns the tensors' offsets into ranges of the file, and checks that these exist and do not overlap.
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
