//! Every key of tokenizer_config.json, set otherwise, and the files beside it: the ids are those of transformers
//! (tests/fixtures/tokenizer-keys.py), or the files are refused by the key's name.

use crate::support::files::fixture;
use gran_ted::text::tokenizer::{Beside, KEYS, Place, SpecialTokens, Tokenizer};
use serde_json::{Value, json};
use std::collections::HashSet;

/// The keys that may be refused where transformers applies them.
const REFUSED: [&str; 1] = ["split_special_tokens"];

#[test]
fn every_key_beside_a_tokenizer_makes_transformers_ids_or_is_refused() {
    let file: Value = serde_json::from_slice(&fixture("tokenizer-keys.json")).unwrap();
    let texts: Vec<&str> =
        file["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let merges: Vec<&str> =
        file["merges"].as_array().unwrap().iter().map(|pair| pair.as_str().unwrap()).collect();
    let merges = format!("#version: 0.2\n{}\n", merges.join("\n"));
    let (vocab, whole) = (file["vocab"].to_string(), file["tokenizer"].to_string());
    let mut flipped = HashSet::new();
    for case in file["cases"].as_array().unwrap() {
        // 1. The files.
        let (kind, mut config) = (case["kind"].as_str().unwrap(), case["config"].clone());
        config["tokenizer_class"] =
            json!(if kind == "tokenizer.json" { "PreTrainedTokenizerFast" } else { kind });
        flipped.extend(config.as_object().unwrap().keys().cloned());
        let bytes = |value: &Value| (!value.is_null()).then(|| value.to_string().into_bytes());
        let [config, special, added] = [bytes(&config), bytes(&case["special"]), bytes(&case["added"])];
        let [config, special, added] = [&config, &special, &added].map(Option::as_deref);
        let beside = Beside { config, special, added };
        let read = match kind {
            "tokenizer.json" => Tokenizer::from_json_beside("t.json", whole.as_bytes(), beside),
            _ => Tokenizer::from_vocab_merges("vocab.json", vocab.as_bytes(), merges.as_bytes(), beside),
        };

        // 2. Their ids.
        let what = format!("{kind} {} {} {}", case["config"], case["special"], case["added"]);
        match read {
            Ok(tokenizer) => {
                for (text, expected) in texts.iter().zip(case["ids"].as_array().unwrap()) {
                    let ids = tokenizer.encode(text, usize::MAX).unwrap().ids;
                    assert_eq!(json!(ids), *expected, "{what}: {text}");
                }
                assert_eq!(json!(tokenizer.encode(texts[0], 4).unwrap().ids), case["cut"], "{what}");
            }
            Err(error) => {
                // transformers' versions and classes differ in a prefix that contradicts tokenizer.json.
                let prefix = case["config"]["add_prefix_space"] == true && kind == "tokenizer.json";
                let key = REFUSED.iter().find(|key| case["config"][**key] == true);
                let key = key.copied().or(prefix.then_some("add_prefix_space"));
                let key = key.unwrap_or_else(|| panic!("{what}: {error}"));
                assert!(error.to_string().contains(&format!("the tokenizer's `{key}`")), "{what}: {error}");
            }
        }
    }

    // 3. No key of the table is left out.
    let of_config = KEYS.iter().filter(|(place, ..)| *place == Place::Config).flat_map(|(_, _, keys)| *keys);
    let missing: Vec<_> = of_config.filter(|key| !flipped.contains(**key)).collect();
    assert_eq!(missing, [&"auto_map"], "the program of a stranger");
}

#[test]
fn what_beside_a_tokenizer_contradicts_it_is_refused() {
    let file: Value = serde_json::from_slice(&fixture("tokenizer-keys.json")).unwrap();
    let whole = file["tokenizer"].to_string();
    let refused = |config: Value, added: Option<Value>, expected: &str| {
        let (config, added) = (config.to_string(), added.map(|added| added.to_string()));
        let beside = Beside {
            config: Some(config.as_bytes()),
            special: None,
            added: added.as_deref().map(str::as_bytes),
        };
        let said = Tokenizer::from_json_beside("t.json", whole.as_bytes(), beside).unwrap_err().to_string();
        assert!(said.ends_with(expected), "{said}");
    };
    let token = json!({"content": "<|end|>"});
    let expected = "`added_tokens_decoder` is malformed: expected `<|end|>` with the id 102, which it has elsewhere, found 9";
    refused(json!({"added_tokens_decoder": {"9": token}}), None, expected);
    let expected = "`added_tokens.json` is malformed: expected `<|end|>` with the id 102, which it has elsewhere, found 9";
    refused(json!({}), Some(json!({"<|end|>": 9})), expected);
    refused(
        json!({"added_tokens_decoder": {"x": token}}),
        None,
        "tokens with `id` and `content`, found `{\"content\":\"<|end|>\"}`",
    );
    refused(json!({"truncation_side": "middle"}), None, "expected left or right, found `\"middle\"`");
    refused(json!([1]), None, "`tokenizer_config.json` is malformed: expected an object, found `[1]`");
    refused(json!({}), Some(json!({"x": "y"})), "expected tokens with their ids, found `\"y\"`");
    // A token that is named and has no id anywhere gets the next one, which the table may lack.
    let config = json!({"pad_token": "[PAD]", "later": 1}).to_string();
    let beside = Beside { config: Some(config.as_bytes()), ..Beside::default() };
    let padded = Tokenizer::from_json_beside("t.json", whole.as_bytes(), beside).unwrap();
    assert_eq!(
        (padded.vocab_size(), padded.not_read()),
        (104, &["tokenizer_config.json: later".to_string()][..])
    );
    assert_eq!(padded.special_tokens(SpecialTokens::None).encode("[PAD]", 9).unwrap().ids, [103]);
}
