
// The end of the products through the workgroup's memory: four columns from `first` on, and those `second` further on.
fn store(m: u32, first: u32, a: vec4<f32>, b: vec4<f32>) {
    if (m >= info.M) { return; }
    let width = info.width;
    for (var e = 0u; e < 4u; e++) {
        let c = first + e;
        if (c >= width) { return; }
        if (info.gated == 1u) {
            y[m * width + c] = a[e] / (1.0 + exp(-a[e])) * b[e];
            continue;
        }
        y[m * width + c] = a[e] + addend[m * info.row_stride + c * info.step];
        let d = c + info.second;
        if (d < width) { y[m * width + d] = b[e] + addend[m * info.row_stride + d * info.step]; }
    }
}
