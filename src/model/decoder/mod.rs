//! The decoder: pre-norm attention and SwiGLU blocks over packed texts, visited layer by layer.
//!
//! ```text
//! x = x + o_proj(attention(rotate(q_proj(n)), rotate(k_proj(n)), v_proj(n)))    n = input_layernorm(x)
//! x = x + down_proj(silu(gate_proj(n)) * up_proj(n))                            n = post_attention_layernorm(x)
//! ```
//! It is the block of Llama (arXiv 2302.13971) with grouped queries (2305.13245): RMSNorm (1910.07467), RoPE
//! (2104.09864), SwiGLU (2002.05202). Qwen2 has biases on q, k and v, and any linear layer may have
//! one; Qwen3 (2505.09388) has norms over each head of q and k. Some layers may attend within a window.

mod parts;

pub(crate) use parts::Part;

use super::config::Config;
use super::linear::{Linear, RmsNorm};
use super::weights::Weights;
use crate::device::Device;
use crate::error::Result;
use crate::kernel::{self, AttentionHeads, RotaryHeads};
use burn::tensor::{Int, Tensor};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

/// The places of the packed tokens, on the device.
#[derive(Clone)]
pub(crate) struct Batch {
    /// `[T]`: the position of each token in its text.
    pub positions: Tensor<1, Int>,
    /// `[T, 2]`: the tokens `[first, end)` that each token attends to.
    pub spans: Tensor<2, Int>,
    /// The same for the layers that attend within a window, where there are any.
    pub windowed: Option<Tensor<2, Int>>,
}

impl Batch {
    /// The spans of a layer that attends within the window, or of another one.
    fn spans(&self, windowed: bool) -> Tensor<2, Int> {
        self.windowed.as_ref().filter(|_| windowed).unwrap_or(&self.spans).clone()
    }
}

/// The stack of layers and the final norm.
pub(crate) struct Decoder {
    layers: Layers,
    norm: RmsNorm,
    /// `[max_length, head_dim]`: cosines and sines of the rotation.
    table: Tensor<2>,
}

/// The place of the layers' weights.
enum Layers {
    /// On the device.
    Resident(Vec<Layer>),
    /// In their file: one layer computes while the next is loaded.
    Streamed { source: Box<dyn LayerSource>, config: Box<Config>, device: Device },
}

/// Loads the weights of one layer to the device at a time.
pub(crate) trait LayerSource {
    /// The tensors `layers.{index}.…`.
    fn load(&self, index: usize) -> Pin<Box<dyn Future<Output = Result<Weights>> + '_>>;
}

impl Decoder {
    /// Takes its tensors out of `weights`. `max_length` is the number of tokens of the longest text that it will get.
    ///
    /// # Errors
    /// [`Error::MissingTensor`](crate::error::Error::MissingTensor).
    pub(crate) fn load(
        weights: &mut Weights,
        config: &Config,
        max_length: usize,
        device: &Device,
    ) -> Result<Self> {
        let layers = (0..config.num_hidden_layers).map(|i| Layer::load(weights, i, config));
        let layers = Layers::Resident(layers.collect::<Result<_>>()?);
        Self::with_layers(layers, weights, config, max_length, device)
    }

    /// A decoder that leaves the weights of its layers in `source`: a pass through the layers loads each of them
    /// once. The other arguments are those of [`Self::load`].
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn streamed(
        source: Box<dyn LayerSource>,
        weights: &mut Weights,
        config: &Config,
        max_length: usize,
        device: &Device,
    ) -> Result<Self> {
        let layers = Layers::Streamed { source, config: Box::new(config.clone()), device: device.clone() };
        Self::with_layers(layers, weights, config, max_length, device)
    }

    fn with_layers(
        layers: Layers,
        weights: &mut Weights,
        config: &Config,
        max_length: usize,
        device: &Device,
    ) -> Result<Self> {
        Ok(Self {
            layers,
            norm: RmsNorm::load(weights, "norm", config.rms_norm_eps)?,
            table: kernel::rotary_table_of(&config.rotary_frequencies(), max_length, device),
        })
    }

