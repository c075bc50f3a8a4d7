//! The output of commands: lines, tables, progress bars, files.

use gran_ted::error::{Error, Result};
use gran_ted::ted::Accuracy;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::path::Path;

/// The name of the standard output in errors.
pub const STDOUT: &str = "standard output";

/// A bar on standard error; hidden where that is no terminal.
pub fn bar(total: u64, template: &str, message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(message)
}

/// Writes to standard output; a reader that has gone away is not an error.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The bytes of a file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::Read { file: path.display().to_string(), reason: e.to_string() })
}

/// Indented JSON.
pub fn to_json(path: &Path, value: &impl serde::Serialize) -> Result<String> {
    let failed = |reason: String| Error::Write { file: path.display().to_string(), reason };
    Ok(serde_json::to_string_pretty(value).map_err(|e| failed(e.to_string()))? + "\n")
}

/// Writes a result.
pub fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|e| unwritable(path, &e))
}

/// Whether a result can be written when it is there; what the file holds stays until then.
pub fn probe(path: &Path) -> Result<()> {
    let is_new = !path.exists();
    std::fs::OpenOptions::new().append(true).create(true).open(path).map_err(|e| unwritable(path, &e))?;
    if is_new {
        std::fs::remove_file(path).map_err(|e| unwritable(path, &e))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::Write { file: path.display().to_string(), reason: error.to_string() }
}

/// An accuracy and its interval, 24 columns wide.
pub fn percent(of: &Accuracy) -> String {
    let [low, high] = of.interval.map(|bound| format!("{:.1}", 100.0 * bound));
    format!("{:>6.2} %  {:<13}", 100.0 * of.accuracy, format!("[{low}, {high}]"))
}

/// A probability with four decimals.
pub fn chance(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".into() } else { format!("{p:.4}") }
}
