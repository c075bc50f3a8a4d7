// Multiply-adds and nothing else: y[i] = sum over j < 16 of a_j, where a_j = x[i] + j / 16 and then, `rounds` times,
// a_j = a_j * x[i] + x[i]. info = length, rounds.
// Sixteen chains an invocation: enough to hide the latency of one on GPUs. {{ unrolled }} rounds in one expression: a software
// adapter stores to each `var` under a mask, which takes as long as the arithmetic.
@group(0) @binding(0) var<storage, {{ read }}> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
{{ info }}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * {{ workgroup_x }}u + lane;
    if (i >= info.length) { return; }
    let b = x[i];
    {{ declare }}
    for (var round = 0u; round < info.rounds / {{ unrolled }}u; round++) {
        {{ multiply_adds }}
    }
    for (var round = 0u; round < info.rounds % {{ unrolled }}u; round++) {
        {{ multiply_add }}
    }
    y[i] = {{ sum }};
}
