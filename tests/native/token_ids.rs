//! Each id is the one that the file gives to its token: tokenizer.json, vocab.json and merges.txt against the reference's
//! ids and against the `tokenizers` crate's whole pipeline, and what strangers' files may ask for.

use crate::support::files::fixture;
use gran_ted::text::tokenizer::{Beside, KEYS, Place, SpecialTokens, Tokenizer, Treatment, treatment};
use serde_json::{Value, json};
use std::time::Instant;

const READ: [&str; 3] = ["qwen3", "llama3", "gemma3"];

/// A kind's tokenizer.json, and texts with the reference's ids.
fn oracle(kind: &str) -> (Vec<u8>, Vec<(String, Vec<u32>)>) {
    let file: Value = serde_json::from_slice(&fixture(&format!("tokenizers/{kind}.json"))).unwrap();
    let case = |case: &Value| {
        (case["text"].as_str().unwrap().to_string(), serde_json::from_value(case["ids"].clone()).unwrap())
    };
    (file["tokenizer"].to_string().into_bytes(), file["cases"].as_array().unwrap().iter().map(case).collect())
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, usize::MAX).unwrap().ids
}

#[test]
fn ids_equal_the_references() {
    for kind in READ {
        let (json, cases) = oracle(kind);
        let tokenizer = Tokenizer::from_json("t.json", &json).unwrap().special_tokens(SpecialTokens::None);
        assert!(cases.len() == 90 && tokenizer.not_read().is_empty());
        for (text, expected) in cases {
            assert_eq!(ids(&tokenizer, &text), expected, "{kind}: {text:?}");
        }
    }
}

/// The `tokenizers` crate's pipeline. That crate counts the ids of added tokens, unless the vocabulary has them.
fn whole_pipeline(json: &[u8]) -> tokenizers::Tokenizer {
    let mut document: Value = serde_json::from_slice(json).unwrap();
    for token in document["added_tokens"].as_array().unwrap().clone() {
        document["model"]["vocab"][token["content"].as_str().unwrap()] = token["id"].clone();
    }
    document.to_string().parse().unwrap()
}

#[test]
fn a_part_of_a_long_text_has_the_ids_of_the_whole() {
    let mut state = 11_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for kind in READ {
        let (json, cases) = oracle(kind);
        let ours = Tokenizer::from_json("t.json", &json).unwrap();
        let theirs = whole_pipeline(&json);
        let (begin, added) = (ours.template().begin.len(), ours.template().len());
        for round in 0..60 {
            // 1. A text of parts of the cases: every fifth is longer than what is split at once.
            let mut text = String::new();
            for _ in 0..if round % 5 == 0 { 900 } else { 1 + random(5) } {
                let chars: Vec<char> = cases[random(cases.len())].0.chars().collect();
                let from = random(chars.len().max(1));
                text.extend(
                    &chars[from.min(chars.len())
                        ..(from + random(60)).min(chars.len()).max(from.min(chars.len()))],
                );
                text.push_str([" ", "", "\n"][random(3)]);
            }
            // 2. The whole, and its beginnings.
            let whole = theirs.encode_fast(text.as_str(), true).unwrap().get_ids().to_vec();
            assert!(ids(&ours, &text) == whole, "{kind}: round {round}");
            let own = &whole[begin..whole.len() + begin - added];
            for max_length in [added + 1, added + 7, added + 300] {
                let encoded = ours.encode(&text, max_length).unwrap();
                let room = own.len().min(max_length - added);
                assert_eq!(encoded.ids[begin..begin + room], own[..room]);
                assert_eq!((encoded.ids.len(), encoded.truncated), (room + added, own.len() > room));
            }
        }
    }
}

/// A byte-level tokenizer.json: the letters of ASCII, `re`, `<|end|>`.
fn small() -> Value {
    let mut vocab: serde_json::Map<_, _> =
        (33..127_u8).map(|b| ((b as char).to_string(), json!(b))).collect();
    vocab.insert("Ġ".into(), json!(32));
    vocab.insert("re".into(), json!(200));
    json!({
        "added_tokens": [{"id": 210, "content": "<|end|>", "special": true}],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
        "post_processor": null,
        "model": {"type": "BPE", "vocab": vocab, "merges": ["r e"]},
    })
}

