//! Token ids against the reference's, and every fault of a tokenizer by its message.

use crate::support::files::default_model;
use crate::support::model::{GgufWriter, byte_char, tokenizer};
use gran_ted::{
    format::{DiskFile, Memory, gguf::Gguf},
    text::tokenizer::{Encoded, SpecialTokens, Tokenizer},
};
use serde_json::{Value, json};

fn read(writer: GgufWriter) -> Gguf {
    pollster::block_on(Gguf::read(&Memory::new("t.gguf", writer.write()))).unwrap()
}

fn message(writer: GgufWriter) -> String {
    Tokenizer::from_gguf(&read(writer)).unwrap_err().to_string()
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let encoded = tokenizer.encode(text, usize::MAX).unwrap();
    assert!(!encoded.truncated);
    encoded.ids
}

#[test]
fn smollm2_ids_equal_the_reference() {
    let file = DiskFile::open(&default_model()).unwrap();
    let tokenizer = Tokenizer::from_gguf(&pollster::block_on(Gguf::read(&file)).unwrap()).unwrap();
    assert_eq!(tokenizer.vocab_size(), 49152);

    let golden: Value = serde_json::from_str(include_str!("../fixtures/smollm2-ids.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 17);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        assert_eq!(json!(ids(&tokenizer, text)), case["ids"], "{text:?}");
    }
}

/// A text, its pieces with pre "qwen2", and its pieces with pre "smollm".
///
/// They come from the Python package tokenizers 0.23.3: `pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text))` of Qwen3's
/// tokenizer.json, and `Sequence([Digits(True), ByteLevel(add_prefix_space=False)]).pre_tokenize_str(text)`.
#[rustfmt::skip]
const PIECES: [(&str, &[&str], &[&str]); 9] = [
    ("it's WE'LL", &["it", "'s", "ĠWE", "'LL"], &["it", "'s", "ĠWE", "'", "LL"]),
    ("x12 3", &["x", "1", "2", "Ġ", "3"], &["x", "1", "2", "Ġ", "3"]),
    ("12x", &["1", "2", "x"], &["1", "2", "x"]),
    ("a,b  c", &["a", ",b", "Ġ", "Ġc"], &["a", ",", "b", "Ġ", "Ġc"]),
    ("end.\n\n next", &["end", ".ĊĊ", "Ġnext"], &["end", ".", "ĊĊ", "Ġnext"]),
    ("cafe\u{301} 日本", &["cafÃ©", "ĠæĹ¥æľ¬"], &["cafe", "Ìģ", "ĠæĹ¥æľ¬"]),
    ("(see) $5", &["(see", ")", "Ġ$", "5"], &["(", "see", ")", "Ġ$", "5"]),
    ("tab\t\tx", &["tab", "ĉ", "ĉx"], &["tab", "ĉ", "ĉ", "x"]),
    ("Ⅷ½", &["âħ§", "Â½"], &["âħ§", "Â½"]),
];

#[test]
fn texts_are_split_as_the_reference_splits_them() {
    for (text, qwen2, smollm) in PIECES {
        for (pre, pieces) in [("qwen2", qwen2), ("smollm", smollm)] {
            let (writer, tokens) = vocabulary_of(pieces);
            let tokenizer = Tokenizer::from_gguf(&read(writer.str("tokenizer.ggml.pre", pre))).unwrap();
            let found = ids(&tokenizer, text).iter().map(|&id| &tokens[id as usize]).collect::<Vec<_>>();
            assert_eq!(found, pieces, "{pre}: {text:?}");
        }
    }
}

#[test]
fn qwen35_takes_marks_for_letters() {
    let text = "x\u{301}y z";
    for (pre, pieces) in [("qwen35", &["xÌģy", "Ġz"][..]), ("qwen2", &["x", "Ìģy", "Ġz"])] {
        let (writer, tokens) = vocabulary_of(pieces);
        let tokenizer = Tokenizer::from_gguf(&read(writer.str("tokenizer.ggml.pre", pre))).unwrap();
        let found = ids(&tokenizer, text).iter().map(|&id| &tokens[id as usize]).collect::<Vec<_>>();
        assert_eq!(found, pieces, "{pre}");
    }
}

/// A vocabulary that makes each piece one token, and would join neighbors were they not split.
fn vocabulary_of(pieces: &[&str]) -> (GgufWriter, Vec<String>) {
    let mut tokens = (0..=255).map(|byte| byte_char(byte).to_string()).collect::<Vec<_>>();
    let mut merges = Vec::new();
    let mut merge = |left: &str, right: &str| {
        let merged = format!("{left}{right}");
        if !tokens.contains(&merged) {
            tokens.push(merged.clone());
            merges.push(format!("{left} {right}"));
        }
        merged
    };
    for piece in pieces {
        let mut left = String::new();
        for right in piece.chars().map(String::from) {
            left = if left.is_empty() { right } else { merge(&left, &right) };
        }
    }
    for pair in pieces.windows(2) {
        merge(pair[0], pair[1]);
    }
    let writer = GgufWriter::default()
        .str("tokenizer.ggml.model", "gpt2")
        .strings("tokenizer.ggml.tokens", &tokens)
        .strings("tokenizer.ggml.merges", &merges);
    (writer, tokens)
}

#[test]
fn added_tokens_are_matched_in_the_raw_text() {
    let gguf = read(tokenizer(GgufWriter::default(), "qwen2", 300));
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    let (end, start, think) = (297, 296, 298);
    assert_eq!(ids(&tokenizer, "<|im_start|>a<|im_end|>"), [start, 97, end]);
    assert_eq!(ids(&tokenizer, "<think><think>"), [think, think]);
    // The token is found before NFC, in which the accent would join the `>`.
    assert_eq!(ids(&tokenizer, "<|im_end|>\u{338}"), [end, 0xcc, 0xb8]);
    // An unused token is plain text.
    assert_eq!(ids(&tokenizer, "[PAD]"), b"[PAD]".map(u32::from));
    assert_eq!(ids(&tokenizer, "<|IM_END|>"), b"<|IM_END|>".map(u32::from));
}

#[test]
fn ids_are_cut_at_max_length() {
    let tokenizer = Tokenizer::from_gguf(&read(tokenizer(GgufWriter::default(), "smollm", 300))).unwrap();
    assert_eq!(tokenizer.encode("xyz", 3).unwrap(), Encoded { ids: vec![120, 121, 122], truncated: false });
    assert_eq!(tokenizer.encode("xyz", 2).unwrap(), Encoded { ids: vec![120, 121], truncated: true });
    assert_eq!(tokenizer.encode("xyz", 0).unwrap(), Encoded { ids: vec![], truncated: true });
    assert_eq!(tokenizer.encode("", 0).unwrap(), Encoded { ids: vec![], truncated: false });
}

#[test]
fn tokenizer_json_gives_the_same_ids() {
    let gguf = read(tokenizer(GgufWriter::default(), "smollm", 300));
    let tokens = gguf.strings("tokenizer.ggml.tokens").unwrap().unwrap();
    let vocab = tokens.iter().zip(0..).map(|(token, id)| (token.clone(), json!(id))).collect();
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let digits = json!({"type": "Digits", "individual_digits": true});
    let added = json!({"id": 296, "content": "<|im_start|>", "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true});
    // An encoder of packed texts has to leave out these limits.
    let json = json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "!"},
        "added_tokens": [added],
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level]},
        "post_processor": {"type": "BertProcessing", "sep": ["!", 33], "cls": ["!", 33]},
        "decoder": null,
        "model": {"type": "BPE", "vocab": Value::Object(vocab),
            "merges": gguf.strings("tokenizer.ggml.merges").unwrap().unwrap()},
    });
    let from_json = Tokenizer::from_json("tokenizer.json", json.to_string().as_bytes()).unwrap();
    let from_gguf = Tokenizer::from_gguf(&gguf).unwrap();
    assert_eq!(from_json.vocab_size(), 300);
    assert_eq!(from_gguf.vocab_size(), 300);
    let texts = ["the red cube, left of 12 blue balls\n", "<|im_start|>user", "日本 é", ""];
    for text in texts {
        assert_eq!(ids(&from_json, text), [&[33], &ids(&from_gguf, text)[..], &[33]].concat(), "{text:?}");
    }
    let bare = from_json.special_tokens(SpecialTokens::None);
    for text in texts {
        assert_eq!(ids(&bare, text), ids(&from_gguf, text), "{text:?}");
    }
}

