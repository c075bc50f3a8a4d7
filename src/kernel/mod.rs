//! What Burn lacks: the encoder's fused operations, each as WGSL for the device and plain loops for the CPU.
//!
//! Every operation has one file: its contract, its launch, its CPU twin; the `.wgsl` stands beside it.
//! Called by `model`. All tensors are contiguous f32 unless said otherwise; `T` tokens are packed end to end.

pub(crate) mod attention;
mod backend;
pub(crate) mod cpu;
mod elementwise;
mod launch;
mod norm;
mod peak;
mod pool;
pub(crate) mod product;
mod rotary;

use crate::device::Device;
use crate::quant::{self, Layout};
pub use attention::Heads as AttentionHeads;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Dispatch, DispatchTensor, backend_extension};
use burn::tensor::{DType, Int, Tensor, TensorData};
pub use launch::launches;
pub use product::Arithmetic;
use product::Product;
pub use product::tile::{F16 as F16_TILES, GPU as GPU_TILES, INT8 as INT8_TILES, Tile, as_tile};
pub use rotary::Heads as RotaryHeads;
pub use rotary::table::{table as rotary_table, table_bf16 as rotary_table_bf16};

/// The operations that each backend implements: `Cube` launches WGSL, `Flex` runs on the CPU.
#[backend_extension(Cube, Flex)]
pub trait EncoderBackend: burn::backend::Backend {
    fn quant_matmul(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        scales: IntTensor<Self>,
        product: Product,
    ) -> FloatTensor<Self>;

    fn quant_matmul_add(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        scales: IntTensor<Self>,
        addend: FloatTensor<Self>,
        product: Product,
    ) -> FloatTensor<Self>;

    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self>;

    fn rotary(
        x: FloatTensor<Self>,
        table: FloatTensor<Self>,
        positions: IntTensor<Self>,
        heads: RotaryHeads,
    ) -> FloatTensor<Self>;

    fn norm_rotary(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        table: FloatTensor<Self>,
        positions: IntTensor<Self>,
        heads: RotaryHeads,
        other: usize,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        spans: IntTensor<Self>,
        heads: AttentionHeads,
    ) -> FloatTensor<Self>;

    fn attention_joined(
        qk: FloatTensor<Self>,
        v: FloatTensor<Self>,
        spans: IntTensor<Self>,
        heads: AttentionHeads,
    ) -> FloatTensor<Self>;

    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;

    fn layer_mix(mix: FloatTensor<Self>, hidden: FloatTensor<Self>, alpha: f32) -> FloatTensor<Self>;

    fn round_bf16(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn segment_mean(x: FloatTensor<Self>, segments: IntTensor<Self>) -> FloatTensor<Self>;

    fn multiply_adds(x: FloatTensor<Self>, rounds: usize) -> FloatTensor<Self>;

    fn copy(x: FloatTensor<Self>, times: usize) -> FloatTensor<Self>;
}

/// A linear layer's weight on the device, in the layout of [`quant::Packed`].
#[derive(Clone, Debug)]
pub struct PackedWeight {
    /// How `words` is read.
    pub layout: Layout,
    /// What products with it are computed in.
    pub arithmetic: Arithmetic,
    /// Rows of the checkpoint's `[out, in]` weight.
    pub out_features: usize,
    /// Columns of it.
    pub in_features: usize,
    /// `[in / values per word, out]`
    pub words: Tensor<2, Int>,
    /// `[in / group, out]`: f16 scale in the low half, f16 minimum in the high half.
    pub scales: Tensor<2, Int>,
    /// A power of two that `scales` are multiplied by.
    pub factor: f32,
}

impl PackedWeight {
    /// Moves a packed weight to the device; products with it are in f32.
    pub fn upload(packed: quant::Packed, device: &Device) -> Self {
        let columns = packed.out_features;
        let integers = |values: Vec<u32>, columns: usize| {
            let shape = [values.len() / columns, columns];
            device.keep(TensorData::new(values, shape), |data, device| {
                Tensor::from_data(data, (device, DType::U32))
            })
        };
        let scale_columns = columns.min(packed.scales.len());
        Self {
            layout: packed.layout,
            arithmetic: Arithmetic::F32,
            out_features: packed.out_features,
            in_features: packed.in_features,
            words: integers(packed.words, columns),
            scales: integers(packed.scales, scale_columns),
            factor: packed.factor,
        }
    }

