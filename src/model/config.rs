//! The sizes of a model, whichever file states them, and the tensors that follow from them.

use crate::error::{Error, Result};
use crate::kernel::{AttentionHeads, rotary_frequencies};
use crate::named::named;

/// Tokens that a text is cut to (the limit of the reference), unless the limit of the model is smaller.
const MAX_LENGTH: usize = 2048;

named! {
    /// The architectures that the one decoder covers, by their names in GGUF files. config.json calls Qwen3-VL
    /// `qwen3_vl`, and the text part of it `qwen3_vl_text`.
    pub enum Family("model family") {
        /// Llama and its kin, such as SmolLM2.
        Llama = "llama",
        /// Qwen2 and Qwen2.5: llama with biases on q, k and v.
        Qwen2 = "qwen2",
        /// Qwen3: llama with norms over each head of q and k.
        Qwen3 = "qwen3",
        /// The language model of Qwen3-VL, which equals Qwen3 on text.
        Qwen3Vl = "qwen3vl" | "qwen3_vl" | "qwen3_vl_text",
    }
}

impl Family {
    /// The family that `file` names in `general.architecture` or `model_type`.
    ///
    /// # Errors
    /// [`Error::UnknownFamily`].
    pub(crate) fn parse(file: &str, name: &str) -> Result<Self> {
        let unknown = |_| Error::UnknownFamily { file: file.into(), found: name.chars().take(64).collect() };
        name.parse().map_err(unknown)
    }
}

/// The sizes that the decoder is built from. Field names are those of Hugging Face's config.json.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The architecture.
    pub family: Family,
    /// The width of a hidden state, D.
    pub hidden_size: usize,
    /// The width between the projections of an MLP, F.
    pub intermediate_size: usize,
    /// The number of layers, L.
    pub num_hidden_layers: usize,
    /// The number of heads of q, H.
    pub num_attention_heads: usize,
    /// The number of heads of k and of v; each serves H over this many heads of q.
    pub num_key_value_heads: usize,
    /// The width of a head.
    pub head_dim: usize,
    /// The number of rows of the token table.
    pub vocab_size: usize,
    /// The number added to the mean square in an RMS norm.
    pub rms_norm_eps: f32,
    /// The base of the rotary frequencies: `rope_theta^(-2 i / head_dim) / rope_factor`.
    pub rope_theta: f64,
    /// The number that positions are divided by: linear scaling; 1 without.
    pub rope_factor: f64,
    /// The most tokens of a text that the model was made for.
    pub max_position_embeddings: usize,
    /// Whether a token attends to those before it and itself alone, and not to its whole text.
    pub is_causal: bool,
    /// The tokens of a window of attention; `None` where no layer has one that a text reaches.
    pub window: Option<usize>,
    /// Of each layer, whether it attends within the window.
    pub windowed: Vec<bool>,
    /// The linear layers that have biases (of qwen2 q, k and v).
    pub biases: Biases,
    /// Whether q and k are normalized over each head (qwen3).
    pub qk_norm: bool,
}

/// Of each linear layer of a block, whether it has a bias; all blocks are alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // they are the checkpoint's names
pub struct Biases {
    pub q_proj: bool,
    pub k_proj: bool,
    pub v_proj: bool,
    pub o_proj: bool,
    pub gate_proj: bool,
    pub up_proj: bool,
    pub down_proj: bool,
}

impl Biases {
    /// The field of each layer, with the layer's name in its block.
    pub(crate) fn fields(&mut self) -> [(&'static str, &mut bool); 7] {
        [
            ("self_attn.q_proj", &mut self.q_proj),
            ("self_attn.k_proj", &mut self.k_proj),
            ("self_attn.v_proj", &mut self.v_proj),
            ("self_attn.o_proj", &mut self.o_proj),
            ("mlp.gate_proj", &mut self.gate_proj),
            ("mlp.up_proj", &mut self.up_proj),
            ("mlp.down_proj", &mut self.down_proj),
        ]
    }
}

/// The use of a tensor, which decides how it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The token table, which stays off the device.
    Embedding,
    /// The weight of a linear layer.
    Matrix,
    /// The weight of a norm, or a bias.
    Vector,
}

/// A tensor that the decoder needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expected {
    /// Hugging Face's name, without the prefix `model.` or `model.language_model.`.
    pub name: String,
    /// The shape, slowest dimension first: a linear layer is `[out, in]`.
    pub shape: Vec<usize>,
    /// Its use.
    pub role: Role,
}

impl Config {
    /// The number and width of the heads of its attention.
    pub fn heads(&self) -> AttentionHeads {
        let Self { num_attention_heads: count, num_key_value_heads: kv, head_dim: dim, .. } = *self;
        AttentionHeads { count, kv, dim }
    }

