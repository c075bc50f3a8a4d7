//! Attention pooling: a pool token attends to the tokens of its text.
//!
//! ```text
//! x = [pool_token; c]                                                      [1 + N, D]
//! twice: x = x + o_proj(attention(norm1(x)));  x = x + mlp(norm2(x))       8 heads, both directions
//! e = proj(out_norm(x))[0]                                                 [E]
//! ```
//! RoPE (base 10000) rotates q and k of the text's tokens, at positions 1..=N; the pool token is not rotated, as at
//! position 0. Adapters trained without RoPE have biases on q, k, v and o_proj instead (torch's
//! TransformerEncoderLayer).

use super::{LayerNorm, Mlp, Precision};
use crate::device::Device;
use crate::error::Result;
use crate::kernel::{self, AttentionHeads, RotaryHeads};
use crate::model::linear::Linear;
use crate::model::weights::Weights;
use burn::tensor::{DType, Int, Tensor, TensorData};

/// The number of heads, which no checkpoint states.
const HEADS: usize = 8;
/// The base of the rotary frequencies.
const ROPE_THETA: f64 = 10_000.0;

/// The network of attention pooling; field names are the checkpoint's weight names.
pub(super) struct AttentionPooling {
    /// `[1, D]`: the token that stands before each text.
    pool_token: Tensor<2>,
    encoder: Vec<Block>,
    out_norm: LayerNorm,
    proj: Linear,
    /// `[1 + max_length, head_dim]`: cosines and sines, with RoPE.
    table: Option<Tensor<2>>,
}

impl AttentionPooling {
    /// Takes the tensors of `blocks` blocks out of `weights`; without `rope` the projections have biases.
    ///
    /// # Errors
    /// [`Error::MissingTensor`](crate::error::Error::MissingTensor).
    pub(super) fn load(
        weights: &mut Weights,
        blocks: usize,
        rope: bool,
        precision: Precision,
        max_length: usize,
        device: &Device,
    ) -> Result<Self> {
        let pool_token: Tensor<2> = weights.vector("pool_token")?.unsqueeze();
        let head_dim = pool_token.dims()[1] / HEADS;
        let table = || match precision {
            Precision::Full => kernel::rotary_table(head_dim, ROPE_THETA, 1 + max_length, device),
            Precision::Reference => kernel::rotary_table_bf16(head_dim, ROPE_THETA, 1 + max_length, device),
        };
        let block = |i| Block::load(weights, &format!("encoder.{i}"), !rope);
        Ok(Self {
            encoder: (0..blocks).map(block).collect::<Result<_>>()?,
            out_norm: LayerNorm::load(weights, "out_norm")?,
            proj: Linear::load(weights, "proj", true)?,
            pool_token,
            table: rope.then(table),
        })
    }

    /// `features [T, D]` of the texts `segments`, `[first, end)` -> `[B, E]`
    pub(super) fn forward(
        &self,
        features: Tensor<2>,
        segments: &[[u32; 2]],
        precision: Precision,
        device: &Device,
    ) -> Tensor<2> {
        let places = Places::new(segments, device);
        let x = Tensor::cat(vec![self.pool_token.clone(), precision.round(features)], 0);
        let mut x = x.select(0, places.rows.clone()); // [T + B, D]
        for (i, block) in self.encoder.iter().enumerate() {
            // The pool tokens alone are used of the last block's result.
            let last = i + 1 == self.encoder.len();
            x = block.forward(x, &places, self.table.as_ref(), last, precision); // [T + B, D], then [B, D]
        }
        let x = self.out_norm.forward(x, precision);
        precision.round(self.proj.forward(x)) // [B, E]
    }
}

