//! The network: attention and MLP blocks over packed texts, visited layer by layer.
//!
//! ```text
//! x = x + o_proj(attention(rotate(q_proj(n)), rotate(k_proj(n)), v_proj(n)))    n = norm(x)
//! x = x + down_proj(activation(gate_proj(n)) * up_proj(n))                      n = norm(x)
//! ```
//! It is the block of Llama (arXiv 2302.13971) with grouped queries (2305.13245), RMSNorm (1910.07467), RoPE (2104.09864)
//! and SwiGLU (2002.05202). What other families have instead is said by [`Config`]: other norms in other places, positions
//! of other kinds, windows, capped scores, an MLP without a gate.

mod parts;
mod places;

pub(crate) use parts::Part;

use super::config::{Config, LayerAttention, Norm as NormConfig, NormPlaces, Positions};
use super::linear::{Linear, Norm, norm_weight};
use super::weights::Weights;
use crate::device::Device;
use crate::error::Result;
use crate::kernel::{self, Activation, AttentionHeads, RotaryHeads};
use burn::tensor::{Int, Tensor};
use places::{Places, relative_bias};
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
    /// Whether spans end at their own token.
    pub is_causal: bool,
}

impl Batch {
    /// The spans of a layer that attends within the window, or of another one.
    fn spans(&self, windowed: bool) -> Tensor<2, Int> {
        self.windowed.as_ref().filter(|_| windowed).unwrap_or(&self.spans).clone()
    }
}

/// Values that attention reads at once: its heads are so many wide, or a multiple.
const QUAD: usize = 4;

/// The stack of layers, what stands before it, and the final norm.
pub(crate) struct Decoder {
    layers: Layers,
    /// `None` where the family, or a file that was cut, has none.
    norm: Option<Norm>,
    places: Places,
    counted: usize,
}

/// A hidden state of a pass. transformers counts states as `hidden_states[l]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// h_l: h_0 are the token embeddings, h_L comes after the final norm where there is one.
    Layer(usize),
    /// The last layer's before the final norm.
    LastPrenorm,
}

