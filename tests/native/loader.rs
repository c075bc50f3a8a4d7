//! From files to an encoder: split and sharded models, packing while loading, and the memory told before it.

use crate::support::device;
use crate::support::files::fixture;
use crate::support::load::load;
use crate::support::model::Tiny;
use crate::support::models::{default_header, memory};
use crate::support::oracle::{Oracle, difference, refs, tiny_texts, unpad};
use gran_ted::device::Device;
use gran_ted::encoder::{Placement, Settings, TextEncoder};
use gran_ted::error::{Error, Result};
use gran_ted::format::{Memory, Read, Source, TensorType, gguf::Gguf, safetensors::Safetensors};
use gran_ted::loader::{Fit, Header, Limits, Loading, Part, SLOTS};
use gran_ted::model::{Feature, Pooling};
use gran_ted::quant::{self, Layout, Quantize};
use half::bf16;
use pollster::block_on;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

type File = (&'static str, Vec<u8>);

fn header(files: &[File]) -> Result<Header> {
    block_on(Header::read(memory(files)))
}

fn message(files: &[File]) -> String {
    header(files).err().expect("refused").to_string()
}

fn norm_avg() -> Settings {
    Settings::new(Feature::NormAvg, Pooling::Mean)
}

// --- split GGUF ---

const NAMES: [&str; 3] = ["m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"];

fn parts() -> [File; 3] {
    let mut bytes = Tiny::new("qwen3", TensorType::Q8_0).split(3).into_iter();
    NAMES.map(|name| (name, bytes.next().unwrap()))
}

/// Replaces `from` by `to` of the same length, wherever it stands in `bytes`.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<_> = (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty(), "{} is not there", String::from_utf8_lossy(from));
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    bytes
}

/// Writes another number under `key`, which is a u16 or an i32.
fn with_number(bytes: Vec<u8>, key: &str, value: u8) -> Vec<u8> {
    let at = bytes.windows(key.len()).position(|window| window == key.as_bytes()).unwrap() + key.len() + 4;
    let mut bytes = bytes;
    bytes[at] = value;
    bytes
}

/// Renames the keys that tell of parts.
fn without_numbers((name, bytes): File) -> File {
    (name, replaced(bytes, b"split.", b"other."))
}

#[test]
fn the_name_of_a_part_tells_its_siblings() {
    let part = Part::of("/models/a-b-00002-of-00013.gguf").unwrap();
    assert_eq!((part.prefix, part.number, part.count, part.ending), ("/models/a-b", 2, 13, ".gguf"));
    assert_eq!(part.sibling(13), "/models/a-b-00013-of-00013.gguf");
    let link = "https://host/model-00001-of-00002.safetensors?download=true";
    assert_eq!(
        Part::of(link).unwrap().sibling(2),
        "https://host/model-00002-of-00002.safetensors?download=true"
    );
    for name in [
        "a.gguf",
        "",
        "a-00001-of-00002",
        "a-00003-of-00002.gguf",
        "a-00000-of-00002.gguf",
        "a-0001-of-00002.gguf",
        "a-+0001-of-00002.gguf",
        "ä-00001_of-00002.gguf",
        "https://host/m.gguf?part=a-00001-of-00002.gguf",
    ] {
        assert_eq!(Part::of(name), None, "{name}");
    }
}

#[test]
fn parts_are_one_model_in_any_order() {
    let whole = Tiny::new("qwen3", TensorType::Q8_0).write();
    let embed = |files: &[File]| {
        let encoder = load(header(files).unwrap(), Device::cpu());
        let hashes: Vec<_> = encoder.info.sha256.iter().map(|(name, _)| name.clone()).collect();
        (block_on(encoder.embed(&["the red cube"], &norm_avg())).unwrap(), hashes)
    };
    let (expected, _) = embed(&[("m.gguf", whole.clone())]);
    let [first, second, third] = parts();
    for files in [
        [first.clone(), second.clone(), third.clone()],
        [third.clone(), first.clone(), second.clone()],
        // Parts are told by their names alone, and by their numbers alone.
        [second.clone(), third.clone(), first.clone()].map(without_numbers),
        [("b.gguf", second.1), ("c.gguf", third.1), ("a.gguf", first.1)],
    ] {
        let (found, hashes) = embed(&files);
        assert_eq!(found, expected);
        assert!(hashes == NAMES || hashes == ["a.gguf", "b.gguf", "c.gguf"], "{hashes:?}");
    }
    // gguf-split --merge leaves these keys in a whole file.
    let merged = Tiny::new("qwen3", TensorType::Q8_0).split(1).remove(0);
    let merged = with_number(merged, "split.count", 0);
    assert_eq!(embed(&[("merged-00001-of-00001.gguf", merged)]).0, expected);
}

