//! Which of the files that a person has given is what: by their content and by the conventions of those who write them,
//! on the command line and in the page alike. Files that belong to something else are left out; where two readings are
//! left, the error names both.

use super::sets::Sets;
use super::split::Part;
use super::tokenizers::TokenizerFiles;
use crate::error::{Error, Result};
use crate::format::safetensors::Index;
use crate::format::{Source, gguf::Gguf, short_name, sniff};
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Largest config.json, tokenizer.json or index that is read, in bytes.
const MAX_JSON: u64 = 64 << 20;

pub(super) type File = Rc<dyn Source>;

/// The files of one model, by what they are.
#[derive(Default)]
pub(super) struct Files {
    pub config: Option<File>,
    pub tokenizer: TokenizerFiles,
    pub index: Option<File>,
    /// GGUF files or safetensors files, at least one.
    pub weights: Vec<File>,
    pub is_gguf: bool,
}

/// What a file may be by its name alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Config,
    Tokenizer,
    Pieces,
    Tekken,
    Vocab,
    Merges,
    TokenizerConfig,
    AddedTokens,
    AdapterConfig,
    Index,
    /// JSON of another name.
    Json,
    /// What lies beside models and says nothing of them.
    Other,
    /// Weights, where the content says so.
    Weights,
}

impl Role {
    fn of(name: &str) -> Self {
        let name = uncopied(&short_name(name).to_ascii_lowercase());
        match name.as_str() {
            name if name.starts_with("._") => Self::Other,
            "config.json" => Self::Config,
            "tokenizer.json" => Self::Tokenizer,
            "tekken.json" => Self::Tekken,
            "vocab.json" => Self::Vocab,
            "merges.txt" => Self::Merges,
            "tokenizer_config.json" => Self::TokenizerConfig,
            "added_tokens.json" => Self::AddedTokens,
            "adapter_config.json" => Self::AdapterConfig,
            name if Index::is_name(name) => Self::Index,
            name if name.ends_with(".model") => Self::Pieces,
            name if name.ends_with(".json") => Self::Json,
            name if [".txt", ".md", ".py", ".jinja", ".yaml", ".yml", ".png", ".jpg", ".html"]
                .iter()
                .any(|ending| name.ends_with(ending)) =>
            {
                Self::Other
            }
            _ => Self::Weights,
        }
    }
}

/// `config.json` of `config (1).json`, as a browser names a second download.
pub(super) fn uncopied(name: &str) -> String {
    let copied = name.rsplit_once('.').and_then(|(stem, ending)| {
        let (stem, number) = stem.strip_suffix(')')?.rsplit_once(" (")?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("{stem}.{ending}"))
    });
    copied.unwrap_or_else(|| name.into())
}

/// Sorts `given`, the files of one model and whatever was given with them.
///
/// # Errors
/// [`Error::NotAModel`] where there are no weights, [`Error::SeveralModels`], [`Error::LoraBeside`].
pub(super) async fn choose(given: Vec<File>) -> Result<Files> {
    // 1. By name, then by the first bytes.
    let mut roles: Roles = BTreeMap::new();
    for file in given {
        roles.entry(Role::of(file.name())).or_default().push(file);
    }
    let mut weights = Weights::sort(take(&mut roles, Role::Weights)).await?;
    let indices = take(&mut roles, Role::Index);
    let adapter_configs = take(&mut roles, Role::AdapterConfig);

    // 2. What belongs to something else.
    let is_alone = weights.ggufs.len() + weights.tensors.len() <= 1;
    let mut sets = Sets::read(std::mem::take(&mut weights.tensors), &indices).await?;
    let lora = match sets.lora.take() {
        Some(file) => Some(file),
        None => peft_config(&adapter_configs).await?,
    };
    if !is_alone {
        sets.drop_adapters(!weights.ggufs.is_empty());
        weights.ggufs = texts_only(weights.ggufs).await;
    }
    let first_set = sets.sets.first().and_then(|set| set.files.first());
    if let Some(lora) = lora {
        const ALONE: &str = "a LoRA adapter, not a model: merge it into its base (peft's `merge_and_unload`)";
        return Err(match weights.ggufs.first().or(first_set) {
            Some(base) => Error::LoraBeside { file: lora.name().into(), base: base.name().into() },
            None => not_a_model(&lora, ALONE),
        });
    }
    if let (Some(gguf), Some(tensors)) = (weights.ggufs.first(), first_set) {
        return Err(several(gguf, tensors));
    }

    // 3. One model.
    let is_gguf = !weights.ggufs.is_empty();
    let named = indices.first().or(adapter_configs.first()).cloned();
    let (chosen, index) = match is_gguf {
        true => (std::mem::take(&mut weights.ggufs), None),
        false => sets.one(indices)?,
    };
    if chosen.is_empty() {
        return weights.none_of(roles, named);
    }
    let mut beside = |role: Role| one_beside(&chosen[0], take(&mut roles, role));
    let config = beside(Role::Config)?;
    let json = beside(Role::Tokenizer)?;
    // What a tokenizer.json stands for may lie there in several forms.
    let mut other = |role: Role| if json.is_some() { Ok(None) } else { beside(role) };
    let tokenizer = TokenizerFiles {
        pieces: other(Role::Pieces)?,
        tekken: other(Role::Tekken)?,
        json,
        vocab: beside(Role::Vocab)?,
        merges: beside(Role::Merges)?,
        config: beside(Role::TokenizerConfig)?,
        added: beside(Role::AddedTokens)?,
    };
    let mut files = Files { config, tokenizer, index, weights: chosen, is_gguf };
    if !is_gguf && (files.config.is_none() || files.tokenizer.is_none()) {
        files.recognize(take(&mut roles, Role::Json)).await?;
    }
    Ok(files)
}