    /// The number of layers, L.
    pub(crate) fn len(&self) -> usize {
        match &self.layers {
            Layers::Resident(layers) => layers.len(),
            Layers::Streamed { config, .. } => config.num_hidden_layers,
        }
    }

    /// Whether the weights of the layers are loaded anew for each pass.
    pub(crate) fn is_streamed(&self) -> bool {
        matches!(self.layers, Layers::Streamed { .. })
    }

    /// Runs layers 1 to `last` on the token embeddings `x [T, D]` and hands every hidden state to
    /// `visit(l, h_l [T, D])`; `h_0` is `x`, `h_L` comes after the final norm, as transformers counts them.
    ///
    /// # Errors
    /// If layers are streamed, those of their source, and [`Error::Device`](crate::error::Error::Device).
    pub(crate) async fn forward(
        &self,
        mut x: Tensor<2>,
        batch: &Batch,
        last: usize,
        mut visit: impl FnMut(usize, &Tensor<2>),
    ) -> Result<()> {
        visit(0, &x);
        let mut step = |i: usize, layer: &Layer, x: Tensor<2>| {
            let x = layer.forward(x, batch, &self.table);
            let x = if i + 1 == self.len() { self.norm.forward(x) } else { x };
            visit(i + 1, &x);
            x
        };
        match &self.layers {
            Layers::Resident(layers) => {
                for (i, layer) in layers[..last].iter().enumerate() {
                    x = step(i, layer, x);
                }
            }
            Layers::Streamed { source, config, device } => {
                let mut computing = None; // its weights stay until the device is done with them
                for i in 0..last {
                    let layer = Layer::load(&mut source.load(i).await?, i, config)?;
                    device.wait().await?;
                    drop(computing.take()); // two are on the device, never three
                    x = step(i, &layer, x);
                    computing = Some(layer);
                }
                device.wait().await?;
            }
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Layer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: Mlp,
}

impl Layer {
    fn load(weights: &mut Weights, index: usize, config: &Config) -> Result<Self> {
        let prefix = &format!("layers.{index}");
        let norm = |weights: &mut Weights, name: &str| {
            RmsNorm::load(weights, &format!("{prefix}.{name}"), config.rms_norm_eps)
        };
        Ok(Self {
            input_layernorm: norm(weights, "input_layernorm")?,
            self_attn: Attention::load(weights, index, config)?,
            post_attention_layernorm: norm(weights, "post_attention_layernorm")?,
            mlp: Mlp::load(weights, &format!("{prefix}.mlp"), config)?,
        })
    }

    fn forward(&self, x: Tensor<2>, batch: &Batch, table: &Tensor<2>) -> Tensor<2> {
        let x = self.self_attn.forward(self.input_layernorm.forward(x.clone()), x, batch, table); // [T, D]
        self.mlp.forward(self.post_attention_layernorm.forward(x.clone()), x) // [T, D]
    }
}

#[derive(Clone)]
struct Attention {
    /// q, k and v, joined if their layouts agree: all in one; q and k, v; or q, k, v.
    qkv_proj: Vec<Linear>,
    o_proj: Linear,
    /// `[2 * head_dim]`: the weights of the norms over each head of q, then of k (qwen3).
    qk_norm: Option<Tensor<1>>,
    heads: AttentionHeads,
    /// Whether it attends within the window.
    windowed: bool,
    rms_norm_eps: f32,
}

impl Attention {
    fn load(weights: &mut Weights, index: usize, config: &Config) -> Result<Self> {
        let prefix = &format!("layers.{index}.self_attn");
        let qk_norm = if config.qk_norm {
            let mut norm = |name: &str| weights.vector(&format!("{prefix}.{name}.weight"));
            Some(Tensor::cat(vec![norm("q_norm")?, norm("k_norm")?], 0))
        } else {
            None
        };
        let [q, kv] = [config.num_attention_heads, config.num_key_value_heads].map(|n| n * config.head_dim);
        let biases = config.biases;
        let parts =
            [("q_proj", q, biases.q_proj), ("k_proj", kv, biases.k_proj), ("v_proj", kv, biases.v_proj)];
        Ok(Self {
            qkv_proj: Linear::load_joined(weights, prefix, &parts)?,
            o_proj: Linear::load(weights, &format!("{prefix}.o_proj"), biases.o_proj)?,
            qk_norm,
            heads: config.heads(),
            windowed: config.windowed.get(index).is_some_and(|windowed| *windowed),
            rms_norm_eps: config.rms_norm_eps,
        })
    }

    /// `residual + attention(x)`: `[T, D]`, `[T, D]` -> `[T, D]`
    fn forward(&self, x: Tensor<2>, residual: Tensor<2>, batch: &Batch, table: &Tensor<2>) -> Tensor<2> {
        let (spans, heads) = (batch.spans(self.windowed), self.heads);
        let products: Vec<_> = self.qkv_proj.iter().map(|proj| proj.forward(x.clone())).collect();
        let attended = match &products[..] {
            [q, k, v] => {
                let q = self.rotate(q.clone(), 0..heads.count, batch, table); // [T, H * head_dim]
                let k = self.rotate(k.clone(), heads.count..heads.count + heads.kv, batch, table);
                kernel::attention(q, Some(k), v.clone(), spans, heads)
            }
            joined => {
                let [qk, v] = [&joined[0], &joined[joined.len() - 1]];
                let qk = self.rotate(qk.clone(), 0..heads.count + heads.kv, batch, table); // [T, (H + KV) * head_dim]
                kernel::attention(qk, None, v.clone(), spans, heads)
            }
        };
        self.o_proj.forward_add(attended, residual) // [T, D]
    }

    /// Rotates the first columns of `x`, which are the heads `which`, counted over those of q and then of k. With
    /// qwen3 they are normalized first.
    fn rotate(&self, x: Tensor<2>, which: Range<usize>, batch: &Batch, table: &Tensor<2>) -> Tensor<2> {
        let (table, positions) = (table.clone(), batch.positions.clone());
        let heads = RotaryHeads { count: which.len(), dim: self.heads.dim };
        let Some(weight) = &self.qk_norm else {
            return kernel::rotary(x, table, positions, heads);
        };
        let other = self.heads.count.saturating_sub(which.start);
        kernel::norm_rotary(x, weight.clone(), table, positions, heads, other, self.rms_norm_eps)
    }
}

#[derive(Clone)]
struct Mlp {
    /// gate and up, joined if their layouts agree.
    gate_up_proj: Vec<Linear>,
    down_proj: Linear,
}

impl Mlp {
    fn load(weights: &mut Weights, prefix: &str, config: &Config) -> Result<Self> {
        let (biases, f) = (config.biases, config.intermediate_size);
        let parts = [("gate_proj", f, biases.gate_proj), ("up_proj", f, biases.up_proj)];
        Ok(Self {
            gate_up_proj: Linear::load_joined(weights, prefix, &parts)?,
            down_proj: Linear::load(weights, &format!("{prefix}.down_proj"), biases.down_proj)?,
        })
    }

    /// `residual + mlp(x)`: `[T, D]`, `[T, D]` -> `[T, D]`
    fn forward(&self, x: Tensor<2>, residual: Tensor<2>) -> Tensor<2> {
        let hidden = match &self.gate_up_proj[..] {
            [gate, up] => kernel::swiglu(gate.forward(x.clone()), up.forward(x)),
            joined => joined[0].forward_swiglu(x),
        }; // [T, F]
        self.down_proj.forward_add(hidden, residual) // [T, D]
    }
}