#[test]
fn a_missing_part_is_named() {
    let [first, second, third] = parts();
    assert_eq!(
        message(&[first.clone(), third.clone()]),
        "`m-00001-of-00003.gguf` is one of 3 parts, of which `m-00002-of-00003.gguf` is missing"
    );
    assert_eq!(
        message(&[third, second.clone()]),
        "`m-00002-of-00003.gguf` is one of 3 parts, of which `m-00001-of-00003.gguf` is missing"
    );
    assert_eq!(
        message(&[("model.gguf", first.1), ("more.gguf", second.1)]),
        "`model.gguf` is one of 3 parts, of which part 3 is missing"
    );
}

#[test]
fn files_of_different_models_are_named() {
    let [first, second, third] = parts();
    let whole = ("whole.gguf", Tiny::new("qwen3", TensorType::Q8_0).write());
    let together = "do not belong together: expected";
    assert_eq!(
        message(&[whole.clone(), ("other.gguf", whole.1.clone())]),
        format!(
            "`whole.gguf` and `other.gguf` {together} one .gguf file, or the parts of one, found a whole model"
        )
    );
    assert_eq!(
        message(&[first.clone(), whole]),
        format!(
            "`m-00001-of-00003.gguf` and `whole.gguf` {together} one .gguf file, or the parts of one, found a \
             whole model"
        )
    );
    assert_eq!(
        message(&[first.clone(), ("n-00002-of-00003.gguf", second.1.clone())]),
        format!(
            "`m-00001-of-00003.gguf` and `n-00002-of-00003.gguf` {together} parts of `m`, found one of `n`"
        )
    );
    let of_two = with_number(second.1.clone(), "split.count", 2);
    assert_eq!(
        message(&[first.clone(), ("m-00002-of-00002.gguf", of_two)]),
        format!(
            "`m-00001-of-00003.gguf` and `m-00002-of-00002.gguf` {together} parts of 3, found a part of 2"
        )
    );
    let of_others = with_number(second.1.clone(), "split.tensors.count", 40);
    assert_eq!(
        message(&[first.clone(), (NAMES[1], of_others), third.clone()]),
        format!(
            "`{}` and `{}` {together} `split.tensors.count` 24 in all parts, found 40",
            NAMES[0], NAMES[1]
        )
    );
    assert_eq!(
        message(&[first.clone(), second.clone(), ("copy.gguf", second.1.clone())]),
        format!("`{}` and `copy.gguf` {together} each part once, found part 2 twice", NAMES[0])
    );
    let all = parts().map(|(name, bytes)| (name, with_number(bytes, "split.tensors.count", 25)));
    assert_eq!(
        message(&all),
        "`m-00001-of-00003.gguf`: metadata `split.tensors.count` is malformed: expected 24, the tensors of all \
         parts, found 25"
    );
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let [first, second, _] = parts();
    assert_eq!(
        message(&[(NAMES[0], with_number(first.1, "split.no", 3))]),
        "`m-00001-of-00003.gguf`: metadata `split.no` is malformed: expected a number below 3, found 3"
    );
    assert_eq!(
        message(&[("m.gguf", replaced(second.1.clone(), b"split.no", b"other.no"))]),
        "`m.gguf`: metadata `split.no` is malformed: expected the number of this part, found none"
    );
    assert_eq!(
        message(&[(NAMES[0], second.1.clone()), (NAMES[1], second.1.clone())]),
        "`m-00001-of-00003.gguf`: metadata `split.no` is malformed: expected 0, as its name says, found 1"
    );
    assert_eq!(
        message(&[(NAMES[1], with_number(second.1, "split.count", 4))]),
        "`m-00002-of-00003.gguf`: metadata `split.count` is malformed: expected 3, as its name says, found 4"
    );
}

#[test]
fn a_tensor_in_two_parts_is_refused() {
    let [first, second, third] = parts();
    let twice = replaced(third.1, b"output_norm.weight", b"blk.0.ffn_x.weight");
    let second_norm = replaced(second.1.clone(), b"blk.1.attn_norm.weight", b"blk.0.attn_norm.weight");
    assert_eq!(
        message(&[first.clone(), (NAMES[1], second_norm), (NAMES[2], twice)]),
        format!(
            "tensor `blk.0.attn_norm.weight` is in `{}` and in `{}`, expected it once",
            NAMES[0], NAMES[1]
        )
    );
}

// --- what a GGUF file says ---

/// Writes another number for the type of the tensor `name`.
fn with_type(mut bytes: Vec<u8>, name: &str, number: u32) -> Vec<u8> {
    let at = bytes.windows(name.len()).position(|window| window == name.as_bytes()).expect(name) + name.len();
    let rank = bytes[at] as usize;
    bytes[at + 4 + 8 * rank..][..4].copy_from_slice(&number.to_le_bytes());
    bytes
}

