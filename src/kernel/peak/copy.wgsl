// y[i] = x[i], four values an invocation; info = length / 4.
@group(0) @binding(0) var<storage, {{ read }}> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
{{ info }}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * {{ workgroup_x }}u + lane;
    if (i >= info.length) { return; }
    y[i] = x[i];
}
