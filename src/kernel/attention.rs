//! Grouped-query attention over packed texts; contract in [`super::attention`] and attention.wgsl.

use super::launch::{self, Values, Wgsl, declare, dense, from_host, host, rows_columns};
use super::vector::{axpy, dot, exp, for_rows, simd};
use burn::backend::flex::FlexTensor;
use burn_wgpu::CubeTensor;
use std::ops::Range;

const LANES: u32 = 32;
/// Keys a block: eight scores are held beside the output's registers.
const BLOCK: usize = 8;
/// Heads that share the keys an invocation loads on a software adapter, at most: there a load costs more than the
/// arithmetic of several heads. On a GPU it is one, for its registers.
const HEADS: usize = 4;

/// The sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Of q.
    pub count: usize,
    /// Of k and v.
    pub kv: usize,
    pub dim: usize,
}

pub fn launch(
    q: CubeTensor,
    k: Option<CubeTensor>,
    v: CubeTensor,
    spans: CubeTensor,
    heads: Heads,
) -> CubeTensor {
    let (q, k, v, spans) = (dense(q), k.map(dense), dense(v), dense(spans));
    let Heads { count, kv, dim } = heads;
    let shape = [q.meta.shape()[0], count * dim];
    let columns = |x: &CubeTensor| x.meta.shape()[1];
    let first_k = if k.is_some() { 0 } else { count * dim };
    let first_v = columns(&v) - kv * dim;
    let [q_row, k_row, v_row] = [&q, k.as_ref().unwrap_or(&q), &v].map(columns);
    let quads = [q_row, k_row, v_row, first_k, first_v].map(|columns| (columns / 4) as u32);
    let info: Vec<_> = [shape[0], count, kv].map(|size| size as u32).into_iter().chain(quads).collect();
    let together = if launch::is_software() { shared_heads(count / kv) } else { 1 };
    let lanes = if launch::is_software() { 8 } else { LANES };
    let key = if k.is_some() { "k" } else { "q" };
    let kernel = Wgsl::new("attention", include_str!("attention.wgsl"), [lanes, 1])
        .set("quads", dim / 4)
        .set("block", BLOCK)
        .set("heads", together)
        .unroll(move || unrolled(dim, together, key));
    let groups = [shape[0].div_ceil(lanes as usize), count / together, 1];
    match &k {
        Some(k) => kernel
            .set("declare_k", declare(3, "k: array<vec4<f32>>"))
            .set("y_binding", 4)
            .set("info_binding", 5)
            .run(&[&q, &v, &spans, k], &info, shape, groups),
        None => kernel.set("declare_k", "").set("y_binding", 3).set("info_binding", 4).run(
            &[&q, &v, &spans],
            &info,
            shape,
            groups,
        ),
    }
}

/// The most heads of a group of `heads` that share their keys evenly.
fn shared_heads(heads: usize) -> usize {
    (1..=HEADS).rev().find(|together| heads.is_multiple_of(*together)).unwrap_or(1)
}

