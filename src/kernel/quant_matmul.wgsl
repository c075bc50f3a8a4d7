// Quantized matrix product: y[m, n] = sum_k x[m, k] * w[k, n],  w[k, n] = code * scale + min
// x [M, K] row-major, read as vec4; words [K / {{ per_word }}, N]; scales [K / {{ group }}, N] (f16 scale low,
// f16 minimum high; unused where dense); y [M, N]; info = M, K, N, bits of the scales' factor.
// An invocation owns {{ tile_m }} rows and {{ tile_n }} columns, {{ workgroup_x }} apart: neighbouring lanes read
// neighbouring words, and a word is unpacked once for all its rows. No workgroup memory: barriers cost more than the
// repeated loads on software adapters. {{ workgroup_x }} lanes x {{ tile_n }} columns = 64, which divides the models' widths.
@group(0) @binding(0) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> scales: array<u32>;
@group(0) @binding(3) var<storage, read_write> info: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let M = info[0];
    let K = info[1];
    let N = info[2];
    let factor = bitcast<f32>(info[3]);
    let first_n = group.x * {{ columns }}u + local.x;
    let first_m = (group.y * {{ workgroup_y }}u + local.y) * {{ tile_m }}u;
    if (first_m >= M || first_n >= N) { return; }

    // Rows and columns past the edge repeat the last one; their results are not stored.
    {{ rows }}
    {{ columns_of }}
    {{ declare }}
    for (var g = 0u; g < K / {{ group }}u; g++) {
        {{ scales }}
        for (var u = 0u; u < {{ words_per_group }}u; u++) {
            let word = g * {{ words_per_group }}u + u;
            {{ words }}
            {{ multiply }}
        }
    }
    {{ store }}
}
