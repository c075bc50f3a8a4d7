// Quantized matrix product in integers; bindings and info as in prelude.wgsl.
// For every 32 k, which are {{ parts }} groups of weights:
//   q[k] = round(x[k] / sx), |q| <= 127,   a += sx * (scale * sum_k q[k] * code[k] + min * sum_k q[k])
// An invocation rounds whole rows of 32 k into the workgroup's memory, four codes per word; four codes of a weight lie
// beside them, in the same order. Rows are padded to STRIDE words, so that those that a subgroup reads at once lie in
// different banks. Sums of integers are exact, and those of groups are fused in the order of k: every tile gives the
// same bits. No invocation leaves before a barrier.
const STRIDE = 9u;
const PARTS = {{ parts }}u;
const PART_WORDS = 8u / PARTS;

var<workgroup> xs: array<u32, {{ rows_each }}u * STRIDE>;
var<workgroup> x_scales: array<f32, {{ rows_each }}>;
var<workgroup> x_sums: array<f32, {{ rows_each }}u * PARTS>;
var<workgroup> ws: array<vec4<u32>, 8u * QUADS>;
var<workgroup> w_scales: array<vec4<f32>, PARTS * QUADS>;
var<workgroup> w_mins: array<vec4<f32>, PARTS * QUADS>;

fn total(q: vec4<i32>) -> f32 {
    return f32(q.x + q.y + q.z + q.w);
}

fn joined(q: vec4<i32>) -> u32 {
    let b = bitcast<vec4<u32>>(q) & vec4<u32>(255u);
    return b.x | (b.y << 8u) | (b.z << 16u) | (b.w << 24u);
}

// Brings row `m`, from k on, into the workgroup's row `to`. The largest value is rounded up to 16 bits, and 127 is
// divided by their integer: quotients of floats differ by device, and then codes that stand half-way would too. A row
// with a value that is not finite, or too large, has the scale NaN.
fn quantize(m: u32, k: u32, to: u32) {
    let first = (m * info.K + k) / 4u;
    {{ load }}
    let bits = ({{ peaks }} + 255u) & 0xffffff00u;
    let exponent = bits >> 23u;
    let small = exponent < 32u;
    let inverse = f32((127u << 25u) / (((bits >> 8u) & 0x7fffu) | 0x8000u)) * bitcast<f32>((244u - exponent) << 23u);
    let r = select(inverse, 0.0, small);
    let step = bitcast<u32>(select(bitcast<f32>(bits) * {{ step }}, 0.0, small));
    x_scales[to] = bitcast<f32>(select(step, 0x7fc00000u, exponent > 244u));
    {{ codes }}
    {{ keep }}
}

// The scale and the minimum of a group of a column.
fn scale(g: u32, c: u32) -> vec2<f32> {
    let n = min(c, info.N - 1u);
    return unpack2x16float(scales[g * info.N + n]) * info.factor;
}

// Four codes of a column: the word `t` of the eight from k on.
fn weight(k: u32, t: u32, c: u32) -> u32 {
    let N = info.N;
    let n = min(c, N - 1u);
    {{ weight }}
}

fn dots(q: u32, w: vec4<u32>) -> vec4<i32> {
    return vec4<i32>(dot4I8Packed(q, w.x), dot4I8Packed(q, w.y), dot4I8Packed(q, w.z), dot4I8Packed(q, w.w));
}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(at: Invocation) {
    let M = info.M;
    let K = info.K;
    let first_m = at.group.y * {{ rows_each }}u;
    let first_n = at.group.x * info.columns;

    {{ declare }}
    for (var k = 0u; k < K; k += 32u) {
        for (var i = at.index; i < {{ rows_each }}u; i += {{ invocations }}u) {
            quantize(min(first_m + i, M - 1u), k, i);
        }
        for (var i = at.index; i < 8u * QUADS; i += {{ invocations }}u) {
            let t = i / QUADS;
            let c = column(first_n, i % QUADS);
            ws[i] = vec4<u32>(weight(k, t, c), weight(k, t, c + 1u), weight(k, t, c + 2u), weight(k, t, c + 3u));
        }
        for (var i = at.index; i < PARTS * QUADS; i += {{ invocations }}u) {
            let g = k / 32u * PARTS + i / QUADS;
            let c = column(first_n, i % QUADS);
            let s0 = scale(g, c);
            let s1 = scale(g, c + 1u);
            let s2 = scale(g, c + 2u);
            let s3 = scale(g, c + 3u);
            w_scales[i] = vec4<f32>(s0.x, s1.x, s2.x, s3.x);
            w_mins[i] = vec4<f32>(s0.y, s1.y, s2.y, s3.y);
        }
        workgroupBarrier();
        for (var part = 0u; part < PARTS; part++) {
            {{ declare_dots }}
            for (var t = part * PART_WORDS; t < (part + 1u) * PART_WORDS; t++) {
                let w0 = ws[t * QUADS + at.local.x];
                let w1 = ws[t * QUADS + at.local.x + QUADS / 2u];
                {{ multiply }}
            }
            let s0 = w_scales[part * QUADS + at.local.x];
            let s1 = w_scales[part * QUADS + at.local.x + QUADS / 2u];
            let m0 = w_mins[part * QUADS + at.local.x];
            let m1 = w_mins[part * QUADS + at.local.x + QUADS / 2u];
            {{ add }}
        }
        workgroupBarrier();
    }
    {{ store }}
}
