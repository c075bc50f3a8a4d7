//! Rounding in loops that are to be vectorized: `round_ties_even` is a function call on processors without SSE4.1.

/// `1.5 * 2^23`, where f32 has no bits for fractions: adding it to a number below 2^22 in size leaves the nearest whole
/// number in the sum's lowest bits, ties to even.
pub(crate) const WHOLE: f32 = 12_582_912.0;

/// The nearest whole number, ties to even, of a number below 2^22 in size.
#[inline(always)]
pub(crate) fn round_even(value: f32) -> f32 {
    (value + WHOLE) - WHOLE
}

/// [`round_even`] as an integer.
#[inline(always)]
pub(crate) fn round_even_to_int(value: f32) -> i32 {
    (value + WHOLE).to_bits() as i32 - WHOLE.to_bits() as i32
}

/// The nearest number with f16's eleven significant bits, ties to even; f32's range is kept.
#[inline(always)]
pub(crate) fn round_to_half(value: f32) -> f32 {
    const LOST: u32 = 13;
    let bits = value.to_bits();
    let ties_even = (1 << (LOST - 1)) - 1 + (bits >> LOST & 1);
    f32::from_bits(bits.wrapping_add(ties_even) & !((1 << LOST) - 1))
}
