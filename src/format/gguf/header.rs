//! Reads the items of a GGUF header. Bytes are fetched from the source when an item needs them.
//! Every count and length is checked against the file before anything is allocated for it.

use super::{Gguf, Value};
use crate::{
    error::{Error, Result},
    format::{Source, TensorInfo, TensorType, sniff::describe, tensor::extent},
};
use std::fmt::Arguments;

/// Bytes in the first request to the source. Each further request doubles the number of bytes that are here.
const FIRST_READ: u64 = 64 << 10;
/// The largest header that is accepted, in bytes. With a vocabulary of 262144 tokens a header takes 20 MB.
const HEADER_LIMIT: u64 = 32 << 20;
/// The number that stands for an array among the types of metadata values.
const ARRAY: u32 = 9;
/// Bytes of the shortest tensor info: name (8 + 0), number of dimensions (4), one dimension (8), type (4), offset (8).
const LEAST_TENSOR: u64 = 32;
/// Bytes of the shortest metadata entry: key (8 + 0), value type (4), a value of one byte.
const LEAST_ENTRY: u64 = 13;

/// A tensor info as it was found.
pub(super) enum Found {
    /// A tensor of a type that is read.
    Tensor(TensorInfo),
    /// Name and type of a tensor of another type.
    Skipped(String, String),
}

/// The part of the file that was read so far, and the position up to which it is understood.
pub(super) struct Header<'a> {
    source: &'a dyn Source,
    bytes: Vec<u8>,
    position: usize,
    /// The item that is being read, for messages.
    item: String,
}

impl<'a> Header<'a> {
    pub(super) fn new(source: &'a dyn Source) -> Self {
        Self { source, bytes: Vec::new(), position: 0, item: "the header".into() }
    }

    /// The number of bytes understood so far.
    pub(super) fn len(&self) -> u64 {
        self.position as u64
    }

    /// Checks the magic and the version.
    pub(super) async fn version(&mut self) -> Result<u32> {
        let first_bytes = self.take(self.source.size().min(16)).await?.to_vec();
        let file = self.source.name().into();
        if !Gguf::is_gguf(&first_bytes) {
            return Err(Error::NotAModel { file, expected: "a GGUF file", found: describe(&first_bytes) });
        }
        self.position = 4;
        match self.u32().await? {
            version @ 2..=3 => Ok(version),
            found => Err(Error::GgufVersion { file, found }),
        }
    }

    /// Reads the number of tensors and the number of metadata entries.
    pub(super) async fn counts(&mut self) -> Result<(u64, u64)> {
        let (tensors, entries) = (self.u64().await?, self.u64().await?);
        self.claim(format_args!("the number of tensors"), tensors, LEAST_TENSOR)?;
        self.claim(format_args!("the number of metadata entries"), entries, LEAST_ENTRY)?;
        Ok((tensors, entries))
    }

    /// The next `len` bytes, which are fetched if they are not here yet; `len` is at most [`HEADER_LIMIT`].
    async fn take(&mut self, len: u64) -> Result<&[u8]> {
        let (start, have) = (self.position, self.bytes.len() as u64);
        let end = start as u64 + len;
        self.fits(end)?;
        if end > HEADER_LIMIT {
            return Err(self.absurd("the length of the header", end, HEADER_LIMIT));
        }
        if end > have {
            let until = end.max(2 * have).max(FIRST_READ).min(self.source.size());
            self.bytes.extend(self.source.read(have..until).await?);
        }
        self.position = end as usize;
        Ok(&self.bytes[start..self.position])
    }

    /// Refuses `count` things of at least `least` bytes each if no header, or not this file, can hold them.
    fn claim(&self, item: Arguments, count: u64, least: u64) -> Result<()> {
        if count > HEADER_LIMIT / least {
            return Err(self.absurd(&item.to_string(), count, HEADER_LIMIT / least));
        }
        self.fits(self.position as u64 + count * least)
    }

    fn fits(&self, end: u64) -> Result<()> {
        let found = self.source.size();
        if end > found {
            let (file, item) = (self.source.name().into(), self.item.clone());
            return Err(Error::Truncated { file, item, expected: end, found });
        }
        Ok(())
    }

