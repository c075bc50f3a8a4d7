//! Every key of tokenizer.json, set otherwise: the ids are those of the `tokenizers` crate's whole pipeline, or the file is
//! refused.

use crate::support::files::fixture;
use crate::token_kinds::base64;
use gran_ted::text::tokenizer::{KEYS, Place, Tokenizer, Treatment};
use serde_json::{Value, json};

const TEXTS: [&str; 7] =
    ["are red", "x <|end|> y", " Re 12 re", "xare<|end|>  <|END|>re", "a<|end|>b", "é\u{301}ß??", "  "];

/// The document that is changed: letters, two merges, an added token.
fn document() -> Value {
    let mut vocab: serde_json::Map<_, _> =
        (33..127_u8).map(|b| ((b as char).to_string(), json!(b))).collect();
    let more = ["Ġ", "re", "are", "_", "re</w>", "▁", "@@e", "r@@e", "<|end|>", "12", "e</w>", "ĠRe"];
    vocab.extend(more.iter().zip(200..).map(|(token, id)| (token.to_string(), json!(id))));
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{"id": 208, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true}],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": ["r e", "1 2"]},
    })
}

/// The changes of `key`, each of a document with what the key needs beside it.
fn changes(place: Place, key: &str) -> Vec<Value> {
    let at = |path: &str, values: &[Value]| -> Vec<Value> {
        values.iter().map(|value| with(document(), path, value.clone())).collect()
    };
    let normalizer = |step: Value| with(document(), "/normalizer", step);
    let splitter = |step: Value| with(document(), "/pre_tokenizer", step);
    let processor = |step: Value| with(document(), "/post_processor", step);
    let template = |single: Value, ids: Value| {
        let end = json!({"id": "<|end|>", "ids": ids, "tokens": ["<|end|>"]});
        processor(json!({"type": "TemplateProcessing", "single": single, "pair": single,
            "special_tokens": {"<|end|>": end}}))
    };
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let token = json!({"SpecialToken": {"id": "<|end|>", "type_id": 0}});
    let around = |kind: &str, sep: Value, cls: Value| {
        processor(
            json!({"type": kind, "sep": sep, "cls": cls, "trim_offsets": true, "add_prefix_space": false}),
        )
    };
    let split = |key: &str, value: Value| {
        let mut step =
            json!({"type": "Split", "pattern": {"String": "r"}, "behavior": "Removed", "invert": false});
        step[key] = value;
        splitter(step)
    };
    let metaspace = |key: &str, value: Value| {
        let mut step =
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
        step[key] = value;
        splitter(step)
    };
    match (place, key) {
        (Place::Json, "added_tokens") => at("/added_tokens", &[json!([])]),
        (Place::Json, "normalizer") => {
            at("/normalizer", &[json!({"type": "Lowercase"}), json!({"type": "NFC"})])
        }
        (Place::Json, "pre_tokenizer") => at("/pre_tokenizer", &[json!(null)]),
        (Place::Json, "post_processor") => vec![template(json!([text, token]), json!([208]))],
        (Place::Json, "model") => at("/model/type", &[json!("WordPiece")]),
        (Place::Json, "truncation") => {
            let side = |side: &str| json!({"direction": side, "max_length": 3, "strategy": "LongestFirst", "stride": 0});
            at("/truncation", &[side("Left"), side("Right")])
        }
        (Place::Model, "type") => at("/model/type", &[json!("Unigram"), json!("WordLevel")]),
        (Place::Model, "unk_token") => at("/model/unk_token", &[json!("?"), json!("nowhere")]),
        (Place::Model, "continuing_subword_prefix") => {
            let merges = with(document(), "/model/merges", json!(["r @@e"]));
            vec![with(merges, "/model/continuing_subword_prefix", json!("@@"))]
        }
        (Place::Model, "end_of_word_suffix") => {
            let merges = with(document(), "/model/merges", json!(["r e</w>"]));
            vec![with(merges, "/model/end_of_word_suffix", json!("</w>"))]
        }
        (Place::Model, "fuse_unk") => {
            let unknown = with(document(), "/model/unk_token", json!("?"));
            vec![with(unknown, "/model/fuse_unk", json!(true))]
        }
        (Place::Model, "byte_fallback") => {
            let bytes = with(document(), "/model/vocab/<0xC3>", json!(220));
            let bytes = with(bytes, "/pre_tokenizer", json!(null));
            let bytes = with(bytes, "/model/unk_token", json!("?"));
            let all = (0..=255).fold(bytes, |all, byte| {
                with(all, &format!("/model/vocab/<0x{byte:02X}>"), json!(300 + byte))
            });
            vec![with(all, "/model/byte_fallback", json!(true))]
        }
        (Place::Model, "unk_id") => {
            // A unigram model: the tokens in the order of their ids.
            let mut vocab = vec![json!(["", 0.0]); 212];
            for (token, id) in document()["model"]["vocab"].as_object().unwrap() {
                let id = id.as_u64().unwrap();
                vocab[id as usize] = json!([token, -1.0 - id as f64 / 128.0]);
            }
            let of = |unknown: Value| {
                let model =
                    json!({"type": "Unigram", "unk_id": unknown, "byte_fallback": false, "vocab": vocab});
                with(document(), "/model", model)
            };
            [json!(63), json!(64), json!(999), json!("?")].map(of).into()
        }
        (Place::Model, "ignore_merges") => at("/model/ignore_merges", &[json!(true)]),
        (Place::Model, "vocab") => vec![with(document(), "/model/vocab/re", json!(230))],
        (Place::Model, "merges") => at("/model/merges", &[json!([]), json!(["r e", "a re"])]),
        (Place::Model, "dropout") => at("/model/dropout", &[json!(0.5), json!(1.0)]),
        (Place::Normalizer, "type") => ["NFD", "NFKC", "NFKD", "Lowercase", "Precompiled"]
            .map(|kind| normalizer(json!({"type": kind})))
            .into(),
        (Place::Normalizer, "normalizers") => {
            let steps = json!([{"type": "NFC"}, {"type": "Lowercase"}]);
            vec![normalizer(json!({"type": "Sequence", "normalizers": steps}))]
        }
        (Place::Normalizer, "precompiled_charsmap") => {
            let table = base64(&fixture("tokenizers/t5.charsmap"));
            [json!(table), json!("AA=="), json!(3)]
                .map(|table| normalizer(json!({"type": "Precompiled", "precompiled_charsmap": table})))
                .into()
        }
        (Place::Normalizer, "strip_left" | "strip_right") => [(true, false), (false, true), (true, true)]
            .map(|(left, right)| {
                normalizer(json!({"type": "Strip", "strip_left": left, "strip_right": right}))
            })
            .into(),
        (Place::Normalizer, "prepend") => vec![normalizer(json!({"type": "Prepend", "prepend": "re"}))],
        (Place::Normalizer, "pattern" | "content") => {
            let step = |from: &str, to: &str| {
                normalizer(json!({"type": "Replace", "pattern": {"String": from}, "content": to}))
            };
            vec![step("r", "12"), step("a", "r"), step("a", "")]
        }
        (Place::PreTokenizer, "type") => ["Whitespace", "BertPreTokenizer", "WhitespaceSplit"]
            .map(|kind| splitter(json!({"type": kind})))
            .into(),
        (Place::PreTokenizer, "pretokenizers") => {
            let steps = json!([{"type": "Digits", "individual_digits": true}, {"type": "ByteLevel",
                "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]);
            vec![splitter(json!({"type": "Sequence", "pretokenizers": steps}))]
        }
        (Place::PreTokenizer, "add_prefix_space") => at("/pre_tokenizer/add_prefix_space", &[json!(true)]),
        (Place::PreTokenizer, "use_regex") => {
            let merged = with(document(), "/model/merges", json!(["r e", "Ġ Re", "R e"]));
            let merged = with(merged, "/model/vocab/Re", json!(240));
            let merged = with(merged, "/model/vocab/xĠ", json!(241));
            let merged = with(merged, "/model/merges", json!(["r e", "R e", "Ġ Re", "1 2", "x Ġ"]));
            vec![
                with(merged, "/pre_tokenizer/use_regex", json!(false)),
                at("/pre_tokenizer/use_regex", &[json!(3)]).remove(0),
            ]
        }
        (Place::PreTokenizer, "individual_digits") => {
            [true, false].map(|each| splitter(json!({"type": "Digits", "individual_digits": each}))).into()
        }
        (Place::PreTokenizer, "pattern") => {
            vec![split("pattern", json!({"String": "a"})), split("pattern", json!({"Regex": "[0-9]|r"}))]
        }
        (Place::PreTokenizer, "behavior") => {
            ["Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous", "Odd"]
                .map(|behavior| split("behavior", json!(behavior)))
                .into()
        }
        (Place::PreTokenizer, "invert") => vec![split("invert", json!(true))],
        (Place::PreTokenizer, "replacement") => vec![metaspace("replacement", json!("_"))],
        (Place::PreTokenizer, "prepend_scheme") => {
            ["first", "never"].map(|scheme| metaspace("prepend_scheme", json!(scheme))).into()
        }
        (Place::PreTokenizer, "split") => vec![metaspace("split", json!(false))],
        (Place::PostProcessor, "type") => {
            let pair = json!(["<|end|>", 208]);
            vec![
                around("BertProcessing", pair.clone(), pair.clone()),
                around("RobertaProcessing", pair.clone(), pair),
                processor(json!({"type": "Magic"})),
            ]
        }
        (Place::PostProcessor, "processors") => {
            let inner = template(json!([token, text]), json!([208]))["post_processor"].clone();
            vec![processor(json!({"type": "Sequence", "processors": [inner]}))]
        }
        (Place::PostProcessor, "single") => {
            vec![template(json!([token, text, token]), json!([208])), template(json!([token]), json!([208]))]
        }
        (Place::PostProcessor, "special_tokens") => vec![template(json!([text, token]), json!([97]))],
        (Place::PostProcessor, "sep") => {
            vec![around("BertProcessing", json!(["a", 97]), json!(["<|end|>", 208]))]
        }
        (Place::PostProcessor, "cls") => {
            vec![around("BertProcessing", json!(["<|end|>", 208]), json!(["a", 97]))]
        }
        (Place::AddedToken, "id") => at("/added_tokens/0/id", &[json!(97), json!(250)]),
        (Place::AddedToken, "content") => at("/added_tokens/0/content", &[json!("re")]),
        (Place::AddedToken, "single_word" | "lstrip" | "rstrip") => {
            at(&format!("/added_tokens/0/{key}"), &[json!(true)])
        }
        (Place::AddedToken, "normalized") => {
            let lower = normalizer(json!({"type": "Lowercase"}));
            vec![with(lower, "/added_tokens/0/normalized", json!(true))]
        }
        (Place::AddedToken, "special") => {
            // Of two that are written the same in the normal form, the special one comes first.
            let token = |id: u32, content: &str, special: bool| {
                json!({"id": id, "content": content, "special": special, "normalized": true, "single_word": false,
                    "lstrip": false, "rstrip": false})
            };
            let tokens = json!([token(208, "<|end|>", false), token(250, "<|END|>", true)]);
            let lower = normalizer(json!({"type": "Lowercase"}));
            vec![with(with(lower, "/added_tokens", tokens), "/model/vocab/<|END|>", json!(250))]
        }
        _ => panic!("{place:?}.{key} is read, and no test sets it otherwise"),
    }
}

/// `value` at the path; the last name of it may be new.
fn with(mut json: Value, path: &str, value: Value) -> Value {
    let (parent, name) = path.rsplit_once('/').unwrap();
    match json.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        object => object[name] = value,
    }
    json
}

/// The ids of the texts by the `tokenizers` crate, cut as the document's truncation cuts; `None` where it gives none.
fn theirs(json: &Value) -> Option<Vec<Vec<u32>>> {
    let tokenizer: tokenizers::Tokenizer = json.to_string().parse().ok()?;
    TEXTS.iter().map(|text| Some(tokenizer.encode_fast(*text, true).ok()?.get_ids().to_vec())).collect()
}

fn ours(json: &Value) -> Result<Vec<Vec<u32>>, String> {
    let tokenizer = Tokenizer::from_json("t.json", json.to_string().as_bytes()).map_err(|e| e.to_string())?;
    let most = json["truncation"]["max_length"].as_u64().map_or(usize::MAX, |most| most as usize);
    TEXTS.iter().map(|text| Ok(tokenizer.encode(text, most).map_err(|e| e.to_string())?.ids)).collect()
}

#[test]
fn every_key_of_tokenizer_json_makes_the_ids_of_the_whole_pipeline_or_is_refused() {
    let places = [
        Place::Json,
        Place::Model,
        Place::Normalizer,
        Place::PreTokenizer,
        Place::PostProcessor,
        Place::AddedToken,
    ];
    let plain = theirs(&document()).unwrap();
    assert_eq!(ours(&document()).unwrap(), plain);
    for (place, treatment, keys) in KEYS.iter().filter(|(place, ..)| places.contains(place)) {
        for key in *keys {
            if *treatment == Treatment::NoId {
                continue;
            }
            let mut changed = false;
            for json in changes(*place, key) {
                let what = format!("{place:?}.{key}: {}", shown(&json));
                match ours(&json) {
                    Ok(ours) => {
                        let theirs = theirs(&json).unwrap_or_else(|| panic!("{what}: the crate refuses it"));
                        assert_eq!(ours, theirs, "{what}");
                        changed |= theirs != plain;
                    }
                    Err(said) => {
                        assert!(said.starts_with("`t.json`: "), "{what}: {said}");
                        changed = true;
                    }
                }
            }
            assert!(changed, "{place:?}.{key}: no value of it changes the ids of the crate");
        }
    }
}

/// What of the document is not as it was.
fn shown(json: &Value) -> String {
    let plain = document();
    let differs = |key: &&String| json[*key] != plain[*key];
    let keys = json.as_object().unwrap().keys().filter(differs);
    keys.map(|key| if key == "model" { key.clone() } else { format!("{key} {}", json[key]) })
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn keys_of_tokenizer_json_that_decide_no_id_change_none() {
    let plain = ours(&document()).unwrap();
    let noise = [json!(null), json!(3), json!("Ġ"), json!({"type": "ByteLevel"}), json!([1])];
    for (place, _, keys) in KEYS.iter().filter(|(_, treatment, _)| *treatment == Treatment::NoId) {
        let path = match place {
            Place::Json => "",
            Place::PreTokenizer => "/pre_tokenizer",
            Place::PostProcessor => "/post_processor",
            _ => continue,
        };
        for (key, value) in keys.iter().flat_map(|key| noise.iter().map(move |value| (key, value))) {
            let processed = with(document(), "/post_processor", json!({"type": "ByteLevel"}));
            let json = with(processed, &format!("{path}/{key}"), value.clone());
            assert_eq!(ours(&json).unwrap(), plain, "{path}/{key} {value}");
        }
    }
}