/// The source with its loops over heads, keys and output registers written out: WGSL has no register arrays that every
/// compiler keeps in registers.
fn unrolled(head_dim: usize, together: usize, key: &str) -> Values {
    let quads = head_dim / 4;
    // A sum takes this many vec4 in one expression: stores to a `var` are dear on software adapters.
    let step = [4, 2, 1].into_iter().find(|step| quads.is_multiple_of(*step)).unwrap_or(1);
    let lines =
        |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>().join("\n");
    let heads = |line: &dyn Fn(usize) -> String| lines(together, line);
    let keys = |line: &dyn Fn(usize) -> String| lines(BLOCK, line);
    let queries = heads(&|h| lines(step, &|e| format!("let x{h}_{e} = q[query + {}u + d];", h * quads + e)));
    let dots = keys(&|j| {
        let keys = lines(step, &|e| format!("let k{e} = {key}[row{j} + d + {e}u];"));
        let sums = heads(&|h| {
            let sum = (0..step).fold(format!("s{h}_{j}"), |sum, e| format!("({sum} + dot(x{h}_{e}, k{e}))"));
            format!("s{h}_{j} = {sum};")
        });
        format!("{{ {keys}\n{sums} }}")
    });
    let scale = 1.0 / (head_dim as f64).sqrt();
    let softmax = heads(&|h| {
        let mask =
            keys(&|j| format!("let m{h}_{j} = select(LOWEST, s{h}_{j} * {scale:e}, first + {j}u <= last);"));
        let largest = (0..BLOCK).fold(format!("largest{h}"), |all, j| format!("max({all}, m{h}_{j})"));
        let weights = keys(&|j| format!("let p{h}_{j} = exp(m{h}_{j} - next{h});"));
        let sum = (0..BLOCK).map(|j| format!("p{h}_{j}")).collect::<Vec<_>>().join(" + ");
        format!(
            "{mask}
            let next{h} = {largest};
            let keep{h} = exp(largest{h} - next{h});
            {weights}
            total{h} = total{h} * keep{h} + {sum};
            largest{h} = next{h};"
        )
    });
    let accumulate = lines(quads, &|d| {
        let values = keys(&|j| format!("let v{j} = v[value{j} + {d}u];"));
        let sums = heads(&|h| {
            let terms: Vec<_> = (0..BLOCK).map(|j| format!("p{h}_{j} * v{j}")).collect();
            format!("o{h}_{d} = o{h}_{d} * keep{h} + ({});", terms.join(" + "))
        });
        format!("{{ {values}\n{sums} }}")
    });
    let declare = heads(&|h| {
        let output = lines(quads, &|d| format!("var o{h}_{d} = vec4<f32>();"));
        format!("var largest{h} = LOWEST;\nvar total{h} = 0.0;\n{output}")
    });
    let store = heads(&|h| {
        let output = lines(quads, &|d| format!("y[output + {}u] = o{h}_{d} * scale{h};", h * quads + d));
        format!("let scale{h} = 1.0 / total{h};\n{output}")
    });
    let rows = keys(&|j| {
        format!(
            "let token{j} = min(first + {j}u, last);
            let row{j} = token{j} * info[4] + first_k;
            let value{j} = token{j} * info[5] + first_v;"
        )
    });
    vec![
        ("step", step.to_string()),
        ("declare", declare),
        ("rows", rows),
        ("scores", heads(&|h| keys(&|j| format!("var s{h}_{j} = 0.0;")))),
        ("dots", format!("{queries}\n{dots}")),
        ("softmax", softmax),
        ("accumulate", accumulate),
        ("store", store),
    ]
}

pub fn twin(
    q: FlexTensor,
    k: Option<FlexTensor>,
    v: FlexTensor,
    spans: FlexTensor,
    heads: Heads,
) -> FlexTensor {
    let Heads { count, kv, dim } = heads;
    let (q, k, v, spans) = (host(q), k.map(host), host(v), host(spans));
    let [rows, q_columns] = rows_columns(&q);
    let [_, v_columns] = rows_columns(&v);
    let (query, spans) = (q.storage::<f32>(), spans.storage::<u32>());
    let k = match &k {
        Some(k) => Columns { values: k.storage(), stride: rows_columns(k)[1], first: 0 },
        None => Columns { values: query, stride: q_columns, first: count * dim },
    };
    let v = Columns { values: v.storage(), stride: v_columns, first: v_columns - kv * dim };
    let width = count * dim;
    let mut output = vec![0.0; rows * width];
    for_rows(&mut output, width, |token, out| {
        let span = spans[2 * token] as usize..spans[2 * token + 1] as usize;
        for (head, out) in out.chunks_mut(dim).enumerate() {
            let q = &query[token * q_columns + head * dim..][..dim];
            let column = head / (count / kv) * dim;
            attend(q, &k.from(column), &v.from(column), span.clone(), out);
        }
    });
    from_host(output, [rows, width])
}

/// The columns of a tensor from `first` on.
#[derive(Clone, Copy)]
struct Columns<'a> {
    values: &'a [f32],
    stride: usize,
    first: usize,
}

impl Columns<'_> {
    fn from(&self, column: usize) -> Self {
        Self { first: self.first + column, ..*self }
    }
}

simd!(fn attend(q: &[f32], k: &Columns, v: &Columns, span: Range<usize>, out: &mut [f32]) = attend_body);

#[inline(always)]
fn attend_body<const FMA: bool>(q: &[f32], k: &Columns, v: &Columns, span: Range<usize>, out: &mut [f32]) {
    let scale = (q.len() as f32).powf(-0.5);
    let row = |x: &Columns, token: usize| {
        let start = token * x.stride + x.first;
        start..start + q.len()
    };
    // Loops, not iterator adaptors: what those call is compiled without the processor's extra instructions.
    let mut weights = vec![0f32; span.len()];
    let mut largest = f32::MIN;
    for (j, weight) in weights.iter_mut().enumerate() {
        *weight = dot::<FMA>(q, &k.values[row(k, span.start + j)]) * scale;
        largest = largest.max(*weight);
    }
    let mut total = 0f32;
    for weight in &mut weights {
        *weight = exp::<FMA>(*weight - largest);
    }
    for weight in &weights {
        total += *weight;
    }
    for (j, weight) in weights.iter().enumerate() {
        axpy::<FMA>(weight / total, &v.values[row(v, span.start + j)], out);
    }
}
