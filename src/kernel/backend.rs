//! Which implementation each backend runs: WGSL through cubecl, or plain loops through flex. A new operation has a
//! method here, and a folder with its contract, its launch and its twin.

use super::activation::Activation;
use super::elementwise::{glu, round_bf16};
use super::norm::{layer_mix, layer_norm, rms_norm};
use super::peak::{copy, multiply_adds};
use super::pool::segment_mean;
use super::product::{self, Product};
use super::rotary::HeadNorm;
use super::{attention, rotary};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Flex, backend_extension};
use burn_wgpu::CubeBackend;

/// The operations that each backend implements: `Cube` launches WGSL, `Flex` runs the CPU twins. Their contracts are
/// the functions of the same names in the operations' folders.
#[backend_extension(Cube, Flex)]
pub(super) trait EncoderBackend: burn::backend::Backend {
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
        heads: rotary::Heads,
    ) -> FloatTensor<Self>;

    fn norm_rotary(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        table: FloatTensor<Self>,
        positions: IntTensor<Self>,
        heads: rotary::Heads,
        other: usize,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        spans: IntTensor<Self>,
        heads: attention::Heads,
    ) -> FloatTensor<Self>;

    fn attention_joined(
        qk: FloatTensor<Self>,
        v: FloatTensor<Self>,
        spans: IntTensor<Self>,
        heads: attention::Heads,
    ) -> FloatTensor<Self>;

    fn attention_relative(
        qk: FloatTensor<Self>,
        v: FloatTensor<Self>,
        spans: IntTensor<Self>,
        bias: FloatTensor<Self>,
        heads: attention::Heads,
    ) -> FloatTensor<Self>;

    fn glu(gate: FloatTensor<Self>, up: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;

    fn layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    fn layer_mix(mix: FloatTensor<Self>, hidden: FloatTensor<Self>, alpha: f32) -> FloatTensor<Self>;

    fn round_bf16(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn segment_mean(x: FloatTensor<Self>, segments: IntTensor<Self>) -> FloatTensor<Self>;

    fn multiply_adds(x: FloatTensor<Self>, rounds: usize) -> FloatTensor<Self>;

    fn copy(x: FloatTensor<Self>, times: usize) -> FloatTensor<Self>;
}

macro_rules! implement {
    ($backend:ty, $run:ident) => {
        impl EncoderBackend for $backend {
            fn quant_matmul(
                x: FloatTensor<Self>,
                words: IntTensor<Self>,
                scales: IntTensor<Self>,
                product: Product,
            ) -> FloatTensor<Self> {
                product::$run(x, words, scales, None, product)
            }

            fn quant_matmul_add(
                x: FloatTensor<Self>,
                words: IntTensor<Self>,
                scales: IntTensor<Self>,
                addend: FloatTensor<Self>,
                product: Product,
            ) -> FloatTensor<Self> {
                product::$run(x, words, scales, Some(addend), product)
            }

            fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self> {
                rms_norm::$run(x, weight, epsilon)
            }

            fn rotary(
                x: FloatTensor<Self>,
                table: FloatTensor<Self>,
                positions: IntTensor<Self>,
                heads: rotary::Heads,
            ) -> FloatTensor<Self> {
                rotary::$run(x, None, table, positions, heads)
            }

            fn norm_rotary(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                table: FloatTensor<Self>,
                positions: IntTensor<Self>,
                heads: rotary::Heads,
                other: usize,
                epsilon: f32,
            ) -> FloatTensor<Self> {
                rotary::$run(x, Some(HeadNorm { weight, other, epsilon }), table, positions, heads)
            }

            fn attention(
                q: FloatTensor<Self>,
                k: FloatTensor<Self>,
                v: FloatTensor<Self>,
                spans: IntTensor<Self>,
                heads: attention::Heads,
            ) -> FloatTensor<Self> {
                attention::$run(q, Some(k), v, spans, None, heads)
            }

            fn attention_joined(
                qk: FloatTensor<Self>,
                v: FloatTensor<Self>,
                spans: IntTensor<Self>,
                heads: attention::Heads,
            ) -> FloatTensor<Self> {
                attention::$run(qk, None, v, spans, None, heads)
            }

            fn attention_relative(
                qk: FloatTensor<Self>,
                v: FloatTensor<Self>,
                spans: IntTensor<Self>,
                bias: FloatTensor<Self>,
                heads: attention::Heads,
            ) -> FloatTensor<Self> {
                attention::$run(qk, None, v, spans, Some(bias), heads)
            }

            fn glu(
                gate: FloatTensor<Self>,
                up: FloatTensor<Self>,
                activation: Activation,
            ) -> FloatTensor<Self> {
                glu::$run(gate, up, activation)
            }

            fn layer_norm(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: FloatTensor<Self>,
                epsilon: f32,
            ) -> FloatTensor<Self> {
                layer_norm::$run(x, weight, bias, epsilon)
            }

            fn layer_mix(mix: FloatTensor<Self>, hidden: FloatTensor<Self>, alpha: f32) -> FloatTensor<Self> {
                layer_mix::$run(mix, hidden, alpha)
            }

            fn round_bf16(x: FloatTensor<Self>) -> FloatTensor<Self> {
                round_bf16::$run(x)
            }

            fn segment_mean(x: FloatTensor<Self>, segments: IntTensor<Self>) -> FloatTensor<Self> {
                segment_mean::$run(x, segments)
            }

            fn multiply_adds(x: FloatTensor<Self>, rounds: usize) -> FloatTensor<Self> {
                multiply_adds::$run(x, rounds)
            }

            fn copy(x: FloatTensor<Self>, times: usize) -> FloatTensor<Self> {
                copy::$run(x, times)
            }
        }
    };
}

implement!(CubeBackend, launch);
implement!(Flex, twin);
