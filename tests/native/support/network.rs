//! Tiny networks of every family with a forward of their own: plain loops in f64, from the formulas of transformers' classes
//! (llama, qwen2, qwen3, qwen3_vl in 5.24) and of llama.cpp. Nothing of the library computes here, so what it gives can
//! be compared with it.

use super::model::{GgufWriter, Random, tokenizer};
use gran_ted::format::TensorType;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub const D: usize = 32;
pub const F: usize = 64;
pub const LAYERS: usize = 2;
pub const HEADS: usize = 2;
pub const KV: usize = 1;
pub const DIM: usize = 16;
pub const VOCAB: usize = 300;

/// The token ids that tests embed: more than a window of 8.
pub const IDS: [u32; 20] = [5, 17, 3, 250, 99, 44, 44, 7, 201, 16, 33, 8, 120, 64, 2, 77, 140, 91, 30, 12];

/// Tensors by Hugging Face's names without prefix: shape and values.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The choices of a forward.
#[derive(Clone, Copy)]
pub struct Forward {
    pub theta: f64,
    /// Positions are divided by it.
    pub factor: f64,
    /// What else becomes of the frequencies.
    pub scaled: Option<Scaled>,
    /// The gate's activation.
    pub activation: fn(f64) -> f64,
    pub eps: f64,
    pub causal: bool,
    /// Of each layer, the tokens of its window.
    pub windows: [Option<usize>; LAYERS],
    /// Tokens that are kept.
    pub tokens: usize,
}

/// Frequencies that are scaled each in its own way.
#[derive(Clone, Copy)]
pub enum Scaled {
    Llama3 { factor: f64, low: f64, high: f64, original: f64 },
    Yarn { factor: f64, fast: f64, slow: f64, original: f64, amplitude: f64, whole: bool },
}

pub fn silu(v: f64) -> f64 {
    v / (1.0 + (-v).exp())
}

pub fn gelu_tanh(v: f64) -> f64 {
    0.5 * v * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (v + 0.044715 * v.powi(3))).tanh())
}

impl Default for Forward {
    fn default() -> Self {
        let windows = [None; LAYERS];
        let (scaled, activation) = (None, silu as fn(f64) -> f64);
        Self {
            theta: 10_000.0,
            factor: 1.0,
            scaled,
            activation,
            eps: 1e-6,
            causal: true,
            windows,
            tokens: IDS.len(),
        }
    }
}

/// Random weights of a family; the same names give the same values.
pub fn tensors(family: &str) -> Tensors {
    let mut all = Tensors::new();
    let (q, kv) = (HEADS * DIM, KV * DIM);
    add(&mut all, "embed_tokens.weight", &[VOCAB, D], 0.0, 1.7);
    for layer in 0..LAYERS {
        let name = |name: &str| format!("layers.{layer}.{name}");
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            add(&mut all, &name(&format!("{norm}.weight")), &[D], 1.0, 0.3);
        }
        for (part, shape) in [
            ("self_attn.q_proj", [q, D]),
            ("self_attn.k_proj", [kv, D]),
            ("self_attn.v_proj", [kv, D]),
            ("self_attn.o_proj", [D, q]),
            ("mlp.gate_proj", [F, D]),
            ("mlp.up_proj", [F, D]),
            ("mlp.down_proj", [D, F]),
        ] {
            add(&mut all, &name(&format!("{part}.weight")), &shape, 0.0, 2.8 / (shape[1] as f32).sqrt());
        }
        if family == "qwen2" {
            for part in ["q", "k", "v"] {
                add_bias(&mut all, layer, &format!("self_attn.{part}_proj"));
            }
        }
        if family.starts_with("qwen3") {
            for part in ["q", "k"] {
                add(&mut all, &name(&format!("self_attn.{part}_norm.weight")), &[DIM], 1.5, 0.3);
            }
        }
    }
    add(&mut all, "norm.weight", &[D], 1.0, 0.3);
    all
}

/// Adds the bias of a linear layer.
pub fn add_bias(all: &mut Tensors, layer: usize, part: &str) {
    let rows = all[&format!("layers.{layer}.{part}.weight")].0[0];
    add(all, &format!("layers.{layer}.{part}.bias"), &[rows], 0.0, 0.5);
}

fn add(all: &mut Tensors, name: &str, shape: &[usize], center: f32, spread: f32) {
    let mut random = Random(name.bytes().fold(7, |seed, byte| seed * 31 % 1_000_003 + u64::from(byte)));
    let values = (0..shape.iter().product()).map(|_| center + spread * random.unit()).collect();
    all.insert(name.into(), (shape.to_vec(), values));
}

// --- files ---

