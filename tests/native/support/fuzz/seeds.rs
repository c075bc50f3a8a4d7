//! What the mutations begin with: files that are right, of this code's making, and those of tests/fixtures/fuzz.

use super::memory;
use crate::support::adapter_writer::{random_adapter, safetensors, with_layer_weights};
use crate::support::files::fixture;
use crate::support::model::{GgufWriter, Random, Tiny, tokenizer};
use crate::support::sentencepiece::SpmWriter;
use crate::support::torch_writer::{Archive, bytes_of, checkpoint, dict, pickle, two};
use gran_ted::format::{Source, TensorType};
use serde_json::{Value, json};
use std::path::Path;
use std::rc::Rc;

/// The seeds of the target: those of its folder, in the order of their names, and those that are made here.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut seeds = of_folder(target);
    match target {
        "gguf" => {
            let aligned =
                GgufWriter::default().alignment(64).tensor("t", TensorType::Q8_0, &[2, 32], vec![1; 68]);
            seeds.extend([values().write(), aligned.write()]);
        }
        "gguf_header" => {
            let named = GgufWriter::default().str("general.architecture", "llama");
            seeds.extend(tinies(&[TensorType::F32, TensorType::Q8_0]));
            seeds.extend([tokenizer(named, "qwen2", 300).write(), small().split(2).swap_remove(0)]);
            let pieces = |text: &str, score, kind| (text.to_string(), score, kind);
            let pieces = vec![pieces("<unk>", 0.0, 2), pieces("</s>", 0.0, 3), pieces("▁a", -1.0, 1)];
            seeds.extend([1, 2].map(|model_type| {
                let spm = SpmWriter {
                    pieces: pieces.clone(),
                    model_type,
                    ids: [0, 1, 1, -1],
                    ..SpmWriter::default()
                };
                spm.gguf(GgufWriter::default().str("general.architecture", "llama")).write()
            }));
        }
        "sentencepiece" => seeds.extend(
            ["tiny-umt5.spiece.model", "tiny-gemma.tokenizer.model"]
                .map(|name| fixture(&format!("tokenizers/{name}"))),
        ),
        "model_gguf" => {
            use TensorType::*;
            seeds.extend(tinies(&[F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0]));
            let wide = |weights| Tiny {
                num_hidden_layers: 1,
                intermediate_size: 256,
                ..Tiny::new("llama", weights)
            };
            seeds.extend([Q4_K, Q5_K, Q6_K].map(|weights| wide(weights).write()));
        }
        "safetensors" => seeds.extend(
            of_folder("safetensors_json")
                .iter()
                .map(|header| [&(header.len() as u64).to_le_bytes(), &header[..], &[0; 24]].concat()),
        ),
        "model_safetensors" => seeds.extend(of_folder("config")),
        "torch" | "adapter_torch" => {
            let tensors = dict(&[("a", two()), ("inner", dict(&[("b", two())]))]);
            let wide =
                Archive::wide().entry("m/data.pkl", &pickle(&tensors), 0).entry("m/data/0", &[1; 8], 0);
            let layer_weights = checkpoint(&dict(&[("layer_weights", two())]));
            seeds.extend([checkpoint(&two()), checkpoint(&tensors), bytes_of(wide), layer_weights]);
        }
        "pickle" => seeds.push(pickle(&dict(&[("a", two()), ("inner", dict(&[("b", two())]))]))),
        "adapter" => {
            let only = safetensors(&[("layer_weights".into(), vec![2], vec![0.0, 1.0])]);
            seeds.extend([
                random_adapter(32, 8),
                with_layer_weights(32, 8, &[0.0, 1.0]),
                mean_adapter(),
                only,
            ]);
        }
        "model_made" => seeds.extend((0..16).map(|seed| Random(seed).bytes(96).collect())),
        _ => {}
    }
    seeds
}

