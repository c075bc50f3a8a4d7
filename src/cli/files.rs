//! The files of the model that a path names: the file itself, its other parts, and its companions; of a folder all that
//! may belong to it. The library says which of them is what.

use gran_ted::error::{Error, Result};
use gran_ted::format::gguf::Gguf;
use gran_ted::format::safetensors::Index;
use gran_ted::loader::Part;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The files beside weights that configuration and tokenizer are made from.
const CONFIG: &str = "config.json";
const TOKENIZER: [&str; 10] = [
    "tokenizer.json",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
];
/// Of these, how many make a tokenizer by themselves.
const WHOLE: usize = 5;
/// Of a folder, the file that tells a LoRA adapter.
const ADAPTER: &str = "adapter_config.json";
/// The endings of weights, and of what people take for weights.
const WEIGHTS: [&str; 6] = [".gguf", ".safetensors", ".bin", ".pt", ".pth", ".ckpt"];

/// The files of the model at `path`: a file, one of its parts, a safetensors index, or a folder.
pub fn model_files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        return in_folder(path);
    }
    if Index::is_name(&name(path)) {
        return indexed(path);
    }
    match index_of(path) {
        Some(index) => indexed(&index),
        None => Ok(with_parts(path)),
    }
}

/// The last name of a path.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into()
}

