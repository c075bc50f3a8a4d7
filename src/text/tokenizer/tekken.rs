//! tekken.json, Mistral's own file: the bytes of each token in the order of their ranks, the pattern of the split, and
//! special tokens, whose ids come first. As in the reference (mistral-common), a special token that is written in a text is
//! text.

use super::added::MOST_ADDED;
use super::built::Parts;
use super::keys::{Reading, shown};
use super::pattern::Pattern;
use super::pieces::{MOST_PIECES, Piece, Pieces};
use super::special::{Added, Template};
use super::split::{Behavior, Splitter, letters};
use super::{Built, Tokenizer, base64};
use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

/// The special tokens of files that do not list them, whose first versions all had these: number, text.
const UNLISTED: [&str; 20] = [
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
];

/// The keys of tekken.json that decide ids.
#[derive(Deserialize)]
struct Document {
    config: Config,
    vocab: Vec<Entry>,
    #[serde(default)]
    special_tokens: Option<Vec<Special>>,
}

#[derive(Deserialize)]
struct Config {
    pattern: String,
    default_vocab_size: u64,
    default_num_special_tokens: u64,
}

#[derive(Deserialize)]
struct Entry {
    rank: u64,
    token_bytes: String,
}

#[derive(Deserialize)]
struct Special {
    rank: u64,
    token_str: String,
}

/// The tokenizer that `bytes` describe.
pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Tokenizer> {
    let reading = Reading::new(file);
    let Document { config, vocab, special_tokens } = serde_json::from_slice(bytes).map_err(|e| {
        reading.malformed("tekken.json", "`config`, `vocab` and `special_tokens`", e.to_string())
    })?;

    // 1. How many tokens of each kind there are.
    let [size, special] = [config.default_vocab_size, config.default_num_special_tokens];
    for (item, found, limit) in [("tokens", size, MOST_PIECES), ("special tokens", special, MOST_ADDED)] {
        if found > limit as u64 {
            let (file, item) = (file.into(), format!("the number of {item} of the tokenizer"));
            return Err(Error::Absurd { file, item, found, limit: limit as u64 });
        }
    }
    let own = size.checked_sub(special).filter(|&own| own <= vocab.len() as u64);
    let own = own.ok_or_else(|| {
        let expected = format!("at most {} tokens with {special} special ones", vocab.len());
        reading.malformed("default_vocab_size", expected, size.to_string())
    })? as usize;

    // 2. The special tokens, of which those without a name fill a gap.
    let mut list: Vec<Piece> = (0..special)
        .map(|id| Piece { text: format!("<SPECIAL_{id}>"), score: 0.0, reachable: false })
        .collect();
    let unlisted =
        || UNLISTED.iter().zip(0..).map(|(text, rank)| Special { rank, token_str: (*text).into() });
    for Special { rank, token_str } in special_tokens.unwrap_or_else(|| unlisted().take(list.len()).collect())
    {
        match usize::try_from(rank).ok().and_then(|rank| list.get_mut(rank)) {
            Some(piece) => piece.text = token_str,
            None => {
                let expected = format!("a rank below {special}, the number of special tokens");
                return Err(reading.malformed("special_tokens", expected, rank.to_string()));
            }
        }
    }

    // 3. The others, written in the letters of bytes. A token of a lower rank is joined before one of a higher rank.
    for (Entry { rank, token_bytes }, place) in vocab.into_iter().take(own).zip(0..) {
        let bytes = base64::decode(&token_bytes).filter(|bytes| !bytes.is_empty() && rank == place);
        let bytes = bytes.ok_or_else(|| {
            let found = format!("rank {rank} with {}", shown(&Value::from(token_bytes)));
            reading.malformed("vocab", format!("the token of rank {place} in base64"), found)
        })?;
        list.push(Piece { text: letters(&bytes), score: -(place as f64), reachable: true });
    }

    // 4. The tokens around each text.
    let named = |text: &str| {
        list.iter().zip(0..).take(special as usize).find(|(piece, _)| piece.text == text).map(|(_, id)| id)
    };
    let begin = named("<s>").map(|id| Added { token: "<s>".into(), id }).into_iter().collect();
    let (padding, template) = (named("<pad>"), Template { begin, end: Vec::new() });
    let pattern = Pattern::regex(file, &config.pattern)?;
    let split = Splitter::Split { pattern, behavior: Behavior::Isolated, invert: false };
    let splitters = vec![split, Splitter::ByteLevel { add_prefix_space: false, gpt2: false }];
    let steps = format!("tekken {}", config.pattern);
    let pieces = Pieces::new(&reading, list, None, false)?;
    let parts = Parts::Scored { pieces, ignore_merges: true };
    Tokenizer::build(reading, "vocab", Built { splitters, template, padding, steps, ..Built::of(parts) })
}
