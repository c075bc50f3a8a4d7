//! The bytes of a file, which come from a disk, from memory, or from whatever else a [`Source`] is written for.

use crate::error::{Error, Result};
use std::{future::Future, ops::Range, pin::Pin};

/// The bytes of one range, on their way.
pub type Read<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>>> + 'a>>;

/// A file that is read by ranges: from disk, from a server, or one that the user picked.
///
/// ```
/// use gran_ted::format::{Read, Source, check_range};
/// use std::ops::Range;
///
/// /// A file that is all zeros.
/// struct Zeros(u64);
///
/// impl Source for Zeros {
///     fn name(&self) -> &str {
///         "zeros"
///     }
///
///     fn size(&self) -> u64 {
///         self.0
///     }
///
///     fn read(&self, range: Range<u64>) -> Read<'_> {
///         Box::pin(async move {
///             check_range(self, &range)?;
///             Ok(vec![0; (range.end - range.start) as usize])
///         })
///     }
/// }
///
/// let file = Zeros(8);
/// assert_eq!(pollster::block_on(file.read(5..8))?, [0; 3]);
/// let past_the_end = pollster::block_on(file.read(5..9)).unwrap_err();
/// assert!(past_the_end.to_string().starts_with("`zeros` is truncated"));
/// # Ok::<(), gran_ted::error::Error>(())
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
///
/// ```
/// use gran_ted::format::{Memory, Source};
///
/// let file = Memory::new("notes.txt", b"a red cube".to_vec());
/// assert_eq!((file.name(), file.size()), ("notes.txt", 10));
/// assert_eq!(pollster::block_on(file.read(2..5))?, b"red");
/// # Ok::<(), gran_ted::error::Error>(())
/// ```
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
    /// [`Error::Read`] where there is no such file, where it may not be read, and where it is a folder, a pipe or a link.
    pub fn open(path: &std::path::Path) -> Result<Self> {
        let name = path.display().to_string();
        let refused = |reason: String| Error::Read { file: name.clone(), reason };
        let failed = |e: std::io::Error| refused(reason(path, &e));
        // Before it is opened: a named pipe would wait for a writer.
        let kind = std::fs::metadata(path).map_err(failed)?;
        if kind.is_dir() {
            return Err(refused("it is a folder".into()));
        }
        if !kind.is_file() {
            return Err(refused("it is a pipe or a device, and a file is read at several places".into()));
        }
        let file = std::fs::File::open(path).map_err(failed)?;
        Ok(Self { size: file.metadata().map_err(failed)?.len(), name, file })
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

/// Why the file at `path` can't be read, in words that say what to do where that is known.
#[cfg(not(target_family = "wasm"))]
pub fn reason(path: &std::path::Path, error: &std::io::Error) -> String {
    // A link between two slashes of which a path may have lost one.
    let name = path.to_string_lossy();
    let is_link =
        ["http:/", "https:/", "hf:/", "s3:/", "file:/"].iter().any(|scheme| name.starts_with(scheme));
    if is_link && error.kind() != std::io::ErrorKind::PermissionDenied {
        return "it is a link: download the file first, and give its path".into();
    }
    error.to_string()
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
