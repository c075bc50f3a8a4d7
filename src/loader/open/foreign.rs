//! Files of something else than a text model, and files of two models, each named in words that say what to do.

use super::files::File;
use super::split::Part;
use crate::error::{Error, Result};
use crate::format::{gguf::Gguf, short_name, sniff};

/// The GGUF files that may be text models, where there are any; parts of one are left as they are.
pub(super) async fn texts_only(files: Vec<File>) -> Vec<File> {
    let mut texts = Vec::new();
    for file in &files {
        let is_text = Part::of(file.name()).is_some()
            || Gguf::read(&**file).await.is_ok_and(|gguf| refuse_foreign(&gguf).is_ok());
        texts.extend(is_text.then(|| file.clone()));
    }
    if texts.is_empty() { files } else { texts }
}

/// Refuses a GGUF file of something else than a text model, by its own words.
///
/// # Errors
/// [`Error::NotAModel`].
pub(super) fn refuse_foreign(gguf: &Gguf) -> Result<()> {
    const DIFFUSION: [&str; 13] = [
        "flux",
        "sd1",
        "sdxl",
        "sd3",
        "aura",
        "hidream",
        "cosmos",
        "ltxv",
        "hyvid",
        "wan",
        "lumina2",
        "qwen_image",
        "pig",
    ];
    let word = |key: &str| gguf.str(key).ok().flatten().unwrap_or_default();
    let found = match (word("general.architecture"), word("general.type")) {
        ("clip", _) | (_, "mmproj") => {
            "the image half of a model (mmproj): give the file of its text model, which lies beside it"
        }
        (_, "adapter") => "a LoRA adapter, not a model: merge it into its base first",
        (_, "imatrix") => "an importance matrix, not a model",
        (name, _) if DIFFUSION.contains(&name) => "a diffusion model: give the file of its text encoder",
        _ => return Ok(()),
    };
    Err(Error::NotAModel { file: gguf.file.clone(), expected: "a text model", found: found.into() })
}

/// The error about files of two models.
pub(super) fn several(first: &File, second: &File) -> Error {
    let [first, second] = [first, second].map(|file| file.name().into());
    let (expected, found) = ("the files of one model".into(), "two models: name the file of one".into());
    Error::SeveralModels { first, second, expected, found }
}

/// The error about a file that is `found`.
pub(super) fn not_a_model(file: &File, found: &str) -> Error {
    let expected = "a .gguf file, or .safetensors files with config.json";
    Error::NotAModel { file: file.name().into(), expected, found: found.into() }
}

/// The error of a reader, in other words where the file's name says that it is not whole.
pub(super) fn explained(error: Error) -> Error {
    let file = match &error {
        Error::NotAModel { file, .. } | Error::Truncated { file, .. } | Error::Malformed { file, .. } => file,
        _ => return error,
    };
    match sniff::piece(short_name(file)) {
        Some(found) => Error::NotAModel { file: file.clone(), expected: "a whole file", found: found.into() },
        None => error,
    }
}
