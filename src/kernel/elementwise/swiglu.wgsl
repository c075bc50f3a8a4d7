// SwiGLU: y[i] = gate[i] / (1 + exp(-gate[i])) * up[i], element by element; info = length.
@group(0) @binding(0) var<storage, {{ read }}> gate: array<f32>;
@group(0) @binding(1) var<storage, {{ read }}> up: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
{{ info }}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * {{ workgroup_x }}u + lane;
    if (i >= info.length) { return; }
    y[i] = gate[i] / (1.0 + exp(-gate[i])) * up[i];
}
