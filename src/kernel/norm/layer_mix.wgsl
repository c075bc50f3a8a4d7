// Layer mix: y[t, d] = mix[t, d] + alpha * LayerNorm(hidden)[t, d], LayerNorm over d without parameters, eps 1e-5.
// mix, hidden, y [T, D] row-major. Info: T, D, alpha.
// {{ lanes }} invocations per row as in rms_norm.wgsl. The variance is taken around the mean in a second pass: hidden
// states have a few huge entries, with which E[x²] - E[x]² would lose digits.
@group(0) @binding(0) var<storage, {{ read }}> mix: array<f32>;
@group(0) @binding(1) var<storage, {{ read }}> hidden: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(at: Invocation) {
    let lane = at.local % {{ lanes }}u;
    let width = info.D;
    let base = row(at) * width;

    var sum = 0.0;
    for (var d = lane; d < width; d += {{ lanes }}u) { sum += hidden[base + d]; }
    {{ total_0 }}
    let mean = sum / f32(width);

    sum = 0.0;
    for (var d = lane; d < width; d += {{ lanes }}u) {
        let centered = hidden[base + d] - mean;
        sum += centered * centered;
    }
    {{ total_1 }}
    let scale = info.alpha / sqrt(sum / f32(width) + 1e-5);

    for (var d = lane; d < width; d += {{ lanes }}u) {
        y[base + d] = mix[base + d] + (hidden[base + d] - mean) * scale;
    }
}
