//! Mutations of JSON trees: a node becomes another, a member goes, comes or gets another name, a number or text changes.

use crate::support::model::Random;
use serde_json::Value;
use std::sync::LazyLock;

pub const NUMBERS: [&str; 30] = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "4",
    "8",
    "31",
    "32",
    "33",
    "64",
    "255",
    "256",
    "257",
    "1024",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "1e308",
    "1e39",
    "-1e39",
    "1e-45",
    "0.5",
];

/// Words of the formats, and texts that tokenizers find hard.
const WORDS: &str = "a|b|a b|ab| |Ġ|##|\u{0}|é|日本|<unk>|model_type|llama|qwen2|qwen3|qwen3_vl|text_config|hidden_size|\
intermediate_size|num_hidden_layers|num_attention_heads|num_key_value_heads|head_dim|vocab_size|rms_norm_eps|rope_theta|\
rope_scaling|rope_parameters|rope_type|factor|linear|yarn|sliding_window|use_sliding_window|layer_types|hidden_act|gelu|\
is_causal|attn_logit_softcapping|partial_rotary_factor|max_position_embeddings|attention_bias|mlp_bias|\
tie_word_embeddings|quantization_config|quant_method|fp8|bitsandbytes|F32|F16|BF16|F8_E4M3|F8_E5M2|F8_E8M0|I8|U8|I64|dtype|shape|data_offsets|__metadata__|model|normalizer|\
pre_tokenizer|post_processor|TemplateProcessing|added_tokens|type|BPE|WordPiece|Unigram|vocab|merges|unk_token|\
continuing_subword_prefix|end_of_word_suffix|fuse_unk|byte_fallback|ignore_merges|dropout|Sequence|pretokenizers|\
normalizers|ByteLevel|Split|pattern|String|Regex|behavior|Isolated|Removed|MergedWithPrevious|MergedWithNext|Contiguous|\
invert|Replace|content|Prepend|prepend|Strip|NFC|NFKC|Lowercase|StripAccents|Nmt|Precompiled|precompiled_charsmap|\
BertNormalizer|Metaspace|replacement|prepend_scheme|always|Whitespace|CharDelimiterSplit|delimiter|FixedLength|length|\
Punctuation|Digits|individual_digits|UnicodeScripts|truncation|padding|NaN|Infinity";
const PATTERNS: [&str; 16] = [
    "",
    "a*",
    "(a+)+b",
    "(?=a)",
    "(?!a)x",
    "(a|a)*$",
    "\\b",
    "^",
    "$",
    "(?<n>a)\\k<n>",
    "[\\s\\S]",
    "(?i:'s|'t)",
    "\\p{L}+",
    "\\s+(?!\\S)|\\s+",
    "(?:a{20}){20}",
    ".",
];

/// The document with one to three nodes changed; `None` where the bytes are no JSON.
pub fn document(bytes: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut root: Value = serde_json::from_slice(bytes).ok()?;
    for _ in 0..1 + random.below(3) {
        change(&mut root, random);
    }
    serde_json::to_vec(&root).ok()
}

/// One or two changes in the documents between bytes 0x1e.
pub fn parts(bytes: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = bytes.split(|byte| *byte == 0x1e).map(<[u8]>::to_vec).collect();
    for _ in 0..1 + random.below(2) {
        let at = random.below(parts.len());
        if let Some(changed) = document(&parts[at], random) {
            parts[at] = changed;
        }
    }
    Some(parts.join(&0x1e))
}

fn word(random: &mut Random) -> &'static str {
    static LIST: LazyLock<Vec<&str>> = LazyLock::new(|| WORDS.split('|').collect());
    LIST[random.below(LIST.len())]
}

fn change(root: &mut Value, random: &mut Random) {
    let total = count(root);
    let other = nth(root, &mut random.below(total)).cloned().unwrap_or(Value::Null);
    // Leaves are many: a third of the changes are near the root.
    let mut at = if random.below(3) == 0 { random.below(total.min(12)) } else { random.below(total) };
    let Some(node) = nth(root, &mut at) else { return };
    match (random.below(10), &mut *node) {
        (0 | 1, _) => *node = interesting(random),
        (2, _) => *node = other,
        (3, Value::Array(items)) if !items.is_empty() => drop(items.remove(random.below(items.len()))),
        (3 | 6, Value::Object(items)) if !items.is_empty() => {
            let key = items.keys().nth(random.below(items.len())).cloned().unwrap_or_default();
            let value = items.shift_remove(&key).unwrap_or_default();
            if random.below(2) == 0 {
                items.insert(format!("{key}{}", word(random)), value);
            }
        }
        (4, Value::Array(items)) => {
            let item = if items.is_empty() { other } else { items[random.below(items.len())].clone() };
            items.extend(std::iter::repeat_n(item, 1 + random.below(4)));
        }
        (4 | 5, Value::Object(items)) => {
            let value = if random.below(2) == 0 { other } else { interesting(random) };
            items.insert(word(random).into(), value);
        }
        (_, Value::String(text)) => *text = other_text(text, random),
        (_, Value::Number(number)) => *node = other_number(number.as_f64().unwrap_or(0.0), random),
        _ => *node = interesting(random),
    }
}

fn other_text(text: &str, random: &mut Random) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (start, end) = chars.split_at(random.below(chars.len() + 1));
    match random.below(4) {
        0 => start.iter().collect(),
        1 => start.iter().copied().chain(word(random).chars()).chain(end.iter().copied()).collect(),
        2 => end.iter().collect(),
        _ => chars.iter().rev().collect(),
    }
}

fn other_number(old: f64, random: &mut Random) -> Value {
    let text = match random.below(6) {
        0 => format!("{}", old + 1.0),
        1 => format!("{}", old - 1.0),
        2 => format!("{}", old * 2.0),
        3 => format!("{}", (old / 2.0).floor()),
        4 => format!("{}", old + 32.0),
        _ => NUMBERS[random.below(NUMBERS.len())].into(),
    };
    serde_json::from_str(&text).unwrap_or_default()
}

fn interesting(random: &mut Random) -> Value {
    match random.below(12) {
        0 => Value::Null,
        1 => Value::Bool(random.below(2) == 0),
        2..=4 => serde_json::from_str(NUMBERS[random.below(NUMBERS.len())]).unwrap_or_default(),
        5 | 6 => word(random).into(),
        7 => PATTERNS[random.below(PATTERNS.len())].into(),
        8 => Value::Array(vec![]),
        9 => Value::Object(serde_json::Map::new()),
        10 => word(random).repeat(1 + random.below(300)).into(),
        _ => (0..random.below(110)).fold(Value::Null, |value, _| Value::Array(vec![value])),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(items) => items.values().map(count).sum(),
        _ => 0,
    }
}

fn nth<'a>(value: &'a mut Value, at: &mut usize) -> Option<&'a mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, at)),
        Value::Object(items) => items.values_mut().find_map(|item| nth(item, at)),
        _ => None,
    }
}
