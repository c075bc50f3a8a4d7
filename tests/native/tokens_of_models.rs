//! What a model does with its tokenizer: begin and end tokens in facts and vectors, tokens without a row, a
//! tokenizer.json beside a GGUF file.

use crate::support::files::fixture;
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

/// A checkpoint of qwen3-vl whose weights hold tensors of bytes too.
fn with_tensors(stored: &[(&str, &[u8])]) -> Vec<(&'static str, Vec<u8>)> {
    let file = fixture("tiny-qwen3vl/model.safetensors");
    let (length, rest) = file.split_first_chunk::<8>().unwrap();
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    let mut tensors = tensors.to_vec();
    for (name, bytes) in stored {
        let place = [tensors.len(), tensors.len() + bytes.len()];
        header[*name] = json!({"dtype": "U8", "shape": [bytes.len()], "data_offsets": place});
        tensors.extend_from_slice(bytes);
    }
    let header = header.to_string().into_bytes();
    let weights = [&(header.len() as u64).to_le_bytes()[..], &header, &tensors].concat();
    vec![("config.json", fixture("tiny-qwen3vl/config.json")), ("model.safetensors", weights)]
}

#[test]
fn a_tokenizer_that_is_stored_as_a_tensor_is_the_models_own() {
    let model = fixture("tokenizers/tiny-gemma.tokenizer.model");
    let gemma = fixture("tokenizers/tiny-gemma.tokenizer.json");
    let umt5 = fixture("tokenizers/tiny-umt5.spiece.model");
    let ids = |files: &[(&'static str, Vec<u8>)]| {
        let header = header(files)?;
        Ok::<_, gran_ted::error::Error>(header.tokenizer().unwrap().encode(TEXT, 99).unwrap().ids)
    };
    // The begin token 2, and the ids of the text: a BPE model; without one, and with the end token 1: a unigram model.
    let own = ids(&with_tensors(&[("spiece_model", &model)])).unwrap();
    let other = ids(&with_tensors(&[("spiece_model", &umt5)])).unwrap();
    assert_eq!((own[0], *other.last().unwrap()), (2, 1));
    assert_eq!(ids(&with_tensors(&[("tokenizer_json", &gemma)])).unwrap(), own);
    // Of several, the one of the decoder: `model.language_model.` begins with `model.`.
    for stored in [
        [("model.spiece_model", &model[..]), ("text_encoders.t5.spiece_model", &umt5[..])],
        [("a.spiece_model", &umt5), ("spiece_model", &model)],
        [("spiece_model", &umt5), ("model.spiece_model", &model)],
    ] {
        assert_eq!(ids(&with_tensors(&stored)).unwrap(), own);
    }
    assert!(
        header(&with_tensors(&[("a.spiece_model", &umt5), ("b.spiece_model", &umt5)]))
            .unwrap()
            .tokenizer()
            .is_none()
    );

    // A file beside it stands in where it is not read.
    let mut files = with_tensors(&[("spiece_model", &model)]);
    files.push(("spiece.model", umt5.clone()));
    assert_eq!(ids(&files).unwrap(), own);
    let spoiled = &model[..model.len() - 1];
    let mut files = with_tensors(&[("spiece_model", spoiled)]);
    let said = ids(&files).unwrap_err().to_string();
    assert!(said.starts_with("`model.safetensors, tensor spiece_model`: "), "{said}");
    files.push(("spiece.model", umt5.clone()));
    assert_eq!(ids(&files).unwrap(), other);
}

#[test]
fn each_file_of_a_tokenizer_is_taken_by_its_name() {
    let model = fixture("tokenizers/tiny-gemma.tokenizer.model");
    let read = |more: &[(&'static str, &[u8])]| {
        let mut files = with_tensors(&[]);
        files.extend(more.iter().map(|(name, bytes)| (*name, bytes.to_vec())));
        header(&files)
    };
    let begins = |name| read(&[(name, &model)]).unwrap().info.begin_tokens;
    for name in ["spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "gemma-3.model"] {
        assert_eq!(begins(name), ["<bos>"]);
    }
    // By its content, where its name says nothing. What lies beside a tokenizer.json is that in other forms.
    let other = fixture("tokenizers/tiny-gemma.tokenizer.json");
    assert_eq!(read(&[("gemma.json", &other)]).unwrap().info.begin_tokens, ["<bos>"]);
    let tekken =
        b"{\"config\": {\"pattern\": \".\", \"default_vocab_size\": 3, \"default_num_special_tokens\": 2}, \
        \"vocab\": [{\"rank\": 0, \"token_bytes\": \"YQ==\"}]}";
    assert_eq!(read(&[("tekken_240911.json", tekken)]).unwrap().info.begin_tokens, ["<s>"]);
    let forms = [("tokenizer.json", &other[..]), ("tokenizer.model", b"?"), ("spiece.model", b"?")];
    assert_eq!(read(&forms).unwrap().info.begin_tokens, ["<bos>"]);
    let bytes = json!({"tokenizer_class": "ByT5Tokenizer"}).to_string();
    let byt5 = read(&[("tokenizer_config.json", bytes.as_bytes())]).unwrap();
    assert_eq!(byt5.tokenizer().unwrap().encode("A", 9).unwrap().ids, [68, 1]);
    let class = json!({"tokenizer_class": "Qwen2Tokenizer"}).to_string();
    assert!(read(&[("tokenizer_config.json", class.as_bytes())]).unwrap().tokenizer().is_none());
    let said = read(&[("tekken.json", b"{\"config\": {}, \"vocab\": []}")]).err().unwrap().to_string();
    assert!(said.starts_with("`tekken.json`: "), "{said}");
    // A tokenizer.json comes before the others.
    let json = tokenizer_json(|_| {});
    let both = read(&[("tokenizer.model", &model), ("tokenizer.json", &json)]).unwrap();
    assert_eq!(both.info.begin_tokens, ["<|im_start|>"]);
}
