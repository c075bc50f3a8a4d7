//! Grouped-query attention over packed texts: its contract and its launch. The formula is in attention.wgsl.

mod twin;

use crate::device::class::is_software;
use crate::kernel::activation::tanh_wgsl;
use crate::kernel::backend::EncoderBackend;
use crate::kernel::launch::info::info;
use crate::kernel::launch::text::lines;
use crate::kernel::launch::{Values, Wgsl, declare, dense};
use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor};
use burn_wgpu::CubeTensor;
pub(super) use twin::twin;

/// Grouped-query attention (arXiv 2305.13245) of each query over its own range of keys, with the scale and the cap of
/// `heads`; gives `[Q, H * head_dim]`.
///
/// q is the first `H * head_dim` columns of `q [Q, ...]`. k is the first `KV * head_dim` columns of `k [T, ...]`, or,
/// without one, those after q in the same tensor. v is the last `KV * head_dim` columns of `v [T, ...]`. `spans [Q, 2]`
/// u32 holds each query's first key and the end of its keys; no span is empty. Attention is causal inside a text if a
/// span ends at the query's own place plus one.
pub fn attention(
    q: Tensor<2>,
    k: Option<Tensor<2>>,
    v: Tensor<2>,
    spans: Tensor<2, Int>,
    heads: Heads,
) -> Tensor<2> {
    let (q, v, spans) = (q.into_dispatch(), v.into_dispatch(), spans.into_dispatch());
    Tensor::from_dispatch(match k {
        Some(k) => Dispatch::attention(q, k.into_dispatch(), v, spans, heads),
        None => Dispatch::attention_joined(q, v, spans, heads),
    })
}

/// As [`attention`] of a text's own tokens, with a bias on each score that follows from the distance of its two tokens:
/// `bias [2 M + 1, H]`, row `j - i + M` for the query of token i and the key of token j, distances past M as M. `qk` has q
/// and k side by side, and Q = T.
pub fn attention_relative(
    qk: Tensor<2>,
    v: Tensor<2>,
    spans: Tensor<2, Int>,
    bias: Tensor<2>,
    heads: Heads,
) -> Tensor<2> {
    let (qk, v, spans) = (qk.into_dispatch(), v.into_dispatch(), spans.into_dispatch());
    Tensor::from_dispatch(Dispatch::attention_relative(qk, v, spans, bias.into_dispatch(), heads))
}

/// Invocations of a GPU's workgroup, along queries.
const QUERY_LANES: u32 = 32;
/// Keys in a block: one score each is held in registers, beside the output.
const KEY_BLOCK: usize = 8;
/// Keys in a block on a software adapter: four are as fast as eight there, and compile in half the time and memory.
const SOFTWARE_KEY_BLOCK: usize = 4;
/// The most heads that share the keys an invocation loads on a software adapter: there a load costs more than the
/// arithmetic of several heads. On a GPU it is one head, because of its registers.
const MOST_HEADS: usize = 4;

/// The heads of an attention, and how their scores are made of the products of q and k.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Number of q's heads, H: a multiple of `kv`.
    pub count: usize,
    /// Number of k's and of v's heads, KV.
    pub kv: usize,
    /// Numbers in a head, head_dim: a multiple of 4.
    pub dim: usize,
    /// The factor of a score.
    pub scale: f32,
    /// The size that no score passes: `cap * tanh(score / cap)` (Gemma 2).
    pub cap: Option<f32>,
}

impl Heads {
    /// Heads with the usual scale, `dim^-0.5`, and without a cap.
    pub fn new(count: usize, kv: usize, dim: usize) -> Self {
        Self { count, kv, dim, scale: (1.0 / (dim as f64).sqrt()) as f32, cap: None }
    }
}

/// Launches [`attention`], or [`attention_relative`] with a `bias` and without `k`.
pub(super) fn launch(
    q: CubeTensor,
    k: Option<CubeTensor>,
    v: CubeTensor,
    spans: CubeTensor,
    bias: Option<CubeTensor>,
    heads: Heads,
) -> CubeTensor {
    let (q, k, v, spans, bias) = (dense(q), k.map(dense), dense(v), dense(spans), bias.map(dense));
    let Heads { count, kv, dim, .. } = heads;
    let shape = [q.meta.shape()[0], count * dim];
    let columns = |x: &CubeTensor| x.meta.shape()[1];
    let first_k = if k.is_some() { 0 } else { count * dim };
    let first_v = columns(&v) - kv * dim;
    let [q_row, k_row, v_row] = [&q, k.as_ref().unwrap_or(&q), &v].map(columns);
    let info = info! {
        Q: shape[0],
        H: count,
        KV: kv,
        q_row: q_row / 4,
        k_row: k_row / 4,
        v_row: v_row / 4,
        first_k: first_k / 4,
        first_v: first_v / 4,
        reach: bias.as_ref().map_or(0, |bias| bias.meta.shape()[0] / 2),
    };
    let (together, block, lanes) = match is_software() {
        true => (shared_heads(count / kv), SOFTWARE_KEY_BLOCK, 8),
        false => (1, KEY_BLOCK, QUERY_LANES),
    };
    let key = if k.is_some() { "k" } else { "q" };
    let kernel = Wgsl::new("attention", &[include_str!("attention.wgsl")], [lanes, 1], info)
        .set("quads", dim / 4)
        .set("block", block)
        .set("heads", together)
        .set("score", score(&heads, bias.is_some()))
        .unroll(move || unrolled(dim, together, block, key));
    let groups = [shape[0].div_ceil(lanes as usize), count / together, 1];
    let further = k.as_ref().or(bias.as_ref());
    let declared = match (&k, &bias) {
        (Some(_), _) => declare(3, "k: array<vec4<f32>>"),
        (None, Some(_)) => declare(3, "bias: array<f32>"),
        (None, None) => String::new(),
    };
    let inputs: Vec<_> = [&q, &v, &spans].into_iter().chain(further).collect();
    kernel.set("declare_further", declared).run(&inputs, shape, groups)
}