fn ends_with(path: &Path, endings: &[&str]) -> bool {
    let name = name(path).to_ascii_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

/// The index beside a shard that lists it, whatever its variant.
fn index_of(shard: &Path) -> Option<PathBuf> {
    Part::of(&name(shard)).filter(|_| ends_with(shard, &[".safetensors"]))?;
    let name = name(shard);
    let lists = |path: &PathBuf| {
        let index = std::fs::read(path).ok().and_then(|bytes| Index::parse("", &bytes).ok());
        index.is_some_and(|index| index.shards().contains(name.as_str()))
    };
    files_in(folder_of(shard)).ok()?.into_iter().filter(|path| Index::is_name(&self::name(path))).find(lists)
}

/// A file, its other parts, and their companions. An absent part is missed when the headers are read.
fn with_parts(path: &Path) -> Vec<PathBuf> {
    let name = path.to_string_lossy();
    let mut paths: Vec<PathBuf> = match Part::of(&name) {
        Some(part) => (1..=part.count)
            .map(|number| if number == part.number { path.into() } else { part.sibling(number).into() })
            .filter(|part: &PathBuf| part.exists())
            .collect(),
        None => vec![path.to_path_buf()],
    };
    if paths.is_empty() {
        paths.push(path.into());
    }
    paths.extend(companions(path));
    paths
}

/// An index, the files that it lists, and their companions.
fn indexed(path: &Path) -> Result<Vec<PathBuf>> {
    let index = Index::parse(&path.display().to_string(), &super::read::read(path)?)?;
    let shards = index.shards().into_iter().map(|shard| path.with_file_name(shard));
    let mut paths: Vec<_> = shards.filter(|shard| shard.exists()).collect();
    paths.push(path.to_path_buf());
    paths.extend(companions(path));
    Ok(paths)
}

/// The files that weights need next to them, as far as they exist: a GGUF file's tokenizer may be of a kind that is not
/// read, and has then a tokenizer.json.
fn companions(path: &Path) -> Vec<PathBuf> {
    let folder = folder_of(path);
    let beside = |name: &&str| folder.join(name);
    if ends_with(path, &[".gguf"]) {
        return TOKENIZER[..1].iter().map(beside).filter(|path| path.is_file()).collect();
    }
    let config = std::iter::once(folder.join(CONFIG));
    let mut paths: Vec<PathBuf> =
        config.chain(TOKENIZER.iter().map(beside)).filter(|path| path.is_file()).collect();
    paths.extend(sibling_tokenizer(folder));
    paths
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The tokenizer of a diffusion repository's text encoder, where its own folder has none: `tokenizer` beside
/// `text_encoder`, `tokenizer_2` beside `text_encoder_2`, and never another one's.
fn sibling_tokenizer(folder: &Path) -> Vec<PathBuf> {
    let has = |name: &str| folder.join(name).is_file();
    if TOKENIZER[..WHOLE].iter().any(|name| has(name)) || has("vocab.json") && has("merges.txt") {
        return vec![];
    }
    let whole = std::path::absolute(folder).ok().filter(|path| path.file_name().is_some());
    let whole = if name(folder).is_empty() { folder.canonicalize().ok() } else { whole };
    let Some(whole) = whole else { return vec![] };
    let Some(number) = name(&whole).strip_prefix("text_encoder").map(str::to_owned) else { return vec![] };
    let tokenizer = whole.with_file_name(format!("tokenizer{number}"));
    TOKENIZER.iter().map(|name| tokenizer.join(name)).filter(|path| path.is_file()).collect()
}

/// The files of a folder, in order, without those that are hidden.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable =
        |e: std::io::Error| Error::Read { file: folder.display().to_string(), reason: e.to_string() };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() && !name(&path).starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The files of a folder that may belong to one model.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    // 1. Weights, and what says more of them.
    let files = files_in(folder)?;
    let is_weights = |path: &&PathBuf| ends_with(path, &WEIGHTS) || is_gguf(path);
    if files.iter().any(|path| is_weights(&path)) {
        let says_more = |path: &Path| {
            let name = name(path).to_ascii_lowercase();
            name == CONFIG || name == ADAPTER || TOKENIZER.contains(&name.as_str()) || Index::is_name(&name)
        };
        let mut paths: Vec<PathBuf> =
            files.into_iter().filter(|path| is_weights(&path) || says_more(path)).collect();
        paths.extend(sibling_tokenizer(folder));
        return Ok(paths);
    }

    // 2. A folder of folders: of the Hub's cache, or a diffusion repository.
    if let Some(snapshot) = snapshot(folder)? {
        return in_folder(&snapshot);
    }
    let encoders = folders_in(folder, |name| name.starts_with("text_encoder"));
    if let Some(encoder) = one(encoders)? {
        return in_folder(&encoder);
    }
    Err(Error::NotAModel {
        file: folder.display().to_string(),
        expected: "a folder with a .gguf file, or with .safetensors files and config.json",
        found: "neither".into(),
    })
}

/// Whether a file without an ending begins as GGUF.
fn is_gguf(path: &Path) -> bool {
    let mut start = [0; 4];
    let is_plain = path.extension().is_none_or(|ending| ending.len() > 12);
    is_plain
        && std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
        && Gguf::is_gguf(&start)
}

/// The files that a folder of the Hub's cache stands for (`models--owner--name`, or its `snapshots`): of the commit that
/// `refs/main` names, or of the only one.
fn snapshot(folder: &Path) -> Result<Option<PathBuf>> {
    let inside = folder.join("snapshots");
    let (snapshots, refs) = match name(folder).as_str() {
        "snapshots" => (folder.to_path_buf(), folder.with_file_name("refs")),
        _ if inside.is_dir() => (inside, folder.join("refs")),
        _ => return Ok(None),
    };
    if let Ok(commit) = std::fs::read_to_string(refs.join("main")) {
        let main = snapshots.join(commit.trim());
        if !commit.trim().is_empty() && main.is_dir() {
            return Ok(Some(main));
        }
    }
    one(folders_in(&snapshots, |_| true))
}

fn folders_in(folder: &Path, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir() && fits(&name(path))).collect();
    folders.sort();
    folders
}

/// The only one of `folders`; `None` of none.
fn one(mut folders: Vec<PathBuf>) -> Result<Option<PathBuf>> {
    if let [first, second, ..] = &folders[..] {
        return Err(Error::SeveralModels {
            first: first.display().to_string(),
            second: second.display().to_string(),
            expected: "one model in a folder".into(),
            found: format!("{}: name the folder of one", folders.len()),
        });
    }
    Ok(folders.pop())
}
