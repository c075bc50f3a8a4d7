//! Rotary position embedding, with or without a norm over each head before it: contracts, launch and twin. The formula
//! is in rotary.wgsl.

pub(super) mod table;

use crate::kernel::backend::EncoderBackend;
use crate::kernel::cpu::vector::for_rows;
use crate::kernel::cpu::{from_host, host, rows_columns};
use crate::kernel::launch::elements::over_elements;
use crate::kernel::launch::info::info;
use crate::kernel::launch::{declare, dense};
use crate::kernel::norm::rms_norm::normalize;
use burn::backend::Dispatch;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Int, Tensor};
use burn_wgpu::CubeTensor;

/// Rotate-half RoPE (arXiv 2104.09864) on the heads in each row's first columns:
/// `x [T, at least heads.count * heads.dim]`, `table [P, head_dim]` from [`crate::kernel::rotary_table`],
/// `positions [T]` u32 below `P` -> `[T, heads.count * heads.dim]`.
pub fn rotary(x: Tensor<2>, table: Tensor<2>, positions: Tensor<1, Int>, heads: Heads) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::rotary(
        x.into_dispatch(),
        table.into_dispatch(),
        positions.into_dispatch(),
        heads,
    ))
}

/// RMS norm over each head, then [`rotary`]. `weight [head_dim]` is for the heads before `other`; another `[head_dim]`
/// after it is for the heads from there on; `epsilon` is added to the mean of the squares.
pub fn norm_rotary(
    x: Tensor<2>,
    weight: Tensor<1>,
    table: Tensor<2>,
    positions: Tensor<1, Int>,
    heads: Heads,
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

/// The text of the norm: where a head's weights begin, and what its values are multiplied by.
const NORM: &str = "var sum = 0.0;
    for (var i = 0u; i < head_dim; i++) { sum += x[base + i] * x[base + i]; }
    scale = 1.0 / sqrt(sum / f32(head_dim) + info.epsilon);
    let weights = select(0u, head_dim, head % info.H >= info.other);";

/// The norm over each head before the rotation.
pub(super) struct HeadNorm<T> {
    /// `[head_dim]`, and another `[head_dim]` after it for the heads from `other` on.
    pub weight: T,
    /// The first head that the second weight is for.
    pub other: usize,
    /// The number that is added to the mean of the squares.
    pub epsilon: f32,
}

/// The heads that are rotated: those in a row's first columns.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Number of heads.
    pub count: usize,
    /// Numbers in a head, head_dim: even.
    pub dim: usize,
}

/// Launches [`norm_rotary`], or [`rotary`] without a `norm`.
pub(super) fn launch(
    x: CubeTensor,
    norm: Option<HeadNorm<CubeTensor>>,
    table: CubeTensor,
    positions: CubeTensor,
    heads: Heads,
) -> CubeTensor {
    let (x, table, positions) = (dense(x), dense(table), dense(positions));
    let norm = norm.map(|norm| HeadNorm { weight: dense(norm.weight), ..norm });
    let [tokens, width] = [x.meta.shape()[0], x.meta.shape()[1]];
    let shape = [tokens, heads.count * heads.dim];
    let (epsilon, other) = norm.as_ref().map_or((0.0, 0), |norm| (norm.epsilon, norm.other));
    let info = info! { T: tokens, H: heads.count, head_dim: heads.dim, epsilon, width, other };
    let (kernel, groups) = over_elements("rotary", include_str!("rotary.wgsl"), tokens * heads.count, info);
    match &norm {
        Some(norm) => kernel
            .set("declare_weight", declare(3, "weight: array<f32>"))
            .set("norm", NORM)
            .set("weight_low", " * weight[weights + i]")
            .set("weight_high", " * weight[weights + half + i]")
            .run(&[&x, &table, &positions, &norm.weight], shape, groups),
        None => kernel
            .set("declare_weight", "")
            .set("norm", "")
            .set("weight_low", "")
            .set("weight_high", "")
            .run(&[&x, &table, &positions], shape, groups),
    }
}

/// The CPU twin of [`launch`].
pub(super) fn twin(
    x: FlexTensor,
    norm: Option<HeadNorm<FlexTensor>>,
    table: FlexTensor,
    positions: FlexTensor,
    heads: Heads,
) -> FlexTensor {
    let (x, table, positions) = (host(x), host(table), host(positions));
    let [rows, columns] = rows_columns(&x);
    let (head_dim, width) = (heads.dim, heads.count * heads.dim);
    let norm = norm.map(|norm| HeadNorm { weight: host(norm.weight), ..norm });
    let (table, positions) = (table.storage::<f32>(), positions.storage::<u32>());
    let input = x.storage::<f32>();
    let mut output = vec![0.0; rows * width];
    for_rows(&mut output, width, |token, out| {
        let x = &input[token * columns..][..width];
        let (cosines, sines) =
            table[positions[token] as usize * head_dim..][..head_dim].split_at(head_dim / 2);
        for (index, (out, x)) in out.chunks_mut(head_dim).zip(x.chunks(head_dim)).enumerate() {
            match &norm {
                Some(norm) => {
                    let first = if index < norm.other { 0 } else { head_dim };
                    let weight = &norm.weight.storage::<f32>()[first..][..head_dim];
                    normalize(x, weight, norm.epsilon, out);
                }
                None => out.copy_from_slice(x),
            }
            rotate(out, cosines, sines);
        }
    });
    from_host(output, [rows, width])
}

fn rotate(head: &mut [f32], cosines: &[f32], sines: &[f32]) {
    let (low, high) = head.split_at_mut(cosines.len());
    for (((a, b), c), s) in low.iter_mut().zip(high).zip(cosines).zip(sines) {
        (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
    }
}