#[test]
fn types_that_are_not_read_are_refused_where_they_are_needed() {
    let model = Tiny { output: Some(TensorType::Q8_0), ..Tiny::new("qwen3", TensorType::Q8_0) };
    let good = model.write();
    let embed = |bytes: Vec<u8>| {
        let encoder = load(header(&[("m.gguf", bytes)]).unwrap(), Device::cpu());
        block_on(encoder.embed(&["the red cube"], &norm_avg())).unwrap()
    };
    const Q1_0: u32 = 41;
    assert_eq!(embed(with_type(good.clone(), "output.weight", Q1_0)), embed(good.clone()));
    for name in ["blk.1.ffn_up.weight", "token_embd.weight"] {
        let line = message(&[("m.gguf", with_type(good.clone(), name, Q1_0))]);
        assert!(
            line.starts_with(&format!("`m.gguf`: tensor `{name}` has type Q1_0, expected one of F32")),
            "{line}"
        );
    }
    // The network has no place for this tensor of a layer.
    let extra = with_type(good, "output.weight", Q1_0);
    let extra = replaced(extra, b"\x0d\0\0\0\0\0\0\0output.weight", b"\x0d\0\0\0\0\0\0\0blk.0.abc.def");
    let line = message(&[("m.gguf", extra)]);
    let expected = "`m.gguf` has the tensor `blk.0.abc.def`, which the network of family qwen3 does not use";
    assert_eq!(line, expected);
    // In a part, the tensor counts among those of all parts.
    let [first, second, third] = parts();
    let names = ["blk.1.ffn_up.weight", "blk.1.ffn_down.weight", "blk.1.ffn_gate.weight"];
    let holds =
        |(_, bytes): &File, name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    let name = names.into_iter().find(|name| holds(&third, name)).unwrap();
    let line = message(&[first, second, (third.0, with_type(third.1, name, Q1_0))]);
    assert!(line.contains(&format!("tensor `{name}` has type Q1_0")), "{line}");
}

#[test]
fn a_value_of_another_type_is_not_taken_for_an_absent_one() {
    let good = Tiny::new("qwen3", TensorType::Q8_0).write();
    for key in ["attention.head_count_kv", "attention.key_length", "context_length"] {
        let key = format!("qwen3.{key}");
        let float = with_value_type(good.clone(), &key, 6);
        assert_eq!(
            message(&[("m.gguf", float)]),
            format!("`m.gguf`: metadata `{key}` is malformed: expected an unsigned integer, found a float")
        );
        let absent = replaced(good.clone(), key.as_bytes(), key.replace("qwen3.", "other.").as_bytes());
        let absent = header(&[("m.gguf", absent)]).map(drop).map_err(|error| error.to_string());
        assert!(!absent.is_err_and(|line| line.contains("metadata")), "{key} has a default");
    }
}

/// Writes another value type under `key`, of as many bytes.
fn with_value_type(mut bytes: Vec<u8>, key: &str, number: u8) -> Vec<u8> {
    let at = bytes.windows(key.len()).position(|window| window == key.as_bytes()).expect(key) + key.len();
    bytes[at] = number;
    bytes
}

#[test]
fn divisors_of_rope_fit_the_heads_or_are_refused() {
    let good = Tiny::new("llama", TensorType::Q8_0).write();
    let line = message(&[("m.gguf", replaced(good, b"token_embd.weight", b"rope_freqs.weight"))]);
    assert!(line.starts_with("`m.gguf`: tensor `rope_freqs.weight` is malformed: expected"), "{line}");
}

// --- safetensors shards ---

/// tests/fixtures/tiny-qwen3vl in three bf16 shards, with their index and the configuration.
fn shards() -> Vec<File> {
    let bytes = fixture("tiny-qwen3vl/model.safetensors");
    let file = block_on(Safetensors::read(&Memory::new("model.safetensors", bytes.clone()))).unwrap();
    let names =
        [1, 2, 3].map(|number| Box::leak(format!("model-{number:05}-of-00003.safetensors").into_boxed_str()));
    let mut weight_map = BTreeMap::new();
    let mut files = Vec::new();
    for (name, tensors) in names.into_iter().zip(file.tensors.chunks(file.tensors.len().div_ceil(3))) {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::<u8>::new());
        for tensor in tensors {
            let start = data.len();
            let values = quant::dequantize(
                tensor.dtype,
                &bytes[tensor.range.start as usize..tensor.range.end as usize],
            );
            data.extend(values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()));
            let entry =
                json!({ "dtype": "BF16", "shape": tensor.shape, "data_offsets": [start, data.len()] });
            header.insert(tensor.name.clone(), entry);
            weight_map.insert(tensor.name.clone(), name.to_string());
        }
        let header = Value::Object(header).to_string();
        files.push((&*name, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()));
    }
    let index = json!({ "metadata": { "total_size": bytes.len() }, "weight_map": weight_map });
    files.push(("model.safetensors.index.json", index.to_string().into_bytes()));
    files.push(("config.json", fixture("tiny-qwen3vl/config.json")));
    files
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The least cosine between the encoder's embeddings and PyTorch's.
fn least_cosine(encoder: &TextEncoder, oracle: &Oracle) -> f64 {
    let weights: Vec<f32> = serde_json::from_slice(&fixture("tiny-qwen3vl/layer_weights.json")).unwrap();
    let settings = Settings::new(Feature::Weighted(weights), Pooling::Mean);
    let found = block_on(encoder.embed_ids(&refs(&tiny_texts(oracle)), &settings)).unwrap();
    let expected = oracle.floats("embedding.softmax.mean");
    found.iter().zip(expected.chunks(64)).map(|(a, b)| cosine(a, b)).fold(1.0, f64::min)
}

