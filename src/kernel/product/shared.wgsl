// Quantized matrix product through the workgroup's memory; formula as in registers.wgsl, bindings and info as in
// prelude.wgsl. For every {{ depth }} k, the invocations of a workgroup bring x and the dequantized weight there, each
// value once, and multiply from there: {{ tile_m }} rows, as far apart as there are lanes along M, by two vec4 of
// columns. Rows of x are padded to STRIDE vec4, so that the rows that a subgroup reads at once lie in different banks.
// Sums are fused and in the order of k, as with registers alone. No invocation leaves before a barrier: rows and
// columns past the edge repeat the last one, and are not stored.
const STRIDE = {{ depth }}u / 4u + 1u;

var<workgroup> xs: array<vec4<f32>, {{ rows_each }}u * STRIDE>;
var<workgroup> ws: array<vec4<f32>, {{ depth }}u * QUADS>;

fn scaled(code: f32, k: u32, n: u32) -> f32 {
    let scale = unpack2x16float(scales[k / (8u * info.blocks) * info.N + n]) * info.factor;
    return fma(code, scale.x, scale.y);
}

// The weight at row k of a column, or of the last column if `c` is past the edge.
fn weight(k: u32, c: u32) -> f32 {
    let N = info.N;
    let n = min(c, N - 1u);
    {{ weight }}
}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(at: Invocation) {
    let M = info.M;
    let K = info.K;
    let first_m = at.group.y * {{ rows_each }}u;
    let first_n = at.group.x * info.columns;

    {{ declare }}
    for (var k = 0u; k < K; k += {{ depth }}u) {
        for (var i = at.index; i < {{ rows_each }}u * (STRIDE - 1u); i += {{ invocations }}u) {
            let row = i / (STRIDE - 1u);
            let quad = i % (STRIDE - 1u);
            xs[row * STRIDE + quad] = x[min(first_m + row, M - 1u) * (K / 4u) + k / 4u + quad];
        }
        for (var i = at.index; i < {{ depth }}u * QUADS; i += {{ invocations }}u) {
            let t = k + i / QUADS;
            let c = column(first_n, i % QUADS);
            ws[i] = vec4<f32>(weight(t, c), weight(t, c + 1u), weight(t, c + 2u), weight(t, c + 3u));
        }
        workgroupBarrier();
        for (var q = 0u; q < STRIDE - 1u; q++) {
            {{ x }}
            {{ multiply }}
        }
        workgroupBarrier();
    }
    {{ store }}
}
