//! What a checkpoint's tensors are called, which of them may be there or not, and values that no training gives.

use crate::support::device;
use crate::support::load::load;
use crate::support::models::memory;
use crate::support::network::{self, Forward, IDS, Tensors, add_bias, config, gguf, metadata, safetensors};
use gran_ted::device::Device;
use gran_ted::encoder::{Settings, TextEncoder};
use gran_ted::error::{Error, Result};
use gran_ted::kernel::Arithmetic;
use gran_ted::loader::{Header, Loading};
use gran_ted::model::{Feature, Pooling, Precision};
use gran_ted::quant::Quantize;
use pollster::block_on;
use serde_json::{Value, json};

fn header(config: &Value, tensors: Vec<u8>) -> Result<Header> {
    let files = [("config.json", config.to_string().into()), ("model.safetensors", tensors)];
    block_on(Header::read(memory(&files)))
}

fn settings(feature: Feature) -> Settings {
    Settings::new(feature, Pooling::Mean)
}

fn is_right(what: &str, all: &Tensors, header: Result<Header>) {
    let encoder = load(header.unwrap_or_else(|error| panic!("{what}: {error}")), Device::cpu());
    let found = block_on(encoder.embed_ids(&[&IDS], &settings(Feature::Last))).unwrap().remove(0);
    let right = network::vector(all, &Forward::default());
    let apart = found.iter().zip(&right).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(apart < 2e-5, "{what}: {apart} from the plain forward");
}

fn refusal(header: Result<Header>) -> String {
    header.err().expect("refused").to_string()
}

/// What the load of the weights says.
fn fault(header: Header) -> String {
    let mut loading = Loading::new(header, Device::cpu()).unwrap();
    loop {
        match block_on(loading.step()) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the weights are taken"),
            Err(error) => return error.to_string(),
        }
    }
}

/// Adds a tensor of ones to a copy.
fn with(all: &Tensors, name: &str, shape: &[usize]) -> Tensors {
    let mut all = all.clone();
    all.insert(name.into(), (shape.to_vec(), vec![1.0; shape.iter().product()]));
    all
}

// --- names ---

#[test]
fn the_decoder_is_found_under_any_prefix() {
    let all = network::tensors("qwen3");
    for prefix in [
        "",
        "model.",
        "language_model.",
        "model.language_model.",
        "language_model.model.",
        "module.model.",
        "_orig_mod.model.",
        "module._orig_mod.model.language_model.",
        "_orig_mod.module.model.",
        "model.text_model.",
        "thinker.model.",
        "any.thing.",
    ] {
        is_right(prefix, &all, header(&config("qwen3"), safetensors(&all, prefix)));
    }
}

/// Every tensor under a prefix, and others as they are.
fn beside(all: &Tensors, prefix: &str, others: &[(&str, &[usize])]) -> Vec<u8> {
    let prefixed: Tensors =
        all.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone())).collect();
    safetensors(&others.iter().fold(prefixed, |all, (name, shape)| with(&all, name, shape)), "")
}

#[test]
fn other_halves_are_not_taken_for_the_decoder() {
    let all = network::tensors("qwen3");
    let others: [(&str, &[usize]); 4] = [
        ("visual.layers.0.self_attn.q_proj.weight", &[32, 32]),
        ("vision_tower.norm.weight", &[32]),
        ("talker.model.layers.0.self_attn.q_proj.weight", &[32, 32]),
        ("lm_head.weight", &[300, 32]),
    ];
    is_right("beside images", &all, header(&config("qwen3"), beside(&all, "language_model.", &others)));
    let mut two: Tensors =
        all.iter().map(|(name, tensor)| (format!("draft.{name}"), tensor.clone())).collect();
    two.extend(all.iter().map(|(name, tensor)| (format!("model.{name}"), tensor.clone())));
    let line = refusal(header(&config("qwen3"), safetensors(&two, "")));
    assert!(line.ends_with("expected one network, found two, under `draft.` and under `model.`"), "{line}");
}

#[test]
fn a_tied_table_has_either_name() {
    let all = network::tensors("qwen3");
    let mut renamed: Tensors =
        all.iter().map(|(name, tensor)| (format!("model.{name}"), tensor.clone())).collect();
    let table = renamed.remove("model.embed_tokens.weight").unwrap();
    renamed.insert("lm_head.weight".into(), table);
    let mut tied = config("qwen3");
    tied["tie_word_embeddings"] = json!(true);
    is_right("the head's", &all, header(&tied, safetensors(&renamed, "")));
    let line = refusal(header(&config("qwen3"), safetensors(&renamed, "")));
    assert_eq!(line, "`model.safetensors` has no tensor `model.embed_tokens.weight`");
}

#[test]
fn buffers_are_overlooked_and_weights_are_not() {
    let all = network::tensors("llama");
    let buffers = ["rotary_emb.inv_freq", "rotary_emb.original_inv_freq", "masked_bias"];
    let held =
        buffers.iter().fold(all.clone(), |all, name| with(&all, &format!("layers.1.self_attn.{name}"), &[8]));
    is_right("buffers", &all, header(&config("llama"), safetensors(&held, "model.")));
    for name in
        ["layers.0.self_attn.q_proj.weight_scale", "layers.0.self_attn.inv_freq_proj.weight", "layers.2.x"]
    {
        let line = refusal(header(&config("llama"), safetensors(&with(&all, name, &[1]), "model.")));
        assert!(line.contains(&format!("has the tensor `{name}`")), "{line}");
    }
}

