//! The files of the model that a path names: the file itself, its other parts, and its companions.

use gran_ted::error::{Error, Result};
use gran_ted::format::{DiskFile, Source, safetensors::Index};
use gran_ted::loader::Part;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The files of the model at `path`: a file, one of its parts, a safetensors index, or a folder.
pub fn model_files(path: &Path) -> Result<Vec<Rc<dyn Source>>> {
    let paths = match path {
        path if path.is_dir() => in_folder(path)?,
        path if path.to_string_lossy().ends_with(Index::ENDING) => indexed(path)?,
        path => with_parts(path),
    };
    paths.iter().map(|path| Ok(Rc::new(DiskFile::open(path)?) as Rc<dyn Source>)).collect()
}

/// A file, its other parts, and their companions. An absent part is missed when the headers are read.
fn with_parts(path: &Path) -> Vec<PathBuf> {
    let name = path.to_string_lossy();
    let mut paths = match Part::of(&name) {
        Some(part) => (1..=part.count)
            .map(|number| if number == part.number { path.into() } else { part.sibling(number).into() })
            .chain([format!("{}{}", part.prefix, Index::ENDING).into()])
            .filter(|part: &PathBuf| part.exists())
            .collect(),
        None => vec![path.to_path_buf()],
    };
    if name.ends_with(".safetensors") {
        paths.extend(companions(path));
    }
    paths
}

/// An index, the files that it lists, and their companions.
fn indexed(path: &Path) -> Result<Vec<PathBuf>> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| Error::Read { file: name.clone(), reason: e.to_string() })?;
    let index = Index::parse(&name, &bytes)?;
    let shards = index.shards().into_iter().map(|shard| path.with_file_name(shard));
    let mut paths: Vec<_> = shards.filter(|shard| shard.exists()).collect();
    paths.push(path.to_path_buf());
    paths.extend(companions(path));
    Ok(paths)
}

/// The files that a safetensors file needs next to it, as far as they exist.
fn companions(path: &Path) -> impl Iterator<Item = PathBuf> {
    let beside = ["config.json", "tokenizer.json"].map(|name| path.with_file_name(name));
    beside.into_iter().filter(|path| path.exists())
}

/// The files of the one model in a folder.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    // 1. The files in the folder.
    let unreadable =
        |e: std::io::Error| Error::Read { file: folder.display().to_string(), reason: e.to_string() };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    let name =
        |path: &PathBuf| path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    let named = |fits: &dyn Fn(&str) -> bool| -> Vec<PathBuf> {
        paths.iter().filter(|path| fits(&name(path))).cloned().collect()
    };

    // 2. The models in it. llama.cpp's image encoders (mmproj) lie next to the text models that they belong to.
    let mut models: Vec<Vec<PathBuf>> = Vec::new();
    for path in named(&|name| name.ends_with(".gguf") && !name.starts_with("mmproj")) {
        if !models.iter().flatten().any(|known| *known == path) {
            models.push(with_parts(&path));
        }
    }
    let safetensors = named(&|name| name.ends_with(".safetensors"));
    if let Some(index) = named(&|name| name.ends_with(Index::ENDING)).first() {
        models.push(indexed(index)?);
    } else if let Some(model) = safetensors.iter().find(|path| name(path) == "model.safetensors") {
        models.push(with_parts(model)); // adapters may lie next to it
    } else if let Some(first) = safetensors.first() {
        models.push(safetensors.iter().cloned().chain(companions(first)).collect());
    }

    // 3. One of them.
    match &models[..] {
        [model] => Ok(model.clone()),
        [] => Err(Error::NotAModel {
            file: folder.display().to_string(),
            expected: "a folder with a .gguf file, or with .safetensors files and config.json",
            found: "neither".into(),
        }),
        [first, second, ..] => Err(Error::SeveralModels {
            first: first[0].display().to_string(),
            second: second[0].display().to_string(),
            expected: "one model in a folder".into(),
            found: format!("{}: name the file of one", models.len()),
        }),
    }
}
