//! What a model does with its tokenizer: begin and end tokens in facts and vectors, tokens without a row, a
//! tokenizer.json beside a GGUF file.

use crate::support::load::load;
use crate::support::model::{GgufWriter, Tiny, tokenizer};
use crate::support::models::memory;
use gran_ted::device::Device;
use gran_ted::encoder::Settings;
use gran_ted::format::gguf::Gguf;
use gran_ted::format::{Memory, TensorType};
use gran_ted::loader::{Header, OpenOptions, Opening};
use gran_ted::model::{Feature, Pooling};
use gran_ted::text::tokenizer::SpecialTokens;
use pollster::block_on;
use serde_json::{Value, json};

const TEXT: &str = "the red cube";

/// The GGUF file of a tiny qwen3, the key of its split written otherwise where it should have none.
fn gguf(split: bool) -> Vec<u8> {
    let mut bytes = Tiny::new("qwen3", TensorType::Q8_0).write();
    if !split {
        let key = b"tokenizer.ggml.pre";
        let at = bytes.windows(key.len()).position(|window| window == key).unwrap();
        bytes[at + key.len() - 1] = b'X';
    }
    bytes
}

/// The tokenizer.json of the same tokenizer, with `change`.
fn tokenizer_json(change: impl Fn(&mut Value)) -> Vec<u8> {
    let bytes = tokenizer(GgufWriter::default(), "qwen2", 300).write();
    let gguf = block_on(Gguf::read(&Memory::new("t.gguf", bytes))).unwrap();
    let tokens = gguf.strings("tokenizer.ggml.tokens").unwrap().unwrap();
    let vocab = tokens.iter().zip(0..).map(|(token, id)| (token.clone(), json!(id))).collect();
    let split = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let mut document = json!({
        "added_tokens": [{"id": 296, "content": "<|im_start|>", "special": true}],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
        ]},
        "post_processor": {"type": "BertProcessing", "sep": ["!", 33], "cls": ["<|im_start|>", 296]},
        "model": {"type": "BPE", "vocab": Value::Object(vocab),
            "merges": gguf.strings("tokenizer.ggml.merges").unwrap().unwrap()},
    });
    change(&mut document);
    document.to_string().into_bytes()
}

fn header(files: &[(&str, Vec<u8>)]) -> gran_ted::error::Result<Header> {
    block_on(Header::read(memory(files)))
}

#[test]
fn a_tokenizer_json_beside_a_gguf_is_used_where_that_has_no_split() {
    let ids = |header: Header| {
        let encoded = load(header, Device::cpu()).tokenize(&[TEXT]).unwrap();
        encoded[0].ids.clone()
    };
    let json = tokenizer_json(|_| {});
    let own = ids(header(&[("m.gguf", gguf(true))]).unwrap());
    assert_eq!(ids(header(&[("m.gguf", gguf(true)), ("tokenizer.json", json.clone())]).unwrap()), own);
    let beside = ids(header(&[("m.gguf", gguf(false)), ("tokenizer.json", json)]).unwrap());
    assert_eq!(beside, [&[296], &own[..], &[33]].concat());

    assert!(header(&[("m.gguf", gguf(false))]).is_err());
    let other = tokenizer_json(|json| {
        json["model"]["vocab"]["Q"] = json!(90);
        json["model"]["vocab"]["Z"] = json!(81);
    });
    let said = header(&[("m.gguf", gguf(false)), ("tokenizer.json", other)]).err().unwrap().to_string();
    assert!(said.contains("`Q` with the id 81 in both") && said.contains("`Z`"), "{said}");
}

#[test]
fn begin_and_end_tokens_are_in_the_vectors_and_in_the_facts() {
    let files = [("m.gguf", gguf(false)), ("tokenizer.json", tokenizer_json(|_| {}))];
    let open = |special: &str| {
        let options = OpenOptions { special_tokens: special.parse().unwrap(), ..OpenOptions::default() };
        let mut opening = Opening::new(header(&files).unwrap(), &Device::cpu(), &options).unwrap();
        while block_on(opening.step()).unwrap().is_some() {}
        opening.finish().unwrap().encoder
    };
    let settings = Settings::new(Feature::parse("last", None).unwrap(), Pooling::LastToken);
    let [with, without] = ["file", "none"].map(open);
    let [a, b] = [&with, &without].map(|encoder| block_on(encoder.embed(&[TEXT], &settings)).unwrap());
    assert_eq!(a.tokens[0], b.tokens[0] + 2);
    assert_ne!(a.vectors, b.vectors);
    assert_ne!(with.tokenizer().unwrap().digest(), without.tokenizer().unwrap().digest());
    let card = with.card();
    assert_eq!((card.begin_tokens, card.end_tokens), (vec!["<|im_start|>".into()], vec!["!".into()]));
    assert!(without.card().begin_tokens.is_empty());
    assert!(with.tokenize(&[" "]).unwrap_err().to_string().starts_with("prompt 1 is empty"));
}

#[test]
fn a_token_without_a_row_is_refused_with_its_text() {
    let read = |id: u32, post: Value| {
        let json = tokenizer_json(|json| {
            let pad = json!({"id": id, "content": "<pad>", "special": true});
            json["added_tokens"].as_array_mut().unwrap().push(pad);
            json["post_processor"] = post.clone();
        });
        header(&[("m.gguf", gguf(false)), ("tokenizer.json", json)])
    };
    let padded = read(300, Value::Null).unwrap();
    assert!(padded.info.warnings[0].contains("301 tokens, but the token table 300 rows"));
    let encoder = load(padded, Device::cpu());
    assert_eq!(encoder.tokenize(&[TEXT, "a"]).unwrap().len(), 2);
    assert_eq!(
        encoder.tokenize(&[TEXT, "a <pad>"]).unwrap_err().to_string(),
        "prompt 2 holds the token `<pad>` with id 300, but the token table has 300 rows"
    );
    let around = read(300, json!({"type": "BertProcessing", "sep": ["<pad>", 300], "cls": ["!", 33]}));
    let around = around.unwrap();
    let said = around.check_special_tokens().unwrap_err().to_string();
    assert!(
        said.contains("`<pad>`, which the tokenizer adds to each text") && said.contains("found 300"),
        "{said}"
    );
    // Without the tokens around a text the model is as good as any.
    around.special_tokens(SpecialTokens::None).check_special_tokens().unwrap();
}
