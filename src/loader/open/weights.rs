//! Files that may be weights, told by their first bytes, and what is said where none of them is a model.

use super::files::{File, Files};
use super::foreign::not_a_model;
use super::role::{Role, Roles, take};
use crate::error::{Error, Result};
use crate::format::{Source, gguf::Gguf, safetensors::Safetensors, short_name, sniff, torch::Torch};
use std::collections::BTreeMap;

/// Files that may be weights, by their first bytes, or by their endings where these tell nothing.
#[derive(Default)]
pub(super) struct Weights {
    pub ggufs: Vec<File>,
    pub tensors: Vec<File>,
    pickles: Vec<File>,
    unknown: Vec<File>,
}

impl Weights {
    /// Puts each file where its first bytes say that it belongs.
    ///
    /// # Errors
    /// Those of the files.
    pub(super) async fn sort(files: Vec<File>) -> Result<Self> {
        let mut sorted = Self::default();
        for file in files {
            let start = file.read(0..file.size().min(16)).await?;
            let name = short_name(file.name()).to_ascii_lowercase();
            let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
            let is_pickle = match start[..] {
                [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..] => true,
                _ => sniff::foreign(&start).is_none(),
            } && ends(&[".bin", ".pt", ".pth", ".ckpt", ".pkl"]);
            let place = match start[..] {
                _ if Gguf::is_gguf(&start) => &mut sorted.ggufs,
                [_, _, _, _, _, _, 0, 0, b'{', ..] => &mut sorted.tensors,
                _ if is_pickle => &mut sorted.pickles,
                _ if ends(&[".gguf"]) => &mut sorted.ggufs,
                _ if ends(&[".safetensors"]) => &mut sorted.tensors,
                _ => &mut sorted.unknown,
            };
            place.push(file);
        }
        // Beside other weights, a pickle is a second copy, or an adapter.
        if sorted.ggufs.is_empty() && sorted.tensors.is_empty() {
            let (archives, bare) = archives(std::mem::take(&mut sorted.pickles)).await?;
            (sorted.tensors, sorted.pickles) = (archives, bare);
        }
        Ok(sorted)
    }

    /// What is left where there is no model: a file whose reader says what it is, or an error.
    ///
    /// # Errors
    /// [`Error::NotAModel`].
    pub(super) fn none_of(self, mut roles: Roles, named: Option<File>) -> Result<Files> {
        if let Some(file) = self.pickles.first() {
            let found = "a pickled checkpoint, which is read as an adapter, or as a model with the ending .pth and in the \
                         format of torch 1.6 and later: save the model as .safetensors \
                         (`model.save_pretrained(folder, safe_serialization=True)`)";
            return Err(not_a_model(file, found));
        }
        let unknown = if self.unknown.is_empty() { take(&mut roles, Role::Other) } else { self.unknown };
        if !unknown.is_empty() {
            return Ok(Files { weights: unknown, is_gguf: true, ..Files::default() });
        }
        match named.or(roles.into_values().flatten().next()) {
            Some(file) => Err(not_a_model(&file, "no weights")),
            None => Err(Error::NotAModel {
                file: "no file".into(),
                expected: "a .gguf file, or .safetensors files with config.json",
                found: "no weights".into(),
            }),
        }
    }
}

/// Those of `files` that are archives of `torch.save` with the ending of an encoder that is published so (Wan's), and the
/// others: `.bin` and `.pt` mostly lie beside safetensors of the same weights.
async fn archives(files: Vec<File>) -> Result<(Vec<File>, Vec<File>)> {
    let (mut archives, mut others) = (Vec::new(), Vec::new());
    for file in files {
        let is_archive = short_name(file.name()).to_ascii_lowercase().ends_with(".pth")
            && Torch::is_torch(&file.read(0..file.size().min(4)).await?);
        if is_archive { archives.push(file) } else { others.push(file) }
    }
    Ok((archives, others))
}

/// The header of a file of tensors: safetensors, or an archive of `torch.save`, of which no code is run.
///
/// # Errors
/// Those of the two readers.
pub(super) async fn read_tensors(file: &dyn Source) -> Result<Safetensors> {
    if !Torch::is_torch(&file.read(0..file.size().min(4)).await?) {
        return Safetensors::read(file).await;
    }
    let Torch { file, tensors, skipped, .. } = Torch::read(file).await?;
    Ok(Safetensors { file, tensors, skipped, metadata: BTreeMap::new(), tokenizers: Vec::new() })
}
