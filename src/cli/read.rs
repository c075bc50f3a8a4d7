//! Files that are read whole, and texts from standard input.

use gran_ted::error::{Error, Result};
use gran_ted::format::reason;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The most bytes that are read: a little more than any reader takes, so that the reader says that it is too much.
const MOST: u64 = (64 << 20) + 1;
/// The argument that stands for standard input, and its name in messages.
pub const STDIN_SIGN: &str = "-";
const STDIN: &str = "standard input";

/// The bytes of a file, or the first 64 MiB of a larger one and one byte more.
///
/// # Errors
/// [`Error::Read`], also for a named pipe, which may have no writer.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let refused = |reason: String| Error::Read { file: path.display().to_string(), reason };
    let failed = |e: std::io::Error| refused(reason(path, &e));
    let kind = std::fs::metadata(path).map_err(failed)?;
    if kind.is_dir() {
        return Err(refused("it is a folder".into()));
    }
    // A pipe that the shell has opened, as by `<(…)`, lies there and has a writer.
    if !kind.is_file() && !path.starts_with("/dev") && !path.starts_with("/proc") {
        return Err(refused("it is a named pipe or a device, and not a file".into()));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

/// The texts of a command: an argument `-` stands for the lines of standard input, one text each.
///
/// # Errors
/// [`Error::Read`] for what is no UTF-8 text of at most 64 MiB, and for a second `-`.
pub fn texts(arguments: &[String]) -> Result<Vec<String>> {
    let refused = |reason: String| Error::Read { file: STDIN.into(), reason };
    if arguments.iter().filter(|text| *text == STDIN_SIGN).count() > 1 {
        return Err(refused("`-` stands for all of it, expected it once".into()));
    }
    let mut texts = Vec::new();
    for argument in arguments {
        if argument != STDIN_SIGN {
            texts.push(argument.clone());
            continue;
        }
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(MOST).read_to_end(&mut bytes).map_err(|e| refused(e.to_string()))?;
        if bytes.len() as u64 == MOST {
            return Err(refused("expected at most 64 MiB of texts".into()));
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            let line = 1 + e.as_bytes()[..e.utf8_error().valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            refused(format!("line {line} is no UTF-8 text"))
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        if text.is_empty() {
            return Err(refused("it is empty: expected one text a line".into()));
        }
        texts.extend(text.lines().map(str::to_owned));
    }
    Ok(texts)
}