#[test]
fn a_tokenizer_of_another_kind_is_refused() {
    let expected = "expected `t5`, `llama`, or `gpt2` with the split qwen2, qwen35, llama-bpe, smollm, gpt-2, tekken or \
                    one that means the same";
    let refused = |writer, found: &str| {
        assert_eq!(message(writer), format!("`t.gguf`: tokenizer `{found}` is not supported, {expected}"));
    };
    refused(tokenizer(GgufWriter::default(), "unheard-of", 300), "gpt2, unheard-of");
    let kind = |model| GgufWriter::default().str("tokenizer.ggml.model", model);
    refused(kind("bert").str("tokenizer.ggml.pre", "qwen2"), "bert, qwen2");
    refused(kind("gpt2"), "gpt2 without tokenizer.ggml.pre");
    assert_eq!(
        message(GgufWriter::default()),
        "`t.gguf` comes without a tokenizer: expected a tokenizer.json beside it"
    );
}

#[test]
fn names_of_one_split_make_the_same_ids() {
    let text = "it's x12345 3 abCd\n\n é.";
    let of =
        |pre| ids(&Tokenizer::from_gguf(&read(tokenizer(GgufWriter::default(), pre, 300))).unwrap(), text);
    assert_eq!(of("deepseek-r1-qwen"), of("qwen2"));
    assert_eq!(of("starcoder"), of("smollm"));
    assert_eq!(of("phi-2"), of("gpt-2"));
    assert_eq!(of("dbrx"), of("smaug-bpe"));
}

