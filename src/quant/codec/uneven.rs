//! Types whose 4-bit codes stand for sixteen uneven values.

use super::{Group, TakeGroup, half_at, nibbles};

/// The values of IQ4's codes.
const IQ4: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// Twice the values of FP4's (E2M1's) codes.
pub(in crate::quant) const FP4_DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// `d qs[16]`
pub(super) fn iq4_nl(block: &[u8], each: &mut impl TakeGroup) {
    let codes = named(&block[2..18], &IQ4);
    each.take(Group { codes: &codes, scale: half_at(block, 0), min: 0.0 });
}

/// `d scales_h[2] scales_l[4] qs[128]`
pub(super) fn iq4_xs(block: &[u8], each: &mut impl TakeGroup) {
    let d = half_at(block, 0);
    let high = u16::from_le_bytes([block[2], block[3]]);
    for (group, bytes) in block[8..].chunks_exact(16).enumerate() {
        let low = block[4 + group / 2] >> (group % 2 * 4) & 15;
        let scale = i32::from(low) | i32::from(high >> (2 * group) & 3) << 4;
        let codes = named(bytes, &IQ4);
        each.take(Group { codes: &codes, scale: d * (scale - 32) as f32, min: 0.0 });
    }
}

/// `e qs[16]`: the scale is 2^(e - 127), and so half of it for doubled codes.
pub(super) fn mxfp4(block: &[u8], each: &mut impl TakeGroup) {
    let scale = match block[0] {
        e @ 0..2 => f32::from_bits(0x0020_0000 << e),
        e => f32::from_bits(u32::from(e - 1) << 23),
    };
    let codes = named(&block[1..17], &FP4_DOUBLED);
    each.take(Group { codes: &codes, scale, min: 0.0 });
}

/// `d[4] qs[32]`: unsigned E4M3 scales, of which 0x7f is none; the codes of a group are the low nibbles of eight bytes, then
/// their high ones.
pub(super) fn nvfp4(block: &[u8], each: &mut impl TakeGroup) {
    for (scale, bytes) in block[..4].iter().zip(block[4..].chunks_exact(8)) {
        let (exponent, fraction) = (i32::from(scale >> 3 & 15), f32::from(scale & 7));
        let scale = match (scale, exponent) {
            (0x7f, _) => 0.0,
            (_, 0) => fraction / 512.0,
            _ => (1.0 + fraction / 8.0) * 2f32.powi(exponent - 7),
        };
        let mut codes = [0; 16];
        for (i, byte) in bytes.iter().enumerate() {
            codes[i] = FP4_DOUBLED[usize::from(byte & 15)];
            codes[i + 8] = FP4_DOUBLED[usize::from(byte >> 4)];
        }
        each.take(Group { codes: &codes, scale: 0.5 * scale, min: 0.0 });
    }
}

/// The values of 32 codes in sixteen bytes.
fn named(bytes: &[u8], values: &[i8; 16]) -> [i8; 32] {
    let mut codes = [0; 32];
    nibbles(bytes, &mut codes);
    codes.map(|code| values[code as usize])
}
