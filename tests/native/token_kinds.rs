//! Token ids of every kind against the reference implementations' (tests/fixtures/README.md), from each of the files in
//! which a kind comes: tokenizer.json, a model of SentencePiece, tekken.json, vocab.json with merges.txt, GGUF, no file.

use crate::support::files::fixture;
use crate::support::model::GgufWriter;
use crate::support::sentencepiece::{Piece, SpmWriter};
use gran_ted::format::{Memory, gguf::Gguf};
use gran_ted::text::tokenizer::{Beside, SpecialTokens, Tokenizer};
use serde_json::{Value, json};

type Cases = Vec<(String, Vec<u32>)>;

/// The fixture of a kind, and its texts with the reference's ids.
fn oracle(kind: &str) -> (Value, Cases) {
    let file: Value = serde_json::from_slice(&fixture(&format!("tokenizers/{kind}.json"))).unwrap();
    let case = |case: &Value| {
        (case["text"].as_str().unwrap().to_string(), serde_json::from_value(case["ids"].clone()).unwrap())
    };
    let cases: Cases = file["cases"].as_array().unwrap().iter().map(case).collect();
    assert_eq!(cases.len(), 90);
    (file, cases)
}

pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().enumerate().fold(0, |bits, (i, &byte)| bits | u32::from(byte) << (16 - 8 * i));
        let letter = |i: usize| LETTERS[(bits >> (18 - 6 * i) & 63) as usize] as char;
        text.extend((0..4).map(|i| if i <= group.len() { letter(i) } else { '=' }));
    }
    text
}

/// The tokenizer.json of T5 or UMT5: the pieces that were left out are empty.
fn unigram_json(file: &Value) -> Value {
    let mut json = file["tokenizer"].clone();
    let mut vocab = vec![json!(["", 0.0]); file["length"].as_u64().unwrap() as usize];
    for (id, piece) in json["model"]["vocab"].as_object().unwrap() {
        vocab[id.parse::<usize>().unwrap()] = piece.clone();
    }
    json["model"]["vocab"] = vocab.into();
    for step in json["normalizer"]["normalizers"].as_array_mut().unwrap() {
        if step["type"] == "Precompiled" {
            step["precompiled_charsmap"] = base64(&fixture("tokenizers/t5.charsmap")).into();
        }
    }
    json
}

/// The same as a model of SentencePiece: what its tokenizer.json adds are control tokens.
fn unigram_spm(json: &Value, charsmap: Vec<u8>) -> SpmWriter {
    let added: Vec<u64> =
        json["added_tokens"].as_array().unwrap().iter().map(|token| token["id"].as_u64().unwrap()).collect();
    let unknown = json["model"]["unk_id"].as_i64().unwrap();
    let kind = |id: u64, text: &str| match text {
        _ if id == unknown as u64 => 2,
        _ if added.contains(&id) => 3,
        text if text.starts_with("<0x") => 6,
        "" => 5,
        _ => 1,
    };
    let vocab = json["model"]["vocab"].as_array().unwrap();
    let piece = |(piece, id): (&Value, u64)| -> Piece {
        let text = piece[0].as_str().unwrap();
        (text.into(), piece[1].as_f64().unwrap() as f32, kind(id, text))
    };
    SpmWriter {
        pieces: vocab.iter().zip(0..).map(piece).collect(),
        byte_fallback: json["model"]["byte_fallback"] == true,
        ids: [unknown, -1, 1, 0],
        charsmap,
        ..SpmWriter::default()
    }
}

fn from_gguf(writer: GgufWriter) -> Tokenizer {
    let gguf = pollster::block_on(Gguf::read(&Memory::new("t.gguf", writer.write()))).unwrap();
    Tokenizer::from_gguf(&gguf).unwrap()
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, usize::MAX).unwrap().ids
}