    async fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64).await?);
        Ok(bytes)
    }

    async fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.number().await?))
    }

    async fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.number().await?))
    }

    /// A name, which has to be UTF-8.
    async fn string(&mut self) -> Result<String> {
        String::from_utf8(self.text().await?)
            .map_err(|e| self.malformed("UTF-8 text", e.utf8_error().to_string()))
    }

    /// The bytes of a text.
    async fn text(&mut self) -> Result<Vec<u8>> {
        let len = self.u64().await?;
        self.claim(format_args!("the length of {}", self.item), len, 1)?;
        Ok(self.take(len).await?.to_vec())
    }

    async fn numbers<const N: usize, T>(&mut self, count: u64, convert: fn([u8; N]) -> T) -> Result<Vec<T>> {
        self.claim(format_args!("the length of {}", self.item), count, N as u64)?;
        let (chunks, _) = self.take(count * N as u64).await?.as_chunks::<N>();
        Ok(chunks.iter().map(|&bytes| convert(bytes)).collect())
    }

    /// Reads a metadata entry, number `index`: its key and its value.
    pub(super) async fn entry(&mut self, index: u64) -> Result<(String, Value)> {
        self.item = format!("the key of metadata entry {index}");
        let key = self.string().await?;
        self.item = format!("metadata `{key}`");
        let value = match self.u32().await? {
            ARRAY => match self.u32().await? {
                ARRAY => return Err(self.malformed("an array of plain values", "an array of arrays")),
                kind => {
                    let count = self.u64().await?;
                    self.values(kind, count).await?
                }
            },
            kind => self.values(kind, 1).await?.single(),
        };
        Ok((key, value))
    }

    /// Reads `count` values of the type with the number `kind`, as an array.
    async fn values(&mut self, kind: u32, count: u64) -> Result<Value> {
        Ok(match kind {
            0 => Value::Unsigneds(self.numbers(count, |b| u8::from_le_bytes(b).into()).await?),
            1 => Value::Signeds(self.numbers(count, |b| i8::from_le_bytes(b).into()).await?),
            2 => Value::Unsigneds(self.numbers(count, |b| u16::from_le_bytes(b).into()).await?),
            3 => Value::Signeds(self.numbers(count, |b| i16::from_le_bytes(b).into()).await?),
            4 => Value::Unsigneds(self.numbers(count, |b| u32::from_le_bytes(b).into()).await?),
            5 => Value::Signeds(self.numbers(count, |b| i32::from_le_bytes(b).into()).await?),
            6 => Value::Floats(self.numbers(count, |b| f32::from_le_bytes(b).into()).await?),
            7 => {
                let bytes = self.numbers(count, |[b]: [u8; 1]| b).await?;
                if let Some(byte) = bytes.iter().find(|&&b| b > 1) {
                    return Err(self.malformed("a boolean of 0 or 1", byte.to_string()));
                }
                Value::Bools(bytes.into_iter().map(|b| b == 1).collect())
            }
            8 => {
                self.claim(format_args!("the length of {}", self.item), count, 8)?;
                let mut texts = Vec::new();
                for _ in 0..count {
                    texts.push(String::from_utf8(self.text().await?).ok());
                }
                match texts.iter().all(Option::is_some) {
                    true => Value::Strings(texts.into_iter().flatten().collect()),
                    false => Value::SomeStrings(texts),
                }
            }
            10 => Value::Unsigneds(self.numbers(count, u64::from_le_bytes).await?),
            11 => Value::Signeds(self.numbers(count, i64::from_le_bytes).await?),
            12 => Value::Floats(self.numbers(count, f64::from_le_bytes).await?),
            _ => return Err(self.malformed("a value type from 0 to 12", kind.to_string())),
        })
    }

    /// Reads a tensor info, number `index`. Its range counts from the start of the tensors' bytes.
    pub(super) async fn tensor(&mut self, index: u64, alignment: u64) -> Result<Found> {
        self.item = format!("the name of tensor {index}");
        let name = self.string().await?;
        self.item = format!("tensor `{name}`");

        let rank = self.u32().await?;
        if !(1..=4).contains(&rank) {
            return Err(self.malformed("1 to 4 dimensions", rank.to_string()));
        }
        let mut dims = self.numbers(rank.into(), u64::from_le_bytes).await?;
        let row_len = dims[0];
        dims.reverse();
        let dtype = self.u32().await?;
        let offset = self.u64().await?;

        let Some(dtype) = tensor_type(dtype) else {
            let found =
                TYPE_NAMES.get(dtype as usize).map_or(format!("number {dtype}"), |name| name.to_string());
            return Ok(Found::Skipped(name, found));
        };
        let block_len = dtype.block_len() as u64;
        if !row_len.is_multiple_of(block_len) {
            let expected = format!("rows of a multiple of {block_len} values, as {dtype:?} has");
            return Err(self.malformed(expected, row_len.to_string()));
        }
        if !offset.is_multiple_of(alignment) {
            return Err(
                self.malformed(format!("an offset that is a multiple of {alignment}"), offset.to_string())
            );
        }
        let Some((shape, bytes)) = extent(&dims, dtype).filter(|(_, bytes)| *bytes > 0) else {
            return Err(self.malformed("a size above 0 that fits the memory", format!("{dims:?}")));
        };
        let end = offset.saturating_add(bytes);
        Ok(Found::Tensor(TensorInfo { name, dtype, shape, range: offset..end }))
    }

    /// The [`Error::Malformed`] about the item that is being read.
    pub(super) fn malformed(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::malformed(self.source.name(), &self.item, expected, found)
    }

    fn absurd(&self, item: &str, found: u64, limit: u64) -> Error {
        Error::Absurd { file: self.source.name().into(), item: item.into(), found, limit }
    }
}

fn tensor_type(number: u32) -> Option<TensorType> {
    Some(match number {
        0 => TensorType::F32,
        1 => TensorType::F16,
        2 => TensorType::Q4_0,
        3 => TensorType::Q4_1,
        6 => TensorType::Q5_0,
        7 => TensorType::Q5_1,
        8 => TensorType::Q8_0,
        10 => TensorType::Q2_K,
        11 => TensorType::Q3_K,
        12 => TensorType::Q4_K,
        13 => TensorType::Q5_K,
        14 => TensorType::Q6_K,
        16 => TensorType::IQ2_XXS,
        17 => TensorType::IQ2_XS,
        18 => TensorType::IQ3_XXS,
        19 => TensorType::IQ1_S,
        20 => TensorType::IQ4_NL,
        21 => TensorType::IQ3_S,
        22 => TensorType::IQ2_S,
        23 => TensorType::IQ4_XS,
        29 => TensorType::IQ1_M,
        30 => TensorType::BF16,
        34 => TensorType::TQ1_0,
        35 => TensorType::TQ2_0,
        39 => TensorType::MXFP4,
        40 => TensorType::NVFP4,
        _ => return None,
    })
}

/// The names of GGUF's tensor types, by number: a message names the type that is not read.
#[rustfmt::skip]
const TYPE_NAMES: [&str; 42] = [
    "F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1",
    "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",
    "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M",
    "BF16", "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0", "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",
    "NVFP4", "Q1_0",
];
