// y[i] = x[i], four values per invocation. Info: length, in fours.
@group(0) @binding(0) var<storage, {{ read }}> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(at: Invocation) {
    let i = element(at);
    if (i >= info.length) { return; }
    y[i] = x[i];
}
