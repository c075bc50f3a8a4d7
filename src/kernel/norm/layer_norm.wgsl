// Layer norm: y[t, d] = (x[t, d] - mean_d) / sqrt(variance_d + epsilon) * weight[d] + bias[d]
// x, y [T, D] row-major; weight, bias [D]. Info: T, D, epsilon.
// {{ lanes }} invocations per row as in rms_norm.wgsl. The variance is taken around the mean, as in layer_mix.wgsl.
@group(0) @binding(0) var<storage, {{ read }}> x: array<f32>;
@group(0) @binding(1) var<storage, {{ read }}> weight: array<f32>;
@group(0) @binding(2) var<storage, {{ read }}> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(at: Invocation) {
    let lane = at.local % {{ lanes }}u;
    let width = info.D;
    let base = row(at) * width;

    var sum = 0.0;
    for (var d = lane; d < width; d += {{ lanes }}u) { sum += x[base + d]; }
    {{ total_0 }}
    let mean = sum / f32(width);

    sum = 0.0;
    for (var d = lane; d < width; d += {{ lanes }}u) {
        let centered = x[base + d] - mean;
        sum += centered * centered;
    }
    {{ total_1 }}
    let scale = 1.0 / sqrt(sum / f32(width) + info.epsilon);

    for (var d = lane; d < width; d += {{ lanes }}u) {
        y[base + d] = (x[base + d] - mean) * scale * weight[d] + bias[d];
    }
}
