//! Every family of encoders against PyTorch: hidden states of a tiny random model of each, on the CPU and on wgpu.
//!
//! tests/fixtures/README.md tells how the models and the states were made. All peculiarities matter in them: texts are
//! longer than windows and than the reach of relative biases, heads are not the hidden size over their number, norms and
//! biases are not neutral, widths are no multiples of 32.

use crate::support::device;
use crate::support::files::fixture;
use crate::support::load::{load, load_placed};
use crate::support::models::memory;
use crate::support::oracle::{Oracle, difference};
use crate::support::program::Folder;
use gran_ted::device::Device;
use gran_ted::encoder::{Placement, Settings, TextEncoder};
use gran_ted::error::Error;
use gran_ted::loader::Header;
use gran_ted::model::{Family, Feature, Pooling};
use pollster::block_on;
use serde_json::Value;

/// The files of each model: its folder, its weights, and what stands before the names of the expected states.
const MODELS: [(&str, &str, &str, Family); 17] = [
    ("tiny-t5", "model.safetensors", "", Family::T5),
    ("tiny-t5-relu", "model.safetensors", "", Family::T5),
    ("tiny-umt5", "model.safetensors", "", Family::Umt5),
    ("tiny-umt5", "wan.pth", "", Family::Umt5),
    ("tiny-clip-l", "model.safetensors", "", Family::Clip),
    ("tiny-clip-g", "open_clip.safetensors", "", Family::Clip),
    ("tiny-gemma2", "model.safetensors", "", Family::Gemma2),
    ("tiny-gemma2", "model.gguf", "gguf.", Family::Gemma2),
    ("tiny-gemma3", "model.safetensors", "", Family::Gemma3),
    ("tiny-llama31", "model.safetensors", "", Family::Llama),
    ("tiny-llama31", "model.gguf", "", Family::Llama),
    ("tiny-mistral", "pruned.safetensors", "", Family::Mistral),
    ("tiny-smollm3", "model.gguf", "", Family::SmolLm3),
    ("tiny-qwen25vl", "model.safetensors", "", Family::Qwen2Vl),
    ("tiny-xlmr", "model.safetensors", "", Family::XlmRoberta),
    ("tiny-t5gemma", "model.safetensors", "", Family::T5Gemma),
    ("tiny-qwen3vl", "model.safetensors", "", Family::Qwen3Vl),
];

fn folder(name: &str) -> String {
    if name == "tiny-qwen3vl" { name.into() } else { format!("families/{name}") }
}

fn files(name: &str, weights: &str, config: Option<&Value>) -> Vec<(String, Vec<u8>)> {
    let of = |file: &str| fixture(&format!("{}/{file}", folder(name)));
    let mut files = vec![(weights.to_string(), of(weights))];
    if !weights.ends_with("gguf") {
        let config = config.map_or_else(|| of("config.json"), |config| config.to_string().into());
        files.push(("config.json".into(), config));
    }
    files
}

fn header(files: &[(String, Vec<u8>)]) -> gran_ted::error::Result<Header> {
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    block_on(Header::read(memory(&files)))
}

fn model(name: &str, weights: &str) -> Header {
    header(&files(name, weights, None)).unwrap_or_else(|error| panic!("{name}/{weights}: {error}"))
}

/// A text of an oracle: its ids, and the tokens whose states are kept.
fn texts(oracle: &Oracle) -> Vec<(Vec<u32>, Vec<usize>)> {
    let text = |t: usize| {
        let ids = oracle.integers(&format!("{t}.ids")).iter().map(|id| *id as u32).collect();
        (ids, oracle.integers(&format!("{t}.rows")).iter().map(|row| *row as usize).collect())
    };
    (0..).take_while(|t| oracle.has(&format!("{t}.ids"))).map(text).collect()
}

fn rows(state: &[f32], rows: &[usize], width: usize) -> Vec<f32> {
    rows.iter().flat_map(|row| &state[row * width..][..width]).copied().collect()
}