    /// The same weight, its products computed in `arithmetic`.
    #[must_use]
    pub fn computed_in(self, arithmetic: Arithmetic) -> Self {
        Self { arithmetic, ..self }
    }
}

/// `y = x Wᵀ`: `x [T, in]` -> `[T, out]`, in the weight's arithmetic.
pub fn quant_matmul(x: Tensor<2>, weight: &PackedWeight) -> Tensor<2> {
    product(x, weight, None, false)
}

/// `y = x Wᵀ + bias`: `x [T, in]`, `bias [out]` -> `[T, out]`.
pub fn quant_matmul_bias(x: Tensor<2>, weight: &PackedWeight, bias: Tensor<1>) -> Tensor<2> {
    product(x, weight, Some(bias.into_dispatch()), false)
}

/// `y = x Wᵀ + residual`: `x [T, in]`, `residual [T, out]` -> `[T, out]`.
pub fn quant_matmul_add(x: Tensor<2>, weight: &PackedWeight, residual: Tensor<2>) -> Tensor<2> {
    product(x, weight, Some(residual.into_dispatch()), false)
}

/// `y = silu(x Gᵀ) * (x Uᵀ)`, where `weight` is G over U: `x [T, in]` -> `[T, out / 2]`.
pub fn quant_matmul_swiglu(x: Tensor<2>, weight: &PackedWeight) -> Tensor<2> {
    product(x, weight, None, true)
}

fn product(x: Tensor<2>, weight: &PackedWeight, addend: Option<DispatchTensor>, gated: bool) -> Tensor<2> {
    let PackedWeight { layout, arithmetic, out_features, factor, .. } = *weight;
    let product = Product { layout, arithmetic: arithmetic.of(layout), out_features, factor, gated };
    let words = weight.words.clone().into_dispatch();
    let scales = weight.scales.clone().into_dispatch();
    Tensor::from_dispatch(match addend {
        Some(addend) => Dispatch::quant_matmul_add(x.into_dispatch(), words, scales, addend, product),
        None => Dispatch::quant_matmul(x.into_dispatch(), words, scales, product),
    })
}

/// `x / sqrt(mean(x²) + epsilon) * weight` over each row: `x [T, D]`, `weight [D]` -> `[T, D]`.
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, epsilon: f32) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::rms_norm(x.into_dispatch(), weight.into_dispatch(), epsilon))
}

/// Rotate-half RoPE on the heads of each row's first columns: `x [T, at least heads.count * heads.dim]`,
/// `table [P, head_dim]` (cosines, then sines), `positions [T]` u32 below `P` -> `[T, heads.count * heads.dim]`.
pub fn rotary(x: Tensor<2>, table: Tensor<2>, positions: Tensor<1, Int>, heads: RotaryHeads) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::rotary(
        x.into_dispatch(),
        table.into_dispatch(),
        positions.into_dispatch(),
        heads,
    ))
}

/// RMS norm over each head, then [`rotary`]: `weight [head_dim]` for the heads before `other`, and another
/// `[head_dim]` after it for those from there on.
pub fn norm_rotary(
    x: Tensor<2>,
    weight: Tensor<1>,
    table: Tensor<2>,
    positions: Tensor<1, Int>,
    heads: RotaryHeads,
    other: usize,
    epsilon: f32,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::norm_rotary(
        x.into_dispatch(),
        weight.into_dispatch(),
        table.into_dispatch(),
        positions.into_dispatch(),
        heads,
        other,
        epsilon,
    ))
}

/// Grouped-query attention of each query over its own range of keys, scale `head_dim^-0.5` -> `[Q, H * head_dim]`.
///
/// q are the first `H * head_dim` columns of `q [Q, ...]`; k the first `KV * head_dim` of `k [T, ...]`, or without one
/// those after q in the same tensor; v the last `KV * head_dim` of `v [T, ...]`. `spans [Q, 2]` u32 (first key, end;
/// not empty): causal inside a text where the end is the query's own place plus one.
pub fn attention(
    q: Tensor<2>,
    k: Option<Tensor<2>>,
    v: Tensor<2>,
    spans: Tensor<2, Int>,
    heads: AttentionHeads,
) -> Tensor<2> {
    let (q, v, spans) = (q.into_dispatch(), v.into_dispatch(), spans.into_dispatch());
    Tensor::from_dispatch(match k {
        Some(k) => Dispatch::attention(q, k.into_dispatch(), v, spans, heads),
        None => Dispatch::attention_joined(q, v, spans, heads),
    })
}

/// `silu(gate) * up`, element by element: `[T, F]` -> `[T, F]`.
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::swiglu(gate.into_dispatch(), up.into_dispatch()))
}

/// `mix + alpha * LayerNorm(hidden)`, LayerNorm without parameters, eps 1e-5 (GRAN-TED, section 3.2):
/// `[T, D]` -> `[T, D]`.
pub fn layer_mix(mix: Tensor<2>, hidden: Tensor<2>, alpha: f32) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::layer_mix(mix.into_dispatch(), hidden.into_dispatch(), alpha))
}

/// Every element to the nearest bfloat16, ties to even, kept as f32: `[T, D]` -> `[T, D]`.
pub fn round_bf16(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::round_bf16(x.into_dispatch()))
}

/// The mean of `x`'s rows over each segment: `x [T, D]`, `segments [B, 2]` u32 (first row, end row) -> `[B, D]`.
pub fn segment_mean(x: Tensor<2>, segments: Tensor<2, Int>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::segment_mean(x.into_dispatch(), segments.into_dispatch()))
}

/// Multiply-adds alone, for the device's peak: sixteen values `a = x + j / 16` of each element, then `rounds` times
/// `a = a x + x`, summed; `2 * 16 * rounds` operations an element: `[T, D]` -> `[T, D]`.
pub fn multiply_adds(x: Tensor<2>, rounds: usize) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::multiply_adds(x.into_dispatch(), rounds))
}

/// Operations of [`multiply_adds`] on an element, for each round.
pub const MULTIPLY_ADD_FLOP: usize = 2 * peak::multiply_adds::CHAINS;

/// `x` in memory of its own, written `times` times, for the device's bandwidth: new memory is slow where it is first
/// touched. `[T, D]` with D a multiple of 4 -> `[T, D]`.
pub fn copy(x: Tensor<2>, times: usize) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::copy(x.into_dispatch(), times))
}
