//! Models of SentencePiece and other strangers' tokenizers: what is told from their content, against the `tokenizers`
//! crate on the same model, and what a spoiled file leads to.

use crate::support::files::fixture;
use crate::support::model::{GgufWriter, tokenizer};
use crate::support::sentencepiece::SpmWriter;
use gran_ted::format::{Memory, gguf::Gguf};
use gran_ted::text::tokenizer::{SpecialTokens, Tokenizer};
use serde_json::{Value, json};
use std::time::Instant;

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, usize::MAX).unwrap().ids
}

fn texts() -> Vec<String> {
    let file: Value = serde_json::from_slice(&fixture("tokenizers/byt5.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    cases.iter().map(|case| case["text"].as_str().unwrap().to_string()).collect()
}

fn read_gguf(writer: GgufWriter) -> Gguf {
    pollster::block_on(Gguf::read(&Memory::new("t.gguf", writer.write()))).unwrap()
}

/// Pieces of the letters a to d and some words of them.
fn small(model_type: u64) -> SpmWriter {
    let words = ["▁", "a", "b", "c", "d", "ab", "▁ab", "abc", "cd", "bc", "▁a"];
    let scores = [-3.0, -4.0, -4.0, -4.0, -4.0, -5.0, -6.0, -7.0, -6.8, -9.0, -6.5];
    let special = ["<unk>", "<s>", "</s>"].into_iter().zip([2, 3, 3]);
    let scored = words.into_iter().zip(scores).map(|(text, score)| (text.to_string(), score, 1));
    let special = special.map(|(text, kind)| (text.to_string(), 0.0, kind));
    let pieces = special.chain(scored).chain([("<x>".to_string(), 0.0, 4)]).collect();
    SpmWriter { pieces, model_type, ..SpmWriter::default() }
}

fn spm(writer: &SpmWriter) -> Result<Tokenizer, String> {
    Tokenizer::from_bytes("spiece.model", &writer.proto()).map_err(|e| e.to_string())
}

#[test]
fn a_model_of_sentencepiece_gives_the_ids_of_its_tokenizer_json() {
    for (name, model) in [("gemma", "tokenizer.model"), ("umt5", "spiece.model")] {
        let read = |file: &str| {
            let bytes = fixture(&format!("tokenizers/tiny-{name}.{file}"));
            (Tokenizer::from_bytes(file, &bytes).unwrap(), bytes)
        };
        let ((ours, _), (json, document)) = (read(model), read("tokenizer.json"));
        assert_eq!(ours.template(), json.template());
        let theirs: tokenizers::Tokenizer = String::from_utf8(document).unwrap().parse().unwrap();
        for text in texts() {
            let whole = theirs.encode_fast(text.as_str(), true).unwrap().get_ids().to_vec();
            assert!(ids(&json, &text) == whole, "{name}: {text:?}");
            // Its tokenizer.json has no added tokens: `</s>` in a text is one that may stand after a blank.
            let marked = ["<s>", "<bos>", "<eos>", "<pad>"].iter().any(|marker| text.contains(marker));
            assert!(marked || ids(&ours, &text) == whole, "{name}: {text:?}");
        }
    }
}

#[test]
fn a_tokenizer_is_told_by_its_content() {
    let json = fixture("tokenizers/tiny-gemma.tokenizer.json");
    let model = fixture("tokenizers/tiny-gemma.tokenizer.model");
    let marked = [b"\xef\xbb\xbf\n ", &json[..]].concat();
    for bytes in [&json, &model, &marked] {
        assert_eq!(ids(&Tokenizer::from_bytes("any name", bytes).unwrap(), "the")[0], 2);
    }
    for (bytes, found) in [
        (&b""[..], "nothing"),
        (b"GGUF\x03\0\0\0", "a file of another kind"),
        (b"#version: 0.2\nt h\n", "a file of another kind"),
        (b"{}", "no `model`"),
        (b"{\"config\": {}, \"vocab\": []}", "missing field `pattern`"),
        (b"\x0a\x05\x0a", "a ModelProto of SentencePiece, found a message that is none after 0 pieces"),
    ] {
        let said = Tokenizer::from_bytes("x", bytes).unwrap_err().to_string();
        assert!(said.starts_with("`x`") && said.contains(found), "{said}");
    }
}

#[test]
fn scores_decide_what_is_joined() {
    let around = |model_type, text: &str| {
        let writer = SpmWriter { ids: [0, -1, 2, -1], ..small(model_type) };
        ids(&spm(&writer).unwrap().special_tokens(SpecialTokens::None), text)
    };
    // By hand. Unigram takes the largest sum: `▁` `ab` is -8, `▁ab` -6. BPE joins `ab` (-5) before `▁a` (-6.5).
    assert_eq!(around(1, "ab"), [9]);
    assert_eq!(around(2, "abcd"), [9, 11]);
    assert_eq!(around(2, "dabc"), [3, 7, 10]);
    // Unknown characters are one token, an unknown text as a whole too; a user's token is found, control tokens where
    // transformers finds them.
    assert_eq!(around(1, "éé a"), [3, 0, 13]);
    assert_eq!(around(2, "éé<x>"), [3, 0, 14]);
    assert_eq!(around(1, "</s>"), [2]);
    assert_eq!(around(2, "</s>"), [3, 0]);
    let of = |change: &dyn Fn(&mut SpmWriter), text: &str| {
        let mut writer = small(2);
        change(&mut writer);
        ids(&spm(&writer).unwrap().special_tokens(SpecialTokens::None), text)
    };
    assert_eq!(of(&|_| {}, "  a  b "), [13, 3, 5]);
    assert_eq!(of(&|writer| writer.remove_extra_whitespaces = false, " a"), [3, 13]);
    assert_eq!(of(&|writer| writer.space_prefix = false, "a b"), [4, 3, 5]);
    let padded = |writer: &mut SpmWriter| {
        writer.byte_fallback = true;
        writer.pieces.extend((0..=255).map(|byte| (format!("<0x{byte:02X}>"), 0.0, 6)));
    };
    assert_eq!(of(&padded, "é"), [3, 15 + 0xc3, 15 + 0xa9]);
    // An unused piece is made of no text; of twins the last one is.
    assert_eq!(of(&|writer| writer.pieces[8].2 = 5, "ab"), [9]);
    assert_eq!(of(&|writer| writer.pieces.push(("▁ab".into(), -7.0, 1)), "ab"), [15]);
}

#[test]
fn begin_and_end_tokens_are_those_of_the_kind() {
    let around = |writer: &SpmWriter| {
        let template = spm(writer).unwrap().template().clone();
        [template.begin, template.end]
            .map(|side| side.into_iter().map(|added| (added.token, added.id)).collect::<Vec<_>>())
    };
    let token = |text: &str, id| vec![(text.to_string(), id)];
    // BPE, as Llama: begin. T5: end. XLM-R, whose ids fairseq counts from its own special tokens: both.
    assert_eq!(around(&small(2)), [token("<s>", 1), vec![]]);
    assert_eq!(around(&SpmWriter { ids: [0, -1, 2, 1], ..small(1) }), [vec![], token("</s>", 2)]);
    assert_eq!(around(&small(1)), [token("<s>", 0), token("</s>", 2)]);
    let xlmr = spm(&small(1)).unwrap();
    assert_eq!((xlmr.padding(), xlmr.vocab_size()), (Some(1), small(1).pieces.len() + 2));
    assert_eq!([3, 4, 16].map(|id| xlmr.token(id).unwrap()), ["<unk>", "▁", "<mask>"]);
    assert_eq!(ids(&xlmr, "abé"), [0, 10, 3, 2]);
    // The tokens stay where a text is cut.
    assert_eq!(xlmr.encode("ab ab ab", 4).unwrap().ids, [0, 10, 10, 2]);
}

#[test]
fn a_spoiled_model_is_an_error_or_a_tokenizer() {
    let started = Instant::now();
    let good = fixture("tokenizers/tiny-umt5.spiece.model");
    let mut state = 5_u64;
    let mut random = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    let (mut refused, mut read) = (0, 0);
    let mut try_bytes = |bytes: &[u8]| match Tokenizer::from_bytes("m", bytes) {
        Ok(tokenizer) => {
            read += 1;
            let _ = tokenizer.encode("the red cube é 日本 </s>", 64);
        }
        Err(e) => {
            refused += 1;
            assert!(e.to_string().len() < 1000);
        }
    };
    for length in 0..good.len() {
        try_bytes(&good[..length]);
    }
    for _ in 0..3000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random() % 4 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        try_bytes(&bytes);
    }
    assert!(refused > 1000 && read > 100, "{refused} {read}");
    assert!(started.elapsed().as_secs() < 60);
}

#[test]
fn a_model_that_needs_what_is_not_applied_is_refused() {
    let refused = |change: &dyn Fn(&mut SpmWriter), more: &[u8], named: &str| {
        let mut writer = small(1);
        change(&mut writer);
        let bytes = [&writer.proto()[..], more].concat();
        let said = Tokenizer::from_bytes("m", &bytes).unwrap_err().to_string();
        assert!(said.starts_with("`m`: ") && said.contains(named), "{named}: {said}");
    };
    let nothing = |_: &mut SpmWriter| {};
    refused(&|writer| writer.model_type = 3, &[], "tokenizer `words` is not supported");
    refused(&|writer| writer.model_type = 4, &[], "tokenizer `characters`");
    refused(&nothing, &[0x12, 3, 0xc0, 1, 1], "treat_whitespace_as_suffix");
    refused(&nothing, &[0x1a, 2, 5 << 3, 0], "escape_whitespaces");
    refused(&|writer| writer.pieces[4].1 = f32::NAN, &[], "a finite score");
    refused(&|writer| writer.pieces[4].1 = f32::NEG_INFINITY, &[], "a finite score");
    refused(&|writer| writer.pieces[4].0 = "a".repeat(257), &[], "tokens of at most 256 bytes");
    refused(&|writer| writer.ids = [99, -1, 1, 0], &[], "an id below 15");
    refused(&|writer| writer.pieces.clear(), &[], "an id below 0");
}

#[test]
fn a_table_of_characters_that_points_out_of_itself_is_refused() {
    let good = fixture("tokenizers/t5.charsmap");
    let read = |charsmap: Vec<u8>| spm(&SpmWriter { charsmap, ..small(1) });
    assert_eq!(ids(&read(good.clone()).unwrap(), "ＡＢ ａｂ"), [0, 4, 3, 10, 2]);
    for (bytes, found) in [
        (good[..3].to_vec(), "no table"),
        (good[..1000].to_vec(), "a trie that is not whole"),
        (vec![0; 4], "a trie without units"),
        ([&4_u32.to_le_bytes()[..], &[0xff; 4]].concat(), "a step out of the trie"),
        ([&1024_u32.to_le_bytes()[..], &[0; 1024], &[0xff]].concat(), "texts that are not UTF-8"),
        (vec![0; 3 << 20], "3145728 bytes"),
    ] {
        let said = read(bytes).unwrap_err();
        assert!(said.contains("precompiled_charsmap") && said.contains(found), "{found}: {said}");
    }
    // A character that would become a long text would make a text a thousand times as long.
    let trie_end = 4 + u32::from_le_bytes(good[..4].try_into().unwrap()) as usize;
    let long: Vec<u8> =
        good.iter().enumerate().map(|(at, &b)| if at >= trie_end && b == 0 { b'x' } else { b }).collect();
    assert!(read(long).unwrap_err().contains("a place that is none of a short text"));
    // Units of noise: an error, or a table that every text passes.
    let mut state = 3_u64;
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..20 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = 4 + (state >> 33) as usize % (trie_end - 4);
            bytes[at] = state as u8;
        }
        if let Ok(tokenizer) = read(bytes) {
            for text in texts().iter().filter(|text| text.len() < 1000) {
                let _ = tokenizer.encode(text, 64);
            }
        }
    }
}

