//! Conversions of f16 for loops that are to be vectorized: without branches, and with the `half` crate's results.

/// A finite f16 as f32. Its bits are moved into f32's fields, where the exponent is 112 too low: a product mends that,
/// and normalizes subnormal numbers.
#[inline(always)]
pub(crate) fn half_to_f32(bits: u32) -> f32 {
    const SHIFT: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * SHIFT;
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

/// The nearest f16, ties to even; numbers that are too large, and NaN, become infinity.
#[inline(always)]
pub(crate) fn f32_to_half(value: f32) -> u32 {
    /// The first f32 that rounds to infinity.
    const TOO_LARGE: u32 = 0x477f_f000;
    /// The smallest normal f16.
    const NORMAL: u32 = (127 - 14) << 23;
    /// Adding it to a smaller value leaves the value's f16 fraction in the lowest bits, rounded by the addition.
    const FRACTION: f32 = f32::from_bits((127 - 15 + 23 - 10 + 1) << 23);
    let sign = value.to_bits() & 0x8000_0000;
    let bits = value.to_bits() ^ sign;
    let subnormal = (f32::from_bits(bits) + FRACTION).to_bits().wrapping_sub(FRACTION.to_bits());
    let odd = bits >> 13 & 1;
    let normal = bits.wrapping_sub(112 << 23).wrapping_add(0xfff + odd) >> 13;
    let finite = if bits < NORMAL { subnormal } else { normal };
    let half = if bits >= TOO_LARGE { 0x7c00 } else { finite };
    half | sign >> 16
}

#[cfg(test)]
mod tests {
    use half::f16;

    #[test]
    fn every_finite_half_is_decoded() {
        for bits in (0..=u16::MAX).filter(|bits| f16::from_bits(*bits).is_finite()) {
            let expected = f16::from_bits(bits).to_f32();
            assert_eq!(super::half_to_f32(bits.into()).to_bits(), expected.to_bits(), "{bits:#06x}");
        }
    }

    #[test]
    fn floats_around_every_half_are_rounded_as_the_half_crate_does() {
        for bits in 0..=0x7c00u16 {
            let value = f16::from_bits(bits).to_f32().to_bits();
            // The value's neighbors, the middle between it and the next f16, and the middle's neighbors.
            for near in [0, 1, 0xfff, 0x1000, 0x1001, 0x1fff].map(|step| f32::from_bits(value + step)) {
                for value in [near, -near, near / 3.0].into_iter().filter(|value| !value.is_nan()) {
                    let expected = f16::from_f32(value).to_bits();
                    assert_eq!(super::f32_to_half(value), u32::from(expected), "{value:e}");
                }
            }
        }
        for value in [f32::MAX, f32::INFINITY, f32::NAN] {
            assert_eq!(super::f32_to_half(value), 0x7c00);
        }
    }
}
