
// The end of the three kernels of the product that work through the workgroup's memory. A workgroup owns
// {{ rows_each }} rows and {{ quads }} vec4 of columns, half of them `second` further on.
const QUADS = {{ quads }}u;

// The first column of a vec4.
fn column(first_n: u32, quad: u32) -> u32 {
    return first_n + 4u * (quad % (QUADS / 2u)) + select(0u, info.second, quad >= QUADS / 2u);
}

// The bits of the largest size of four values. As integers NaN is above infinity; `max` of floats may pass over it.
fn peak(v: vec4<f32>) -> u32 {
    let a = bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu);
    return max(max(a.x, a.y), max(a.z, a.w));
}

// Stores the sums of four columns from `first` on, and of those `second` further on.
fn store(m: u32, first: u32, a: vec4<f32>, b: vec4<f32>) {
    if (m >= info.M) { return; }
    let width = info.width;
    for (var e = 0u; e < 4u; e++) {
        let c = first + e;
        if (c >= width) { return; }
        if (info.gated == 1u) {
            y[m * width + c] = activate(a[e]) * b[e];
            continue;
        }
        y[m * width + c] = result(a[e] + addend[m * info.row_stride + c * info.step]);
        let d = c + info.second;
        if (d < width) { y[m * width + d] = result(b[e] + addend[m * info.row_stride + d * info.step]); }
    }
}
