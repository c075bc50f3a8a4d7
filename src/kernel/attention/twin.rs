//! Attention on the CPU. For a few tokens and one head, scores and values are two products with panels, like products
//! with a weight.

use super::Heads;
use crate::kernel::activation::tanh;
use crate::kernel::cpu::vector::{BLOCK_ROWS, PANEL, exp, for_rows, multiply_rows, simd};
use crate::kernel::cpu::{from_host, host, rows_columns};
use burn::backend::flex::FlexTensor;

/// The CPU twin of [`super::launch()`].
pub(crate) fn twin(
    q: FlexTensor,
    k: Option<FlexTensor>,
    v: FlexTensor,
    spans: FlexTensor,
    bias: Option<FlexTensor>,
    heads: Heads,
) -> FlexTensor {
    let Heads { count, kv, dim, .. } = heads;
    let (q, k, v, spans, bias) = (host(q), k.map(host), host(v), host(spans), bias.map(host));
    let [rows, q_columns] = rows_columns(&q);
    let [_, v_columns] = rows_columns(&v);
    let (query, spans) = (q.storage::<f32>(), spans.storage::<u32>().as_chunks::<2>().0);
    let (k, k_columns, first_k) = match &k {
        Some(k) => (k.storage(), rows_columns(k)[1], 0),
        None => (query, q_columns, count * dim),
    };
    let keys: Vec<_> = (0..kv).map(|head| key_panels(k, k_columns, first_k + head * dim, dim)).collect();
    let first_v = v_columns - kv * dim;
    let values: Vec<_> =
        (0..kv).map(|head| value_panels(v.storage(), v_columns, first_v + head * dim, dim)).collect();
    let columns: Option<Vec<Vec<f32>>> = bias.as_ref().map(|bias| {
        let rows = bias.storage::<f32>();
        (0..count).map(|head| rows[head..].iter().step_by(count).copied().collect()).collect()
    });
    let width = count * dim;
    let mut output = vec![0.0; rows * width];
    for_rows(&mut output, BLOCK_ROWS * width, |block, out| {
        let tokens = block * BLOCK_ROWS..(block * BLOCK_ROWS + BLOCK_ROWS).min(rows);
        let spans = &spans[tokens.clone()];
        for head in 0..count {
            let mut x = vec![[0f32; BLOCK_ROWS]; dim];
            for (i, token) in tokens.clone().enumerate() {
                let q = &query[token * q_columns + head * dim..][..dim];
                x.iter_mut().zip(q).for_each(|(x, q)| x[i] = *q);
            }
            let of = head / (count / kv);
            let bias = columns.as_ref().map(|columns| columns[head].as_slice());
            let scores = Scores { heads, bias, first: tokens.start };
            attend(&x, &keys[of], &values[of], spans, scores, Out { values: out, width, first: head * dim });
        }
    });
    from_host(output, [rows, width])
}

/// A head's keys, [`PANEL`] tokens per panel: `[T / PANEL][dim][PANEL]`, zero past the last token.
fn key_panels(k: &[f32], columns: usize, first: usize, dim: usize) -> Vec<[f32; PANEL]> {
    let mut panels = vec![[0f32; PANEL]; (k.len() / columns).div_ceil(PANEL) * dim];
    for (token, row) in k.chunks_exact(columns).enumerate() {
        let panel = &mut panels[token / PANEL * dim..][..dim];
        panel.iter_mut().zip(&row[first..]).for_each(|(panel, value)| panel[token % PANEL] = *value);
    }
    panels
}

/// A head's values, [`PANEL`] of its numbers per panel: `[dim / PANEL][T][PANEL]`, zero past the last number.
fn value_panels(v: &[f32], columns: usize, first: usize, dim: usize) -> Vec<[f32; PANEL]> {
    let tokens = v.len() / columns;
    let mut panels = vec![[0f32; PANEL]; dim.div_ceil(PANEL) * tokens];
    for (token, row) in v.chunks_exact(columns).enumerate() {
        for (index, part) in row[first..first + dim].chunks(PANEL).enumerate() {
            panels[index * tokens + token][..part.len()].copy_from_slice(part);
        }
    }
    panels
}

/// The place of a head's results: the columns from `first` on, in rows of `width`.
struct Out<'a> {
    values: &'a mut [f32],
    width: usize,
    first: usize,
}

