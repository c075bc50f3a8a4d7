//! The sizes and the options of a model, whichever file states them, and the tensors that follow from them.
//!
//! The network is one: a stack of attention and MLP blocks. What differs between families stands here as values, and the
//! network asks for no family's name.

use super::rope::Rope;
use crate::error::{Error, Result};
use crate::kernel::{Activation, AttentionHeads};
use crate::named::named;

/// Tokens that a text is cut to (the limit of the reference), unless the limit of the model is smaller.
const MAX_LENGTH: usize = 2048;

named! {
    /// The architectures that the network covers, by their names in GGUF files and, after those, in config.json.
    pub enum Family("model family") {
        /// Llama and its kin, such as SmolLM2.
        Llama = "llama",
        /// Mistral 7B, Mistral Small and Ministral: llama with heads of their own width.
        Mistral = "mistral" | "mistral3" | "ministral3" | "ministral",
        /// SmolLM3: llama without positions in every fourth layer.
        SmolLm3 = "smollm3",
        /// Qwen2 and Qwen2.5: llama with biases on q, k and v.
        Qwen2 = "qwen2",
        /// The language model of Qwen2-VL and Qwen2.5-VL, which equals Qwen2 on text.
        Qwen2Vl = "qwen2vl" | "qwen2_vl" | "qwen2_vl_text" | "qwen2_5_vl" | "qwen2_5_vl_text",
        /// Qwen3: llama with norms over each head of q and k.
        Qwen3 = "qwen3",
        /// The language model of Qwen3-VL, which equals Qwen3 on text.
        Qwen3Vl = "qwen3vl" | "qwen3_vl" | "qwen3_vl_text",
        /// Gemma 2: norms on both sides of each block, capped scores, a window in every other layer.
        Gemma2 = "gemma2",
        /// Gemma 3: as Gemma 2 with norms over each head instead of the cap, and two bases of its positions.
        Gemma3 = "gemma3" | "gemma3_text",
        /// The encoder of T5 and ByT5.
        T5 = "t5" | "t5encoder",
        /// The encoder of UMT5, which has relative biases in each layer.
        Umt5 = "umt5",
        /// The encoder of T5Gemma: Gemma 2 without causality.
        T5Gemma = "t5gemma",
        /// The text half of CLIP.
        Clip = "clip" | "clip_text_model",
        /// XLM-RoBERTa, the text half of AltCLIP.
        XlmRoberta = "xlm-roberta" | "altclip_text_model" | "altclip",
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

/// The sizes and the options that the network is built from. Sizes have the names of Hugging Face's config.json.
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
    /// The number of layers that the configuration states, where the file was cut before the last one: then there is no
    /// last state, and no mean of all.
    pub cut_from: Option<usize>,
    /// The number of heads of q, H.
    pub num_attention_heads: usize,
    /// The number of heads of k and of v; each serves H over this many heads of q.
    pub num_key_value_heads: usize,
    /// The width of a head.
    pub head_dim: usize,
    /// The number of rows of the token table.
    pub vocab_size: usize,
    /// The most tokens of a text that the model was made for; the largest number where it has no such limit.
    pub max_position_embeddings: usize,
    /// The norms, all of which are of one kind.
    pub norm: Norm,
    /// Where the norms of a layer stand.
    pub norms: NormPlaces,
    /// Whether a norm follows the last layer.
    pub final_norm: bool,
    /// How the network knows the places of tokens.
    pub positions: Positions,
    /// The attention of each layer, `[L]`.
    pub layers: Vec<LayerAttention>,
    /// Whether a token attends to those before it and itself alone, and not to its whole text.
    pub is_causal: bool,
    /// The tokens of a window of attention; `None` where no layer has one that a text reaches.
    pub window: Option<usize>,
    /// The factor of the products of q and k: `head_dim^-0.5` in most families.
    pub score_scale: f32,
    /// The size that no score passes; `None` without one.
    pub score_cap: Option<f32>,
    /// The function between the projections of an MLP.
    pub activation: Activation,
    /// Whether an MLP multiplies the activation of one projection with another one.
    pub gated: bool,
    /// The linear layers that have biases.
    pub biases: Biases,
    /// Whether q and k are normalized over each head.
    pub qk_norm: bool,
    /// The factor of the token embeddings.
    pub embedding_scale: f32,
    /// Whether a norm follows the token embeddings.
    pub embedding_norm: bool,
    /// The layer that makes the pooled state of the family's own encoder, where there is one.
    pub projection: Option<Projection>,
    /// Whether the reference counts the token embeddings among the layers that are averaged and weighted.
    pub counts_embeddings: bool,
}

/// A norm over each row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Its formula.
    pub kind: NormKind,
    /// The number added to the mean square or to the variance.
    pub epsilon: f32,
}

