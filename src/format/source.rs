//! The bytes of a file, which come from a disk, from memory, or from whatever else a [`Source`] is written for.

use crate::error::{Error, Result};
use std::{future::Future, ops::Range, pin::Pin};

/// The bytes of one range, on their way.
pub type Read<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>>> + 'a>>;

/// A file that is read by ranges: from disk, from a server, or one that the user picked.
///
/// ```
/// use gran_ted::format::{Memory, Source};
///
/// let file = Memory::new("m.bin", vec![1, 2, 3, 4]);
/// assert_eq!((file.name(), file.size()), ("m.bin", 4));
/// ```
pub trait Source {
    /// The name shown in messages: a path or a URL.
    fn name(&self) -> &str;
    /// The file's length in bytes.
    fn size(&self) -> u64;
    /// Exactly the bytes of `range`.
    ///
    /// # Errors
    /// [`Error::Truncated`] for a range that passes the end, as [`check_range`] finds it; [`Error::Read`] or the host's
    /// error where the bytes cannot be had.
    fn read(&self, range: Range<u64>) -> Read<'_>;
    /// The file's SHA-256 in hexadecimal digits, if the source itself compares every byte with it. `None` leaves the
    /// hashing to the load.
    fn sha256(&self) -> Option<&str> {
        None
    }
}

/// Checks that `range` lies within `source`.
///
/// # Errors
/// [`Error::Truncated`].
pub fn check_range(source: &dyn Source, range: &Range<u64>) -> Result<()> {
    if range.end > source.size() || range.start > range.end {
        return Err(Error::Truncated {
            file: source.name().into(),
            item: format!("the range from byte {}", range.start),
            expected: range.end,
            found: source.size(),
        });
    }
    Ok(())
}

/// A file held in memory: tests, and small files that a page has picked.
pub struct Memory {
    name: String,
    bytes: Vec<u8>,
}

impl Memory {
    /// A file named `name` that consists of `bytes`.
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

/// A file on disk.
#[cfg(not(target_family = "wasm"))]
pub struct DiskFile {
    name: String,
    size: u64,
    file: std::fs::File,
}

#[cfg(not(target_family = "wasm"))]
impl DiskFile {
    /// Opens the file at `path`, which is its name in messages.
    ///
    /// # Errors
    /// [`Error::Read`] where there is no such file, where it may not be read, and where it is a folder.
    pub fn open(path: &std::path::Path) -> Result<Self> {
        let name = path.display().to_string();
        let failed = |e: std::io::Error| Error::Read { file: name.clone(), reason: e.to_string() };
        let file = std::fs::File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::Read { file: name, reason: "it is a folder".into() });
        }
        Ok(Self { size: metadata.len(), name, file })
    }

    fn bytes(&self, range: Range<u64>) -> std::io::Result<Vec<u8>> {
        use std::io::{Read, Seek, SeekFrom};
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(range.start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
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
            self.bytes(range).map_err(|e| Error::Read { file: self.name.clone(), reason: e.to_string() })
        })
    }
}
