//! The names by which GGUF files tell how texts are split, and the tokens that are control tokens whatever their type.

use super::super::normalize::{Form, Normalizer};
use super::super::pattern::{LLAMA3, Pattern, QWEN2, QWEN35, TEKKEN};
use super::super::split::{Behavior, Splitter};
use crate::error::Result;

/// A way to split that several names of `tokenizer.ggml.pre` mean.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Pre {
    Qwen2,
    Qwen35,
    Llama3,
    /// As `Llama3`; merges are followed, and no begin token is added.
    Smaug,
    SmolLm,
    Gpt2,
    Tekken,
}

/// The names, as llama.cpp's `llama-vocab.cpp` joins them.
pub(super) const NAMES: &[(Pre, &[&str])] = &[
    (Pre::Qwen2, &["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez"]),
    (Pre::Qwen35, &["qwen35"]),
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
pub(super) const ENDS: &[&str] = &[
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

impl Pre {
    pub(super) fn normalizers(self) -> Vec<Normalizer> {
        match self {
            Self::Qwen2 | Self::Qwen35 => vec![Normalizer::Form(Form::Nfc)],
            _ => Vec::new(),
        }
    }

    pub(super) fn splitters(self, file: &str) -> Result<Vec<Splitter>> {
        let isolated = |pattern| Splitter::Split { pattern, behavior: Behavior::Isolated, invert: false };
        let letters = |gpt2| Splitter::ByteLevel { add_prefix_space: false, gpt2 };
        Ok(match self {
            Self::Qwen2 => vec![isolated(Pattern::regex(file, QWEN2)?), letters(false)],
            Self::Qwen35 => vec![isolated(Pattern::regex(file, QWEN35)?), letters(false)],
            Self::Llama3 | Self::Smaug => vec![isolated(Pattern::regex(file, LLAMA3)?), letters(false)],
            Self::SmolLm => vec![isolated(Pattern::Numeric), letters(true)],
            Self::Gpt2 => vec![letters(true)],
            Self::Tekken => vec![isolated(Pattern::regex(file, TEKKEN)?), letters(false)],
        })
    }
}

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
pub(super) fn is_end(token: &str) -> bool {
    token.as_bytes().last().is_some_and(|byte| LAST[*byte as usize]) && ENDS.contains(&token)
}
