// bfloat16 rounding, to nearest, ties to even: the upper 16 bits of the f32, rounded by adding half of the lower 16.
//   y[i] = bits(x[i]) + 0x7fff + (bit 16), lower 16 bits cleared.   Info: length. Finite x only.
@group(0) @binding(0) var<storage, {{ read }}> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(at: Invocation) {
    let i = element(at);
    if (i >= info.length) { return; }
    let bits = x[i];
    y[i] = (bits + 0x7fffu + ((bits >> 16u) & 1u)) & 0xffff0000u;
}