/// The small tokenizer with `change`.
fn changed(change: impl Fn(&mut Value)) -> Result<Tokenizer, String> {
    let mut json = small();
    change(&mut json);
    Tokenizer::from_json("t.json", json.to_string().as_bytes()).map_err(|e| e.to_string())
}

fn refused(change: impl Fn(&mut Value), named: &str) {
    let said = changed(change).map(|_| ()).unwrap_err();
    assert!(said.starts_with("`t.json`: ") && said.contains(named), "{named}: {said}");
}

#[test]
fn every_key_of_the_table_is_read_and_every_other_is_listed() {
    for place in [Place::Json, Place::Model] {
        for (_, treatment, keys) in KEYS.iter().filter(|(at, ..)| *at == place) {
            for key in *keys {
                let put = |value: Value| {
                    move |json: &mut Value| match place {
                        Place::Json => json[key] = value.clone(),
                        _ => json["model"][key] = value.clone(),
                    }
                };
                if *treatment == Treatment::Neutral {
                    refused(put(json!(0.5)), key);
                    refused(put(json!(true)), key);
                    for neutral in [json!(null), json!(0), json!(0.0), json!(false)] {
                        assert_eq!(ids(&changed(put(neutral)).unwrap(), "are"), [97, 200]);
                    }
                }
                assert!(changed(put(json!(null))).map_or(true, |read| read.not_read().is_empty()), "{key}");
            }
        }
    }
    let read = changed(|json| {
        json["later"] = json!(1);
        json["model"]["sampling"] = json!({"p": 1});
        json["pre_tokenizer"]["words"] = json!(true);
        json["added_tokens"][0]["weight"] = json!(1);
    });
    let not_read = ["model.sampling", "later", "pre_tokenizer.words", "added_tokens.weight"];
    assert_eq!(read.unwrap().not_read(), not_read);
    assert_eq!(treatment(Place::Gguf, "add_bos_token"), Some(Treatment::Applied));
}

#[test]
fn the_options_of_the_model_are_applied() {
    let of = |key: &str, value: Value, text: &str| {
        let read = changed(|json| {
            json["model"]["vocab"]["x</w>"] = json!(201);
            json["model"]["vocab"]["are"] = json!(202);
            json["model"]["vocab"]["?"] = json!(63);
            json["model"]["unk_token"] = json!("?");
            json["pre_tokenizer"] =
                json!({"type": "Split", "pattern": {"String": " "}, "behavior": "Removed"});
            json["model"][key] = value.clone();
        });
        ids(&read.unwrap(), text)
    };
    assert_eq!(of("type", json!("BPE"), "are éé x"), [97, 200, 63, 63, 120]);
    assert_eq!(of("fuse_unk", json!(true), "éé"), [63]);
    assert_eq!(of("ignore_merges", json!(true), "are"), [202]);
    assert_eq!(of("end_of_word_suffix", json!("</w>"), "x x"), [201, 201]);
    refused(|json| json["model"]["fuse_unk"] = json!("yes"), "fuse_unk");
}

#[test]
fn an_added_token_has_the_id_of_its_file() {
    let token = |id: u32, content: &str| json!({"id": id, "content": content, "special": true});
    let read = changed(|json| json["added_tokens"] = json!([token(290, "<|x|>"), token(276, "<|end|>")]));
    assert_eq!(ids(&read.unwrap(), "a<|x|>b<|end|>"), [97, 290, 98, 276]);
    let refused = |id, content: &str, named| {
        refused(move |json| json["added_tokens"] = json!([token(210, "<|end|>"), token(id, content)]), named);
    };
    refused(
        5,
        "re",
        "added token `re` is malformed: expected the id 200, which it has elsewhere in the file, found id 5",
    );
    refused(211, "<|end|>", "`<|end|>` is malformed: expected the id 210");
    refused(
        210,
        "<|x|>",
        "`<|x|>` is malformed: expected an id of its own, found id 210, which is that of `<|end|>`",
    );
    refused(
        97,
        "<|x|>",
        "`<|x|>` is malformed: expected an id of its own, found id 97, which is that of `a`",
    );
    let many: Vec<Value> = (0..70_000).map(|n| token(1000 + n, &format!("<{n}>"))).collect();
    self::refused(|json| json["added_tokens"] = json!(many), "at most 65536 added tokens");
}