// --- biases ---

#[test]
fn every_bias_that_a_file_holds_is_added() {
    let parts = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"];
    let parts = [&parts[..], &["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]].concat();
    for family in ["llama", "qwen2", "qwen3"] {
        for some in parts.iter().map(std::slice::from_ref).chain([&parts[..]]) {
            let mut all = network::tensors(family);
            (0..network::LAYERS)
                .for_each(|layer| some.iter().for_each(|part| add_bias(&mut all, layer, part)));
            let what = format!("{family}, {some:?}");
            is_right(&what, &all, header(&config(family), safetensors(&all, "model.")));
            let file = gguf(metadata(family, &[]), family, &all);
            is_right(&format!("{what}, GGUF"), &all, block_on(Header::read(memory(&[("m.gguf", file)]))));
        }
    }
    let mut all = network::tensors("llama");
    add_bias(&mut all, 1, "mlp.up_proj");
    let line = refusal(header(&config("llama"), safetensors(&all, "model.")));
    assert_eq!(line, "`model.safetensors` has no tensor `model.layers.0.mlp.up_proj.bias`");
}

// --- values that cannot be ---

#[test]
fn a_weight_of_nothing_but_zeros_is_named() {
    let all = network::tensors("qwen2");
    for name in [
        "layers.1.mlp.down_proj.weight",
        "layers.0.self_attn.k_proj.weight",
        "layers.1.input_layernorm.weight",
        "embed_tokens.weight",
    ] {
        let mut zeros = all.clone();
        zeros.get_mut(name).unwrap().1.fill(-0.0);
        let read = || header(&config("qwen2"), safetensors(&zeros, "model.")).unwrap();
        let expected = format!(
            "`model.safetensors`: tensor `model.{name}` holds nothing but zeros, expected weights: a download that was \
             not finished?"
        );
        if name != "embed_tokens.weight" {
            assert_eq!(fault(read()), expected);
            assert_eq!(fault(read().quantize(Quantize::Q4)), expected);
            assert_eq!(fault(read().quantize(Quantize::Q8)), expected);
        }
    }
    // Biases, rows of the token table and what is not used may be zero.
    let mut fine = with(&all, "head.weight", &[300, 32]);
    fine.get_mut("head.weight").unwrap().1.fill(0.0);
    fine.iter_mut().filter(|(name, _)| name.ends_with(".bias")).for_each(|(_, bias)| bias.1.fill(0.0));
    fine.get_mut("embed_tokens.weight").unwrap().1[295 * 32..].fill(0.0);
    is_right("zeros that may be", &fine, header(&config("qwen2"), safetensors(&fine, "model.")));
}

#[test]
fn a_vocabulary_of_nothing_is_refused_with_the_header() {
    let mut all = network::tensors("llama");
    all.insert("embed_tokens.weight".into(), (vec![0, 32], Vec::new()));
    let mut none = config("llama");
    none["vocab_size"] = json!(0);
    let line = refusal(header(&none, safetensors(&all, "model.")));
    assert_eq!(line, "`config.json`: vocab_size is malformed: expected at least 1, found 0");
}

/// A model whose attention overflows: its queries and keys are huge.
fn overflowing() -> Tensors {
    let mut all = network::tensors("llama");
    for (name, (_, values)) in &mut all {
        if name.contains("q_proj") || name.contains("k_proj") {
            values.iter_mut().for_each(|value| *value *= 1e21);
        }
    }
    all
}

fn embed(encoder: &TextEncoder, texts: &[&[u32]], settings: &Settings) -> Result<Vec<Vec<f32>>> {
    block_on(encoder.embed_ids(texts, settings))
}

#[test]
fn no_arithmetic_hides_what_is_not_finite() {
    let all = overflowing();
    for device in [Device::cpu(), device::gpu()] {
        for arithmetic in [Arithmetic::F32, Arithmetic::Int8] {
            let header = header(&config("llama"), safetensors(&all, "model.")).unwrap();
            let encoder = load(header.quantize(Quantize::Q8).computed_in(arithmetic), device.clone());
            let error = embed(&encoder, &[&IDS], &settings(Feature::Last)).unwrap_err();
            assert!(error.to_string().ends_with("an embedding is not finite"), "{arithmetic}: {error}");
        }
    }
}

#[test]
fn a_vector_without_a_direction_names_its_prompt() {
    let mut all = network::tensors("qwen3");
    all.get_mut("embed_tokens.weight").unwrap().1[97 * 32..98 * 32].fill(0.0);
    let encoder = load(header(&config("qwen3"), safetensors(&all, "model.")).unwrap(), Device::cpu());
    for precision in [Precision::Full, Precision::Reference] {
        let settings = Settings { precision, ..settings(Feature::Layer(0)) };
        let error = embed(&encoder, &[&[5], &[97]], &settings).unwrap_err();
        assert!(matches!(error, Error::NoDirection { index: 2 }), "{error}");
        assert!(embed(&encoder, &[&[5], &[97, 5]], &settings).is_ok());
        let error = block_on(encoder.embed_both(&[&[5], &[5, 97]], &settings)).unwrap_err();
        assert!(matches!(error, Error::NoDirection { index: 2 }), "{error}");
    }
}
