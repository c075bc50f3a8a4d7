// Rotate-half RoPE on every head, after an RMS norm over the head where `normed` is true:
//   y[i] = x[i] cos[i] - x[i + h/2] sin[i],   y[i + h/2] = x[i + h/2] cos[i] + x[i] sin[i],   i < h/2, h = head_dim
// x [T, W], of which the first H * head_dim columns are rotated; y [T, H * head_dim]; table [P, head_dim]: h/2 cosines, then h/2 sines (made on the host in f64: WGSL's own
// sine is not exact for large angles); positions [T]; weight [head_dim] or, for the heads from `other` on, another [head_dim] after it;
// info = T, H, head_dim, bits of epsilon, W, other. One invocation a (token, head).
@group(0) @binding(0) var<storage, {{ read }}> x: array<f32>;
@group(0) @binding(1) var<storage, {{ read }}> table: array<f32>;
@group(0) @binding(2) var<storage, {{ read }}> positions: array<u32>;
{{ declare_weight }}
@group(0) @binding({{ output }}) var<storage, read_write> y: array<f32>;
{{ info }}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let head = (group.y * groups.x + group.x) * {{ workgroup_x }}u + lane;
    let token = head / info.H;
    if (token >= info.T) { return; }
    let head_dim = info.head_dim;
    let half = head_dim / 2u;
    let base = token * info.width + head % info.H * head_dim;
    let to = head * head_dim;
    let row = positions[token] * head_dim;

    var scale = 1.0;
    {{ measure }}
    for (var i = 0u; i < half; i++) {
        let c = table[row + i];
        let s = table[row + half + i];
        let a = x[base + i] * scale{{ weight_low }};
        let b = x[base + half + i] * scale{{ weight_high }};
        y[to + i] = a * c - b * s;
        y[to + half + i] = b * c + a * s;
    }
}
