// The decoding of numbers that the device has no type for; after the head of a product whose weight needs it. A number
// stands in the uppermost bits of `top`.

// IEEE's half precision, times 2^-112 and `unit`. Its exponent is moved into that of an f32; a subnormal one becomes one of
// f32, which a device may take for zero: the packer keeps values far from there.
fn f16_value(top: u32, unit: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(bitcast<i32>(top) >> 3u) & 0x8fffe000u) * unit;
}

// A float of 8 bits from its size with an exponent of 127 more, whose leading one is also there where the float has none, at
// the exponent 0: below 2 it is taken off, and the rest doubled. The sign goes to the scale.
fn scaled_float(size: f32, top: u32, scale: f32) -> f32 {
    return min(size, size + size - 2.0) * bitcast<f32>(bitcast<u32>(scale) ^ (top & 0x80000000u));
}

// E4M3, times 2^7 and `scale`.
fn e4m3(top: u32, scale: f32) -> f32 {
    return scaled_float(bitcast<f32>(((top >> 4u) & 0x07f00000u) + 0x3f800000u), top, scale);
}

// FP4, times 2 and `scale`.
fn fp4(top: u32, scale: f32) -> f32 {
    return scaled_float(bitcast<f32>(((top >> 6u) & 0x01c00000u) + 0x3f800000u), top, scale);
}

// E5M2, times 2^15 and `scale`.
fn e5m2(top: u32, scale: f32) -> f32 {
    return scaled_float(bitcast<f32>(((top >> 3u) & 0x0fe00000u) + 0x3f800000u), top, scale);
}