fn compare(what: &str, encoder: &TextEncoder, oracle: &Oracle, before: &str, tolerance: f32) {
    let (layers, width) = (encoder.config.num_hidden_layers, encoder.config.hidden_size);
    let mut compared = 0;
    for (t, (ids, kept)) in texts(oracle).iter().enumerate() {
        let states = block_on(encoder.states(ids)).unwrap();
        let last_prenorm = ("last_prenorm".to_string(), &states.last_prenorm);
        let of_layer = |layer: usize| (format!("hidden_states.{layer}"), &states.hidden[layer]);
        let all = (0..=layers).map(of_layer).chain([last_prenorm]);
        for (name, state) in all {
            let key = format!("{t}.{before}{name}");
            // A model that was cut has no last state of its own.
            if !oracle.has(&key) || encoder.config.cut_from.is_some() && name == "last_prenorm" {
                continue;
            }
            let apart = difference(&rows(state, kept, width), &oracle.floats(&key));
            assert!(apart < tolerance, "{what}: {key} is {apart:e} apart on {}", encoder.device().adapter);
            compared += 1;
        }
    }
    assert!(compared >= 4, "{what}: {compared} states were compared");
}

fn oracle(name: &str) -> Oracle {
    Oracle::read(&format!("{}/expected.safetensors", folder(name)))
}

#[test]
fn hidden_states_are_pytorchs_on_the_cpu() {
    for (name, weights, before, family) in MODELS.into_iter().filter(|model| model.0 != "tiny-qwen3vl") {
        let header = model(name, weights);
        assert_eq!(header.config.family, family, "{name}");
        compare(&format!("{name}/{weights}"), &load(header, Device::cpu()), &oracle(name), before, 1e-5);
    }
}

#[test]
fn hidden_states_are_pytorchs_on_wgpu() {
    for (name, weights, before, _) in MODELS.into_iter().filter(|model| model.0 != "tiny-qwen3vl") {
        let encoder = load(model(name, weights), device::gpu());
        compare(&format!("{name}/{weights}"), &encoder, &oracle(name), before, 1e-4);
    }
}

/// A batch, and layers that are brought one by one, give the bits of each text alone.
#[test]
fn a_batch_and_streamed_layers_change_no_bit_of_any_family() {
    for (name, weights, _, family) in MODELS.into_iter().filter(|model| model.0 != "tiny-qwen3vl") {
        let feature = if name == "tiny-mistral" { Feature::Layer(2) } else { Feature::NormAvg };
        let settings = Settings::new(feature, Pooling::Mean);
        let texts: Vec<Vec<u32>> = texts(&oracle(name)).into_iter().map(|(ids, _)| ids).collect();
        let ids: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let whole = load(model(name, weights), Device::cpu());
        let streamed = load_placed(model(name, weights), Placement::new(true), Device::cpu());
        let batch = block_on(whole.embed_ids(&ids, &settings)).unwrap();
        assert_eq!(block_on(streamed.embed_ids(&ids, &settings)).unwrap(), batch, "{family}");
        for (ids, vector) in ids.iter().zip(&batch) {
            assert_eq!(&block_on(whole.embed_ids(&[ids], &settings)).unwrap()[0], vector, "{family}");
        }
    }
}

