// The head of the four kernels of the product.
//   x [M, K] row-major, read as vec4;   words [K / {{ per_word }}, N];   y [M, width]
//   scales [K / group, N]: an f16 scale in the low half, an f16 minimum in the high half; or an f32 scale; or unused, if
//   weights are numbers of 16 or 32 bits
//   addend [M, N], or [N], or one zero: read at m * row_stride + n * step
// Info: M, K, N; factor, by which scales and minima are multiplied; blocks of 8 k per group; columns per workgroup;
// second, the distance between the two halves of an invocation's columns; row_stride and step of the addend; gated, 1
// or 0; width.
{{ enable }}
{{ info }}
@group(0) @binding(0) var<storage, {{ read }}> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, {{ read }}> words: array<u32>;
@group(0) @binding(2) var<storage, {{ read }}> scales: array<u32>;
@group(0) @binding(3) var<storage, {{ read }}> addend: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
}

// Of the gate of a gated product, or of each result.
fn activate(v: f32) -> f32 {
    {{ activation }}
}

// What a sum with its addend becomes, where the product isn't gated.
fn result(v: f32) -> f32 {
    return {{ result }};
}

