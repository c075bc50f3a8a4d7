// RMS norm: y[t, d] = x[t, d] / sqrt(mean_d(x²) + epsilon) * weight[d]
// x, y [T, D] row-major; weight [D]; info = T, D, bits of epsilon.
// One workgroup a row: 32 invocations stride over it, so that loads are neighbours; one barrier, then every
// invocation adds the 32 partial sums in the same order (a tree would need five barriers, which are dear on
// software adapters).
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> info: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, {{ workgroup_x }}>;

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // Surplus workgroups repeat the last row: a barrier wants all invocations, so none may leave early.
    let row = min(group.y * groups.x + group.x, info[0] - 1u);
    let width = info[1];
    let base = row * width;

    var sum = 0.0;
    for (var d = lane; d < width; d += {{ workgroup_x }}u) { sum += x[base + d] * x[base + d]; }
    partial[lane] = sum;
    workgroupBarrier();

    var total = 0.0;
    for (var i = 0u; i < {{ workgroup_x }}u; i++) { total += partial[i]; }
    let scale = 1.0 / sqrt(total / f32(width) + bitcast<f32>(info[2]));
    for (var d = lane; d < width; d += {{ workgroup_x }}u) { y[base + d] = x[base + d] * scale * weight[d]; }
}