#[test]
fn a_hostile_vocabulary_takes_no_longer_than_its_text() {
    // Every run of one letter is a token, and no way to cut a text is better than another.
    let runs = (1..=256).map(|length| ("a".repeat(length), -(length as f32), 1));
    let text = "a".repeat(30_000);
    for model_type in [1, 2] {
        let pieces = small(model_type).pieces.into_iter().take(3).chain(runs.clone()).collect();
        let tokenizer = spm(&SpmWriter { pieces, ..small(model_type) }).unwrap();
        let started = Instant::now();
        assert!(!ids(&tokenizer, &text).is_empty());
        // Half a second, and eight times as much for what else runs on the machine.
        assert!(started.elapsed().as_secs_f64() < 4.0, "{model_type}: {:?}", started.elapsed());
    }
}

#[test]
fn tokens_of_gguf_that_are_not_utf8_stand_in_no_text() {
    let gguf = |spoiled: bool| {
        let bytes = tokenizer(GgufWriter::default(), "qwen2", 300).write();
        let mut bytes = bytes;
        if spoiled {
            let at = bytes.windows(5).position(|window| window == b"[PAD]").unwrap();
            bytes[at..at + 5].copy_from_slice(b"[\xff\xfe\xff]");
        }
        pollster::block_on(Gguf::read(&Memory::new("t.gguf", bytes))).unwrap()
    };
    let (good, odd) = (gguf(false), gguf(true));
    let [own, read] = [&good, &odd].map(|gguf| Tokenizer::from_gguf(gguf).unwrap());
    for text in texts() {
        assert!(ids(&read, &text) == ids(&own, &text), "{text:?}");
    }
    own.check_against(&odd).unwrap();
    let mut spm = small(2);
    spm.pieces.push(("[PAD]".into(), -10000.0, 5));
    let json = json!({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}).to_string();
    let other = Tokenizer::from_json("t.json", json.as_bytes()).unwrap();
    let said = other.check_against(&read_gguf(spm.gguf(GgufWriter::default()))).unwrap_err().to_string();
    assert!(said.contains("`<unk>` with the id 0 in both"), "{said}");
}