/// The expression of a score: `product` is q · k, `key` the key's token, `query` the query's, `h` the head.
fn score(heads: &Heads, has_bias: bool) -> String {
    let score = format!("product * {:e}", heads.scale);
    let score = match heads.cap {
        Some(cap) => format!("{cap:e} * {}", tanh_wgsl(&format!("({score}) * {:e}", 1.0 / cap))),
        None => score,
    };
    if !has_bias {
        return score;
    }
    let row = "u32(clamp(i32(key) - i32(query), -i32(info.reach), i32(info.reach)) + i32(info.reach))";
    format!("{score} + bias[{row} * info.H + h]")
}

/// How many heads of a group of `heads` share their keys: the most that divide the group evenly.
fn shared_heads(heads: usize) -> usize {
    (1..=MOST_HEADS).rev().find(|together| heads.is_multiple_of(*together)).unwrap_or(1)
}

/// Fills the places of attention.wgsl, with its loops over `together` heads, `block` keys and output registers written
/// out. `key` names the tensor that holds k.
fn unrolled(head_dim: usize, together: usize, block: usize, key: &str) -> Values {
    let quads = head_dim / 4;
    // Vec4 that a sum takes in one expression: stores to a `var` are expensive on software adapters.
    let step = [4, 2, 1].into_iter().find(|step| quads.is_multiple_of(*step)).unwrap_or(1);
    let heads = |line: &dyn Fn(usize) -> String| lines(together, line);
    let keys = |line: &dyn Fn(usize) -> String| lines(block, line);
    let queries = heads(&|h| lines(step, &|e| format!("let x{h}_{e} = q[query + {}u + d];", h * quads + e)));
    let dots = keys(&|j| {
        let keys = lines(step, &|e| format!("let k{e} = {key}[row{j} + d + {e}u];"));
        let sums = heads(&|h| {
            let sum = (0..step).fold(format!("s{h}_{j}"), |sum, e| format!("({sum} + dot(x{h}_{e}, k{e}))"));
            format!("s{h}_{j} = {sum};")
        });
        format!("{{ {keys}\n{sums} }}")
    });
    let softmax = heads(&|h| {
        let mask = keys(&|j| {
            format!(
                "let m{h}_{j} = select(LOWEST, score(s{h}_{j}, token{j}, token, head + {h}u), first + {j}u <= last);"
            )
        });
        let largest = (0..block).fold(format!("largest{h}"), |all, j| format!("max({all}, m{h}_{j})"));
        let weights = keys(&|j| format!("let p{h}_{j} = exp(m{h}_{j} - next{h});"));
        let sum = (0..block).map(|j| format!("p{h}_{j}")).collect::<Vec<_>>().join(" + ");
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
            let terms: Vec<_> = (0..block).map(|j| format!("p{h}_{j} * v{j}")).collect();
            format!("o{h}_{d} = o{h}_{d} * keep{h} + ({});", terms.join(" + "))
        });
        format!("{{ {values}\n{sums} }}")
    });
    let declare = heads(&|h| {
        let output = lines(quads, &|d| format!("var o{h}_{d} = vec4<f32>();"));
        format!("var largest{h} = LOWEST;\nvar total{h} = 0.0;\n{output}")
    });
    let store = if together == 1 {
        let output = lines(quads, &|d| format!("y[output + {d}u] = o0_{d} * scale;"));
        format!("let scale = 1.0 / total0;\n{output}")
    } else {
        // On software adapters, stores are most of what has to be compiled, and the sums lie in memory anyway.
        let sums = |h: usize| (0..quads).map(move |d| format!("o{h}_{d} * scale{h}"));
        let scales = heads(&|h| format!("let scale{h} = 1.0 / total{h};"));
        let all: Vec<_> = (0..together).flat_map(sums).collect();
        format!(
            "{scales}
            var sums = array<vec4<f32>, {count}>({});
            for (var d = 0u; d < {count}u; d++) {{ y[output + d] = sums[d]; }}",
            all.join(", "),
            count = together * quads
        )
    };
    let rows = keys(&|j| {
        format!(
            "let token{j} = min(first + {j}u, last);
            let row{j} = token{j} * info.k_row + first_k;
            let value{j} = token{j} * info.v_row + first_v;"
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