/// The formula of a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// `w x / sqrt(mean(x^2))`
    Rms,
    /// `(1 + w) x / sqrt(mean(x^2))`: Gemma's checkpoints hold the difference to 1.
    RmsPlusOne,
    /// `w (x - mean) / sqrt(variance) + b`
    Layer,
}

/// Where the norms of a layer stand; B is attention or MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlaces {
    /// `x + B(norm(x))`
    Before,
    /// `x + norm(B(norm(x)))` (Gemma)
    Around,
    /// `norm(x + B(x))` (BERT)
    After,
}

/// How the network knows the places of tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum Positions {
    /// Rotations of q and k (arXiv 2104.09864), by one of these tables in each layer.
    Rotary(Vec<Rope>),
    /// A row for each position, added to the token embedding; the first token has row `first`.
    Learned {
        /// The rows of the table.
        rows: usize,
        /// The row of a text's first token.
        first: usize,
        /// Whether the row of token type 0 is added too (BERT).
        token_type: bool,
    },
    /// A bias on each score by the distance of its tokens, which are sorted into buckets (arXiv 1910.10683).
    Relative {
        /// The number of buckets, half of them for keys behind the query.
        buckets: usize,
        /// The distance from which on all keys share a bucket.
        max_distance: usize,
        /// Whether the first layer's table serves all layers.
        shared: bool,
    },
}

/// The attention of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerAttention {
    /// Whether it attends within the window.
    pub windowed: bool,
    /// The table of its rotations, among those of [`Positions::Rotary`]; `None` where nothing is rotated.
    pub rope: Option<usize>,
}

/// The layer after the pooled state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Its number of outputs.
    pub size: usize,
    /// Whether it has a bias.
    pub bias: bool,
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
    /// The weight of a norm, a bias, or a small table, as f32 on the device.
    Vector,
}

/// A tensor that the network needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expected {
    /// Our name for it: that of a llama checkpoint of Hugging Face without its prefix, or one like it.
    pub name: String,
    /// The shape, slowest dimension first: a linear layer is `[out, in]`.
    pub shape: Vec<usize>,
    /// Its use.
    pub role: Role,
}

impl Config {
    /// The heads of its attention.
    pub fn heads(&self) -> AttentionHeads {
        let Self { num_attention_heads: count, num_key_value_heads: kv, head_dim: dim, .. } = *self;
        AttentionHeads { count, kv, dim, scale: self.score_scale, cap: self.score_cap }
    }

    /// Tokens that a text is cut to.
    pub fn longest_text(&self) -> usize {
        MAX_LENGTH.min(self.max_position_embeddings)
    }

    /// The rotations of its layers, each set once; none where places are told in another way.
    pub fn ropes(&self) -> &[Rope] {
        match &self.positions {
            Positions::Rotary(ropes) => ropes,
            _ => &[],
        }
    }

    /// The number of hidden states that `norm_avg` and `weighted` take: L, or L + 1 with the token embeddings.
    pub fn counted_states(&self) -> usize {
        self.num_hidden_layers + usize::from(self.counts_embeddings)
    }

    /// Checks the sizes that the kernels rely on; `file` is the one that states them.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the first size that is refused.
    pub(crate) fn check(self, file: &str) -> Result<Self> {
        let at_least_one = |size: usize| size > 0;
        let whole_groups = self.num_key_value_heads > 0
            && self.num_attention_heads > 0
            && self.num_attention_heads.is_multiple_of(self.num_key_value_heads);
        let number = |value: f32| value.is_finite() && value != 0.0;
        let rules: [(&str, bool, &str, String); 11] = [
            ("vocab_size", self.vocab_size > 0, "at least 1", self.vocab_size.to_string()),
            ("hidden_size", at_least_one(self.hidden_size), "at least 1", self.hidden_size.to_string()),
            (
                "intermediate_size",
                at_least_one(self.intermediate_size),
                "at least 1",
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
                self.head_dim.is_multiple_of(2) && (2..=256).contains(&self.head_dim),
                "an even number up to 256",
                self.head_dim.to_string(),
            ),
            (
                self.norm.key(),
                self.norm.epsilon.is_finite() && self.norm.epsilon >= 0.0,
                "a small positive number",
                self.norm.epsilon.to_string(),
            ),
            (
                "the scale of attention's scores",
                number(self.score_scale),
                "a number that is not zero",
                self.score_scale.to_string(),
            ),
            (
                "the cap of attention's scores",
                self.score_cap.is_none_or(|cap| cap.is_finite() && cap > 0.0),
                "a number above 0",
                self.score_cap.unwrap_or_default().to_string(),
            ),
            (
                "the scale of the token embeddings",
                number(self.embedding_scale),
                "a number that is not zero",
                self.embedding_scale.to_string(),
            ),
            (
                "max_position_embeddings",
                self.max_position_embeddings > 0,
                "at least 1",
                self.max_position_embeddings.to_string(),
            ),
        ];
        if let Some((item, _, expected, found)) = rules.into_iter().find(|(_, holds, _, _)| !holds) {
            return Err(Error::malformed(file, item, expected, found));
        }
        self.ropes().iter().try_for_each(|rope| rope.check(file))?;
        Ok(self)
    }

