// RMS norm: y[t, d] = x[t, d] / sqrt(mean_d(x²) + epsilon) * weight[d]
// x, y [T, D] row-major; weight [D]; info = T, D, bits of epsilon.
// {{ lanes }} invocations a row stride over it; how they add their sums is told in rows.rs.
@group(0) @binding(0) var<storage, {{ read }}> x: array<f32>;
@group(0) @binding(1) var<storage, {{ read }}> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
{{ info }}

{{ shared }}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // Surplus rows repeat the last one: a barrier wants all invocations, so none may leave early.
    let row = min((group.y * groups.x + group.x) * {{ rows }}u + local / {{ lanes }}u, info.T - 1u);
    let lane = local % {{ lanes }}u;
    let width = info.D;
    let base = row * width;

    var sum = 0.0;
    for (var d = lane; d < width; d += {{ lanes }}u) { sum += x[base + d] * x[base + d]; }
    {{ total_0 }}
    let scale = 1.0 / sqrt(sum / f32(width) + info.epsilon);
    for (var d = lane; d < width; d += {{ lanes }}u) { y[base + d] = x[base + d] * scale * weight[d]; }
}