/// The place of the layers' weights.
enum Layers {
    /// On the device.
    Resident(Vec<Layer>),
    /// In their file: one layer computes while the next is loaded.
    Streamed { source: Box<dyn LayerSource>, config: Box<Config>, device: Box<Device> },
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
        let layers =
            Layers::Streamed { source, config: Box::new(config.clone()), device: Box::new(device.clone()) };
        Self::with_layers(layers, weights, config, max_length, device)
    }

    fn with_layers(
        layers: Layers,
        weights: &mut Weights,
        config: &Config,
        max_length: usize,
        device: &Device,
    ) -> Result<Self> {
        let norm = if config.final_norm { Some(Norm::load(weights, "norm", config.norm)?) } else { None };
        let places = Places::load(weights, config, max_length, device)?;
        Ok(Self { layers, norm, places, counted: config.counted_states() })
    }

    /// The number of layers, L.
    pub(crate) fn len(&self) -> usize {
        match &self.layers {
            Layers::Resident(layers) => layers.len(),
            Layers::Streamed { config, .. } => config.num_hidden_layers,
        }
    }

    /// The number of hidden states that are averaged and weighted, the last ones: [`Config::counted_states`].
    pub(crate) fn counted_states(&self) -> usize {
        self.counted
    }

    /// Whether the weights of the layers are loaded anew for each pass.
    pub(crate) fn is_streamed(&self) -> bool {
        matches!(self.layers, Layers::Streamed { .. })
    }

    /// Runs layers 1 to `last` on rows `x [T, D]` of the token table and hands every hidden state to
    /// `visit(state, h [T, D])`.
    ///
    /// # Errors
    /// If layers are streamed, those of their source, and [`Error::Device`](crate::error::Error::Device).
    pub(crate) async fn forward(
        &self,
        mut x: Tensor<2>,
        batch: &Batch,
        last: usize,
        mut visit: impl FnMut(State, &Tensor<2>),
    ) -> Result<()> {
        x = self.places.embed(x, batch);
        visit(State::Layer(0), &x);
        let mut step = |i: usize, layer: &Layer, mut x: Tensor<2>| {
            x = layer.forward(x, batch, &self.places);
            if i + 1 == self.len() {
                visit(State::LastPrenorm, &x);
                x = self.norm.iter().fold(x, |x, norm| norm.forward(x));
            }
            visit(State::Layer(i + 1), &x);
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
    self_attn: Attention,
    mlp: Mlp,
    attn_norms: Norms,
    mlp_norms: Norms,
}

/// The norms around a block B: `after(x + output(B(input(x))))`, each where the family has it.
#[derive(Clone)]
struct Norms {
    input: Option<Norm>,
    output: Option<Norm>,
    after: Option<Norm>,
}

impl Norms {
    /// Takes the norms `{prefix}.{input}` and `{prefix}.{output}` out of `weights`, as far as the family has them.
    fn load(weights: &mut Weights, prefix: &str, names: [&str; 2], config: &Config) -> Result<Self> {
        let [input, output] = names;
        let mut load = |name: &str| Norm::load(weights, &format!("{prefix}.{name}"), config.norm).map(Some);
        Ok(match config.norms {
            NormPlaces::Before => Self { input: load(input)?, output: None, after: None },
            NormPlaces::Around => Self { input: load(input)?, output: load(output)?, after: None },
            NormPlaces::After => Self { input: None, output: None, after: load(output)? },
        })
    }

    /// What the block reads.
    fn input(&self, x: &Tensor<2>) -> Tensor<2> {
        self.input.as_ref().map_or_else(|| x.clone(), |norm| norm.forward(x.clone()))
    }

    /// What the block's last projection gives, added to `x`: `project` adds it to a residual if it gets one.
    fn add(&self, x: Tensor<2>, project: impl FnOnce(Option<Tensor<2>>) -> Tensor<2>) -> Tensor<2> {
        let x = match &self.output {
            Some(norm) => x + norm.forward(project(None)),
            None => project(Some(x)),
        };
        self.after.as_ref().map_or_else(|| x.clone(), |norm| norm.forward(x.clone()))
    }
}

impl Layer {
    fn load(weights: &mut Weights, index: usize, config: &Config) -> Result<Self> {
        let prefix = &format!("layers.{index}");
        let attn = ["input_layernorm", "post_self_attn_layernorm"];
        let mlp = ["post_attention_layernorm", "post_feedforward_layernorm"];
        Ok(Self {
            attn_norms: Norms::load(weights, prefix, attn, config)?,
            self_attn: Attention::load(weights, index, config)?,
            mlp_norms: Norms::load(weights, prefix, mlp, config)?,
            mlp: Mlp::load(weights, &format!("{prefix}.mlp"), config)?,
        })
    }

    fn forward(&self, x: Tensor<2>, batch: &Batch, places: &Places) -> Tensor<2> {
        let attended = self.self_attn.forward(self.attn_norms.input(&x), batch, places); // [T, H * head_dim]
        let x = self.attn_norms.add(x, |residual| project(&self.self_attn.o_proj, attended, residual)); // [T, D]
        let hidden = self.mlp.forward(self.mlp_norms.input(&x)); // [T, F]
        self.mlp_norms.add(x, |residual| project(&self.mlp.down_proj, hidden, residual)) // [T, D]
    }
}

fn project(linear: &Linear, x: Tensor<2>, residual: Option<Tensor<2>>) -> Tensor<2> {
    match residual {
        Some(residual) => linear.forward_add(x, residual),
        None => linear.forward(x),
    }
}

#[derive(Clone)]
struct Attention {
    /// q, k and v, joined if their layouts agree: all in one; q and k, v; or q, k, v.
    qkv_proj: Vec<Linear>,
    o_proj: Linear,
    /// `[2 * head_dim]`: the weights of the norms over each head of q, then of k.
    qk_norm: Option<Tensor<1>>,
    heads: AttentionHeads,
    /// Its window and its rotations.
    kind: LayerAttention,
    /// Its own biases by distance, `[2 M + 1, H]`.
    bias: Option<Tensor<2>>,
    norm: NormConfig,
}

impl Attention {
    fn load(weights: &mut Weights, index: usize, config: &Config) -> Result<Self> {
        let prefix = &format!("layers.{index}.self_attn");
        let qk_norm = if config.qk_norm {
            let mut norm =
                |name: &str| norm_weight(weights, &format!("{prefix}.{name}.weight"), config.norm.kind);
            Some(Tensor::cat(vec![norm("q_norm")?, norm("k_norm")?], 0))
        } else {
            None
        };
        let [q, kv] = [config.num_attention_heads, config.num_key_value_heads].map(|n| n * config.head_dim);
        let biases = config.biases;
        let parts =
            [("q_proj", q, biases.q_proj), ("k_proj", kv, biases.k_proj), ("v_proj", kv, biases.v_proj)];
        let bias = match config.positions {
            Positions::Relative { shared: false, .. } => Some(relative_bias(weights, prefix, config)?),
            _ => None,
        };
        Ok(Self {
            qkv_proj: Linear::load_joined(weights, prefix, &parts)?,
            o_proj: Linear::load(weights, &format!("{prefix}.o_proj"), biases.o_proj)?,
            qk_norm,
            heads: config.heads(),
            kind: config.layers[index],
            bias,
            norm: config.norm,
        })
    }

    /// What `o_proj` reads: `[T, D]` -> `[T, H * head_dim]`
    fn forward(&self, x: Tensor<2>, batch: &Batch, places: &Places) -> Tensor<2> {
        let products: Vec<_> = self.qkv_proj.iter().map(|proj| proj.forward(x.clone())).collect();
        let (qk, v) = self.turned(&products, batch, places);
        self.attend(qk, v, batch, places)
    }

    /// q and k, rotated if the layer rotates, in one tensor or in two, and the tensor that ends in v.
    fn turned(&self, products: &[Tensor<2>], batch: &Batch, places: &Places) -> (Vec<Tensor<2>>, Tensor<2>) {
        let heads = self.heads;
        let v = products[products.len() - 1].clone();
        let qk = match products {
            [q, k, _] => vec![
                self.rotate(q.clone(), 0..heads.count, batch, places), // [T, H * head_dim]
                self.rotate(k.clone(), heads.count..heads.count + heads.kv, batch, places),
            ],
            joined => {
                vec![self.rotate(joined[0].clone(), 0..heads.count + heads.kv, batch, places)] // [T, (H + KV) * head_dim]
            }
        };
        (qk, v)
    }

    /// Attention of `qk`, which is q and k in one tensor or in two.
    fn attend(&self, qk: Vec<Tensor<2>>, v: Tensor<2>, batch: &Batch, places: &Places) -> Tensor<2> {
        let (spans, heads) = (batch.spans(self.kind.windowed), self.heads);
        if !heads.dim.is_multiple_of(QUAD) {
            return self.attend_filled(Tensor::cat(qk, 1), v, spans, places);
        }
        if let Some(bias) = self.bias.as_ref().or(places.bias.as_ref()) {
            let qk = if qk.len() == 1 { qk[0].clone() } else { Tensor::cat(qk, 1) };
            return kernel::attention_relative(qk, v, spans, bias.clone(), heads);
        }
        match &qk[..] {
            [q, k] => kernel::attention(q.clone(), Some(k.clone()), v, spans, heads),
            joined => kernel::attention(joined[0].clone(), None, v, spans, heads),
        }
    }

    /// Attention with heads of a width that the kernel does not read: zeros at their ends change no score and no value.
    fn attend_filled(
        &self,
        qk: Tensor<2>,
        v: Tensor<2>,
        spans: Tensor<2, Int>,
        places: &Places,
    ) -> Tensor<2> {
        let AttentionHeads { count, kv, dim, .. } = self.heads;
        let [tokens, columns] = v.dims();
        let full = dim.next_multiple_of(QUAD);
        let filled = |x: Tensor<2>, heads: usize| -> Tensor<2> {
            let zeros = Tensor::<3>::zeros([tokens, heads, full - dim], &x.device());
            Tensor::cat(vec![x.reshape([tokens, heads, dim]), zeros], 2).reshape([tokens, heads * full])
        };
        // What comes before the end is of q and k, joined or not.
        let qk = filled(qk.slice([0..tokens, 0..(count + kv) * dim]), count + kv);
        let v = filled(v.slice([0..tokens, columns - kv * dim..columns]), kv);
        let heads = AttentionHeads { dim: full, ..self.heads };
        let attended = match self.bias.as_ref().or(places.bias.as_ref()) {
            Some(bias) => kernel::attention_relative(qk, v, spans, bias.clone(), heads),
            None => kernel::attention(qk, None, v, spans, heads),
        };
        let attended = attended.reshape([tokens, count, full]).slice([0..tokens, 0..count, 0..dim]);
        attended.reshape([tokens, count * dim])
    }

    /// Rotates the first columns of `x`, which are the heads `which`, counted over those of q and then of k; they are
    /// normalized first where the family does so. A layer without rotations leaves `x` as it is.
    fn rotate(&self, x: Tensor<2>, which: Range<usize>, batch: &Batch, places: &Places) -> Tensor<2> {
        let Some(table) = self.kind.rope.and_then(|index| places.tables.get(index)) else { return x };
        let (table, positions) = (table.clone(), batch.positions.clone());
        let heads = RotaryHeads { count: which.len(), dim: self.heads.dim };
        let Some(weight) = &self.qk_norm else {
            return kernel::rotary(x, table, positions, heads);
        };
        let other = self.heads.count.saturating_sub(which.start);
        kernel::norm_rotary(x, weight.clone(), table, positions, heads, other, self.norm.epsilon)
    }
}

#[derive(Clone)]
struct Mlp {
    /// gate and up, joined if their layouts agree; up alone where nothing is gated.
    gate_up_proj: Vec<Linear>,
    down_proj: Linear,
    activation: Activation,
    gated: bool,
}

impl Mlp {
    fn load(weights: &mut Weights, prefix: &str, config: &Config) -> Result<Self> {
        let (biases, f) = (config.biases, config.intermediate_size);
        let parts = [("gate_proj", f, biases.gate_proj), ("up_proj", f, biases.up_proj)];
        let parts = if config.gated { &parts[..] } else { &parts[1..] };
        Ok(Self {
            gate_up_proj: Linear::load_joined(weights, prefix, parts)?,
            down_proj: Linear::load(weights, &format!("{prefix}.down_proj"), biases.down_proj)?,
            activation: config.activation,
            gated: config.gated,
        })
    }

    /// What `down_proj` reads: `[T, D]` -> `[T, F]`
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.gate_up_proj[..] {
            [gate, up] => kernel::glu(gate.forward(x.clone()), up.forward(x), self.activation),
            joined if self.gated => joined[0].forward_glu(x, self.activation),
            up => up[0].forward_activated(x, self.activation),
        }
    }
}
