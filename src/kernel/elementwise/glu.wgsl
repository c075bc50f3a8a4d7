// Gated linear unit: y[i] = activate(gate[i]) * up[i], element by element. Info: length.
@group(0) @binding(0) var<storage, {{ read }}> gate: array<f32>;
@group(0) @binding(1) var<storage, {{ read }}> up: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn activate(v: f32) -> f32 {
    {{ activation }}
}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(at: Invocation) {
    let i = element(at);
    if (i >= info.length) { return; }
    y[i] = activate(gate[i]) * up[i];
}
