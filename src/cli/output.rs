//! The output of commands: lines, tables, progress bars, files.

use gran_ted::error::{Error, Result, shown};
use gran_ted::ted::Accuracy;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// The name of the standard output in errors.
pub const STDOUT: &str = "standard output";

/// A bar on standard error; hidden where that is no terminal.
pub fn bar(total: u64, template: &str, message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(message)
}

/// Writes to standard output; a reader that has gone away is not an error.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Write { file: STDOUT.into(), reason: e.to_string() })
        }
        _ => Ok(()),
    }
}

/// A line on standard error, without control characters. Where even that can't be written, nobody reads it.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", shown(line));
}

/// Indented JSON.
pub fn to_json(path: &Path, value: &impl serde::Serialize) -> Result<String> {
    let failed = |reason: String| Error::Write { file: path.display().to_string(), reason };
    Ok(serde_json::to_string_pretty(value).map_err(|e| failed(e.to_string()))? + "\n")
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
