//! Rotary position embedding, with or without the norm over each head before it; contract in [`super::rotary`],
//! [`super::norm_rotary`] and rotary.wgsl.

use super::launch::{Wgsl, dense, fold, from_host, host, rows_columns};
use super::rms_norm::normalize;
use super::vector::for_rows;
use burn::backend::flex::FlexTensor;
use burn_wgpu::CubeTensor;

const LANES: u32 = 64;
const MEASURE: &str = "var sum = 0.0;
    for (var i = 0u; i < head_dim; i++) { sum += x[base + i] * x[base + i]; }
    scale = 1.0 / sqrt(sum / f32(head_dim) + bitcast<f32>(info[3]));";

/// The norm over each head that goes before the rotation.
pub struct HeadNorm<T> {
    pub weight: T,
    pub epsilon: f32,
}

pub fn launch(
    x: CubeTensor,
    norm: Option<HeadNorm<CubeTensor>>,
    table: CubeTensor,
    positions: CubeTensor,
    head_dim: usize,
) -> CubeTensor {
    let (x, table, positions) = (dense(x), dense(table), dense(positions));
    let norm = norm.map(|norm| HeadNorm { weight: dense(norm.weight), ..norm });
    let shape = [x.meta.shape()[0], x.meta.shape()[1]];
    let heads = shape[1] / head_dim;
    let epsilon = norm.as_ref().map_or(0.0, |norm| norm.epsilon);
    let info = [shape[0] as u32, heads as u32, head_dim as u32, epsilon.to_bits()];
    let [columns, rows] = fold((shape[0] * heads).div_ceil(LANES as usize));
    let kernel = Wgsl::new("rotary", include_str!("rotary.wgsl"), [LANES, 1]);
    let groups = [columns, rows, 1];
    match &norm {
        Some(norm) => kernel
            .set("declare_weight", "@group(0) @binding(3) var<storage, read_write> weight: array<f32>;")
            .set("info_binding", 4)
            .set("y_binding", 5)
            .set("measure", MEASURE)
            .set("weight_low", " * weight[i]")
            .set("weight_high", " * weight[half + i]")
            .run(&[&x, &table, &positions, &norm.weight], &info, shape, groups),
        None => kernel
            .set("declare_weight", "")
            .set("info_binding", 3)
            .set("y_binding", 4)
            .set("measure", "")
            .set("weight_low", "")
            .set("weight_high", "")
            .run(&[&x, &table, &positions], &info, shape, groups),
    }
}

pub fn twin(
    x: FlexTensor,
    norm: Option<HeadNorm<FlexTensor>>,
    table: FlexTensor,
    positions: FlexTensor,
    head_dim: usize,
) -> FlexTensor {
    let (x, table, positions) = (host(x), host(table), host(positions));
    let [rows, width] = rows_columns(&x);
    let norm = norm.map(|norm| HeadNorm { weight: host(norm.weight), ..norm });
    let (table, positions) = (table.storage::<f32>(), positions.storage::<u32>());
    let mut output = x.storage::<f32>().to_vec();
    for_rows(&mut output, width, |token, out| {
        let (cosines, sines) =
            table[positions[token] as usize * head_dim..][..head_dim].split_at(head_dim / 2);
        for head in out.chunks_mut(head_dim) {
            if let Some(norm) = &norm {
                let input = head.to_vec();
                normalize(&input, norm.weight.storage::<f32>(), norm.epsilon, head);
            }
            rotate(head, cosines, sines);
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
