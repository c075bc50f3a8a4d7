//! Types whose codes are places in a grid of vectors with four or eight values.
//!
//! `grids.bin` has the grids of ggml (MIT) as the Python package `gguf` 0.19 packs them in `quants.py`: for each value its
//! number among those that the grid has, in two bits (IQ2, IQ1) or four (IQ3), the first value in the lowest bits.

use super::{Group, TakeGroup, half_at};

static GRIDS: &[u8; 9216] = include_bytes!("grids.bin");

/// A grid: where it begins in the file, and its values by their numbers.
struct Grid<const N: usize> {
    start: usize,
    values: [i8; N],
}

const IQ2: [i8; 3] = [8, 25, 43];
const IQ2_XXS: Grid<3> = Grid { start: 0, values: IQ2 };
const IQ2_XS: Grid<3> = Grid { start: 512, values: IQ2 };
const IQ2_S: Grid<3> = Grid { start: 1536, values: IQ2 };
const IQ3_XXS: Grid<8> = Grid { start: 3584, values: [4, 12, 20, 28, 36, 44, 52, 62] };
const IQ3_S: Grid<8> = Grid { start: 4096, values: [1, 3, 5, 7, 9, 11, 13, 15] };
/// Eight times -1, 0 and 1: the values are moved by an eighth.
const IQ1: Grid<3> = Grid { start: 5120, values: [-8, 0, 8] };

impl Grid<3> {
    /// Writes the eight values at `place`.
    fn write(&self, place: usize, codes: &mut [i8]) {
        let packed = &GRIDS[self.start + 2 * place..][..2];
        for (i, code) in codes.iter_mut().enumerate() {
            *code = self.values[usize::from(packed[i / 4] >> (i % 4 * 2) & 3)];
        }
    }
}

impl Grid<8> {
    /// Writes the four values at `place`.
    fn write(&self, place: usize, codes: &mut [i8]) {
        let packed = &GRIDS[self.start + 2 * place..][..2];
        for (i, code) in codes.iter_mut().enumerate() {
            *code = self.values[usize::from(packed[i / 2] >> (i % 2 * 4) & 7)];
        }
    }
}

/// Turns the values whose bits are set into their negatives.
fn sign(signs: u8, codes: &mut [i8]) {
    for (i, code) in codes.iter_mut().enumerate() {
        if signs >> i & 1 == 1 {
            *code = -*code;
        }
    }
}

