// Rotate-half RoPE on every head, after an RMS norm over the head if the launch has one:
//   y[i] = x[i] cos[i] - x[i + h/2] sin[i],   y[i + h/2] = x[i + h/2] cos[i] + x[i] sin[i],   i < h/2, h = head_dim
// x [T, W], of which the first H * head_dim columns are rotated; y [T, H * head_dim]; positions [T]
// table [P, head_dim]: h/2 cosines, then h/2 sines, made on the host in f64: WGSL's own sine is not exact for large
// angles; weight [head_dim], and another [head_dim] after it for the heads from `other` on
// Info: T, H, head_dim, epsilon, width = W, other. One invocation per (token, head).
@group(0) @binding(0) var<storage, {{ read }}> x: array<f32>;
@group(0) @binding(1) var<storage, {{ read }}> table: array<f32>;
@group(0) @binding(2) var<storage, {{ read }}> positions: array<u32>;
{{ declare_weight }}
@group(0) @binding({{ output }}) var<storage, read_write> y: array<f32>;

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(at: Invocation) {
    let head = element(at);
    let token = head / info.H;
    if (token >= info.T) { return; }
    let head_dim = info.head_dim;
    let half = head_dim / 2u;
    let base = token * info.width + head % info.H * head_dim;
    let to = head * head_dim;
    let row = positions[token] * head_dim;

    var scale = 1.0;
    {{ norm }}
    for (var i = 0u; i < half; i++) {
        let c = table[row + i];
        let s = table[row + half + i];
        let a = x[base + i] * scale{{ weight_low }};
        let b = x[base + half + i] * scale{{ weight_high }};
        y[to + i] = a * c - b * s;
        y[to + half + i] = b * c + a * s;
    }
}