/// The places of the texts in `x`, where each has a pool token before it.
struct Places {
    /// `[T + B]`: for each row of `x`, the row of [pool_token; features] that it is.
    rows: Tensor<1, Int>,
    /// `[T + B]`: the position of each row in its text, 0 for the pool token, then 1..=N.
    positions: Tensor<1, Int>,
    /// `[T + B, 2]`: the rows that each row attends to, which are its whole text with the pool token.
    spans: Tensor<2, Int>,
    /// `[B]`: the rows of the pool tokens.
    pools: Tensor<1, Int>,
    /// `[B, 2]`: the rows that each pool token attends to.
    pool_spans: Tensor<2, Int>,
}

impl Places {
    fn new(segments: &[[u32; 2]], device: &Device) -> Self {
        let (mut rows, mut positions, mut spans) = (Vec::new(), Vec::new(), Vec::new());
        let (mut pools, mut pool_spans) = (Vec::new(), Vec::new());
        for [first, end] in segments {
            let start = rows.len() as u32;
            let count = 1 + end - first;
            rows.push(0);
            rows.extend(1 + first..1 + end);
            positions.extend(0..count);
            let span = [start, start + count];
            spans.extend(std::iter::repeat_n(span, count as usize));
            pools.push(start);
            pool_spans.push(span);
        }
        let list = |values: Vec<u32>| -> Tensor<1, Int> {
            let shape = [values.len()];
            Tensor::from_data(TensorData::new(values, shape), (device.burn(), DType::U32))
        };
        let pairs = |values: Vec<[u32; 2]>| -> Tensor<2, Int> {
            let shape = [values.len(), 2];
            Tensor::from_data(TensorData::new(values.concat(), shape), (device.burn(), DType::U32))
        };
        Self {
            rows: list(rows),
            positions: list(positions),
            spans: pairs(spans),
            pools: list(pools),
            pool_spans: pairs(pool_spans),
        }
    }
}

/// A pre-norm transformer block; field names are the checkpoint's weight names.
struct Block {
    norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    fn load(weights: &mut Weights, prefix: &str, bias: bool) -> Result<Self> {
        let mut linear = |name: &str| Linear::load(weights, &format!("{prefix}.{name}_proj"), bias);
        let [q_proj, k_proj, v_proj, o_proj] = [linear("q")?, linear("k")?, linear("v")?, linear("o")?];
        Ok(Self {
            norm1: LayerNorm::load(weights, &format!("{prefix}.norm1"))?,
            q_proj,
            k_proj,
            v_proj,
            o_proj,
            norm2: LayerNorm::load(weights, &format!("{prefix}.norm2"))?,
            mlp: Mlp::load(weights, &format!("{prefix}.mlp"), true)?,
        })
    }

    fn forward(
        &self,
        x: Tensor<2>,
        places: &Places,
        table: Option<&Tensor<2>>,
        last: bool,
        precision: Precision,
    ) -> Tensor<2> {
        let head_dim = x.dims()[1] / HEADS;
        let rotate = |x: Tensor<2>| match table {
            Some(table) => {
                let heads = RotaryHeads { count: HEADS, dim: head_dim };
                precision.round(kernel::rotary(x, table.clone(), places.positions.clone(), heads))
            }
            None => x,
        };
        let normed = self.norm1.forward(x.clone(), precision); // [T, D]
        let k = rotate(precision.round(self.k_proj.forward(normed.clone()))); // [T, D]
        let v = precision.round(self.v_proj.forward(normed.clone())); // [T, D]
        let (x, q, spans) = if last {
            let normed = normed.select(0, places.pools.clone());
            let q = precision.round(self.q_proj.forward(normed)); // [B, D], at position 0: not rotated
            (x.select(0, places.pools.clone()), q, places.pool_spans.clone())
        } else {
            (x, rotate(precision.round(self.q_proj.forward(normed))), places.spans.clone())
        };
        let heads = AttentionHeads::new(HEADS, HEADS, head_dim);
        let attended = precision.round(kernel::attention(q, Some(k), v, spans, heads));
        let x = precision.round(x + precision.round(self.o_proj.forward(attended)));
        let hidden = self.mlp.forward(self.norm2.forward(x.clone(), precision), precision);
        precision.round(x + hidden)
    }
}
