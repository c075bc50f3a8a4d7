// Quantized matrix product through the workgroup's memory; formula, bindings and info as in quant_matmul.wgsl.
// A workgroup owns {{ rows_each }} rows and {{ quads }} vec4 of columns, half of them `second` further on. For every {{ depth }} k its
// invocations bring x and the dequantized weight there, each value once, and multiply from there: {{ tile_m }} rows, as far
// apart as there are lanes along M, by two vec4 of columns. Rows of x are padded to STRIDE vec4, so that the rows that a
// subgroup reads at once lie in other banks. Sums are fused and in the order of k, as with registers alone. No invocation
// leaves before a barrier: rows and columns past the edge repeat the last one, and are not stored.
@group(0) @binding(0) var<storage, {{ read }}> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, {{ read }}> words: array<u32>;
@group(0) @binding(2) var<storage, {{ read }}> scales: array<u32>;
@group(0) @binding(3) var<storage, {{ read }}> addend: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
{{ info }}

const STRIDE = {{ depth }}u / 4u + 1u;
const QUADS = {{ quads }}u;

var<workgroup> xs: array<vec4<f32>, {{ rows_each }}u * STRIDE>;
var<workgroup> ws: array<vec4<f32>, {{ depth }}u * QUADS>;

fn scaled(code: f32, k: u32, n: u32) -> f32 {
    let scale = unpack2x16float(scales[k / (8u * info.blocks) * info.N + n]) * info.factor;
    return fma(code, scale.x, scale.y);
}

fn weight(k: u32, column: u32) -> f32 {
    let N = info.N;
    let n = min(column, N - 1u);
    {{ weight }}
}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let M = info.M;
    let K = info.K;
    let second = info.second;
    let first_m = group.y * {{ rows_each }}u;
    let first_n = group.x * info.columns;

    {{ declare }}
    for (var k = 0u; k < K; k += {{ depth }}u) {
        for (var i = index; i < {{ rows_each }}u * (STRIDE - 1u); i += {{ invocations }}u) {
            let row = i / (STRIDE - 1u);
            let quad = i % (STRIDE - 1u);
            xs[row * STRIDE + quad] = x[min(first_m + row, M - 1u) * (K / 4u) + k / 4u + quad];
        }
        for (var i = index; i < {{ depth }}u * QUADS; i += {{ invocations }}u) {
            let quad = i % QUADS;
            let at = k + i / QUADS;
            let c = first_n + 4u * (quad % (QUADS / 2u)) + select(0u, second, quad >= QUADS / 2u);
            ws[i] = vec4<f32>(weight(at, c), weight(at, c + 1u), weight(at, c + 2u), weight(at, c + 3u));
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
