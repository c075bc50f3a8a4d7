//! The tokenizer in the metadata of a GGUF file: byte-level BPE with a split that is told by its name, as llama.cpp
//! reads it.

use super::added::AddedToken;
use super::bpe::{Options, Parts};
use super::json::pair;
use super::keys::{Place, Reading, Treatment, treatment};
use super::normalize::{Form, Normalizer};
use super::pattern::{LLAMA3, Pattern, QWEN2, TEKKEN};
use super::special::{Added, Template};
use super::split::{Behavior, Splitter};
use super::{Built, Tokenizer};
use crate::error::{Error, Result};
use crate::format::gguf::{Gguf, Value};
use std::collections::{HashMap, HashSet};
use tokenizers::models::bpe::{Merges, Vocab};

/// The values of `tokenizer.ggml.token_type`. Control and user-defined tokens are found in the text before it is split.
const NORMAL: i64 = 1;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// A way to split that several names of `tokenizer.ggml.pre` mean.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Pre {
    Qwen2,
    Llama3,
    /// As `Llama3`; merges are followed, and no begin token is added.
    Smaug,
    SmolLm,
    Gpt2,
    Tekken,
}

/// The names, as llama.cpp's `llama-vocab.cpp` joins them.
const NAMES: &[(Pre, &[&str])] = &[
    (Pre::Qwen2, &["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez"]),
    (
        Pre::Llama3,
        &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
    ),
    (Pre::Smaug, &["smaug-bpe", "dbrx"]),
    (
        Pre::SmolLm,
        &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
    ),
    (
        Pre::Gpt2,
        &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "gigachat",
            "jina-v2-es",
            "jina-v2-de",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
        ],
    ),
    (Pre::Tekken, &["tekken"]),
];

/// Tokens that end a text or fill a gap in code. llama.cpp takes them for control tokens whatever their type says, and
/// warns.
const ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<|file_sep|>",
];

/// The last bytes of [`ENDS`]: nearly every other token has another one.
const LAST: [bool; 256] = {
    let (mut last, mut at) = ([false; 256], 0);
    while at < ENDS.len() {
        let bytes = ENDS[at].as_bytes();
        last[bytes[bytes.len() - 1] as usize] = true;
        at += 1;
    }
    last
};

/// Whether `token` is one of [`ENDS`].
fn is_end(token: &str) -> bool {
    token.as_bytes().last().is_some_and(|byte| LAST[*byte as usize]) && ENDS.contains(&token)
}

/// The tokenizer that the metadata of `gguf` describes.
pub(super) fn read(gguf: &Gguf) -> Result<Tokenizer> {
    // 1. The kind.
    let file = &gguf.file;
    let Some(model) = gguf.str("tokenizer.ggml.model")? else {
        return Err(Error::NoTokenizer { file: file.clone() });
    };
    let name = gguf.str("tokenizer.ggml.pre")?;
    let pre = name.and_then(|name| NAMES.iter().find(|(_, names)| names.contains(&name)));
    let (Some(&(pre, _)), "gpt2") = (pre, model) else {
        let found =
            name.map_or(format!("{model} without tokenizer.ggml.pre"), |name| format!("{model}, {name}"));
        let expected =
            "`gpt2` with the split qwen2, llama-bpe, smollm, gpt-2, tekken or one that means the same";
        return Err(Error::UnknownTokenizer { file: file.clone(), expected, found });
    };

    // 2. What the table of keys says of each.
    let mut reading = Reading::new(file);
    let mut keys: Vec<_> =
        gguf.metadata.keys().filter_map(|key| key.strip_prefix("tokenizer.ggml.")).collect();
    keys.sort_unstable();
    for key in keys {
        reading.note(Place::Gguf, key);
        if treatment(Place::Gguf, key) == Some(Treatment::Neutral) && flag(gguf, key)? == Some(true) {
            return Err(malformed(gguf, key, "false, since nothing else is applied", "true"));
        }
    }

    // 3. Vocabulary, merges, added tokens.
    let tokens = gguf.strings("tokenizer.ggml.tokens")?.unwrap_or_default();
    if tokens.is_empty() {
        return Err(malformed(gguf, "tokens", "a vocabulary", "none"));
    }
    let merges = merges(gguf)?;
    let types = types(gguf, tokens.len())?;
    let mut warnings = Vec::new();
    let added = added_tokens(tokens, types.as_deref(), &mut warnings);
    let ignore_merges = matches!(pre, Pre::Llama3 | Pre::Tekken);
    let vocab = vocab(gguf, tokens, &merges, &added, ignore_merges)?;
    let template = template(gguf, pre, tokens)?;
    let parts = Parts { vocab, merges, options: Options { ignore_merges, ..Options::default() } };
    let (normalizers, splitters) = (pre.normalizers(), pre.splitters(file)?);
    let steps = format!("{pre:?}");
    let item = "metadata `tokenizer.ggml.merges`";
    Tokenizer::build(
        reading,
        item,
        Built { parts, normalizers, splitters, template, added, cut_left: false, steps, warnings },
    )
}

impl Pre {
    fn normalizers(self) -> Vec<Normalizer> {
        match self {
            Self::Qwen2 => vec![Normalizer::Form(Form::Nfc)],
            _ => Vec::new(),
        }
    }

    fn splitters(self, file: &str) -> Result<Vec<Splitter>> {
        let isolated = |pattern| Splitter::Split { pattern, behavior: Behavior::Isolated, invert: false };
        let letters = |gpt2| Splitter::ByteLevel { add_prefix_space: false, gpt2 };
        Ok(match self {
            Self::Qwen2 => vec![isolated(Pattern::regex(file, QWEN2)?), letters(false)],
            Self::Llama3 | Self::Smaug => vec![isolated(Pattern::regex(file, LLAMA3)?), letters(false)],
            Self::SmolLm => vec![isolated(Pattern::Numeric), letters(true)],
            Self::Gpt2 => vec![letters(true)],
            Self::Tekken => vec![isolated(Pattern::regex(file, TEKKEN)?), letters(false)],
        })
    }
}