#[test]
fn the_tokens_around_a_text_are_the_files() {
    let special = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let template = |single: Value| {
        let name = |name: &str, id: u32| json!({"id": name, "ids": [id], "tokens": [name]});
        json!({"type": "TemplateProcessing", "single": single, "pair": [],
            "special_tokens": {"<s>": name("<s>", 60), "</s>": name("</s>", 62)}})
    };
    let byte_level = json!({"type": "ByteLevel", "trim_offsets": false});
    let roberta = json!({"type": "RobertaProcessing", "sep": ["</s>", 62], "cls": ["<s>", 60], "trim_offsets": true,
        "add_prefix_space": false});
    let both = template(json!([special("<s>"), text, special("</s>")]));
    let sequence = json!({"type": "Sequence", "processors": [byte_level, both]});
    for (processor, expected) in [
        (json!(null), vec![97]),
        (byte_level, vec![97]),
        (both.clone(), vec![60, 97, 62]),
        (sequence, vec![60, 97, 62]),
        (template(json!([text, special("</s>")])), vec![97, 62]),
        (roberta, vec![60, 97, 62]),
        (json!({"type": "BertProcessing", "sep": ["</s>", 62], "cls": ["<s>", 60]}), vec![60, 97, 62]),
    ] {
        let tokenizer = changed(|json| json["post_processor"] = processor.clone()).unwrap();
        assert_eq!(ids(&tokenizer, "a"), expected, "{processor}");
        let cut = tokenizer.encode("abcdef", 4).unwrap();
        assert_eq!(
            (cut.ids.len(), cut.truncated, cut.ids.last()),
            (4, true, if expected.len() == 1 { Some(&100) } else { Some(&62) })
        );
    }
    refused(|json| json["post_processor"] = template(json!([special("<s>")])), "the text `A` once");
    refused(|json| json["post_processor"] = template(json!([text, special("<x>")])), "`<x>` without ids");
    refused(|json| json["post_processor"] = json!({"type": "Magic"}), "`Magic`");
    let left = changed(|json| json["truncation"] = json!({"direction": "Left", "max_length": 2})).unwrap();
    assert_eq!(left.encode("abcd", 2).unwrap().ids, [99, 100]);
}

#[test]
fn steps_that_are_not_in_the_lists_are_refused_by_name() {
    for value in [json!("AA=="), json!(null), json!("'"), json!("")] {
        let step = json!({"type": "Precompiled", "precompiled_charsmap": value});
        refused(|json| json["normalizer"] = step.clone(), "`precompiled_charsmap`");
    }
    refused(
        |json| json["normalizer"] = json!({"type": "Prepend", "prepend": "x".repeat(1000)}),
        "at most 64 bytes",
    );
    refused(|json| json["pre_tokenizer"] = json!({"type": "BertPreTokenizer"}), "`BertPreTokenizer`");
    let deep =
        |depth| (0..depth).fold(json!(null), |inner, _| json!({"type": "Sequence", "normalizers": [inner]}));
    assert!(changed(|json| json["normalizer"] = deep(100)).is_err());
    for (prefix, merge) in [("##", "r e"), ("é", "r é"), ("#".repeat(50).as_str(), "Ġ b")] {
        let change = |json: &mut Value| {
            json["model"]["continuing_subword_prefix"] = json!(prefix);
            json["model"]["merges"] = json!([merge]);
        };
        let _ = changed(change); // an error or a tokenizer, and no panic
    }
}