#[test]
fn a_vocabulary_that_contradicts_itself_is_refused() {
    let kind =
        || GgufWriter::default().str("tokenizer.ggml.model", "gpt2").str("tokenizer.ggml.pre", "qwen2");
    let tokens = |tokens: &[&str]| kind().strings("tokenizer.ggml.tokens", tokens);
    let merges = |writer: GgufWriter, merges: &[&str]| writer.strings("tokenizer.ggml.merges", merges);
    let refused = |writer, key: &str, rest: &str| {
        assert_eq!(
            message(writer),
            format!("`t.gguf`: metadata `tokenizer.ggml.{key}` is malformed: expected {rest}")
        );
    };
    refused(kind(), "tokens", "a vocabulary, found none");
    let numbers = "an array of strings, found an array of signed integers";
    refused(kind().i32s("tokenizer.ggml.tokens", &[1]), "tokens", numbers);
    let absent = "pairs of tokens: without them each text is cut into bytes, found none";
    refused(tokens(&["a", "b"]), "merges", absent);
    let types = merges(tokens(&["a", "b"]), &[]).i32s("tokenizer.ggml.token_type", &[1]);
    refused(types, "token_type", "2 types, one for each token, found 1");
    refused(merges(tokens(&["a", "b"]), &["ab"]), "merges", "two tokens with a space between, found `ab`");
    let lacking = "pairs of tokens that make a token, found Token `ab` out of vocabulary";
    assert!(message(merges(tokens(&["a", "b"]), &["a b"])).ends_with(lacking));
}

#[test]
fn twins_are_refused_where_a_text_can_reach_them() {
    let kind = || {
        let writer = GgufWriter::default().str("tokenizer.ggml.model", "gpt2");
        writer.str("tokenizer.ggml.pre", "qwen2").strings("tokenizer.ggml.merges", &["a b"])
    };
    let of = |tokens: &[&str], types: &[i32]| {
        let gguf =
            read(kind().strings("tokenizer.ggml.tokens", tokens).i32s("tokenizer.ggml.token_type", types));
        Tokenizer::from_gguf(&gguf).map(|tokenizer| ids(&tokenizer, "ab[PAD]"))
    };
    assert_eq!(of(&["a", "b", "ab", "[PAD]", "[PAD]"], &[1, 1, 1, 5, 5]).unwrap(), [2]);
    for (tokens, types, twin) in [
        (["a", "b", "ab", "a"], [1, 1, 1, 1], "`a` with the ids 0 and 3"),
        (["a", "b", "ab", "ab"], [1, 1, 1, 5], "`ab` with the ids 2 and 3"),
        (["ab", "b", "a", "ab"], [3, 1, 1, 3], "`ab` with the ids 0 and 3"),
    ] {
        let said = of(&tokens, &types).unwrap_err().to_string();
        assert!(
            said.ends_with(&format!("expected each token once that a text can have, found {twin}")),
            "{said}"
        );
    }
}

