//! Result files: written beside their place and put there when whole, so that a full disk or a kill leaves what was
//! there; and never over a file that the same command reads.

use gran_ted::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Whether results can be written to all of `places` when they are there; what the files hold stays until then.
///
/// # Errors
/// [`Error::OverInput`] where a place is one of the `inputs` or stands twice, by whatever path; [`Error::Write`].
pub fn check<'a>(places: impl IntoIterator<Item = &'a PathBuf>, inputs: &[PathBuf]) -> Result<()> {
    let mut taken: Vec<(&Path, Identity, &str)> = Vec::new();
    for input in inputs {
        taken.extend(identity(input).map(|identity| (input.as_path(), identity, "reads")));
    }
    for place in places {
        let before = identity(place);
        if let Some(before) = &before
            && let Some((input, _, uses)) = taken.iter().find(|(_, other, _)| before == other)
        {
            let [file, input] = [*input, place.as_path()].map(|path| path.display().to_string());
            return Err(Error::OverInput { file: input, input: file, uses });
        }
        probe(place).map_err(|e| unwritable(place, &e))?;
        let own = before.or_else(|| std::path::absolute(place).ok().map(Identity::Path));
        if let Some(own) = own {
            if taken.iter().any(|(_, other, _)| own == *other) {
                let file = place.display().to_string();
                return Err(Error::OverInput { input: file.clone(), file, uses: "writes already" });
            }
            taken.push((place, own, "writes already"));
        }
    }
    Ok(())
}

/// What makes two paths the same file.
#[derive(PartialEq)]
enum Identity {
    /// Device and inode: a hard link is the same file too.
    #[cfg(unix)]
    Inode(u64, u64),
    /// The path without links, or that of a file that is not there yet.
    Path(PathBuf),
}

/// The identity of the regular file at `path`; a terminal or a pipe can be written to as often as one likes.
fn identity(path: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(path).ok().filter(|metadata| metadata.is_file() && !is_open(path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some(Identity::Inode(metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        path.canonicalize().ok().map(Identity::Path)
    }
}

/// Whether a file that is there may be written, and its folder takes another one.
fn probe(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        OpenOptions::new().append(true).open(path)?;
    }
    if let Some(target) = replaced(path)? {
        let beside = beside(&target);
        create(&beside)?;
        std::fs::remove_file(beside)?;
    }
    Ok(())
}

/// Writes a result: all of it, or nothing.
///
/// # Errors
/// [`Error::Write`].
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    put(path, content.as_ref()).map_err(|e| unwritable(path, &e))
}

fn put(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let Some(target) = replaced(path)? else {
        if is_stdout(path) {
            // As it is open already: what is printed after it stands behind it, also in a file.
            let mut out = std::io::stdout().lock();
            return out.write_all(content).and_then(|()| out.flush());
        }
        return OpenOptions::new().append(true).open(path)?.write_all(content);
    };
    let beside = beside(&target);
    let written = create(&beside).and_then(|mut file| {
        file.write_all(content)?;
        if let Ok(before) = std::fs::metadata(&target) {
            file.set_permissions(before.permissions())?;
        }
        file.sync_all()?; // a full disk may only be told here
        std::fs::rename(&beside, &target)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// The file that a result replaces, at the end of all links; `None` where the place is no file but a terminal, a pipe or
/// a device such as /dev/stdout, which is written to as it is.
fn replaced(path: &Path) -> std::io::Result<Option<PathBuf>> {
    match std::fs::metadata(path) {
        Ok(_) if is_open(path) => Ok(None),
        Ok(metadata) if metadata.is_file() => path.canonicalize().map(Some),
        Ok(metadata) if metadata.is_dir() => Err(std::io::Error::other("it is a folder")),
        Ok(_) => Ok(None),
        Err(_) => match std::fs::read_link(path) {
            // A link to a file that is not there yet.
            Ok(link) => Ok(Some(path.parent().unwrap_or(Path::new("")).join(link))),
            Err(_) => Ok(Some(path.into())),
        },
    }
}

/// Whether a path stands for a file that the process has open already.
fn is_open(path: &Path) -> bool {
    is_stdout(path)
        || path == Path::new("/dev/stderr")
        || path.starts_with("/dev/fd")
        || path.starts_with("/proc")
}

fn is_stdout(path: &Path) -> bool {
    ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|stdout| path == Path::new(stdout))
}

/// A hidden name beside `target`, of this process.
fn beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().take(100).collect();
    target.with_file_name(format!(".{name}.{}.part", std::process::id()))
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::Write { file: path.display().to_string(), reason: error.to_string() }
}