#[test]
fn a_pattern_that_gives_up_is_an_error_within_two_seconds() {
    let split = |pattern: &str| {
        changed(|json| {
            let step = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
            let letters = json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false});
            json["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [step, letters]});
        })
    };
    let letters = "a".repeat(30) + "x" + &"re".repeat(5);
    for (pattern, text, gives_up) in [
        (r"(?:(a|aa)+\1y)|.", letters.as_str(), true),
        ("(?:(?=.*).|(?!.*\u{1}).){18}(?=.*\u{0})|.", &"a".repeat(4000), true),
        (r"(?=([\s\S]*))(?:a|a)*b|.", &"a".repeat(4000), false),
        (r"(a*)*b|[\s\S]", &"a".repeat(4000), false),
        (r"[a-z]+(?=[^a-z])|.", &"re are ".repeat(500), false),
    ] {
        let start = Instant::now();
        let encoded = split(pattern).unwrap().encode(text, 4000);
        // Two seconds, and as much again for what else runs on the machine.
        assert!(start.elapsed().as_secs_f64() < 4.0, "{pattern}: {:?}", start.elapsed());
        match encoded {
            Ok(_) => assert!(!gives_up, "{pattern}"),
            Err(e) => assert!(e.to_string().contains("the tokenizer's pattern"), "{e}"),
        }
    }
    assert!(split(&"a?".repeat(5000)).is_err());
    assert!(split(r"(?:(?:\p{L}{1000}){1000}){1000}").is_err());
}

