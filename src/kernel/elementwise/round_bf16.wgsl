// bfloat16 rounding, to nearest, ties to even: the upper 16 bits of the f32, rounded by adding half of the lower 16.
//   y[i] = bits(x[i]) + 0x7fff + (bit 16), lower 16 bits cleared;   info = length. Finite x only.
@group(0) @binding(0) var<storage, {{ read }}> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
{{ info }}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * {{ workgroup_x }}u + lane;
    if (i >= info.length) { return; }
    let bits = x[i];
    y[i] = (bits + 0x7fffu + ((bits >> 16u) & 1u)) & 0xffff0000u;
}