#[test]
fn ends_of_a_wrong_type_are_taken_for_control_tokens_with_a_warning() {
    let kind = |types: Option<&[i32]>| {
        let writer =
            GgufWriter::default().str("tokenizer.ggml.model", "gpt2").str("tokenizer.ggml.pre", "qwen2");
        let tokens = ["a", "<|im_end|>", "<|im_start|>", "[PAD]"];
        let writer =
            writer.strings("tokenizer.ggml.tokens", &tokens).strings::<&str>("tokenizer.ggml.merges", &[]);
        let writer = match types {
            Some(types) => writer.i32s("tokenizer.ggml.token_type", types),
            None => writer,
        };
        Tokenizer::from_gguf(&read(writer)).unwrap()
    };
    for types in [Some(&[1, 1, 1, 5][..]), None] {
        let tokenizer = kind(types);
        assert_eq!(
            ids(&tokenizer, "a<|im_end|>a<|im_start|>"),
            [0, 1, 0, 0],
            "of its letters the a has a token"
        );
        let warnings = tokenizer.warnings();
        assert!(
            warnings[0].contains("`<|im_end|>`") && warnings[1].contains("`<|im_start|>`"),
            "{warnings:?}"
        );
    }
    let right = kind(Some(&[1, 3, 3, 5]));
    assert_eq!((ids(&right, "a<|im_start|>"), right.warnings().len()), (vec![0, 2], 0));
}

#[test]
fn gguf_says_which_tokens_stand_around_a_text() {
    let kind = |pre| {
        let writer = tokenizer(GgufWriter::default(), pre, 300).u32("tokenizer.ggml.eos_token_id", 295);
        writer.u32("tokenizer.ggml.bos_token_id", 296)
    };
    let flag =
        |writer: GgufWriter, key: &str, on| writer.raw(&format!("tokenizer.ggml.add_{key}_token"), 7, &[on]);
    let of = |writer| ids(&Tokenizer::from_gguf(&read(writer)).unwrap(), "a");
    assert_eq!(of(kind("qwen2")), [97]);
    assert_eq!(of(kind("llama-bpe")), [296, 97]);
    assert_eq!(of(flag(kind("llama-bpe"), "bos", 0)), [97]);
    assert_eq!(of(flag(kind("qwen2"), "bos", 1)), [296, 97]);
    let both = flag(flag(kind("qwen2"), "bos", 1), "eos", 1);
    assert_eq!(of(flag(kind("qwen2"), "eos", 1)), [97, 295]);
    let both = Tokenizer::from_gguf(&read(both)).unwrap();
    assert_eq!(both.encode("abc", 4).unwrap(), Encoded { ids: vec![296, 97, 98, 295], truncated: true });
    let digest = both.digest();
    let bare = both.special_tokens(SpecialTokens::None);
    assert_eq!(ids(&bare, "abc"), [97, 98, 99]);
    assert_ne!(bare.digest(), digest);
    let lacking = flag(tokenizer(GgufWriter::default(), "qwen2", 300), "eos", 1);
    let said = message(lacking);
    assert!(
        said.contains("`tokenizer.ggml.eos_token_id` is malformed") && said.ends_with("found none"),
        "{said}"
    );
}

#[test]
fn a_tokenizer_json_that_is_none_is_refused() {
    let refused = |json: &str, found: &str| {
        let error = Tokenizer::from_json("t.json", json.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("`t.json`: ") && error.to_string().contains(found), "{error}");
    };
    refused("{", "EOF while parsing an object at line 1 column 1");
    refused(r#"{"decoder": nu"#, "EOF while parsing a value at line 1 column 14");
    refused("{}", "expected a Hugging Face tokenizer.json with a BPE or a unigram model, found no `model`");
    refused(
        r#"{"model": {"type": "WordPiece"}}"#,
        "tokenizer `WordPiece` is not supported, expected a BPE or a Unigram model",
    );
    refused(
        r#"{"model": {"type": "Unigram", "vocab": {"a": 0}}}"#,
        "a list of tokens with their scores for Unigram",
    );
    refused(r#"{"model": {"type": "BPE", "vocab": [["a", 0]], "merges": []}}"#, "found a list");
    refused(r#"{"model": {"type": "Unigram"}}"#, "missing field `vocab`");
    refused(
        r#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}"#,
        "Token `b` out of vocabulary",
    );
    refused(r#"{"model": {"type": "BPE", "vocab": {"a": 0}}}"#, "missing field `merges`");
}

#[test]
fn a_tokenizer_without_its_own_unknown_token_is_refused() {
    let lacking = r#"{"model": {"vocab": {"a": 0}, "merges": [], "unk_token": "<unk>"}}"#;
    let tokenizer = Tokenizer::from_json("t.json", lacking.as_bytes()).unwrap();
    assert_eq!(ids(&tokenizer, "a"), [0]);
    assert_eq!(
        tokenizer.encode("b", 9).unwrap_err().to_string(),
        "`t.json`: the tokenizer is malformed: expected a token for every text, found Unk token `<unk>` not found in \
         the vocabulary"
    );
}
