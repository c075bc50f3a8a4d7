// Multiply-adds and nothing else: y[i] = sum over j < 16 of a_j, where a_j starts as x[i] + j / 16 and then becomes
// a_j * x[i] + x[i], `rounds` times. Info: length, rounds.
// An invocation has sixteen chains: enough to hide the latency of one on GPUs. One expression has {{ unrolled }}
// rounds: a software adapter stores to each `var` under a mask, which takes as long as the arithmetic.
@group(0) @binding(0) var<storage, {{ read }}> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(at: Invocation) {
    let i = element(at);
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
