// Segment mean: y[b, d] = mean of x[t, d] over segments[b, 0] <= t < segments[b, 1]
// x [T, D], segments [B, 2], y [B, D] row-major. Info: B, D. One invocation per (b, d): neighbors read neighbors.
{{ info }}
@group(0) @binding(0) var<storage, {{ read }}> x: array<f32>;
@group(0) @binding(1) var<storage, {{ read }}> segments: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let width = info.D;
    let segment = id.y;
    if (id.x >= width || segment >= info.B) { return; }
    let first = segments[2u * segment];
    let end = segments[2u * segment + 1u];
    var sum = 0.0;
    for (var t = first; t < end; t++) { sum += x[t * width + id.x]; }
    y[segment * width + id.x] = sum / f32(end - first);
}