    /// Tokens that a text is cut to.
    pub fn longest_text(&self) -> usize {
        MAX_LENGTH.min(self.max_position_embeddings)
    }

    /// The `head_dim / 2` frequencies of its rotations, which positions are multiplied by.
    pub(crate) fn rotary_frequencies(&self) -> Vec<f64> {
        let frequencies = rotary_frequencies(self.head_dim, self.rope_theta);
        frequencies.into_iter().map(|frequency| frequency / self.rope_factor).collect()
    }

    /// Checks the sizes that the kernels rely on; `file` is the one that states them.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the first size that is refused.
    pub(crate) fn check(self, file: &str) -> Result<Self> {
        let kernel_width = |size: usize| size > 0 && size.is_multiple_of(32);
        let whole_groups = self.num_key_value_heads > 0
            && self.num_attention_heads > 0
            && self.num_attention_heads.is_multiple_of(self.num_key_value_heads);
        let rules: [(&str, bool, &str, String); 11] = [
            ("vocab_size", self.vocab_size > 0, "at least 1", self.vocab_size.to_string()),
            ("hidden_size", kernel_width(self.hidden_size), "a multiple of 32", self.hidden_size.to_string()),
            (
                "intermediate_size",
                kernel_width(self.intermediate_size),
                "a multiple of 32",
                self.intermediate_size.to_string(),
            ),
            (
                "num_hidden_layers",
                (1..=1024).contains(&self.num_hidden_layers),
                "1 to 1024",
                self.num_hidden_layers.to_string(),
            ),
            (
                "num_attention_heads",
                whole_groups,
                "a multiple of num_key_value_heads",
                format!("{} for {}", self.num_attention_heads, self.num_key_value_heads),
            ),
            (
                "head_dim",
                self.head_dim.is_multiple_of(4) && (4..=256).contains(&self.head_dim),
                "a multiple of 4 up to 256",
                self.head_dim.to_string(),
            ),
            (
                "num_attention_heads x head_dim",
                kernel_width(self.num_attention_heads.saturating_mul(self.head_dim)),
                "a multiple of 32",
                self.num_attention_heads.saturating_mul(self.head_dim).to_string(),
            ),
            (
                "rms_norm_eps",
                self.rms_norm_eps.is_finite() && self.rms_norm_eps >= 0.0,
                "a small positive number",
                self.rms_norm_eps.to_string(),
            ),
            (
                "rope_theta",
                self.rope_theta.is_finite() && self.rope_theta > 1.0,
                "a number above 1",
                self.rope_theta.to_string(),
            ),
            (
                "the factor of RoPE scaling",
                self.rope_factor.is_finite() && self.rope_factor > 0.0,
                "a number above 0",
                self.rope_factor.to_string(),
            ),
            (
                "max_position_embeddings",
                self.max_position_embeddings > 0,
                "at least 1",
                self.max_position_embeddings.to_string(),
            ),
        ];
        match rules.into_iter().find(|(_, holds, _, _)| !holds) {
            None => Ok(self),
            Some((item, _, expected, found)) => Err(Error::malformed(file, item, expected, found)),
        }
    }

    /// The tensors of the network, in the order in which the decoder takes them.
    pub(crate) fn tensors(&self) -> Vec<Expected> {
        let (d, f, h) = (self.hidden_size, self.intermediate_size, self.head_dim);
        let (q, kv) = (self.num_attention_heads * h, self.num_key_value_heads * h);
        let mut all = vec![Expected {
            name: "embed_tokens.weight".into(),
            shape: vec![self.vocab_size, d],
            role: Role::Embedding,
        }];
        for layer in 0..self.num_hidden_layers {
            let mut add = |name: &str, shape: &[usize]| {
                let role = if shape.len() == 2 { Role::Matrix } else { Role::Vector };
                all.push(Expected { name: format!("layers.{layer}.{name}"), shape: shape.to_vec(), role });
            };
            add("input_layernorm.weight", &[d]);
            add("post_attention_layernorm.weight", &[d]);
            let shapes = [[q, d], [kv, d], [kv, d], [d, q], [f, d], [f, d], [d, f]];
            for ((name, bias), [rows, columns]) in { self.biases }.fields().into_iter().zip(shapes) {
                add(&format!("{name}.weight"), &[rows, columns]);
                if *bias {
                    add(&format!("{name}.bias"), &[rows]);
                }
            }
            if self.qk_norm {
                add("self_attn.q_norm.weight", &[h]);
                add("self_attn.k_norm.weight", &[h]);
            }
        }
        all.push(Expected { name: "norm.weight".into(), shape: vec![d], role: Role::Vector });
        all
    }
}
