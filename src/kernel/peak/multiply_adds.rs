//! Multiply-adds, which measure the device's peak: contract, launch and twin. The formula is in multiply_adds.wgsl.

use crate::kernel::backend::EncoderBackend;
use crate::kernel::cpu::vector::{for_rows, madd, simd};
use crate::kernel::cpu::{from_host, host, rows_columns};
use crate::kernel::launch::dense;
use crate::kernel::launch::elements::over_elements;
use crate::kernel::launch::info::info;
use crate::kernel::launch::text::lines;
use burn::backend::Dispatch;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use burn_wgpu::CubeTensor;

/// Independent chains of multiply-adds of an element.
const CHAINS: usize = 16;
/// Operations of [`multiply_adds`] on an element, per round.
pub const MULTIPLY_ADD_FLOP: usize = 2 * CHAINS;

/// Rounds that are written out in one expression.
const UNROLLED: usize = 8;

/// Multiply-adds alone, to measure the device's peak: `[T, D]` -> `[T, D]`. Sixteen values start as `a = x + j / 16`
/// for each element, become `a x + x` in each of `rounds` rounds, and are summed: `MULTIPLY_ADD_FLOP * rounds`
/// operations per element.
pub fn multiply_adds(x: Tensor<2>, rounds: usize) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::multiply_adds(x.into_dispatch(), rounds))
}

/// Launches [`multiply_adds`].
pub(crate) fn launch(x: CubeTensor, rounds: usize) -> CubeTensor {
    let x = dense(x);
    let shape = [x.meta.shape()[0], x.meta.shape()[1]];
    let count = shape[0] * shape[1];
    let info = info! { length: count, rounds };
    let (kernel, groups) = over_elements("multiply_adds", include_str!("multiply_adds.wgsl"), count, info);
    let declare = |j: usize| format!("var a{j} = b + {:?};", j as f32 / CHAINS as f32);
    let chains: Vec<_> = (0..CHAINS).map(|j| format!("a{j}")).collect();
    kernel
        .set("declare", lines(CHAINS, &declare))
        .set("unrolled", UNROLLED)
        .set("multiply_adds", lines(CHAINS, &|j| format!("a{j} = {};", rounds_of(j, UNROLLED))))
        .set("multiply_add", lines(CHAINS, &|j| format!("a{j} = {};", rounds_of(j, 1))))
        .set("sum", chains.join(" + "))
        .run(&[&x], shape, groups)
}

/// `rounds` rounds of chain `j` in one expression.
fn rounds_of(j: usize, rounds: usize) -> String {
    (0..rounds).fold(format!("a{j}"), |a, _| format!("({a} * b + b)"))
}

/// Elements whose chains fill the registers: with eight chains at once, eight vectors of AVX2 or of wasm, or sixteen of
/// SSE2.
const VECTOR_ELEMENTS: usize = if cfg!(target_family = "wasm") { 4 } else { 8 };
/// Chains that are computed at once.
const CHAINS_AT_ONCE: usize = CHAINS / 2;

/// The CPU twin of [`launch`].
pub(crate) fn twin(x: FlexTensor, rounds: usize) -> FlexTensor {
    let x = host(x);
    let [rows, width] = rows_columns(&x);
    let values = x.storage::<f32>();
    let mut output = vec![0.0; rows * width];
    for_rows(&mut output, width, |row, out| multiply_add_row(&values[row * width..][..width], rounds, out));
    from_host(output, [rows, width])
}

simd! { fn multiply_add_row(x: &[f32], rounds: usize, out: &mut [f32]) = multiply_add_body }

#[inline(always)]
fn multiply_add_body<const FMA: bool>(x: &[f32], rounds: usize, out: &mut [f32]) {
    for (x, out) in x.chunks(VECTOR_ELEMENTS).zip(out.chunks_mut(VECTOR_ELEMENTS)) {
        let mut b = [0f32; VECTOR_ELEMENTS];
        b[..x.len()].copy_from_slice(x);
        let mut sum = [0f32; VECTOR_ELEMENTS];
        for half in 0..2 {
            let mut a: [[f32; VECTOR_ELEMENTS]; CHAINS_AT_ONCE] =
                std::array::from_fn(|j| b.map(|b| b + (half * CHAINS_AT_ONCE + j) as f32 / CHAINS as f32));
            for _ in 0..rounds {
                for a in &mut a {
                    for (a, b) in a.iter_mut().zip(&b) {
                        *a = madd::<FMA>(*a, *b, *b);
                    }
                }
            }
            for a in a {
                for (sum, a) in sum.iter_mut().zip(a) {
                    *sum += a;
                }
            }
        }
        out.copy_from_slice(&sum[..out.len()]);
    }
}