type Roles = BTreeMap<Role, Vec<File>>;

fn take(roles: &mut Roles, role: Role) -> Vec<File> {
    roles.remove(&role).unwrap_or_default()
}

/// Files that may be weights, by their first bytes, or by their endings where these tell nothing.
#[derive(Default)]
struct Weights {
    ggufs: Vec<File>,
    tensors: Vec<File>,
    pickles: Vec<File>,
    unknown: Vec<File>,
}

impl Weights {
    async fn sort(files: Vec<File>) -> Result<Self> {
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
        Ok(sorted)
    }

    /// What is left where there is no model: a file whose reader says what it is, or an error.
    fn none_of(self, mut roles: Roles, named: Option<File>) -> Result<Files> {
        if let Some(file) = self.pickles.first() {
            let found = "a pickled checkpoint, which is read as an adapter only: save the model as .safetensors \
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

impl Files {
    /// Takes a configuration and a tokenizer of other names for what they are, where there is none of the usual name.
    async fn recognize(&mut self, json: Vec<File>) -> Result<()> {
        let is_configured = self.config.is_some();
        for file in json {
            let Ok(value) = serde_json::from_slice::<Value>(sniff::without_mark(&read_json(&*file).await?))
            else {
                continue;
            };
            if value.get("model_type").is_some() {
                if is_configured {
                    continue;
                }
                if let Some(first) = self.config.replace(file.clone()) {
                    return Err(several(&first, &file));
                }
            } else if value.pointer("/model/vocab").is_some() && self.tokenizer.is_none() {
                self.tokenizer.json = Some(file);
            } else if value.pointer("/vocab/0/token_bytes").is_some() && self.tokenizer.is_none() {
                self.tokenizer.tekken = Some(file);
            }
        }
        Ok(())
    }
}

/// The adapter_config.json of peft.
async fn peft_config(files: &[File]) -> Result<Option<File>> {
    for file in files {
        let json: Option<Value> =
            serde_json::from_slice(sniff::without_mark(&read_json(&**file).await?)).ok();
        if json.is_some_and(|json| json.get("peft_type").is_some() || json.get("lora_alpha").is_some()) {
            return Ok(Some(file.clone()));
        }
    }
    Ok(None)
}

/// The GGUF files that may be text models, where there are any; parts of one are left as they are.
async fn texts_only(files: Vec<File>) -> Vec<File> {
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

/// The one of `files` that goes with `weights`: of the same folder, or of a diffusion repository's folder of the same
/// number (`tokenizer_2` with `text_encoder_2`).
fn one_beside(weights: &File, files: Vec<File>) -> Result<Option<File>> {
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

pub(super) fn several(first: &File, second: &File) -> Error {
    let [first, second] = [first, second].map(|file| file.name().into());
    let (expected, found) = ("the files of one model".into(), "two models: name the file of one".into());
    Error::SeveralModels { first, second, expected, found }
}

fn not_a_model(file: &File, found: &str) -> Error {
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

/// The bytes of a file that is not longer than any real one beside weights.
///
/// # Errors
/// [`Error::Absurd`] for its length, those of `source`.
pub(super) async fn read_whole(source: &dyn Source) -> Result<Vec<u8>> {
    let (file, found) = (source.name(), source.size());
    if found > MAX_JSON {
        return Err(Error::Absurd { file: file.into(), item: "the length".into(), found, limit: MAX_JSON });
    }
    source.read(0..found).await
}

/// The bytes of a JSON file, without a byte order mark.
///
/// # Errors
/// [`Error::Absurd`] for its length, [`Error::NotAModel`] where it is no JSON at all, those of `source`.
pub(super) async fn read_json(source: &dyn Source) -> Result<Vec<u8>> {
    let bytes = read_whole(source).await?;
    match sniff::foreign(&bytes) {
        Some(seems) => Err(Error::malformed(source.name(), "the content", "JSON", seems)),
        None => Ok(sniff::without_mark(&bytes).to_vec()),
    }
}
