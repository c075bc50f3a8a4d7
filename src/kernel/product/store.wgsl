
// The end of the products through the workgroup's memory: four columns from `first` on, and those `second` further on.
fn store(m: u32, first: u32, a: vec4<f32>, b: vec4<f32>) {
    if (m >= info[0]) { return; }
    let width = info[10];
    for (var e = 0u; e < 4u; e++) {
        let c = first + e;
        if (c >= width) { return; }
        if (info[9] == 1u) {
            y[m * width + c] = a[e] / (1.0 + exp(-a[e])) * b[e];
            continue;
        }
        y[m * width + c] = a[e] + addend[m * info[7] + c * info[8]];
        let d = c + info[6];
        if (d < width) { y[m * width + d] = b[e] + addend[m * info[7] + d * info[8]]; }
    }
}