/// bf16 keeps eight bits: weights differ by 2^-9 from the oracle's, and four layers add it up.
const BF16: f32 = 2e-2;

#[test]
fn bf16_shards_match_the_oracle_dense_and_packed() {
    let oracle = Oracle::read("tiny-qwen3vl/expected.safetensors");
    let texts = tiny_texts(&oracle);
    for device in [Device::cpu(), device::gpu()] {
        let encoder = load(header(&shards()).unwrap(), device.clone());
        assert_eq!(encoder.info.sha256.len(), 3);
        let states = block_on(encoder.hidden_states(&refs(&texts))).unwrap();
        for (layer, state) in states.iter().enumerate() {
            let found = difference(state, &unpad(&oracle.floats(&format!("hidden_states.{layer}")), 64));
            println!("hidden_states.{layer} differs by {found:.1e}");
            assert!(found < BF16, "hidden_states.{layer} differs by {found:e}");
        }
        for (quantize, limit) in [(None, 0.9999), (Some(Quantize::Q8), 0.999), (Some(Quantize::Q4), 0.97)] {
            let header = header(&shards()).unwrap();
            let header = quantize.into_iter().fold(header, Header::quantize);
            assert_eq!(header.info.quantize, quantize);
            let found = least_cosine(&load(header, device.clone()), &oracle);
            println!("{quantize:?} on {}: least cosine {found:.6}", device.adapter);
            assert!(found > limit, "{quantize:?}: {found}");
        }
    }
}

#[test]
fn a_shard_that_the_index_lists_is_missed_by_name() {
    let without =
        |name: &str| -> Vec<File> { shards().into_iter().filter(|(other, _)| *other != name).collect() };
    let line = message(&without("model-00002-of-00003.safetensors"));
    assert!(
        line.starts_with("`model.safetensors.index.json` says that tensor `model.language_model."),
        "{line}"
    );
    assert!(
        line.ends_with("is in `model-00002-of-00003.safetensors`, which is not given or does not hold it"),
        "{line}"
    );
    // A tensor that the encoder doesn't need may be absent, and there may be no index.
    let mut files = shards();
    files[3].1 = br#"{"weight_map": {"model.visual.missing": "model-00009-of-00009.safetensors"}}"#.to_vec();
    assert!(header(&files).is_ok());
    assert!(header(&without("model.safetensors.index.json")).is_ok());
}