    /// The tensors of the network; the token table comes first.
    pub(crate) fn tensors(&self) -> Vec<Expected> {
        let (d, f, h) = (self.hidden_size, self.intermediate_size, self.head_dim);
        let (q, kv) = (self.num_attention_heads * h, self.num_key_value_heads * h);
        let mut all = vec![Expected {
            name: "embed_tokens.weight".into(),
            shape: vec![self.vocab_size, d],
            role: Role::Embedding,
        }];
        let mut add = |name: String, shape: &[usize], role| {
            all.push(Expected { name, shape: shape.to_vec(), role });
        };
        match self.positions {
            Positions::Learned { rows, token_type, .. } => {
                add("embed_positions.weight".into(), &[rows, d], Role::Vector);
                if token_type {
                    add("embed_token_types.weight".into(), &[1, d], Role::Vector);
                }
            }
            Positions::Relative { buckets, shared: true, .. } => {
                let shape = [buckets, self.num_attention_heads];
                add("relative_attention_bias.weight".into(), &shape, Role::Vector);
            }
            _ => {}
        }
        let norm = |add: &mut dyn FnMut(String, &[usize], Role), name: String, width: usize| {
            add(format!("{name}.weight"), &[width], Role::Vector);
            if self.norm.kind == NormKind::Layer {
                add(format!("{name}.bias"), &[width], Role::Vector);
            }
        };
        if self.embedding_norm {
            norm(&mut add, "embed_norm".into(), d);
        }
        for layer in 0..self.num_hidden_layers {
            let prefix = format!("layers.{layer}");
            for name in self.norms.names() {
                norm(&mut add, format!("{prefix}.{name}"), d);
            }
            let shapes = [[q, d], [kv, d], [kv, d], [d, q], [f, d], [f, d], [d, f]];
            for ((name, bias), [rows, columns]) in { self.biases }.fields().into_iter().zip(shapes) {
                if name == "mlp.gate_proj" && !self.gated {
                    continue;
                }
                add(format!("{prefix}.{name}.weight"), &[rows, columns], Role::Matrix);
                if *bias {
                    add(format!("{prefix}.{name}.bias"), &[rows], Role::Vector);
                }
            }
            if self.qk_norm {
                add(format!("{prefix}.self_attn.q_norm.weight"), &[h], Role::Vector);
                add(format!("{prefix}.self_attn.k_norm.weight"), &[h], Role::Vector);
            }
            if let Positions::Relative { buckets, shared: false, .. } = self.positions {
                let name = format!("{prefix}.self_attn.relative_attention_bias.weight");
                add(name, &[buckets, self.num_attention_heads], Role::Vector);
            }
        }
        if self.final_norm {
            norm(&mut add, "norm".into(), d);
        }
        if let Some(Projection { size, bias }) = self.projection {
            add("projection.weight".into(), &[size, d], Role::Matrix);
            if bias {
                add("projection.bias".into(), &[size], Role::Vector);
            }
        }
        all
    }
}

impl Norm {
    /// The key of config.json that has the epsilon of most families with such a norm.
    fn key(&self) -> &'static str {
        if self.kind == NormKind::Layer { "layer_norm_eps" } else { "rms_norm_eps" }
    }
}

impl NormPlaces {
    /// Our names for the norms of a layer: of what attention reads and gives, and of what the MLP reads and gives.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Before => &["input_layernorm", "post_attention_layernorm"],
            Self::Around => &[
                "input_layernorm",
                "post_self_attn_layernorm",
                "post_attention_layernorm",
                "post_feedforward_layernorm",
            ],
            Self::After => &["post_self_attn_layernorm", "post_feedforward_layernorm"],
        }
    }
}