fn malformed(gguf: &Gguf, key: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
    Error::malformed(&gguf.file, format!("metadata `tokenizer.ggml.{key}`"), expected, found)
}

/// A metadata value that is true or false.
fn flag(gguf: &Gguf, key: &str) -> Result<Option<bool>> {
    match gguf.metadata.get(&format!("tokenizer.ggml.{key}")) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(malformed(gguf, key, "true or false", "a value of another type")),
    }
}

fn merges(gguf: &Gguf) -> Result<Merges> {
    let Some(merges) = gguf.strings("tokenizer.ggml.merges")? else {
        return Err(malformed(
            gguf,
            "merges",
            "pairs of tokens: without them each text is cut into bytes",
            "none",
        ));
    };
    let two = |merge: &String| {
        pair(merge)
            .ok_or_else(|| malformed(gguf, "merges", "two tokens with a space between", format!("`{merge}`")))
    };
    merges.iter().map(two).collect()
}

/// The type of each token, where the file has types.
fn types(gguf: &Gguf, tokens: usize) -> Result<Option<Vec<i64>>> {
    match gguf.signeds("tokenizer.ggml.token_type")? {
        Some(types) if types.len() != tokens => {
            let expected = format!("{tokens} types, one for each token");
            Err(malformed(gguf, "token_type", expected, types.len().to_string()))
        }
        types => Ok(types.map(std::borrow::Cow::into_owned)),
    }
}

/// The tokens that are found in the raw text, before it is normalized and split.
fn added_tokens(tokens: &[String], types: Option<&[i64]>, warnings: &mut Vec<String>) -> Vec<AddedToken> {
    let (mut overridden, mut plain) = (Vec::new(), Vec::new());
    let mut added = Vec::new();
    for (id, token) in tokens.iter().enumerate() {
        let kind = types.map_or(NORMAL, |types| types[id]);
        let control = match kind {
            CONTROL => true,
            USER_DEFINED => false,
            NORMAL if is_end(token) => {
                overridden.push(token.as_str());
                true
            }
            _ => {
                if kind == NORMAL && token.len() > 4 && token.starts_with("<|") && token.ends_with("|>") {
                    plain.push(token.as_str());
                }
                continue;
            }
        };
        let token =
            AddedToken { content: token.clone(), id: id as u32, special: control, ..AddedToken::default() };
        added.push(token);
    }
    let mut warn = |names: &[&str], what: &str| {
        if !names.is_empty() {
            let shown: Vec<_> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
            let more = if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() };
            let kind = if types.is_some() { "is NORMAL" } else { "is missing" };
            warnings.push(format!(
                "tokenizer.ggml.token_type of {}{more} {kind}, though a control token is written so: {what}",
                shown.join(", ")
            ));
        }
    };
    warn(&overridden, "taken for control tokens, as llama.cpp does");
    warn(&plain, "a text that holds one is split as any other, as llama.cpp does");
    added
}

/// The id of each token. A token that stands twice is taken where no text can reach it.
fn vocab(gguf: &Gguf, tokens: &[String], merges: &Merges, added: &[AddedToken], all: bool) -> Result<Vocab> {
    let mut vocab = Vocab::with_capacity(tokens.len());
    let mut twins = HashMap::new();
    for (id, token) in tokens.iter().enumerate() {
        if let Some(first) = vocab.insert(token.clone(), id as u32) {
            vocab.insert(token.clone(), first);
            twins.entry(token.as_str()).or_insert((first, id));
        }
    }
    if twins.is_empty() {
        return Ok(vocab);
    }
    let found: HashSet<&str> = added.iter().map(|token| token.content.as_str()).collect();
    let made: HashSet<String> = merges.iter().map(|(left, right)| format!("{left}{right}")).collect();
    let types = types(gguf, tokens.len())?;
    let unused = |id: usize| types.as_deref().is_some_and(|types| types[id] == 5);
    for (token, (first, id)) in twins {
        let hidden = all && unused(first as usize) && unused(id);
        if found.contains(token) || token.chars().count() == 1 || (all && !hidden) || made.contains(token) {
            let found = format!("`{token}` with the ids {first} and {id}");
            return Err(malformed(gguf, "tokens", "each token once that a text can have", found));
        }
    }
    Ok(vocab)
}

/// The tokens around each text: what the file says, else what the kind of tokenizer has.
fn template(gguf: &Gguf, pre: Pre, tokens: &[String]) -> Result<Template> {
    let begins = flag(gguf, "add_bos_token")?.unwrap_or(matches!(pre, Pre::Llama3 | Pre::Tekken));
    let ends = flag(gguf, "add_eos_token")?.unwrap_or(false);
    let token = |add: bool, key: &str, because: &str| {
        if !add {
            return Ok(Vec::new());
        }
        let id = gguf.u64(&format!("tokenizer.ggml.{key}"))?;
        match id.and_then(|id| Some((u32::try_from(id).ok()?, tokens.get(usize::try_from(id).ok()?)?))) {
            Some((id, token)) => Ok(vec![Added { token: token.clone(), id }]),
            None => {
                let expected = format!("the id of a token, which `{because}` adds to each text");
                Err(malformed(gguf, key, expected, id.map_or("none".into(), |id| id.to_string())))
            }
        }
    };
    Ok(Template {
        begin: token(begins, "bos_token_id", "tokenizer.ggml.add_bos_token")?,
        end: token(ends, "eos_token_id", "tokenizer.ggml.add_eos_token")?,
    })
}
