// Quantized matrix product in half precision; bindings and info as in prelude.wgsl.
// With v[k] = w[k] / ({{ raise }} * factor), for every 32 k:
//   h[k] = x[k] / sx, sx a power of two with 8 <= max |h| < 16,   a += sx * sum of 8 h[k] * v[k],   y = {{ raise }} * factor * a
// h and v are rounded to f16, and the sums of 8 are fused in f16, in the order of k; the rest is f32. |v| <= 258,
// because stored scales are at most 2^14: a sum is below 8 * 16 * 258, half of what f16 holds, whatever stands out in
// x. h is normal down to 2^-17 of the largest of its 32 values, v down to 2^-22 of the largest that is possible.
// An invocation rounds whole rows of 32 k into the workgroup's memory, and blocks of 8 k of a vec4 of columns. Rows are
// padded to STRIDE vec4, so that those that a subgroup reads at once lie in different banks. Every tile gives the same
// bits. No invocation leaves before a barrier.
const STRIDE = 9u;

var<workgroup> xs: array<vec4<f16>, {{ rows_each }}u * STRIDE>;
var<workgroup> x_scales: array<f32, {{ rows_each }}>;
var<workgroup> ws: array<vec4<f16>, 32u * QUADS>;

// Brings row `m`, from k on, into the workgroup's row `to`. Values that are all below 2^-95 count as zero.
fn halve(m: u32, k: u32, to: u32) {
    let first = (m * info.K + k) / 4u;
    {{ load }}
    let exponent = {{ peaks }} >> 23u;
    let small = exponent < 32u;
    let inverse = select(bitcast<f32>((257u - exponent) << 23u), 0.0, small);
    x_scales[to] = select(bitcast<f32>((exponent - 3u) << 23u), 0.0, small);
    {{ keep }}
}

// Brings eight k of four columns, as v, into rows of the workgroup's memory from `to` on.
fn weights(k: u32, c: u32, to: u32) {
    let N = info.N;
    let n = min(vec4<u32>(c) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(N - 1u));
    let g = n + vec4<u32>(k / (8u * info.blocks) * N);
    let s0 = unpack2x16float(scales[g.x]);
    let s1 = unpack2x16float(scales[g.y]);
    let s2 = unpack2x16float(scales[g.z]);
    let s3 = unpack2x16float(scales[g.w]);
    let scale = vec4<f32>(s0.x, s1.x, s2.x, s3.x) * {{ lower }};
    let low = vec4<f32>(s0.y, s1.y, s2.y, s3.y) * {{ lower }};
    {{ words }}
    {{ weights }}
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
            halve(min(first_m + i, M - 1u), k, i);
        }
        for (var i = at.index; i < 4u * QUADS; i += {{ invocations }}u) {
            let quad = i % QUADS;
            let t = 8u * (i / QUADS);
            weights(k + t, column(first_n, quad), t * QUADS + quad);
        }
        workgroupBarrier();
        for (var q = 0u; q < STRIDE - 1u; q += 2u) {
            let row = 4u * q * QUADS + at.local.x;
            {{ w }}
            {{ multiply }}
        }
        workgroupBarrier();
    }
    let raise = {{ raise }} * info.factor;
    {{ store }}
}
