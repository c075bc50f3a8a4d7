//! Bytes on disk: where they come from ([`Source`]) and what they mean ([`gguf`], [`safetensors`], [`torch`]).
//! Knows files and tensors, not the network.

pub mod gguf;
mod name;
pub mod safetensors;
mod sha256;
pub mod torch;

pub use name::short_name;
pub use sha256::{hex, sha256_hex};

use crate::error::Result;
use std::{future::Future, ops::Range, pin::Pin};

/// The bytes of one range, on their way.
pub type Read<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>>> + 'a>>;

/// A file that is read by ranges: from disk, from a server, from a file the user picked.
pub trait Source {
    /// The name shown in messages: a path or a URL.
    fn name(&self) -> &str;
    /// The file's length in bytes.
    fn size(&self) -> u64;
    /// Exactly the bytes of `range`; a range past the end is [`Error::Truncated`](crate::error::Error::Truncated).
    fn read(&self, range: Range<u64>) -> Read<'_>;
    /// The file's SHA-256, where whoever reads it compares every byte with it; a load hashes the others itself.
    fn sha256(&self) -> Option<&str> {
        None
    }
}

/// How a tensor's elements are stored.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum TensorType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4_K,
    Q5_K,
    Q6_K,
}

impl TensorType {
    /// Values in one block: a row's length is a multiple of it.
    pub fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
        }
    }
}

/// Where a tensor lies in its file.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// The name in the file.
    pub name: String,
    /// How its elements are stored.
    pub dtype: TensorType,
    /// Row-major, slowest dimension first: a linear layer is `[out, in]`.
    pub shape: Vec<usize>,
    /// Its bytes, counted from the start of the file.
    pub range: Range<u64>,
}

/// A file on disk.
#[cfg(not(target_family = "wasm"))]
pub struct DiskFile {
    name: String,
    size: u64,
    file: std::fs::File,
}

#[cfg(not(target_family = "wasm"))]
impl DiskFile {
    /// Opens the file at `path`.
    pub fn open(path: &std::path::Path) -> Result<Self> {
        let name = path.display().to_string();
        let read =
            |e: std::io::Error| crate::error::Error::Read { file: name.clone(), reason: e.to_string() };
        let file = std::fs::File::open(path).map_err(read)?;
        let metadata = file.metadata().map_err(read)?;
        if metadata.is_dir() {
            return Err(crate::error::Error::Read { file: name, reason: "it is a folder".into() });
        }
        Ok(Self { size: metadata.len(), name, file })
    }
}

#[cfg(not(target_family = "wasm"))]
impl Source for DiskFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, range: Range<u64>) -> Read<'_> {
        Box::pin(async move {
            check_range(self, &range)?;
            let failed = |e: std::io::Error| crate::error::Error::Read {
                file: self.name.clone(),
                reason: e.to_string(),
            };
            let mut bytes = vec![0; (range.end - range.start) as usize];
            use std::io::{Read, Seek, SeekFrom};
            let mut file = &self.file;
            file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
            file.read_exact(&mut bytes).map_err(failed)?;
            Ok(bytes)
        })
    }
}

/// A file held in memory: tests, and small files that a page has picked.
pub struct Memory {
    name: String,
    bytes: Vec<u8>,
}

impl Memory {
    /// `bytes` under the name `name`.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

impl Source for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Read<'_> {
        Box::pin(async move {
            check_range(self, &range)?;
            Ok(self.bytes[range.start as usize..range.end as usize].to_vec())
        })
    }
}

/// Refuses a range that passes the end of `source`.
pub fn check_range(source: &dyn Source, range: &Range<u64>) -> Result<()> {
    if range.end > source.size() || range.start > range.end {
        return Err(crate::error::Error::Truncated {
            file: source.name().into(),
            item: format!("the range from byte {}", range.start),
            expected: range.end,
            found: source.size(),
        });
    }
    Ok(())
}
