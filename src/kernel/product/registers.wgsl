// Quantized matrix product: y[m, n] = sum_k x[m, k] * w[k, n] + addend,   w[k, n] = code * scale + min
//   gated:                  y[m, n] = activate(sums at n) * (sums at n + N / 2),   n < N / 2
// Bindings and info as in prelude.wgsl.
// An invocation owns {{ tile_m }} rows and {{ tile_n }} columns, {{ workgroup_x }} apart: neighboring lanes read
// neighboring words. Sums are in the order of k whatever the tile. The reasons for this form are beside `Tile` in
// tile.rs.
@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(at: Invocation) {
    let M = info.M;
    let K = info.K;
    let N = info.N;
    let factor = info.factor;
    let blocks = info.blocks;
    let second = info.second;
    let width = info.width;
    let first_n = at.group.x * info.columns + at.local.x;
    let first_m = (at.group.y * {{ workgroup_y }}u + at.local.y) * {{ tile_m }}u;
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