/// Eight signs of seven bits: the number of negative values is even.
fn even(signs: u32) -> u8 {
    let signs = signs as u8 & 127;
    signs | (signs.count_ones() as u8 & 1) << 7
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn short(bytes: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// The nibble `i` of `bytes`.
fn nibble(bytes: &[u8], i: usize) -> f32 {
    f32::from(bytes[i / 2] >> (i % 2 * 4) & 15)
}

/// `d qs[64]`: for 32 values four places of a byte, then four times seven signs and a scale of four bits.
pub(super) fn iq2_xxs(block: &[u8], each: &mut impl TakeGroup) {
    let d = half_at(block, 0);
    for bytes in block[2..].chunks_exact(8) {
        let rest = word(&bytes[4..]);
        let mut codes = [0; 32];
        for (i, codes) in codes.chunks_exact_mut(8).enumerate() {
            IQ2_XXS.write(usize::from(bytes[i]), codes);
            sign(even(rest >> (7 * i)), codes);
        }
        each.take(Group { codes: &codes, scale: d * (0.5 + (rest >> 28) as f32) * 0.25, min: 0.0 });
    }
}

/// `d qs[64] scales[8]`: for 8 values a place of nine bits and seven signs; a nibble of `scales` for 16 values.
pub(super) fn iq2_xs(block: &[u8], each: &mut impl TakeGroup) {
    let d = half_at(block, 0);
    for (group, bytes) in block[2..66].chunks_exact(4).enumerate() {
        let mut codes = [0; 16];
        for (codes, packed) in codes.chunks_exact_mut(8).zip(bytes.chunks_exact(2)) {
            IQ2_XS.write(short(packed) & 511, codes);
            sign(even((short(packed) >> 9) as u32), codes);
        }
        let scale = d * (0.5 + nibble(&block[66..], group)) * 0.25;
        each.take(Group { codes: &codes, scale, min: 0.0 });
    }
}

/// `d qs[32] signs[32] qh[8] scales[8]`: for 8 values a place of ten bits, the upper two in `qh`, and a byte of signs; a
/// nibble of `scales` for 16 values.
pub(super) fn iq2_s(block: &[u8], each: &mut impl TakeGroup) {
    let d = half_at(block, 0);
    for group in 0..16 {
        let mut codes = [0; 16];
        for (half, codes) in codes.chunks_exact_mut(8).enumerate() {
            let i = 2 * group + half;
            let high = block[66 + i / 4] >> (i % 4 * 2) & 3;
            IQ2_S.write(usize::from(block[2 + i]) | usize::from(high) << 8, codes);
            sign(block[34 + i], codes);
        }
        let scale = d * (0.5 + nibble(&block[74..], group)) * 0.25;
        each.take(Group { codes: &codes, scale, min: 0.0 });
    }
}

/// `d qs[64] rest[32]`: for 4 values a place of a byte; for 32 values four times seven signs and a scale of four bits.
pub(super) fn iq3_xxs(block: &[u8], each: &mut impl TakeGroup) {
    let d = half_at(block, 0);
    for group in 0..8 {
        let rest = word(&block[66 + 4 * group..]);
        let mut codes = [0; 32];
        for (codes, place) in codes.chunks_exact_mut(4).zip(&block[2 + 8 * group..]) {
            IQ3_XXS.write(usize::from(*place), codes);
        }
        codes.chunks_exact_mut(8).enumerate().for_each(|(i, codes)| sign(even(rest >> (7 * i)), codes));
        each.take(Group { codes: &codes, scale: d * (0.5 + (rest >> 28) as f32) * 0.5, min: 0.0 });
    }
}

/// `d qs[64] qh[8] signs[32] scales[4]`: for 4 values a place of nine bits, the upper one in `qh`; a bit of `signs` for each
/// value; a nibble of `scales` for 32 values.
pub(super) fn iq3_s(block: &[u8], each: &mut impl TakeGroup) {
    let d = half_at(block, 0);
    for group in 0..8 {
        let mut codes = [0; 32];
        for (i, codes) in codes.chunks_exact_mut(4).enumerate() {
            let high = usize::from(block[66 + group] >> i & 1);
            IQ3_S.write(usize::from(block[2 + 8 * group + i]) | high << 8, codes);
        }
        for (codes, signs) in codes.chunks_exact_mut(8).zip(&block[74 + 4 * group..]) {
            sign(*signs, codes);
        }
        let scale = d * (1.0 + 2.0 * nibble(&block[106..], group));
        each.take(Group { codes: &codes, scale, min: 0.0 });
    }
}

/// Writes eight values of IQ1, in eighths: those of the grid, moved up or down.
fn iq1(place: usize, down: bool, codes: &mut [i8]) {
    IQ1.write(place, codes);
    codes.iter_mut().for_each(|code| *code += if down { -1 } else { 1 });
}

/// `d qs[32] qh[16]`: for 32 values two bytes of `qh` have the upper three bits of four places, a scale of three bits, and
/// the direction in which all are moved.
pub(super) fn iq1_s(block: &[u8], each: &mut impl TakeGroup) {
    let d = half_at(block, 0);
    for group in 0..8 {
        let high = short(&block[34 + 2 * group..]);
        let mut codes = [0; 32];
        for (i, codes) in codes.chunks_exact_mut(8).enumerate() {
            let place = usize::from(block[2 + 4 * group + i]) | (high >> (3 * i) & 7) << 8;
            iq1(place, high >> 15 == 1, codes);
        }
        let scale = d * (2 * (high >> 12 & 7) + 1) as f32;
        each.take(Group { codes: &codes, scale: scale / 8.0, min: 0.0 });
    }
}

/// `qs[32] qh[16] scales[8]`: for 8 values a nibble of `qh` has the upper three bits of the place and the direction. Each of
/// four numbers in `scales` has four scales of three bits, and in its upper four bits a part of d.
pub(super) fn iq1_m(block: &[u8], each: &mut impl TakeGroup) {
    let scales: [usize; 4] = std::array::from_fn(|i| short(&block[48 + 2 * i..]));
    let d = (0..4).fold(0, |d, i| d | (scales[i] >> 12) << (4 * i));
    let d = half::f16::from_bits(d as u16).to_f32();
    for group in 0..16 {
        let mut codes = [0; 16];
        for (half, codes) in codes.chunks_exact_mut(8).enumerate() {
            let high = usize::from(block[32 + group] >> (4 * half));
            let place = usize::from(block[2 * group + half]) | (high & 7) << 8;
            iq1(place, high & 8 == 8, codes);
        }
        let scale = d * (2 * (scales[group / 4] >> (3 * (group % 4)) & 7) + 1) as f32;
        each.take(Group { codes: &codes, scale: scale / 8.0, min: 0.0 });
    }
}