/// A safetensors file of F32 tensors, each under `prefix` and its name.
pub fn safetensors(all: &Tensors, prefix: &str) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::<u8>::new());
    for (name, (shape, values)) in all {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(format!("{prefix}{name}"), entry);
    }
    let header = Value::Object(header).to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// config.json of the text part.
pub fn config(family: &str) -> Value {
    json!({
        "model_type": family, "hidden_size": D, "intermediate_size": F, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV, "head_dim": DIM, "vocab_size": VOCAB,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 2048
    })
}

/// The metadata of a GGUF file with a tokenizer, without the keys of `but`.
pub fn metadata(family: &str, but: &[&str]) -> GgufWriter {
    tokenizer(sizes(family, but), if family == "llama" { "smollm" } else { "qwen2" }, VOCAB)
}

/// The metadata of the network alone, without the keys of `but`.
pub fn sizes(family: &str, but: &[&str]) -> GgufWriter {
    let mut writer = GgufWriter::default().str("general.architecture", family);
    for (key, value) in [
        ("block_count", LAYERS),
        ("embedding_length", D),
        ("feed_forward_length", F),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", KV),
        ("attention.key_length", DIM),
        ("context_length", 2048),
    ] {
        if !but.contains(&key) {
            writer = writer.u32(&format!("{family}.{key}"), value as u32);
        }
    }
    for (key, value) in [("attention.layer_norm_rms_epsilon", 1e-6), ("rope.freq_base", 10_000.0)] {
        if !but.contains(&key) {
            writer = writer.f32(&format!("{family}.{key}"), value);
        }
    }
    writer
}

/// A GGUF file of F32 tensors. Those of llama have the rows of q and k interleaved.
pub fn gguf(writer: GgufWriter, family: &str, all: &Tensors) -> Vec<u8> {
    all.iter()
        .fold(writer, |writer, (name, (shape, values))| {
            let rotated = name.contains(".q_proj.") || name.contains(".k_proj.");
            let values =
                if family == "llama" && rotated { interleaved(shape, values) } else { values.clone() };
            let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            writer.tensor(&gguf_name(name), TensorType::F32, shape, data)
        })
        .write()
}

/// The rows of each head, of the first half and of the second in turn.
fn interleaved(shape: &[usize], values: &[f32]) -> Vec<f32> {
    let width = values.len() / shape[0];
    let row = |at: usize| {
        let (head, at) = (at / DIM, at % DIM);
        let from = head * DIM + at % 2 * (DIM / 2) + at / 2;
        values[from * width..][..width].to_vec()
    };
    (0..shape[0]).flat_map(row).collect()
}

