//! Grouped-query attention over packed texts; contract in [`super::attention`] and attention.wgsl.

use super::launch::{Wgsl, dense, from_host, host, rows_columns};
use super::vector::{axpy, dot, for_rows, simd};
use burn::backend::flex::FlexTensor;
use burn_wgpu::CubeTensor;
use std::ops::Range;

const LANES: u32 = 32;
/// Keys a block: eight scores are held beside the output's registers.
const BLOCK: usize = 8;

pub fn launch(q: CubeTensor, k: CubeTensor, v: CubeTensor, spans: CubeTensor, head_dim: usize) -> CubeTensor {
    let (q, k, v, spans) = (dense(q), dense(k), dense(v), dense(spans));
    let shape = [q.meta.shape()[0], q.meta.shape()[1]];
    let heads = shape[1] / head_dim;
    let kv_heads = k.meta.shape()[1] / head_dim;
    unrolled(head_dim).run(
        &[&q, &k, &v, &spans],
        &[shape[0] as u32, heads as u32, kv_heads as u32],
        shape,
        [shape[0].div_ceil(LANES as usize), heads, 1],
    )
}

/// The source with its loops over keys and output registers written out: WGSL has no register arrays that every
/// compiler keeps in registers.
fn unrolled(head_dim: usize) -> Wgsl {
    let quads = head_dim / 4;
    let keys = |line: &dyn Fn(usize) -> String| (0..BLOCK).map(line).collect::<Vec<_>>().join("\n");
    let registers = |line: &dyn Fn(usize) -> String| (0..quads).map(line).collect::<Vec<_>>().join("\n");
    let scale = 1.0 / (head_dim as f64).sqrt();
    Wgsl::new("attention", include_str!("attention.wgsl"), [LANES, 1])
        .set("quads", quads)
        .set("block", BLOCK)
        .set("declare", registers(&|d| format!("var o{d} = vec4<f32>();")))
        .set(
            "rows",
            keys(&|j| format!("let row{j} = (min(first + {j}u, last) * kv_heads + group) * {quads}u;")),
        )
        .set("scores", keys(&|j| format!("var s{j} = 0.0;")))
        .set("dots", keys(&|j| format!("s{j} += dot(x, k[row{j} + d]);")))
        .set("mask", keys(&|j| format!("s{j} = select(LOWEST, s{j} * {scale:e}, first + {j}u <= last);")))
        .set("block_maximum", (0..BLOCK).fold("largest".into(), |all, j| format!("max({all}, s{j})")))
        .set("weights", keys(&|j| format!("let p{j} = exp(s{j} - next);")))
        .set("block_sum", (0..BLOCK).map(|j| format!("p{j}")).collect::<Vec<_>>().join(" + "))
        .set(
            "accumulate",
            registers(&|d| {
                let terms: Vec<_> = (0..BLOCK).map(|j| format!("p{j} * v[row{j} + {d}u]")).collect();
                format!("o{d} = o{d} * keep + ({});", terms.join(" + "))
            }),
        )
        .set("store", registers(&|d| format!("y[query + {d}u] = o{d} * scale;")))
}

pub fn twin(q: FlexTensor, k: FlexTensor, v: FlexTensor, spans: FlexTensor, head_dim: usize) -> FlexTensor {
    let (q, k, v, spans) = (host(q), host(k), host(v), host(spans));
    let [rows, width] = rows_columns(&q);
    let [_, kv_width] = rows_columns(&k);
    let (query, spans) = (q.storage::<f32>(), spans.storage::<u32>());
    let keys = KeysValues { k: k.storage(), v: v.storage(), stride: kv_width };
    let heads_per_group = width / kv_width;
    let mut output = vec![0.0; rows * width];
    for_rows(&mut output, width, |token, out| {
        let span = spans[2 * token] as usize..spans[2 * token + 1] as usize;
        for (head, out) in out.chunks_mut(head_dim).enumerate() {
            let q = &query[token * width + head * head_dim..][..head_dim];
            let column = head / heads_per_group * head_dim;
            attend(q, &keys, column, span.clone(), out);
        }
    });
    from_host(output, [rows, width])
}

struct KeysValues<'a> {
    k: &'a [f32],
    v: &'a [f32],
    stride: usize,
}

simd!(fn attend(q: &[f32], keys: &KeysValues, column: usize, span: Range<usize>, out: &mut [f32]) = attend_body);

#[inline(always)]
fn attend_body<const FMA: bool>(
    q: &[f32],
    keys: &KeysValues,
    column: usize,
    span: Range<usize>,
    out: &mut [f32],
) {
    let scale = (q.len() as f32).powf(-0.5);
    let at = |token: usize| token * keys.stride + column..token * keys.stride + column + q.len();
    // Loops, not iterator adaptors: what those call is compiled without the processor's extra instructions.
    let mut weights = vec![0f32; span.len()];
    let mut largest = f32::MIN;
    for (j, weight) in weights.iter_mut().enumerate() {
        *weight = dot::<FMA>(q, &keys.k[at(span.start + j)]) * scale;
        largest = largest.max(*weight);
    }
    let mut total = 0f32;
    for weight in &mut weights {
        *weight = (*weight - largest).exp();
        total += *weight;
    }
    for (j, weight) in weights.iter().enumerate() {
        axpy::<FMA>(weight / total, &keys.v[at(span.start + j)], out);
    }
}
