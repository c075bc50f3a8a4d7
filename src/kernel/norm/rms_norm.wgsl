// RMS norm: y[t, d] = x[t, d] / sqrt(mean_d(x²) + epsilon) * weight[d]
// x, y [T, D] row-major; weight [D]. Info: T, D, epsilon.
// {{ lanes }} invocations per row stride over it; rows.rs tells how they add their sums.
@group(0) @binding(0) var<storage, {{ read }}> x: array<f32>;
@group(0) @binding(1) var<storage, {{ read }}> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(at: Invocation) {
    let lane = at.local % {{ lanes }}u;
    let width = info.D;
    let base = row(at) * width;

    var sum = 0.0;
    for (var d = lane; d < width; d += {{ lanes }}u) { sum += x[base + d] * x[base + d]; }
    {{ total_0 }}
    let scale = 1.0 / sqrt(sum / f32(width) + info.epsilon);
    for (var d = lane; d < width; d += {{ lanes }}u) { y[base + d] = x[base + d] * scale * weight[d]; }
}
