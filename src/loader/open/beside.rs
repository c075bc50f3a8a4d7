//! Which of several files of one name goes with the weights.

use super::files::File;
use super::foreign::several;
use crate::error::Result;
use crate::format::short_name;

/// The one of `files` that goes with `weights`: of the same folder, or of a diffusion repository's folder of the same
/// number (`tokenizer_2` with `text_encoder_2`).
pub(super) fn one_beside(weights: &File, files: Vec<File>) -> Result<Option<File>> {
    let home = folder(weights.name());
    let numbered = |folder: &str, name: &str| Some(last(folder)?.strip_prefix(name)?.to_owned());
    let number = numbered(home, "text_encoder");
    let other = |file: &File| {
        let of = numbered(folder(file.name()), "tokenizer");
        matches!((&number, of), (Some(number), Some(of)) if *number != of)
    };
    let mut files: Vec<File> = files.into_iter().filter(|file| !other(file)).collect();
    if files.iter().any(|file| folder(file.name()) == home) {
        files.retain(|file| folder(file.name()) == home);
    }
    match &files[..] {
        [first, second, ..] => Err(several(first, second)),
        _ => Ok(files.pop()),
    }
}

/// The folder of a path or URL, without its last name.
fn folder(name: &str) -> &str {
    let path = if name.contains("://") { name.split(['?', '#']).next().unwrap_or(name) } else { name };
    path.strip_suffix(short_name(name)).unwrap_or("").trim_end_matches(['/', '\\'])
}

fn last(folder: &str) -> Option<&str> {
    folder.rsplit(['/', '\\']).next()
}