/// Compares the ids of all cases, without the tokens around a text and with them.
fn equal(tokenizer: Tokenizer, cases: &[(String, Vec<u32>)], [begin, end]: [&[u32]; 2], from: &str) {
    for (text, expected) in cases {
        assert_eq!(ids(&tokenizer, text), [begin, &expected[..], end].concat(), "{from}: {text:?}");
    }
    let bare = tokenizer.special_tokens(SpecialTokens::None);
    for (text, expected) in cases {
        assert!(ids(&bare, text) == *expected, "{from}: {text:?}");
    }
}

#[test]
fn t5_and_umt5_have_the_references_ids_from_each_of_their_files() {
    for kind in ["t5", "umt5"] {
        let (file, cases) = oracle(kind);
        let json = unigram_json(&file);
        let around = [&[][..], &[1][..]];
        equal(Tokenizer::from_bytes("t.json", json.to_string().as_bytes()).unwrap(), &cases, around, kind);
        let charsmap = if kind == "t5" { fixture("tokenizers/t5.charsmap") } else { Vec::new() };
        let mut spm = unigram_spm(&json, charsmap);
        // UMT5's tokenizer.json keeps a blank at the end of a text and between two special tokens, which T5's cuts off.
        let cut_off = |text: &str| text.ends_with(char::is_whitespace) || text.starts_with("<s> </s>");
        let same_steps: Cases =
            cases.into_iter().filter(|(text, _)| kind == "t5" || !cut_off(text)).collect();
        assert!(same_steps.len() >= 80);
        let proto = Tokenizer::from_bytes("spiece.model", &spm.proto()).unwrap();
        assert_eq!(proto.padding(), Some(0));
        equal(proto, &same_steps, around, "spiece.model");
        spm.pieces.push(("[PAD5]".into(), -10000.0, 5));
        let gguf = from_gguf(spm.gguf(GgufWriter::default()));
        assert_eq!((gguf.padding(), gguf.vocab_size()), (Some(0), spm.pieces.len()));
        equal(gguf, &same_steps, around, "GGUF");
    }
}

#[test]
fn a_bpe_model_of_sentencepiece_has_its_ids_in_its_own_file_and_in_gguf() {
    let (file, cases) = oracle("mistral-spm");
    let mut pieces: Vec<Piece> = vec![(String::new(), 0.0, 5); file["length"].as_u64().unwrap() as usize];
    for (id, piece) in file["pieces"].as_object().unwrap() {
        let (text, score) = (piece[0].as_str().unwrap(), piece[1].as_f64().unwrap());
        pieces[id.parse::<usize>().unwrap()] = (text.into(), score as f32, piece[2].as_i64().unwrap() as i32);
    }
    let spm = SpmWriter {
        pieces,
        model_type: 2,
        byte_fallback: true,
        remove_extra_whitespaces: false,
        ..SpmWriter::default()
    };
    let around = [&[1][..], &[][..]];
    equal(Tokenizer::from_bytes("tokenizer.model", &spm.proto()).unwrap(), &cases, around, "tokenizer.model");
    // llama.cpp finds control tokens in a text, which SentencePiece takes for letters.
    let gguf = from_gguf(spm.gguf(GgufWriter::default()));
    let (marked, plain): (Cases, Cases) = cases.into_iter().partition(|(text, _)| text.starts_with("<s>"));
    equal(gguf, &plain, around, "GGUF");
    let gguf = from_gguf(spm.gguf(GgufWriter::default()));
    assert_eq!((marked.len(), ids(&gguf, "<s></s>")), (1, vec![1, 1, 2]));
}

