//! Types whose codes have two or three bits, or three values.

use super::{Group, TakeGroup, half_at};

/// `scales[16] qs[64] d dmin`: a byte of `scales` has a group's scale in its low nibble and its minimum in the high one.
pub(super) fn q2_k(block: &[u8], each: &mut impl TakeGroup) {
    let (scale, min) = (half_at(block, 80), half_at(block, 82));
    let mut codes = [0; 16];
    for (group, packed) in block[..16].iter().enumerate() {
        two_bits(&block[16..80], group, &mut codes);
        let (scale, min) = (scale * f32::from(packed & 15), -min * f32::from(packed >> 4));
        each.take(Group { codes: &codes, scale, min });
    }
}

/// `hmask[32] qs[64] scales[12] d`: bit `run` of a byte of `hmask` is the third bit of a code, without which 4 is taken.
pub(super) fn q3_k(block: &[u8], each: &mut impl TakeGroup) {
    let d = half_at(block, 108);
    let packed = &block[96..108];
    let mut codes = [0; 16];
    for group in 0..16 {
        two_bits(&block[32..96], group, &mut codes);
        let (run, start) = (group / 2, group % 2 * 16);
        for (code, mask) in codes.iter_mut().zip(&block[start..start + 16]) {
            *code += (mask >> run & 1) as i8 * 4 - 4;
        }
        let low = packed[group % 8] >> (group / 8 * 4) & 15;
        let high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
        let scale = d * (f32::from(low | high << 4) - 32.0);
        each.take(Group { codes: &codes, scale, min: 0.0 });
    }
}

/// `qs[64] d`
pub(super) fn tq2_0(block: &[u8], each: &mut impl TakeGroup) {
    let d = half_at(block, 64);
    let mut codes = [0; 32];
    for run in 0..8 {
        let (first, second) = codes.split_at_mut(16);
        two_bits(&block[..64], 2 * run, first);
        two_bits(&block[..64], 2 * run + 1, second);
        each.take(Group { codes: &codes, scale: d, min: -d });
    }
}

/// `qs[48] qh[4] d`: a byte is a fraction of 256, whose five digits to the base of three are values. The first digits of
/// 32 bytes come first, then their second ones; then those of 16 bytes, and four digits of the last four bytes.
pub(super) fn tq1_0(block: &[u8], each: &mut impl TakeGroup) {
    let d = half_at(block, 52);
    let mut codes = [0; 256];
    let mut places = codes.iter_mut();
    for (bytes, digits) in [(&block[..32], 5), (&block[32..48], 5), (&block[48..52], 4)] {
        for digit in 0..digits {
            for (byte, place) in bytes.iter().zip(&mut places) {
                let rest = byte.wrapping_mul(3u8.pow(digit));
                *place = ((u16::from(rest) * 3) >> 8) as i8;
            }
        }
    }
    codes.chunks_exact(32).for_each(|codes| each.take(Group { codes, scale: d, min: -d }));
}

/// The 2-bit codes of a group of 16. Each half of a block has 32 bytes, whose lowest bits are its first 32 codes.
fn two_bits(bytes: &[u8], group: usize, codes: &mut [i8]) {
    let (half, run, start) = (group / 8, group % 8 / 2, group % 2 * 16);
    for (code, byte) in codes.iter_mut().zip(&bytes[half * 32 + start..][..16]) {
        *code = (byte >> (2 * run) & 3) as i8;
    }
}