fn of_folder(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fuzz").join(target);
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

/// The smallest model with everything that a model has.
pub fn small() -> Tiny {
    Tiny { num_hidden_layers: 2, ..of_type("qwen3", TensorType::Q8_0) }
}

fn of_type(family: &'static str, weights: TensorType) -> Tiny {
    Tiny {
        hidden_size: 32,
        intermediate_size: 32,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        vocab_size: 265,
        ..Tiny::new(family, weights)
    }
}

fn tinies(types: &[TensorType]) -> Vec<Vec<u8>> {
    let families = ["llama", "qwen2", "qwen3", "qwen3vl"];
    types
        .iter()
        .zip(families.iter().cycle())
        .map(|(&weights, family)| of_type(family, weights).write())
        .collect()
}

/// Metadata of every type, and two tensors.
fn values() -> GgufWriter {
    GgufWriter::default()
        .str("general.architecture", "llama")
        .u16("a", 1)
        .i32("b", -1)
        .f32("c", 0.5)
        .i32s("d", &[1, 2])
        .raw("e", 7, &[1])
        .array("f", 0, 3, &[1, 2, 3])
        .array("g", 12, 1, &1f64.to_le_bytes())
        .tensor("t", TensorType::F32, &[2, 2], vec![0; 16])
        .raw_tensor("u", &[256], 11, None, vec![0; 110])
}

/// Mean and MLP, with random weights.
fn mean_adapter() -> Vec<u8> {
    let shapes = [
        ("mlp.0.weight", vec![32, 32]),
        ("mlp.3.weight", vec![32, 32]),
        ("out_norm.weight", vec![32]),
        ("out_norm.bias", vec![32]),
        ("proj.weight", vec![8, 32]),
        ("proj.bias", vec![8]),
    ];
    let mut random = Random(3);
    safetensors(&shapes.map(|(name, shape)| {
        let values = random.values(shape.iter().product());
        (name.to_string(), shape, values)
    }))
}

/// A model in safetensors whose tensors fit its configuration.
pub struct Made {
    pub family: &'static str,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_key_value_heads: usize,
    /// Query heads for each of keys and values.
    pub heads_for_each: usize,
    pub head_dim: usize,
    pub vocab_size: usize,
    pub rms_norm_eps: &'static str,
    pub rope_theta: &'static str,
    pub max_position_embeddings: usize,
    /// Type and pattern of the values of the tensors in turn.
    pub values: [(usize, usize); 12],
}

impl Made {
    /// Its config.json and model.safetensors.
    pub fn files(&self) -> Vec<Rc<dyn Source>> {
        let number = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let config = json!({
            "model_type": self.family,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_key_value_heads * self.heads_for_each,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocab_size,
            "rms_norm_eps": number(self.rms_norm_eps),
            "rope_theta": number(self.rope_theta),
            "max_position_embeddings": self.max_position_embeddings,
            "attention_bias": self.family == "qwen2",
            "tie_word_embeddings": true,
        });
        let (mut header, mut bytes, mut random) = (serde_json::Map::new(), Vec::new(), Random(7));
        for ((name, shape), (dtype, pattern)) in self.tensors().into_iter().zip(self.values.iter().cycle()) {
            let start = bytes.len();
            for index in 0..shape.iter().product() {
                let value = value(*pattern, index, shape.len() == 1, random.unit());
                match dtype {
                    0 => bytes.extend(value.to_le_bytes()),
                    1 => bytes.extend(half::f16::from_f32(value.clamp(-65504.0, 65504.0)).to_le_bytes()),
                    _ => bytes.extend(half::bf16::from_f32(value).to_le_bytes()),
                }
            }
            let dtype = ["F32", "F16", "BF16"][*dtype];
            let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, bytes.len()] });
            header.insert(name, entry);
        }
        let header = Value::Object(header).to_string();
        let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &bytes].concat();
        vec![memory("config.json", config.to_string().as_bytes()), memory("model.safetensors", &file)]
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (d, f, h) = (self.hidden_size, self.intermediate_size, self.head_dim);
        let (kv, q) = (self.num_key_value_heads * h, self.num_key_value_heads * self.heads_for_each * h);
        let mut tensors = vec![("model.embed_tokens.weight".into(), vec![self.vocab_size, d])];
        for layer in 0..self.num_hidden_layers {
            let at = |name: &str| format!("model.layers.{layer}.{name}");
            tensors.extend(
                ["input_layernorm", "post_attention_layernorm"]
                    .map(|n| (at(&format!("{n}.weight")), vec![d])),
            );
            for (name, rows) in [("q", q), ("k", kv), ("v", kv)] {
                tensors.push((at(&format!("self_attn.{name}_proj.weight")), vec![rows, d]));
                if self.family == "qwen2" {
                    tensors.push((at(&format!("self_attn.{name}_proj.bias")), vec![rows]));
                }
            }
            if self.family.starts_with("qwen3") {
                tensors
                    .extend(["q", "k"].map(|name| (at(&format!("self_attn.{name}_norm.weight")), vec![h])));
            }
            tensors.push((at("self_attn.o_proj.weight"), vec![d, q]));
            tensors.extend(["gate", "up"].map(|name| (at(&format!("mlp.{name}_proj.weight")), vec![f, d])));
            tensors.push((at("mlp.down_proj.weight"), vec![d, f]));
        }
        tensors.push(("model.norm.weight".into(), vec![d]));
        tensors
    }
}

/// Usual values, the largest, the smallest, zeros, or large ones.
fn value(pattern: usize, index: usize, is_norm: bool, random: f32) -> f32 {
    match pattern {
        5 => [3e38, -3e38][index % 2],
        6 => random * 1e-40,
        7 => 0.0,
        8 => random * 6e4,
        _ => random * 0.2 + f32::from(u8::from(is_norm)),
    }
}