/// Every number and switch of a configuration is heard: another value gives other vectors, or a refusal that names the key.
/// Keys that the table calls without effect change nothing.
#[test]
fn no_key_of_a_configuration_is_overlooked() {
    let notes = |place, key: &str, family| {
        use gran_ted::loader::{KEYS, Reading};
        let of = |entry: &&gran_ted::loader::Key| {
            entry.place == place && entry.name == key && entry.families.contains(&family)
        };
        matches!(KEYS.iter().find(of).map(|entry| entry.reading), Some(Reading::NoEffect(_)))
    };
    let (mut flipped, mut wrong) = (0, Vec::new());
    for (name, weights, _, family) in MODELS.into_iter().filter(|model| model.1.ends_with("safetensors")) {
        if name == "tiny-qwen3vl" {
            continue; // tests/native/keys.rs has it
        }
        let config: Value =
            serde_json::from_slice(&fixture(&format!("{}/config.json", folder(name)))).unwrap();
        let part = ["text_config", "encoder"].into_iter().find(|part| config.get(part).is_some());
        let ids = texts(&oracle(name)).remove(0).0;
        let vector = |header: Header| {
            let settings = Settings::new(Feature::Layer(header.config.num_hidden_layers), Pooling::Mean);
            block_on(load(header, Device::cpu()).embed_ids(&[&ids], &settings)).unwrap().remove(0)
        };
        let cut_from = model(name, weights).config.cut_from;
        let before = vector(model(name, weights));
        let keys = part.map_or(&config, |part| &config[part]).as_object().unwrap().clone();
        for (key, value) in &keys {
            let Some(other) = another(key, value) else { continue };
            let mut changed = config.clone();
            match part {
                Some(part) => changed[part][key] = other.clone(),
                None => changed[key] = other.clone(),
            }
            let is_note = notes(gran_ted::loader::Place::Config, key, family);
            flipped += 1;
            match header(&files(name, weights, Some(&changed))) {
                Ok(header) => {
                    // What the last layer alone shows, and what is told of texts, is not in this vector.
                    let elsewhere = ["tie_word_embeddings", "max_position_embeddings"]
                        .contains(&key.as_str())
                        || ["max_window_layers", "sliding_window", "use_sliding_window"]
                            .contains(&key.as_str())
                            && keys.contains_key("use_sliding_window"); // tests/native/keys.rs sets them together
                    // The states that a file was cut from are counted, and not computed.
                    let is_cut_otherwise = header.config.cut_from != cut_from;
                    let same = vector(header) == before;
                    if same != (is_note || is_cut_otherwise) && !elsewhere {
                        wrong.push(format!(
                            "{name}: {key} = {other} instead of {value}, same vectors: {same}"
                        ));
                    }
                }
                Err(Error::UnknownFamily { .. } | Error::WrongShape { .. } | Error::MissingTensor { .. })
                | Err(Error::ExtraTensor { .. }) => {}
                Err(error) => {
                    let message = error.to_string();
                    let named = message.contains(key)
                        || ["num_attention_heads", "head_dim", "layer_types"]
                            .iter()
                            .any(|of| message.contains(of));
                    if !named {
                        wrong.push(format!("{name}: {key} = {other} is refused without its name: {message}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(flipped > 150, "{flipped} keys");
}

/// Another value of the same type.
fn another(key: &str, value: &Value) -> Option<Value> {
    Some(match value {
        Value::Bool(flag) => (!flag).into(),
        Value::Number(_) if key == "pad_token_id" || key.ends_with("_dim") && key != "head_dim" => 3.into(),
        Value::Number(number) if key == "sliding_window" => (number.as_u64()? / 2).into(),
        Value::Number(number) => match number.as_u64() {
            Some(number) => (number * 2 + 2).into(),
            None => (number.as_f64()? * 20.0 + 0.1).into(),
        },
        Value::String(_) => "other".into(),
        _ => return None,
    })
}

#[test]
fn a_model_that_was_cut_gives_the_states_that_it_holds() {
    let header = model("tiny-mistral", "pruned.safetensors");
    assert_eq!((header.config.num_hidden_layers, header.config.cut_from), (3, Some(4)));
    assert!(header.info.warnings[0].contains("3 of 4 layers"), "{:?}", header.info.warnings);
    for feature in [Feature::Last, Feature::LastPrenorm, Feature::Penultimate, Feature::NormAvg] {
        let refused = feature.check(&header.config).unwrap_err().to_string();
        assert!(refused.contains("expected 4 layers") && refused.contains("layer(3)"), "{refused}");
    }
    Feature::Layer(3).check(&header.config).unwrap();
}

/// The last state before and after the final norm are two features.
#[test]
fn last_and_last_prenorm_differ() {
    let encoder = load(model("tiny-gemma3", "model.safetensors"), Device::cpu());
    let ids = texts(&oracle("tiny-gemma3")).remove(0).0;
    let vector = |feature| {
        let settings = Settings::new(feature, Pooling::LastToken);
        block_on(encoder.embed_ids(&[&ids], &settings)).unwrap().remove(0)
    };
    assert_ne!(vector(Feature::Last), vector(Feature::LastPrenorm));
    assert_eq!(Feature::parse("last_prenorm", None).unwrap(), Feature::LastPrenorm);
}

/// Encoders of encoder-decoder models count their token embeddings among the layers, as the paper's program does.
#[test]
fn encoders_average_their_token_embeddings_too() {
    for (name, weights, counted) in [("tiny-umt5", "model.safetensors", 4), ("tiny-gemma2", "model.gguf", 4)]
    {
        let encoder = load(model(name, weights), Device::cpu());
        assert_eq!(encoder.config.counted_states(), counted, "{name}");
        let weights = Feature::Weighted(vec![0.0; counted]);
        let ids = texts(&oracle(name)).remove(0).0;
        let vector = |feature| {
            block_on(encoder.embed_ids(&[&ids], &Settings::new(feature, Pooling::Mean))).unwrap().remove(0)
        };
        assert_eq!(vector(weights), vector(Feature::NormAvg), "{name}");
        let short = Feature::Weighted(vec![0.0; counted - 1]).check(&encoder.config).unwrap_err();
        assert!(matches!(short, Error::LayerCount { .. }), "{short}");
    }
}

/// The command writes what the library computes, for one text and for several.
#[test]
fn states_are_written_for_other_programs() {
    let folder = Folder::new("states");
    std::fs::create_dir_all(folder.path("model")).unwrap();
    for name in ["config.json", "model.safetensors"] {
        folder.file(&format!("model/{name}"), fixture(&format!("families/tiny-t5/{name}")));
    }
    let out = folder.path("states.safetensors");
    let run = |lists: &[&str]| {
        let mut command = folder.program("states model --device cpu --out states.safetensors");
        for ids in lists {
            command.args(["--ids", ids]);
        }
        command.output().unwrap()
    };
    assert!(run(&["5 17 200"]).status.success());
    let one = Oracle::at(&out);
    assert_eq!(one.integers("input_ids"), [5, 17, 200]);
    let encoder = load(model("tiny-t5", "model.safetensors"), Device::cpu());
    let states = block_on(encoder.states(&[5, 17, 200])).unwrap();
    assert_eq!(one.floats("hidden_states.3"), states.hidden[3]);
    assert_eq!(one.floats("last_prenorm"), states.last_prenorm);
    assert!(run(&["5,17,200", "9"]).status.success());
    let two = Oracle::at(&out);
    assert_eq!(two.floats("0.hidden_states.2"), states.hidden[2]);
    assert_eq!(two.integers("1.input_ids"), [9]);
    for (lists, named) in [(vec!["5 x"], "`x`"), (vec![""], "at least one id"), (vec![], "by --ids")] {
        let refused = run(&lists);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains(named), "{said}");
    }
    let refused = run(&["5 300"]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("300"));
}

/// The paper's program loads UMT5 as T5, which has the biases of the first layer alone.
#[test]
fn umt5_with_the_biases_of_its_first_layer_is_the_papers() {
    let header = model("tiny-umt5", "model.safetensors").share_bias().unwrap();
    assert!(header.info.warnings[0].contains("first layer"));
    assert_ne!(header.info.config_sha256, model("tiny-umt5", "model.safetensors").info.config_sha256);
    compare("shared", &load(header, Device::cpu()), &oracle("tiny-umt5"), "block0_bias.", 1e-5);
    let error = model("tiny-t5", "model.safetensors").share_bias().err().unwrap();
    assert!(error.to_string().contains("UMT5"), "{error}");
}

/// A list of token ids beyond the tables of positions is refused: it is no text, which would be cut.
#[test]
fn a_list_of_ids_that_is_too_long_is_refused() {
    let encoder = load(model("tiny-clip-l", "model.safetensors"), Device::cpu());
    assert_eq!(encoder.info.max_length, 77);
    let settings = Settings::new(Feature::Last, Pooling::Mean);
    let ids = [[5; 78].as_slice()];
    let error = block_on(encoder.embed_ids(&ids, &settings)).unwrap_err();
    assert_eq!(error.to_string(), "prompt 1 has 78 token ids, expected at most 77");
    assert!(block_on(encoder.embed_ids(&[&ids[0][..77]], &settings)).is_ok());
}

/// Single files without config.json, as users have them, are recognized, and the states are the same.
#[test]
fn files_without_a_configuration_are_recognized() {
    for (name, weights, words) in [
        ("tiny-t5", "model.safetensors", "T5, as one layer has relative biases: 3 layers of width 64"),
        ("tiny-umt5", "model.safetensors", "UMT5, as each layer has relative biases"),
        ("tiny-umt5", "wan.pth", "UMT5, as each layer has relative biases"),
        ("tiny-clip-l", "model.safetensors", "CLIP by Hugging Face's names"),
        ("tiny-clip-g", "open_clip.safetensors", "CLIP by OpenCLIP's names"),
    ] {
        let alone: Vec<_> = files(name, weights, None).into_iter().filter(|file| file.0 == weights).collect();
        let header = header(&alone).unwrap_or_else(|error| panic!("{name}: {error}"));
        let recognized = header.info.recognized.clone().unwrap();
        assert!(recognized.starts_with(words), "{recognized}");
        compare(name, &load(header, Device::cpu()), &oracle(name), "", 1e-5);
    }
    // Two encoders in one checkpoint: the larger is taken, and the other is named.
    let [small, large] = [("tiny-clip-l", "model.safetensors"), ("tiny-clip-g", "open_clip.safetensors")]
        .map(|(name, weights)| fixture(&format!("{}/{weights}", folder(name))));
    let both =
        joined(&[("conditioner.embedders.0.transformer.", small), ("conditioner.embedders.1.model.", large)]);
    let header = header(&[("sdxl.safetensors".into(), both)]).unwrap();
    assert!(header.info.decided.iter().any(|said| said.contains("embedders.0")), "{:?}", header.info.decided);
    compare("sdxl", &load(header, Device::cpu()), &oracle("tiny-clip-g"), "", 1e-5);
}

#[test]
fn what_is_no_encoder_is_named() {
    for (tensor, named) in [
        ("double_blocks.0.img_attn.qkv.weight", "a diffusion transformer"),
        ("decoder.conv_in.weight", "an image autoencoder"),
        ("decoder.block.0.layer.0.SelfAttention.q.weight", "the decoder half of T5"),
        ("vision_model.encoder.layers.0.mlp.fc1.weight", "the image half"),
        ("something.weight", "tensors of no encoder that is known"),
    ] {
        let file = single(tensor);
        let said = header(&[("m.safetensors".into(), file)]).err().unwrap().to_string();
        assert!(said.contains(named) && said.contains("config.json"), "{said}");
    }
}

/// A safetensors file of one F32 tensor of four values.
fn single(name: &str) -> Vec<u8> {
    let header =
        serde_json::json!({name: {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[1; 16]].concat()
}

/// The tensors of several safetensors files in one, each under its prefix.
fn joined(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (prefix, bytes) in files {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let entries: serde_json::Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        for (name, mut entry) in entries.into_iter().filter(|(name, _)| name != "__metadata__") {
            for at in 0..2 {
                let offset = entry["data_offsets"][at].as_u64().unwrap() + data.len() as u64;
                entry["data_offsets"][at] = offset.into();
            }
            header.insert(format!("{prefix}{name}"), entry);
        }
        data.extend_from_slice(&bytes[8 + length..]);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}