#[test]
fn a_piece_that_is_longer_than_any_word_is_refused() {
    let tokenizer = changed(|_| {}).unwrap();
    let joined = |json: &mut Value| {
        json["pre_tokenizer"] = json!(null);
        json["model"]["vocab"]["aa"] = json!(201);
    };
    let whole = changed(joined).unwrap();
    let word = "a".repeat(3 << 20);
    for (tokenizer, expected) in
        [(&tokenizer, "a million characters of one kind"), (&whole, "at most 1048576")]
    {
        let said = tokenizer.encode(&word, 9).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
    // Where the limit is reached before it, it is not looked at.
    let text = "are ".repeat(10_000) + &word;
    assert_eq!(tokenizer.encode(&text, 9).unwrap().ids.len(), 9);
    assert!(tokenizer.encode(&text, 100_000).is_err());
}

#[test]
fn vocab_and_merges_make_the_ids_of_tokenizer_json() {
    let (json, cases) = oracle("qwen3");
    let document: Value = serde_json::from_slice(&json).unwrap();
    let from_json = Tokenizer::from_json("t.json", &json).unwrap();
    let vocab = document["model"]["vocab"].to_string();
    let merges: Vec<&str> =
        document["model"]["merges"].as_array().unwrap().iter().map(|m| m.as_str().unwrap()).collect();
    let merges = format!("#version: 0.2\n{}\n", merges.join("\n"));
    let mut decoder = serde_json::Map::new();
    let mut listed = serde_json::Map::new();
    for token in document["added_tokens"].as_array().unwrap() {
        decoder.insert(token["id"].to_string(), token.clone());
        listed.insert(token["content"].as_str().unwrap().into(), token["id"].clone());
    }
    let config = |class: &str| json!({"tokenizer_class": class, "added_tokens_decoder": decoder, "add_bos_token": false});
    let read = |config: Option<Value>, added: Option<&Value>| {
        let [config, added] = [config, added.cloned()].map(|value| value.map(|value| value.to_string()));
        let bytes = |text: &Option<String>| text.clone().map(String::into_bytes);
        let [config, added] = [bytes(&config), bytes(&added)];
        let beside = Beside { config: config.as_deref(), special: None, added: added.as_deref() };
        Tokenizer::from_vocab_merges("vocab.json", vocab.as_bytes(), merges.as_bytes(), beside)
    };
    let listed = Value::Object(listed);
    let only_listed = json!({"tokenizer_class": "Qwen2TokenizerFast"});
    for tokenizer in [
        read(Some(config("Qwen2Tokenizer")), None).unwrap(),
        read(Some(config("Qwen2Tokenizer")), Some(&listed)).unwrap(),
        read(Some(only_listed), Some(&listed)).unwrap(),
    ] {
        for (text, _) in &cases {
            assert_eq!(ids(&tokenizer, text), ids(&from_json, text), "{text:?}");
        }
    }
    let ending = json!({"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": decoder, "add_eos_token": true,
        "eos_token": "<|endoftext|>"});
    let ending = read(Some(ending), None).unwrap();
    assert_eq!(ending.template().end[0].token, "<|endoftext|>");
    // A token that the class names and no file has gets the next id.
    let begin = read(Some(config("CLIPTokenizer")), None).unwrap().template().begin[0].clone();
    assert_eq!((begin.token.as_str(), begin.id), ("<|startoftext|>", 151_669));
    for (config, named) in [(None, "tokenizer_class"), (Some(config("XGLMTokenizer")), "XGLMTokenizer")] {
        assert!(read(config, None).unwrap_err().to_string().contains(named));
    }
}

/// The members of an object in the other order.
fn backwards(value: &mut Value) {
    let Value::Object(members) = std::mem::take(value) else { panic!("an object") };
    *value = Value::Object(members.into_iter().rev().collect());
}

#[test]
fn a_digest_tells_tokenizers_apart() {
    let digest = |change: &dyn Fn(&mut Value)| changed(change).unwrap().digest();
    let own = digest(&|_| {});
    assert_eq!(own, digest(&|json| json["version"] = json!("2.0")));
    // The order in which a file has its tokens decides nothing.
    assert_eq!(own, digest(&|json| backwards(&mut json["model"]["vocab"])));
    for change in [
        &(|json: &mut Value| json["normalizer"] = json!({"type": "NFC"})) as &dyn Fn(&mut Value),
        &|json| json["model"]["merges"] = json!([]),
        &|json| json["model"]["vocab"]["zz"] = json!(205),
        &|json| {
            json["model"]["vocab"]["a"] = json!(98);
            json["model"]["vocab"]["b"] = json!(97);
        },
        &|json| json["model"]["ignore_merges"] = json!(true),
        &|json| json["added_tokens"][0]["lstrip"] = json!(true),
        &|json| json["pre_tokenizer"]["add_prefix_space"] = json!(true),
        &|json| {
            json["post_processor"] = json!({"type": "BertProcessing", "sep": [">", 62], "cls": ["<", 60]})
        },
    ] {
        assert_ne!(own, digest(change));
    }
}

#[test]
fn a_long_text_without_splits_is_merged_only_as_far_as_it_is_used() {
    let (json, _) = oracle("gemma3");
    let tokenizer = Tokenizer::from_json("t.json", &json).unwrap();
    let theirs = whole_pipeline(&json);
    let text = "the red cat\n and  345 dogs in 6789 rooms, ".repeat(2000);
    assert!(ids(&tokenizer, &text) == theirs.encode_fast(text.as_str(), true).unwrap().get_ids());
    // Blanks without end are one piece, which is refused where it is reached.
    let endless = text + &" ".repeat(3 << 20);
    assert_eq!(tokenizer.encode(&endless, 64).unwrap().ids.len(), 64);
    assert!(tokenizer.encode(&endless, 1 << 20).is_err());
}

#[test]
fn patterns_that_are_known_split_long_texts_as_the_crate_does() {
    let (json, cases) = oracle("qwen3");
    let words = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+";
    let capitals = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*";
    let (sign, ends) = (r"[^\r\n\p{L}\p{N}]?", r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+");
    let s = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
    let tekken = format!(r"{sign}{words}|{sign}{capitals}|\p{{N}}|{ends}");
    let o200k = format!(r"{sign}{words}{s}|{sign}{capitals}{s}|\p{{N}}{{1,3}}|{ends}");
    let clip = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    let text: String =
        (0..20).flat_map(|_| cases.iter().flat_map(|(text, _)| [text.as_str(), " "])).collect();
    for (pattern, clip) in [(tekken.as_str(), false), (&o200k, false), (clip, true)] {
        let mut document: Value = serde_json::from_slice(&json).unwrap();
        let split = &mut document["pre_tokenizer"]["pretokenizers"][0];
        split["pattern"]["Regex"] = json!(pattern);
        if clip {
            (split["behavior"], split["invert"]) = (json!("Removed"), json!(true));
            let blanks = json!({"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "});
            let steps = json!([{"type": "NFC"}, blanks, {"type": "Lowercase"}]);
            document["normalizer"] = json!({"type": "Sequence", "normalizers": steps});
        }
        let json = document.to_string().into_bytes();
        let ours = Tokenizer::from_json("t.json", &json).unwrap();
        let theirs = whole_pipeline(&json).encode_fast(text.as_str(), true).unwrap().get_ids().to_vec();
        assert!(ids(&ours, &text) == theirs, "{pattern}");
    }
}