/// Gemma's tokenizer.json as a model of SentencePiece, whose pieces have their scores in the order of their ids.
fn gemma_spm(json: &Value) -> SpmWriter {
    let vocab = json["model"]["vocab"].as_object().unwrap().iter().map(|(text, id)| (text.as_str(), id, 1));
    let added = json["added_tokens"].as_array().unwrap().iter();
    let added = added.map(|token| {
        // In the model itself only `<pad>`, `<eos>` and `<bos>` are control tokens.
        let kind = if token["id"].as_u64() < Some(3) { 3 } else { 4 };
        (token["content"].as_str().unwrap(), &token["id"], kind)
    });
    let mut pieces: Vec<Piece> = Vec::new();
    for (text, id, kind) in vocab.chain(added) {
        let id = id.as_u64().unwrap() as usize;
        pieces.resize(pieces.len().max(id + 1), (String::new(), 0.0, 5));
        let kind = if text == "<unk>" {
            2
        } else if text.starts_with("<0x") {
            6
        } else {
            kind
        };
        pieces[id] = (text.into(), -(id as f32), kind);
    }
    SpmWriter {
        pieces,
        model_type: 2,
        byte_fallback: true,
        ids: [3, 2, 1, 0],
        space_prefix: false,
        remove_extra_whitespaces: false,
        ..SpmWriter::default()
    }
}

#[test]
fn gemma_has_the_references_ids_from_each_of_its_files() {
    let (file, cases) = oracle("gemma3");
    let json = &file["tokenizer"];
    let around = [&[2][..], &[][..]];
    equal(
        Tokenizer::from_bytes("t.json", json.to_string().as_bytes()).unwrap(),
        &cases,
        around,
        "tokenizer.json",
    );
    let spm = gemma_spm(json);
    equal(from_gguf(spm.gguf(GgufWriter::default())), &cases, around, "GGUF");
    let plain: Cases = cases.into_iter().filter(|(text, _)| !text.starts_with("<s> </s>")).collect();
    assert_eq!(plain.len(), 89);
    equal(Tokenizer::from_bytes("m", &spm.proto()).unwrap(), &plain, around, "tokenizer.model");
}

#[test]
fn clip_has_the_references_ids_from_vocab_and_merges_and_from_tokenizer_json() {
    let (file, cases) = oracle("clip");
    let around = [&[49406][..], &[49407][..]];
    let lines: Vec<&str> =
        file["merges"].as_array().unwrap().iter().map(|merge| merge.as_str().unwrap()).collect();
    let (vocab, merges) = (file["vocab"].to_string(), format!("#version: 0.2\n{}\n", lines.join("\n")));
    let read = |config: Option<Value>| {
        let config = config.map(|config| config.to_string().into_bytes());
        let beside = Beside { config: config.as_deref(), ..Beside::default() };
        Tokenizer::from_vocab_merges("vocab.json", vocab.as_bytes(), merges.as_bytes(), beside).unwrap()
    };
    equal(read(None), &cases, around, "without a config");
    let end =
        json!({"content": "<|endoftext|>", "normalized": true, "special": true, "__type": "AddedToken"});
    let config = json!({"tokenizer_class": "CLIPTokenizer", "do_lower_case": true, "add_prefix_space": false,
        "bos_token": "<|startoftext|>", "eos_token": end, "unk_token": end, "pad_token": "!", "errors": "replace"});
    assert_eq!((read(None).padding(), read(Some(config.clone())).padding()), (Some(49407), Some(0)));
    // As in transformers, a special token that is written in a text is one, the padding token too.
    let plain: Cases = cases.iter().filter(|(text, _)| !text.contains('!')).cloned().collect();
    assert!(plain.len() > 80);
    equal(read(Some(config.clone())), &plain, around, "with its config");
    assert_eq!(ids(&read(Some(config)), "a!"), [49406, 320, 0, 49407]);

    let split =
        r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    let blanks = json!({"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "});
    let token = |id, content: &str| json!({"id": id, "content": content, "special": true});
    let json = json!({
        "added_tokens": [token(49406, "<|startoftext|>"), token(49407, "<|endoftext|>")],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, blanks, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": split}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]},
        "post_processor": {"type": "RobertaProcessing", "sep": ["<|endoftext|>", 49407], "cls": ["<|startoftext|>", 49406]},
        "model": {"type": "BPE", "unk_token": "<|endoftext|>", "end_of_word_suffix": "</w>",
            "continuing_subword_prefix": "", "vocab": file["vocab"], "merges": lines},
    });
    equal(
        Tokenizer::from_bytes("t.json", json.to_string().as_bytes()).unwrap(),
        &cases,
        around,
        "tokenizer.json",
    );
}

