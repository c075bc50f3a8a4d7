//! Floats of eight and of four bits.

use super::uneven::FP4_DOUBLED;

/// E4M3FN: a bias of 7, no infinity; 0x7f and 0xff are NaN.
pub(in crate::quant) fn e4m3(byte: u8) -> f32 {
    if byte & 0x7f == 0x7f {
        return f32::NAN;
    }
    signed(byte, e4m3_size(byte.into()) * f32::exp2(-7.0))
}

/// E5M2, the upper byte of an f16.
pub(in crate::quant) fn e5m2(byte: u8) -> f32 {
    half::f16::from_bits(u16::from(byte) << 8).to_f32()
}

/// E8M0: a power of two with a bias of 127; 0xff is NaN.
pub(in crate::quant) fn e8m0(byte: u8) -> f32 {
    match byte {
        0 => f32::from_bits(1 << 22),
        0xff => f32::NAN,
        exponent => f32::from_bits(u32::from(exponent) << 23),
    }
}

/// The two FP4 values of a byte, the upper one first.
pub(super) fn f4(byte: u8) -> [f32; 2] {
    [byte >> 4, byte & 15].map(|code| 0.5 * f32::from(FP4_DOUBLED[usize::from(code)]))
}

fn signed(byte: u8, size: f32) -> f32 {
    if byte & 0x80 == 0 { size } else { -size }
}

/// 2^7 times the size of an E4M3 value, without branches. An f32 of the code's exponent and fraction is right but for the
/// exponent 0, whose values have no leading one: below 2 it is taken off, and the rest doubled.
#[inline(always)]
pub(crate) fn e4m3_size(code: u32) -> f32 {
    without_one(f32::from_bits(((code & 0x7f) << 20) + (127 << 23)))
}

/// 2^15 times the size of an E5M2 value, likewise.
#[inline(always)]
pub(crate) fn e5m2_size(code: u32) -> f32 {
    without_one(f32::from_bits(((code & 0x7f) << 21) + (127 << 23)))
}

/// Twice the size of an FP4 value, likewise.
#[inline(always)]
pub(crate) fn fp4_size_doubled(code: u32) -> f32 {
    without_one(f32::from_bits(((code & 7) << 22) + (127 << 23)))
}

#[inline(always)]
fn without_one(value: f32) -> f32 {
    if value < 2.0 { 2.0 * value - 2.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::{FP4_DOUBLED, e4m3, e5m2, e5m2_size, fp4_size_doubled, signed};

    #[test]
    fn fp4_without_branches_is_its_table() {
        for code in 0..8 {
            assert_eq!(fp4_size_doubled(code), f32::from(FP4_DOUBLED[code as usize]), "{code}");
        }
    }

    #[test]
    fn e4m3_is_its_formula() {
        for byte in 0..=u8::MAX {
            let (exponent, fraction) = (i32::from(byte >> 3 & 15), f32::from(byte & 7));
            let size = match exponent {
                0 => fraction / 8.0 * 2f32.powi(-6),
                _ => (1.0 + fraction / 8.0) * 2f32.powi(exponent - 7),
            };
            match byte & 0x7f {
                0x7f => assert!(e4m3(byte).is_nan()),
                _ => assert_eq!(e4m3(byte), signed(byte, size), "{byte:#x}"),
            }
        }
    }

    #[test]
    fn e5m2_without_branches_is_an_f16() {
        for byte in (0..=u8::MAX).filter(|byte| byte & 0x7c != 0x7c) {
            assert_eq!(signed(byte, e5m2_size(byte.into()) * f32::exp2(-15.0)), e5m2(byte), "{byte:#x}");
        }
    }
}