#[test]
fn a_gguf_of_pieces_that_contradicts_itself_is_refused() {
    let said = |writer: GgufWriter| Tokenizer::from_gguf(&read_gguf(writer)).unwrap_err().to_string();
    let kind = |model| GgufWriter::default().str("tokenizer.ggml.model", model);
    let tokens = |model| kind(model).strings("tokenizer.ggml.tokens", &["<unk>", "<s>", "</s>"]);
    let scores = |writer: GgufWriter, count: usize| {
        writer.array("tokenizer.ggml.scores", 6, count, &vec![0; 4 * count])
    };
    assert!(said(kind("t5")).contains("`tokenizer.ggml.tokens` is malformed: expected a vocabulary"));
    assert!(said(tokens("llama")).contains("expected a score for each token, found none"));
    assert!(said(scores(tokens("t5"), 2)).contains("expected 3 scores, one for each token, found 2"));
    assert!(said(scores(tokens("t5"), 3)).contains("`tokenizer.ggml.eos_token_id` is malformed"));
    let whole = |model| scores(tokens(model), 3).u32("tokenizer.ggml.eos_token_id", 2);
    let wrong = whole("t5").i32s("tokenizer.ggml.precompiled_charsmap", &[300]);
    assert!(
        said(wrong)
            .contains("`tokenizer.ggml.precompiled_charsmap` is malformed: expected an array of bytes")
    );
    assert!(Tokenizer::from_gguf(&read_gguf(whole("t5"))).is_ok());
}
