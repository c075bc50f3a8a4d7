//! A [`Config`] from GGUF metadata or from a Hugging Face config.json, with what else is told of it.
//!
//! This is the one place that knows what a family's name means for the network.

mod from_gguf;
mod json;

pub(super) use from_gguf::{GgufTensors, from_gguf};
pub(super) use json::from_json;

use super::keys::record::Told;
use crate::kernel::Activation;
use crate::model::{Biases, Config, Family, LayerAttention, Norm, NormKind, NormPlaces, Positions, Rope};

/// What a file says of a network.
pub(super) struct Said {
    pub config: Config,
    pub told: Told,
    /// Whether the output head and the token table are one, so that either may be left out.
    pub tied: bool,
    /// The file of the weights, or their index, where the configuration names it.
    pub weights: Option<String>,
}

/// Tensors that hold factors of scaled RoPE for long texts, which are not computed.
pub(super) const LONG_ROPE_FACTORS: [&str; 2] = ["rope_factors_long.weight", "rope_factors_short.weight"];
/// The tensor that holds the divisors of Llama 3.1's frequencies.
pub(super) const ROPE_DIVISORS: &str = "rope_freqs.weight";

/// The base of the rotations where a file says none.
const USUAL_THETA: f64 = 10_000.0;

/// The network of `family` without its sizes: everything that the family decides and no key.
fn network(family: Family) -> Config {
    let llama = Config {
        family,
        hidden_size: 0,
        intermediate_size: 0,
        num_hidden_layers: 0,
        cut_from: None,
        num_attention_heads: 0,
        num_key_value_heads: 0,
        head_dim: 0,
        vocab_size: 0,
        max_position_embeddings: usize::MAX,
        norm: Norm { kind: NormKind::Rms, epsilon: 1e-6 },
        norms: NormPlaces::Before,
        final_norm: true,
        positions: Positions::Rotary(vec![Rope::new(USUAL_THETA)]),
        layers: Vec::new(),
        is_causal: true,
        window: None,
        score_scale: 1.0,
        score_cap: None,
        activation: Activation::Silu,
        gated: true,
        biases: Biases::default(),
        qk_norm: false,
        embedding_scale: 1.0,
        embedding_norm: false,
        projection: None,
        counts_embeddings: false,
    };
    let all_biases = Biases {
        q_proj: true,
        k_proj: true,
        v_proj: true,
        o_proj: true,
        gate_proj: false,
        up_proj: true,
        down_proj: true,
    };
    match family {
        Family::Llama | Family::Mistral | Family::SmolLm3 => llama,
        Family::Qwen2 | Family::Qwen2Vl => {
            let biases = Biases { q_proj: true, k_proj: true, v_proj: true, ..Biases::default() };
            Config { biases, ..llama }
        }
        Family::Qwen3 | Family::Qwen3Vl => Config { qk_norm: true, ..llama },
        Family::Gemma2 | Family::Gemma3 | Family::T5Gemma => Config {
            norm: Norm { kind: NormKind::RmsPlusOne, epsilon: 1e-6 },
            norms: NormPlaces::Around,
            activation: Activation::GeluTanh,
            qk_norm: family == Family::Gemma3,
            is_causal: family != Family::T5Gemma,
            counts_embeddings: family == Family::T5Gemma,
            ..llama
        },
        Family::T5 | Family::Umt5 => Config {
            positions: Positions::Relative { buckets: 32, max_distance: 128, shared: family == Family::T5 },
            is_causal: false,
            activation: Activation::GeluTanh,
            counts_embeddings: true,
            ..llama
        },
        Family::Clip => Config {
            norm: Norm { kind: NormKind::Layer, epsilon: 1e-5 },
            positions: Positions::Learned { rows: 77, first: 0, token_type: false },
            activation: Activation::QuickGelu,
            gated: false,
            biases: all_biases,
            ..llama
        },
        Family::XlmRoberta => Config {
            norm: Norm { kind: NormKind::Layer, epsilon: 1e-5 },
            norms: NormPlaces::After,
            final_norm: false,
            positions: Positions::Learned { rows: 514, first: 2, token_type: true },
            is_causal: false,
            activation: Activation::Gelu,
            gated: false,
            biases: all_biases,
            embedding_norm: true,
            counts_embeddings: true,
            ..llama
        },
    }
}

/// The layers of a network that are all alike: whole attention, with the first set of rotations where there is one.
fn alike(config: &Config) -> Vec<LayerAttention> {
    let rope = (!config.ropes().is_empty()).then_some(0);
    vec![LayerAttention { windowed: false, rope }; config.num_hidden_layers.min(1024)]
}

/// `head_dim^-0.5`, the scale of most families.
fn usual_scale(head_dim: usize) -> f32 {
    (1.0 / (head_dim.max(1) as f64).sqrt()) as f32
}

/// The activation that a key of config.json names.
fn activation(name: &str) -> Option<Activation> {
    Some(match name {
        "silu" | "swish" => Activation::Silu,
        "gelu" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
        "quick_gelu" => Activation::QuickGelu,
        "relu" => Activation::Relu,
        _ => return None,
    })
}

/// The activations that are computed, for messages.
const ACTIVATIONS: &str = "silu, gelu, gelu_new, gelu_pytorch_tanh, quick_gelu or relu";

/// The factor of YaRN's cosines and sines where a file says none (arXiv 2309.00071, section 3.4).
fn yarn_amplitude(factor: f64, multiplier: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 0.1 * multiplier * factor.ln() + 1.0 }
}
