//! The decoder, visited layer by layer: pre-norm attention and SwiGLU blocks over packed texts.

use super::config::Config;
use super::linear::{Linear, RmsNorm};
use super::rotary;
use super::weights::Weights;
use crate::device::Device;
use crate::error::Result;
use crate::kernel;
use burn::tensor::{Int, Tensor};

/// Where each packed token stands: `positions [T]` inside its text, `spans [T, 2]` the tokens it attends to.
#[derive(Clone)]
pub struct Batch {
    pub positions: Tensor<1, Int>,
    pub spans: Tensor<2, Int>,
}

/// The stack of layers and the final norm.
pub struct Decoder {
    layers: Vec<Layer>,
    norm: RmsNorm,
    table: Tensor<2>,
}

impl Decoder {
    /// Takes its tensors out of `weights`; `max_length` tokens is the longest text it will see.
    ///
    /// # Errors
    /// [`Error::MissingTensor`](crate::error::Error::MissingTensor).
    pub fn load(weights: &mut Weights, config: &Config, max_length: usize, device: &Device) -> Result<Self> {
        Ok(Self {
            layers: (0..config.num_hidden_layers)
                .map(|i| Layer::load(weights, &format!("layers.{i}"), config))
                .collect::<Result<_>>()?,
            norm: RmsNorm::load(weights, "norm", config.rms_norm_eps)?,
            table: rotary::table(config.head_dim, config.rope_theta, max_length, device),
        })
    }

    /// The number of layers, L.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Never: a decoder has layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Runs layers 1 to `last` on the token embeddings `x [T, D]` and hands every hidden state to
    /// `visit(l, h_l [T, D])`; `h_0` is `x`, `h_L` comes after the final norm, as transformers counts them.
    pub fn forward(
        &self,
        mut x: Tensor<2>,
        batch: &Batch,
        last: usize,
        mut visit: impl FnMut(usize, &Tensor<2>),
    ) {
        visit(0, &x);
        for (i, layer) in self.layers[..last].iter().enumerate() {
            x = layer.forward(x, batch, &self.table);
            if i + 1 == self.layers.len() {
                x = self.norm.forward(x);
            }
            visit(i + 1, &x);
        }
    }
}

struct Layer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: Mlp,
}

impl Layer {
    fn load(weights: &mut Weights, prefix: &str, config: &Config) -> Result<Self> {
        let norm = |weights: &mut Weights, name: &str| {
            RmsNorm::load(weights, &format!("{prefix}.{name}"), config.rms_norm_eps)
        };
        Ok(Self {
            input_layernorm: norm(weights, "input_layernorm")?,
            self_attn: Attention::load(weights, &format!("{prefix}.self_attn"), config)?,
            post_attention_layernorm: norm(weights, "post_attention_layernorm")?,
            mlp: Mlp::load(weights, &format!("{prefix}.mlp"))?,
        })
    }

    fn forward(&self, x: Tensor<2>, batch: &Batch, table: &Tensor<2>) -> Tensor<2> {
        let x = x.clone() + self.self_attn.forward(self.input_layernorm.forward(x), batch, table); // [T, D]
        x.clone() + self.mlp.forward(self.post_attention_layernorm.forward(x)) // [T, D]
    }
}

struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    /// Weights of the norms over each head of q and k (qwen3).
    qk_norm: Option<[Tensor<1>; 2]>,
    head_dim: usize,
    rms_norm_eps: f32,
}

impl Attention {
    fn load(weights: &mut Weights, prefix: &str, config: &Config) -> Result<Self> {
        let bias = config.attention_bias;
        let qk_norm = if config.qk_norm {
            let mut norm = |name: &str| weights.vector(&format!("{prefix}.{name}.weight"));
            Some([norm("q_norm")?, norm("k_norm")?])
        } else {
            None
        };
        Ok(Self {
            q_proj: Linear::load(weights, &format!("{prefix}.q_proj"), bias)?,
            k_proj: Linear::load(weights, &format!("{prefix}.k_proj"), bias)?,
            v_proj: Linear::load(weights, &format!("{prefix}.v_proj"), bias)?,
            o_proj: Linear::load(weights, &format!("{prefix}.o_proj"), false)?,
            qk_norm,
            head_dim: config.head_dim,
            rms_norm_eps: config.rms_norm_eps,
        })
    }

    fn forward(&self, x: Tensor<2>, batch: &Batch, table: &Tensor<2>) -> Tensor<2> {
        let q = self.q_proj.forward(x.clone()); // [T, H * head_dim]
        let k = self.k_proj.forward(x.clone()); // [T, KV * head_dim]
        let v = self.v_proj.forward(x); // [T, KV * head_dim]
        let [q_norm, k_norm] = match &self.qk_norm {
            Some([q, k]) => [Some(q), Some(k)],
            None => [None, None],
        };
        let q = self.rotate(q, q_norm, batch, table);
        let k = self.rotate(k, k_norm, batch, table);
        self.o_proj.forward(kernel::attention(q, k, v, batch.spans.clone(), self.head_dim)) // [T, D]
    }

    fn rotate(&self, x: Tensor<2>, norm: Option<&Tensor<1>>, batch: &Batch, table: &Tensor<2>) -> Tensor<2> {
        let (table, positions) = (table.clone(), batch.positions.clone());
        match norm {
            Some(weight) => kernel::norm_rotary(x, weight.clone(), table, positions, self.rms_norm_eps),
            None => kernel::rotary(x, table, positions, self.head_dim),
        }
    }
}

struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Mlp {
    fn load(weights: &mut Weights, prefix: &str) -> Result<Self> {
        let mut linear = |name: &str| Linear::load(weights, &format!("{prefix}.{name}"), false);
        Ok(Self {
            gate_proj: linear("gate_proj")?,
            up_proj: linear("up_proj")?,
            down_proj: linear("down_proj")?,
        })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = kernel::swiglu(self.gate_proj.forward(x.clone()), self.up_proj.forward(x)); // [T, F]
        self.down_proj.forward(hidden) // [T, D]
    }
}