#[test]
fn a_bad_index_is_refused() {
    let with = |index: &str| {
        let mut files = shards();
        files[3].1 = index.into();
        message(&files)
    };
    let malformed = "`model.safetensors.index.json`: the index is malformed: expected";
    assert_eq!(
        with("[]"),
        format!(
            "{malformed} JSON with `weight_map`, the file of each tensor, found invalid length 0, expected struct \
             Document with 1 element at line 1 column 2"
        )
    );
    assert_eq!(
        with(r#"{"weight_map": {"w": "../secret"}}"#),
        format!("{malformed} names of files beside it, found `../secret`")
    );
    for folder in ["", ".", ".."] {
        let line = with(&format!(r#"{{"weight_map": {{"w": "{folder}"}}}}"#));
        assert_eq!(line, format!("{malformed} names of files beside it, found `{folder}`"));
    }
    let mut twice = shards();
    twice[1].1 = twice[0].1.clone();
    let line = message(&twice);
    assert!(
        line.ends_with(
            "is in `model-00001-of-00003.safetensors` and in `model-00002-of-00003.safetensors`, expected it once"
        ),
        "{line}"
    );
}

// --- packing ---

#[test]
fn a_packed_model_takes_what_was_told() {
    let size = |dtype, quantize: Option<Quantize>| {
        let bytes = Tiny::new("llama", dtype).write();
        let header =
            quantize.into_iter().fold(header(&[("m.gguf", bytes.clone())]).unwrap(), Header::quantize);
        // The codec itself tells the size of each tensor.
        let gguf = block_on(Gguf::read(&Memory::new("m.gguf", bytes.clone()))).unwrap();
        let mut packed = 0;
        for tensor in gguf.tensors.iter().filter(|tensor| tensor.name != "token_embd.weight") {
            let data = &bytes[tensor.range.start as usize..tensor.range.end as usize];
            packed += match tensor.shape[..] {
                [n, k] => {
                    let layout = Layout::packed(tensor.dtype, quantize);
                    let packed = quant::pack_as(layout, tensor.dtype, data, n, k);
                    4 * (packed.words.len() + packed.scales.len())
                }
                _ => 4 * tensor.shape[0],
            } as u64;
        }
        assert_eq!(header.info.device_bytes, packed, "{dtype:?} {quantize:?}");
        packed
    };
    let [dense, q8, q4] =
        [None, Some(Quantize::Q8), Some(Quantize::Q4)].map(|quantize| size(TensorType::BF16, quantize));
    assert!(10 * dense > 17 * q8 && 10 * q8 > 17 * q4, "{dense}, {q8}, {q4}");
    assert_eq!(size(TensorType::Q6_K, Some(Quantize::Q4)), size(TensorType::Q6_K, None));
}

/// A `llama` file's heads are put in order and packed, some heads at a time.
#[test]
fn packed_llama_files_embed_as_dense_ones() {
    let bytes = Tiny::new("llama", TensorType::F16).write();
    let embed = |quantize: Option<Quantize>| {
        let header =
            quantize.into_iter().fold(header(&[("m.gguf", bytes.clone())]).unwrap(), Header::quantize);
        let encoder = load(header, Device::cpu());
        block_on(encoder.embed(&["the red cube is left of a ball"], &norm_avg())).unwrap().vectors.remove(0)
    };
    let dense = embed(None);
    for (quantize, limit) in [(Quantize::Q8, 0.9999), (Quantize::Q4, 0.99)] {
        let found = cosine(&dense, &embed(Some(quantize)));
        assert!(found > limit, "{quantize:?}: {found}");
    }
}

#[test]
fn packing_decides_whether_a_buffer_is_too_large() {
    let mut small = Device::cpu();
    small.max_buffer_bytes = Some(15_000);
    let loading = |quantize: Option<Quantize>| {
        let bytes = Tiny::new("qwen3", TensorType::F16).write();
        let header = quantize.into_iter().fold(header(&[("m.gguf", bytes)]).unwrap(), Header::quantize);
        Loading::new(header, small.clone()).err().map(|error| error.to_string())
    };
    let refused = loading(None).expect("more than one buffer");
    assert!(refused.ends_with("needs 20.5 kB in one buffer, but this device allows 15.0 kB"), "{refused}");
    assert_eq!(loading(Some(Quantize::Q8)), None);
}

#[test]
fn rows_that_are_no_groups_of_32_are_filled_up_packed_or_not() {
    let narrow = Tiny { hidden_size: 48, ..Tiny::new("qwen3", TensorType::F16) };
    let embed = |header: Header| {
        let encoder = load(header, Device::cpu());
        block_on(encoder.embed(&["the red cube is left of a ball"], &norm_avg())).unwrap().vectors.remove(0)
    };
    let header = || header(&[("m.gguf", narrow.write())]).unwrap();
    let plain = embed(header());
    assert_eq!(plain.len(), 48);
    assert!(cosine(&plain, &embed(header().quantize(Quantize::Q8))) > 0.999);
}

#[test]
fn a_value_that_is_not_a_number_is_found_while_packing() {
    let mut bytes = Tiny::new("qwen3", TensorType::F32).write();
    let gguf = block_on(Gguf::read(&Memory::new("m.gguf", bytes.clone()))).unwrap();
    let tensor = gguf.tensors.iter().find(|tensor| tensor.name == "blk.1.ffn_up.weight").unwrap();
    let at = tensor.range.start as usize + 400;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let header = header(&[("m.gguf", bytes)]).unwrap().quantize(Quantize::Q8);
    let mut loading = Loading::new(header, Device::cpu()).unwrap();
    let error = loop {
        match block_on(loading.step()) {
            Ok(progress) => assert!(progress.is_some(), "loaded"),
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(error, "`m.gguf`: tensor `blk.1.ffn_up.weight` holds a value that is not finite");
}

// --- joined products ---

/// Checks that the model, on a device whose buffers hold so much, embeds as the same weights in an F32 file do.
fn joins_as_it_should(model: &Tiny, max_buffer_bytes: Option<u64>) {
    let texts = ["the red cube is left of a ball", "no"];
    let embed = |model: &Tiny, device: Device| {
        let encoder = load(header(&[("m.gguf", model.write())]).unwrap(), device);
        block_on(encoder.embed(&texts, &norm_avg())).unwrap().vectors.concat()
    };
    let dense = Tiny { dense: true, ..*model };
    let expected = embed(&dense, Device::cpu());
    for mut device in [Device::cpu(), device::gpu()] {
        device.max_buffer_bytes = max_buffer_bytes.or(device.max_buffer_bytes);
        let found = difference(&embed(model, device.clone()), &expected);
        assert!(found < 1e-4, "{} on {} differs by {found:e}", model.family, device.adapter);
    }
}

#[test]
fn matrices_of_other_types_are_not_joined() {
    use TensorType::{Q4_0, Q8_0};
    fn is(name: &str, other: &str) -> Option<TensorType> {
        (name == other).then_some(Q8_0)
    }
    for family in ["qwen2", "qwen3", "llama"] {
        let model = Tiny::new(family, Q4_0);
        for mix in [
            |name: &str, _, _| is(name, "ffn_up"),
            |name: &str, _, _| is(name, "ffn_gate"),
            |name: &str, _, _| is(name, "attn_q"),
            |name: &str, _, _| is(name, "attn_k"),
            |name: &str, _, _| is(name, "attn_v"),
            // This one differs in one layer of two.
            |name: &str, layer, _| if layer == 0 { is(name, "ffn_up") } else { is(name, "attn_k") },
        ] {
            joins_as_it_should(&Tiny { mix, ..model }, None);
        }
    }
}

/// The limits lie between one matrix and two, and between two and three.
#[test]
fn matrices_that_are_too_large_together_are_not_joined() {
    let model = Tiny::new("qwen3", TensorType::Q8_0);
    let (gate, kv) = (160 * 64, 32 * 64);
    for limit in [gate, gate + kv, 2 * gate] {
        joins_as_it_should(&model, Some(limit));
    }
    // The buffers hold q alone, q and k, or all three, which have 64, 32 and 32 rows.
    let small = Tiny { intermediate_size: 64, ..model };
    for limit in [64 * 64, 96 * 64, 128 * 64] {
        joins_as_it_should(&small, Some(limit));
    }
}

// --- a large token table ---

/// Rows of a table above 64 MB are read from the file, and its bytes count for the hash all the same.
#[test]
fn rows_of_a_large_token_table_are_read_from_the_file() {
    let model = Tiny { hidden_size: 256, vocab_size: 140_000, ..Tiny::new("qwen3", TensorType::F16) };
    let bytes = model.write();
    let gguf = block_on(Gguf::read(&Memory::new("m.gguf", bytes.clone()))).unwrap();
    let table = gguf.tensors[0].range.clone();
    assert!(gguf.tensors[0].name == "token_embd.weight" && table.end - table.start > 64 << 20);
    let ids = [3, 139_999, 0, 70_000];
    let rows = ids.map(|id| {
        let start = table.start as usize + id as usize * 512;
        quant::dequantize(TensorType::F16, &bytes[start..start + 512])
    });
    let whole: String = {
        use sha2::{Digest, Sha256};
        Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let header = header(&[("m.gguf", bytes)]).unwrap();
    let host = header.fit(4, Limits::default()).host_bytes;
    assert!(host < 16 << 20, "{host} bytes on the host");
    let encoder = load(header, Device::cpu());
    assert_eq!(block_on(encoder.hidden_states(&[&ids])).unwrap()[0], rows.concat());
    assert_eq!(encoder.info.sha256, [("m.gguf".to_string(), whole)]);
}

/// A table that stays in its file is read as far as its first value, and rows of zeros are no fault of it.
#[test]
fn a_large_token_table_of_nothing_but_zeros_is_refused() {
    let model = Tiny { hidden_size: 256, vocab_size: 140_000, ..Tiny::new("qwen3", TensorType::F16) };
    let bytes = model.write();
    let gguf = block_on(Gguf::read(&Memory::new("m.gguf", bytes.clone()))).unwrap();
    let table = gguf.tensors[0].range.start as usize..gguf.tensors[0].range.end as usize;
    let loaded = |bytes: Vec<u8>, placement: Placement| {
        let header = header(&[("m.gguf", bytes)]).unwrap();
        let mut loading = Loading::new(header, Device::cpu()).unwrap().placed(placement);
        while block_on(loading.step())?.is_some() {}
        loading.finish()
    };
    let mut zeros = bytes.clone();
    zeros[table.clone()].fill(0);
    for streamed in [false, true] {
        let error = loaded(zeros.clone(), Placement::new(streamed)).err().unwrap();
        assert!(
            matches!(&error, Error::OnlyZeros { tensor, .. } if tensor == "token_embd.weight"),
            "{error}"
        );
    }
    // One value far behind is enough, and the other tensors are read as before.
    zeros[table.end - 600..table.end].copy_from_slice(&bytes[table.end - 600..table.end]);
    let last = loaded(zeros.clone(), Placement::new(false)).unwrap();
    let vector = |encoder: &TextEncoder| block_on(encoder.embed_ids(&[&[139_999]], &norm_avg())).unwrap();
    assert_eq!(vector(&last), vector(&loaded(bytes, Placement::new(false)).unwrap()));
    let digest = |bytes: &[u8]| -> String {
        use sha2::{Digest, Sha256};
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    assert_eq!(last.info.sha256[0].1, digest(&zeros));
}

/// A file that remembers which ranges were read of it.
struct Counted {
    file: Memory,
    reads: RefCell<Vec<Range<u64>>>,
}

impl Source for Counted {
    fn name(&self) -> &str {
        self.file.name()
    }

    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read(&self, range: Range<u64>) -> Read<'_> {
        self.reads.borrow_mut().push(range.clone());
        self.file.read(range)
    }
}

#[test]
fn rows_are_read_once_with_their_neighbors() {
    let model = Tiny { hidden_size: 256, vocab_size: 140_000, ..Tiny::new("qwen3", TensorType::F16) };
    let file = Rc::new(Counted { file: Memory::new("m.gguf", model.write()), reads: RefCell::default() });
    let header = block_on(Header::read(vec![file.clone()])).unwrap();
    let encoder = load(header, Device::cpu());
    let read = |ids: &[u32]| {
        file.reads.borrow_mut().clear();
        let vectors = block_on(encoder.embed_ids(&[ids], &norm_avg())).unwrap().concat();
        let bytes: u64 = file.reads.borrow().iter().map(|range| range.end - range.start).sum();
        (file.reads.borrow().len(), bytes / 512, vectors)
    };
    // 5 comes twice, and so do neighbors of it; one row is far away.
    let (reads, rows, first) = read(&[5, 6, 5, 100_000, 8, 5]);
    assert_eq!((reads, rows), (2, 4 + 1));
    let (reads, rows, again) = read(&[5, 6, 5, 100_000, 8, 5]);
    assert_eq!((reads, rows), (0, 0));
    assert_eq!(first, again);
    assert_eq!(read(&[5, 9, 100_000]).0, 1);
    // A long text of tokens from all over takes the place of the others.
    let many: Vec<u32> = (0..2048).map(|i| 20_000 + 40 * i).collect();
    for start in 0..3 {
        read(&many.iter().map(|id| id + start).collect::<Vec<_>>());
    }
    assert_eq!(read(&[5, 6, 5, 100_000, 8, 5]).2, first);
    let (reads, rows, _) = read(&(1..=256).collect::<Vec<_>>());
    assert!((8..=9).contains(&reads) && rows <= 256, "{reads} reads of {rows} rows");
}

/// A step reads little, so that a page that cancels waits for no more than that.
#[test]
fn steps_are_small() {
    let model = Tiny { hidden_size: 256, vocab_size: 140_000, ..Tiny::new("llama", TensorType::F16) };
    let model = Tiny { intermediate_size: 16_384, ..model };
    let mut loading = Loading::new(header(&[("m.gguf", model.write())]).unwrap(), Device::cpu()).unwrap();
    let mut before = 0;
    while let Some(progress) = block_on(loading.step()).unwrap() {
        assert!(progress.done - before <= 9 << 20, "{} bytes in one step", progress.done - before);
        before = progress.done;
    }
    loading.finish().unwrap();
}

// --- fit ---

fn default_fit(tokens: usize, limits: Limits) -> Fit {
    default_header().fit(tokens, limits)
}

#[test]
fn fit_adds_up() {
    let fit = default_fit(256, Limits::default());
    let (d, f, q, kv, layers) = (576, 1536, 576, 192, 30);
    // Q4_1 is 5 bits a value; the norms are F32.
    assert_eq!(fit.download_bytes, 98_362_432);
    assert_eq!(fit.fixed_bytes, 4 * d + 2048 * 64 * 4);
    // Activations are the mix and the residual stream; q, k, v; q and k rotated; and the output of attention.
    assert_eq!(fit.activation_bytes, 256 * (4 * (2 * d + 3 * (q + kv)) + 12));
    let weights = (2 * d * q + 2 * d * kv + 3 * d * f) * 5 / 8 + 2 * d * 4;
    assert_eq!(fit.layer_bytes, weights);
    assert_eq!(fit.layers_bytes, layers * weights);
    assert_eq!(fit.device_bytes, fit.layers_bytes + fit.fixed_bytes + fit.activation_bytes);
    assert_eq!(fit.streamed_bytes(2), 2 * weights + fit.fixed_bytes + fit.activation_bytes);
    assert_eq!(fit.streamed_bytes(99), fit.device_bytes);
    assert_eq!(
        (fit.largest_buffer.as_str(), fit.largest_buffer_bytes),
        ("a batch of 256 tokens", 256 * f * 4)
    );
    let fit = default_fit(1, Limits::default());
    assert!(fit.largest_buffer.starts_with("blk."), "{}", fit.largest_buffer);
    assert_eq!(fit.largest_buffer_bytes, d * f / 2);
}

#[test]
fn a_model_is_held_whole_where_it_may_be_and_its_batches_keep_to_the_limits() {
    let header = default_header();
    let place =
        |max_buffer_bytes, budget_bytes| header.place(Limits { max_buffer_bytes, budget_bytes }, false);
    assert_eq!(place(None, None).unwrap(), Placement { streamed: false, batch_tokens: 1024 });
    assert_eq!(
        place(Some(1 << 30), Some(200_000_000)).unwrap(),
        Placement { streamed: false, batch_tokens: 1024 }
    );
    let narrow = place(Some(1_000_000), None).unwrap();
    assert_eq!(narrow, Placement { streamed: false, batch_tokens: 1_000_000 / (4 * 1536) });
    let small = place(None, Some(20_000_000)).unwrap();
    let bytes = header.fit(small.batch_tokens, Limits::default()).streamed_bytes(SLOTS);
    assert!(small.streamed && small.batch_tokens < 4096 && bytes <= 20_000_000, "{small:?}, {bytes} bytes");
    assert!(20_000_000 - bytes < 30_000, "{bytes}"); // one token more would not fit
    assert!(header.place(Limits::default(), true).unwrap().streamed);
    assert!(matches!(
        place(None, Some(4_000_000)),
        Err(Error::BudgetTooSmall { slots: 2, limit: 4_000_000, .. })
    ));
    assert!(matches!(place(Some(400_000), None), Err(Error::DeviceLimit { needed: 442_368, .. })));
}

/// A file with nothing but its header.
struct HeaderAlone {
    bytes: Vec<u8>,
    len: u64,
}

impl Source for HeaderAlone {
    fn name(&self) -> &str {
        "m.gguf"
    }

    fn size(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> Read<'_> {
        let mut bytes = self.bytes.clone();
        bytes.resize(range.end as usize, 0);
        Box::pin(async move { Ok(bytes.split_off(range.start as usize)) })
    }
}

/// A browser's heap has room for a few tensors, whatever the model's size.
#[test]
fn a_load_takes_little_of_the_host() {
    let none = |_: &str, _, _| None;
    let mut shapes: Vec<_> = ["2b", "4b", "8b"].map(|size| (size, Tiny::qwen3vl(size).unwrap())).into();
    shapes.push((
        "qwen2.5 7b",
        Tiny {
            hidden_size: 3584,
            intermediate_size: 18_944,
            num_hidden_layers: 28,
            num_attention_heads: 28,
            num_key_value_heads: 4,
            head_dim: 128,
            vocab_size: 152_064,
            ..Tiny::new("qwen2", TensorType::Q4_K)
        },
    ));
    for (name, shape) in shapes {
        for (weights, quantize, limit) in [
            (TensorType::Q4_K, None, 190_000_000),
            (TensorType::Q8_0, None, 190_000_000),
            (TensorType::BF16, Some(Quantize::Q8), 190_000_000),
            (TensorType::BF16, Some(Quantize::Q4), 190_000_000),
            // A load that does not pack holds one matrix as it is, and the bytes that are read of it.
            (TensorType::BF16, None, 16_000_000 + 2 * (shape.intermediate_size * shape.hidden_size) as u64),
        ] {
            let mixes = if weights == TensorType::Q4_K { shape.mix } else { none };
            let (bytes, len) =
                Tiny { weights, mix: mixes, embedding: weights, output: None, ..shape }.header();
            let header = block_on(Header::read(vec![Rc::new(HeaderAlone { bytes, len })])).unwrap();
            let header = quantize.into_iter().fold(header, Header::quantize);
            let placement = header.place(Limits::default(), false).unwrap();
            let host = header.fit(placement.batch_tokens, Limits::default()).host_bytes;
            println!("{name} {weights:?} {quantize:?}: {:.0} MB", host as f64 * 1e-6);
            assert!(host < limit, "{name} {weights:?} {quantize:?}: {host}");
        }
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[test]
fn what_does_not_fit_is_said() {
    let problems = |tokens, max_buffer_bytes, budget_bytes| -> Vec<String> {
        let fit = default_fit(tokens, Limits { max_buffer_bytes, budget_bytes });
        fit.problems.iter().map(Error::to_string).collect()
    };
    assert!(problems(2048, Some(128 << 20), Some(200_000_000)).is_empty());
    let [line] = &problems(1, Some(300_000), None)[..] else { panic!("one problem") };
    assert!(line.ends_with("needs 442.4 kB in one buffer, but this device allows 300.0 kB"), "{line}");
    assert_eq!(
        problems(2048, Some(10_000_000), None),
        ["`a batch of 2048 tokens` needs 12.6 MB in one buffer, but this device allows 10.0 MB"]
    );
    let fit = default_fit(256, Limits::default());
    let (whole, streamed) = (fit.device_bytes, fit.streamed_bytes(SLOTS));
    assert_eq!(
        problems(256, None, Some(20_000_000)),
        [format!(
            "the model needs {} of device memory, but the budget is 20.0 MB; streamed layer by layer it needs {}",
            megabytes(whole),
            megabytes(streamed)
        )]
    );
    assert_eq!(
        problems(256, None, Some(5_000_000)),
        [format!(
            "the model needs {} of device memory with 2 layers at a time, but the budget is 5.0 MB",
            megabytes(streamed)
        )]
    );
    let fit = default_fit(256, Limits { max_buffer_bytes: None, budget_bytes: Some(20_000_000) });
    let json = serde_json::to_value(&fit).unwrap();
    assert_eq!(json["problems"][0]["code"], "OverBudget");
    assert_eq!(json["device_bytes"], whole);
}