/// How the scores of a head are made of its products.
struct Scores<'a> {
    heads: Heads,
    /// The head's biases by distance, `[2 M + 1]`.
    bias: Option<&'a [f32]>,
    /// The token of the first query.
    first: usize,
}

impl Scores<'_> {
    /// Caps the scaled products of the keys from `first` on, and adds the biases.
    #[inline(always)]
    fn finish<const FMA: bool>(&self, weights: &mut [[f32; BLOCK_ROWS]], first: usize) {
        if let Some(cap) = self.heads.cap {
            let inverse = 1.0 / cap;
            for weight in weights.iter_mut().flatten() {
                *weight = cap * tanh::<FMA>(*weight * inverse);
            }
        }
        let Some(bias) = self.bias else { return };
        let reach = (bias.len() / 2) as isize;
        for (key, weights) in weights.iter_mut().enumerate() {
            for (i, weight) in weights.iter_mut().enumerate() {
                let distance = (first + key) as isize - (self.first + i) as isize;
                *weight += bias[(distance.clamp(-reach, reach) + reach) as usize];
            }
        }
    }
}

simd!(fn attend(
    x: &[[f32; BLOCK_ROWS]],
    keys: &[[f32; PANEL]],
    values: &[[f32; PANEL]],
    spans: &[[u32; 2]],
    scores: Scores,
    out: Out,
) = attend_body);

/// Attention of one head of some tokens, `x [dim, BLOCK_ROWS]`, over all keys that one of the tokens attends to. Keys
/// that a token does not attend to have weight zero, and change no bit of its sums.
#[inline(always)]
fn attend_body<const FMA: bool>(
    x: &[[f32; BLOCK_ROWS]],
    keys: &[[f32; PANEL]],
    values: &[[f32; PANEL]],
    spans: &[[u32; 2]],
    scores: Scores,
    out: Out,
) {
    let dim = x.len();
    let scale = scores.heads.scale;
    let (mut start, mut end) = ([0usize; BLOCK_ROWS], [0usize; BLOCK_ROWS]);
    let (mut first, mut last) = (usize::MAX, 0);
    for (i, span) in spans.iter().enumerate() {
        (start[i], end[i]) = (span[0] as usize, span[1] as usize);
        (first, last) = (first.min(start[i]), last.max(end[i]));
    }

    // 1. Scores, from the panel that has the first key: [keys, BLOCK_ROWS].
    let first = first / PANEL * PANEL;
    let mut weights = vec![[0f32; BLOCK_ROWS]; (last - first).next_multiple_of(PANEL)];
    for (block, weights) in weights.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
        let sums = multiply_rows::<FMA>(x, &keys[(first / PANEL + block) * dim..][..dim]);
        for j in 0..PANEL {
            for i in 0..BLOCK_ROWS {
                weights[j][i] = sums[i][j] * scale;
            }
        }
    }
    weights.truncate(last - first);
    scores.finish::<FMA>(&mut weights, first);

    // 2. Softmax of each row over its own span, the division left to the end.
    let inside = |key: usize, i: usize| (first + key >= start[i]) & (first + key < end[i]);
    let (mut largest, mut totals) = ([f32::MIN; BLOCK_ROWS], [0f32; BLOCK_ROWS]);
    for (key, weights) in weights.iter().enumerate() {
        for i in 0..BLOCK_ROWS {
            largest[i] = largest[i].max(if inside(key, i) { weights[i] } else { f32::MIN });
        }
    }
    for (key, weights) in weights.iter_mut().enumerate() {
        for i in 0..BLOCK_ROWS {
            let weight = exp::<FMA>(weights[i] - largest[i]);
            weights[i] = if inside(key, i) { weight } else { 0.0 };
            totals[i] += weights[i];
        }
    }

    // 3. The weighted sum of the values.
    let tokens = values.len() / dim.div_ceil(PANEL);
    for (index, panel) in values.chunks_exact(tokens).enumerate() {
        let sums = multiply_rows::<FMA>(&weights, &panel[first..last]);
        let width = PANEL.min(dim - index * PANEL);
        for i in 0..spans.len() {
            let out = &mut out.values[i * out.width + out.first + index * PANEL..][..width];
            for j in 0..width {
                out[j] = sums[i][j] / totals[i];
            }
        }
    }
}