/// tekken.json: the tokens that were left out are bytes that no text has.
fn tekken_json(file: &Value) -> Value {
    let config = &file["config"];
    let count = config["default_vocab_size"].as_u64().unwrap()
        - config["default_num_special_tokens"].as_u64().unwrap();
    let token = |rank: u64| {
        let absent = || base64(&[b"\xff\xff", &rank.to_le_bytes()[..]].concat());
        let bytes = file["vocab"][rank.to_string()].as_str().map_or_else(absent, String::from);
        json!({"rank": rank, "token_bytes": bytes, "token_str": null})
    };
    json!({"config": config, "vocab": (0..count).map(token).collect::<Vec<_>>()})
}

#[test]
fn tekken_json_gives_the_references_ids() {
    let (file, cases) = oracle("tekken");
    let mut json = tekken_json(&file);
    let around = [&[1][..], &[][..]];
    let unlisted = Tokenizer::from_bytes("tekken.json", json.to_string().as_bytes()).unwrap();
    assert_eq!((unlisted.padding(), unlisted.vocab_size()), (Some(11), 131_072));
    assert_eq!(
        (unlisted.token(3), unlisted.token(999)),
        (Some("[INST]".into()), Some("<SPECIAL_999>".into()))
    );
    equal(unlisted, &cases, around, "without special tokens");
    let special = ["<unk>", "<s>", "</s>"].into_iter().enumerate();
    let special = special.map(|(rank, text)| json!({"rank": rank, "token_str": text, "is_control": true}));
    json["special_tokens"] = special.collect::<Vec<_>>().into();
    equal(
        Tokenizer::from_bytes("x", json.to_string().as_bytes()).unwrap(),
        &cases,
        around,
        "with special tokens",
    );

    for (change, named) in [
        (
            &(|json: &mut Value| json["vocab"][3]["rank"] = json!(4)) as &dyn Fn(&mut Value),
            "the token of rank 3",
        ),
        (&|json| json["vocab"][3]["token_bytes"] = json!("?"), "the token of rank 3"),
        (&|json| json["config"]["default_vocab_size"] = json!(u64::MAX), "at most 1048576"),
        (
            &|json| json["config"]["default_num_special_tokens"] = json!(u64::MAX),
            "the number of special tokens",
        ),
        (&|json| json["config"]["default_vocab_size"] = json!(500), "default_vocab_size"),
        (&|json| json["special_tokens"][0]["rank"] = json!(1000), "a rank below 1000"),
    ] {
        let mut wrong = json.clone();
        change(&mut wrong);
        let said = Tokenizer::from_bytes("t.json", wrong.to_string().as_bytes()).unwrap_err().to_string();
        assert!(said.starts_with("`t.json`: ") && said.contains(named), "{named}: {said}");
    }
}

#[test]
fn byt5_needs_no_file() {
    let (_, cases) = oracle("byt5");
    let tokenizer = Tokenizer::bytes("config.json").unwrap();
    assert_eq!((tokenizer.padding(), tokenizer.vocab_size()), (Some(0), 384));
    assert_eq!(tokenizer.token(68), Some("<0x41>".into()));
    equal(tokenizer, &cases, [&[], &[1]], "bytes");
    // A long text is cut where its end is not needed.
    let tokenizer = Tokenizer::bytes("config.json").unwrap();
    let encoded = tokenizer.encode(&"é".repeat(2 << 20), 64).unwrap();
    assert_eq!((encoded.ids.len(), encoded.truncated, encoded.ids[62..].to_vec()), (64, true, vec![198, 1]));
}