fn gguf_name(name: &str) -> String {
    let parts = [
        ("embed_tokens", "token_embd"),
        ("layers.", "blk."),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    match name {
        "norm.weight" => "output_norm.weight".into(),
        name => parts.iter().fold(name.to_string(), |name, (from, to)| name.replace(from, to)),
    }
}

// --- the forward ---

/// The unit vector of [`IDS`]: the mean of the last states after the final norm.
pub fn vector(all: &Tensors, how: &Forward) -> Vec<f64> {
    vector_of(&IDS[..how.tokens], all, how)
}

/// The same of any `ids`.
pub fn vector_of(ids: &[u32], all: &Tensors, how: &Forward) -> Vec<f64> {
    let table = &all["embed_tokens.weight"].1;
    let mut xs: Vec<Vec<f64>> = ids.iter().map(|id| floats(&table[*id as usize * D..][..D])).collect();
    for layer in 0..LAYERS {
        let name = |name: &str| format!("layers.{layer}.{name}");
        // 1. q, k and v, with the norms of qwen3 and turned by their positions.
        let normed: Vec<_> =
            xs.iter().map(|x| norm(x, &all[&name("input_layernorm.weight")].1, how.eps)).collect();
        let heads = |part: &str, turned: bool| -> Vec<Vec<Vec<f64>>> {
            let of = |(t, x): (usize, &Vec<f64>)| {
                let product = linear(all, &name(&format!("self_attn.{part}_proj")), x);
                let turn = |head: &[f64]| match all.get(&name(&format!("self_attn.{part}_norm.weight"))) {
                    _ if !turned => head.to_vec(),
                    Some((_, weight)) => rotated(&norm(head, weight, how.eps), t, how),
                    None => rotated(head, t, how),
                };
                product.chunks(DIM).map(turn).collect()
            };
            normed.iter().enumerate().map(of).collect()
        };
        let (q, k, v) = (heads("q", true), heads("k", true), heads("v", false));
        // 2. Attention of each token over those that it sees.
        for (t, x) in xs.iter_mut().enumerate() {
            let seen: Vec<usize> = (0..ids.len()).filter(|s| sees(t, *s, how, how.windows[layer])).collect();
            let mut attended = Vec::new();
            for (head, q) in q[t].iter().enumerate() {
                let of = head / (HEADS / KV);
                let score = |s: &usize| (dot(q, &k[*s][of]) / (DIM as f64).sqrt()).exp();
                let weights: Vec<f64> = seen.iter().map(score).collect();
                let total: f64 = weights.iter().sum();
                let value =
                    |i: usize| seen.iter().zip(&weights).map(|(s, w)| w * v[*s][of][i]).sum::<f64>() / total;
                attended.extend((0..DIM).map(value));
            }
            let out = linear(all, &name("self_attn.o_proj"), &attended);
            x.iter_mut().zip(out).for_each(|(x, out)| *x += out);
        }
        // 3. The MLP.
        for x in &mut xs {
            let y = norm(x, &all[&name("post_attention_layernorm.weight")].1, how.eps);
            let [gate, up] = ["gate", "up"].map(|part| linear(all, &name(&format!("mlp.{part}_proj")), &y));
            let hidden: Vec<f64> = gate.iter().zip(&up).map(|(g, u)| (how.activation)(*g) * u).collect();
            let down = linear(all, &name("mlp.down_proj"), &hidden);
            x.iter_mut().zip(down).for_each(|(x, down)| *x += down);
        }
    }
    let last: Vec<_> = xs.iter().map(|x| norm(x, &all["norm.weight"].1, how.eps)).collect();
    let mean: Vec<f64> = (0..D).map(|i| last.iter().map(|x| x[i]).sum::<f64>()).collect();
    let length = dot(&mean, &mean).sqrt();
    mean.iter().map(|x| x / length).collect()
}

/// Whether token t sees token s: transformers' masks.
fn sees(t: usize, s: usize, how: &Forward, window: Option<usize>) -> bool {
    match (how.causal, window) {
        (true, window) => s <= t && window.is_none_or(|window| t - s < window),
        (false, window) => window.is_none_or(|window| t.abs_diff(s) <= window),
    }
}

fn rotated(head: &[f64], t: usize, how: &Forward) -> Vec<f64> {
    let half = DIM / 2;
    let mut out = head.to_vec();
    for i in 0..half {
        let plain = how.theta.powf(-2.0 * i as f64 / DIM as f64) / how.factor;
        let (frequency, amplitude) = how.scaled.map_or((plain, 1.0), |scaled| scaled.of(plain, i, how.theta));
        let (cos, sin) = ((t as f64 * frequency).cos() * amplitude, (t as f64 * frequency).sin() * amplitude);
        out[i] = head[i] * cos - head[half + i] * sin;
        out[half + i] = head[half + i] * cos + head[i] * sin;
    }
    out
}

impl Scaled {
    /// The frequency and the factor of cosine and sine, from transformers' `_compute_llama3_parameters` and
    /// `_compute_yarn_parameters`.
    fn of(self, frequency: f64, i: usize, theta: f64) -> (f64, f64) {
        let turn = 2.0 * std::f64::consts::PI;
        match self {
            Self::Llama3 { factor, low, high, original } => {
                let wavelength = turn / frequency;
                let smooth = (original / wavelength - low) / (high - low);
                let mixed = (1.0 - smooth) * frequency / factor + smooth * frequency;
                let scaled = match wavelength {
                    long if long > original / low => frequency / factor,
                    short if short < original / high => frequency,
                    _ => mixed,
                };
                (scaled, 1.0)
            }
            Self::Yarn { factor, fast, slow, original, amplitude, whole } => {
                let dim = |turns: f64| DIM as f64 * (original / (turns * turn)).ln() / (2.0 * theta.ln());
                let (low, high) =
                    if whole { (dim(fast).floor(), dim(slow).ceil()) } else { (dim(fast), dim(slow)) };
                let (low, high) = (low.max(0.0), high.min(DIM as f64 - 1.0));
                let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                (frequency / factor * ramp + frequency * (1.0 - ramp), amplitude)
            }
        }
    }
}

fn norm(x: &[f64], weight: &[f32], eps: f64) -> Vec<f64> {
    let scale = 1.0 / (dot(x, x) / x.len() as f64 + eps).sqrt();
    x.iter().zip(weight).map(|(x, weight)| x * scale * f64::from(*weight)).collect()
}

fn linear(all: &Tensors, name: &str, x: &[f64]) -> Vec<f64> {
    let weight = &all[&format!("{name}.weight")].1;
    let mut y: Vec<f64> = weight.chunks(x.len()).map(|row| dot(&floats(row), x)).collect();
    if let Some((_, bias)) = all.get(&format!("{name}.bias")) {
        y.iter_mut().zip(bias).for_each(|(y, bias)| *y += f64::from(*bias));
    }
    y
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn floats(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}
