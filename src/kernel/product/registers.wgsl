// Quantized matrix product: y[m, n] = sum_k x[m, k] * w[k, n] + addend,   w[k, n] = code * scale + min
//   gated:                  y[m, n] = silu(sums at n) * (sums at n + N / 2),   n < N / 2
// x [M, K] row-major, read as vec4; words [K / {{ per_word }}, N]; scales [K / group, N] (f16 scale low, f16 minimum high;
// unused where dense); addend [M, N] or [N] or one zero, read at m * its row stride + n * its step; y [M, width].
// info = M, K, N, bits of the scales' factor, blocks of 8 k a group, columns a workgroup, distance between the two halves
// of an invocation's columns, row stride and step of the addend, gated, width.
// An invocation owns {{ tile_m }} rows and {{ tile_n }} columns, {{ workgroup_x }} apart: neighbouring lanes read neighbouring
// words. Sums are in the order of k whatever the tile. Why it is written so is told beside `Tile` in quant_matmul.rs.
@group(0) @binding(0) var<storage, {{ read }}> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, {{ read }}> words: array<u32>;
@group(0) @binding(2) var<storage, {{ read }}> scales: array<u32>;
@group(0) @binding(3) var<storage, {{ read }}> addend: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
{{ info }}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let M = info.M;
    let K = info.K;
    let N = info.N;
    let factor = info.factor;
    let blocks = info.blocks;
    let second = info.second;
    let width = info.width;
    let first_n = group.x * info.columns + local.x;
    let first_m = (group.y * {{ workgroup_y }}u + local.y) * {{ tile_m }}u;
    if (first_m >= M || first_n >= width) { return; }

    // Rows and columns past the edge repeat the last one; their results are not stored.
    {{ rows }}
    {{ columns }}
    {{ declare }}
    for (var g = 0u; g < K / (8u * blocks); g++) {
        {{ scales }}
        for (var b = 0u; b < blocks; b++) {
            let block = g * blocks + b;
            {{ x }}
            {{ multiply }}
        }
    }
    let gated = info.gated == 1u;
    {{ store }}
}
