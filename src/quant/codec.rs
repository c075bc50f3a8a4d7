//! Stored blocks -> values. Every block type is read as groups of 16 or 32 small integers with a scale and a minimum:
//! `value = code * scale + min`. Block layouts: ggml's `ggml-common.h`.

pub(crate) mod floats8;
mod grids;
mod low_bits;
mod uneven;

use crate::format::TensorType;
use half::f16;

/// The values of a group: `code * scale + min`.
pub(super) struct Group<'a> {
    /// One code per value: 32, or 16.
    pub codes: &'a [i8],
    /// The step between neighboring codes.
    pub scale: f32,
    /// The value of code 0.
    pub min: f32,
}

/// The values stored in `bytes`, which hold whole blocks of `dtype`, in their order; codes, where another tensor has what
/// makes them values.
pub fn dequantize(dtype: TensorType, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        TensorType::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        TensorType::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        TensorType::BF16 => {
            // bfloat16 is the upper half of an f32.
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_bits((u16::from_le_bytes(*b) as u32) << 16))
                .collect()
        }
        TensorType::F8_E4M3 => bytes.iter().map(|byte| floats8::e4m3(*byte)).collect(),
        TensorType::F8_E5M2 => bytes.iter().map(|byte| floats8::e5m2(*byte)).collect(),
        TensorType::F8_E8M0 => bytes.iter().map(|byte| floats8::e8m0(*byte)).collect(),
        TensorType::I8 => bytes.iter().map(|byte| f32::from(*byte as i8)).collect(),
        TensorType::U8 => bytes.iter().map(|byte| f32::from(*byte)).collect(),
        TensorType::F4 => bytes.iter().flat_map(|byte| floats8::f4(*byte)).collect(),
        TensorType::NF4 => bytes.iter().flat_map(|byte| [byte >> 4, byte & 15].map(f32::from)).collect(),
        _ => {
            let mut values = Vec::with_capacity(bytes.len() / dtype.block_bytes() * dtype.block_len());
            for block in bytes.chunks_exact(dtype.block_bytes()) {
                for_groups(dtype, block, &mut Values(&mut values));
            }
            values
        }
    }
}

/// Takes the groups of a block. It is a trait, as a closure that is called in so many places is inlined or not as the
/// compiler likes: the packing of a model takes a tenth more where it is not.
pub(super) trait TakeGroup {
    /// Takes the next group.
    fn take(&mut self, group: Group);
}

/// Gives `each` the groups of one block, in the order of their values.
pub(super) fn for_groups(dtype: TensorType, block: &[u8], each: &mut impl TakeGroup) {
    let half = |at: usize| half_at(block, at);
    let mut codes = [0i8; 32];
    match dtype {
        TensorType::Q4_0 => {
            nibbles(&block[2..18], &mut codes);
            each.take(Group { codes: &codes, scale: half(0), min: -8.0 * half(0) });
        }
        TensorType::Q4_1 => {
            nibbles(&block[4..20], &mut codes);
            each.take(Group { codes: &codes, scale: half(0), min: half(2) });
        }
        TensorType::Q5_0 => {
            nibbles(&block[6..22], &mut codes);
            fifth_bits(&block[2..6], &mut codes);
            codes.iter_mut().for_each(|code| *code -= 16);
            each.take(Group { codes: &codes, scale: half(0), min: 0.0 });
        }
        TensorType::Q5_1 => {
            nibbles(&block[8..24], &mut codes);
            fifth_bits(&block[4..8], &mut codes);
            each.take(Group { codes: &codes, scale: half(0), min: half(2) });
        }
        TensorType::Q8_0 => {
            codes.iter_mut().zip(&block[2..34]).for_each(|(code, byte)| *code = *byte as i8);
            each.take(Group { codes: &codes, scale: half(0), min: 0.0 });
        }
        TensorType::Q4_K => {
            let (scale, min) = (half(0), half(2));
            for group in 0..8 {
                let bytes = &block[16 + group / 2 * 32..][..32];
                let shift = 4 * (group % 2);
                codes.iter_mut().zip(bytes).for_each(|(code, byte)| *code = ((byte >> shift) & 15) as i8);
                let (s, m) = six_bits(&block[4..16], group);
                each.take(Group { codes: &codes, scale: scale * s, min: -min * m });
            }
        }
        TensorType::Q5_K => {
            let (scale, min) = (half(0), half(2));
            for group in 0..8 {
                let bytes = &block[48 + group / 2 * 32..][..32];
                let shift = 4 * (group % 2);
                for ((code, byte), high) in codes.iter_mut().zip(bytes).zip(&block[16..48]) {
                    *code = (((byte >> shift) & 15) | ((high >> group) & 1) << 4) as i8;
                }
                let (s, m) = six_bits(&block[4..16], group);
                each.take(Group { codes: &codes, scale: scale * s, min: -min * m });
            }
        }
        TensorType::Q6_K => {
            for group in 0..16 {
                q6_k_codes(block, group, &mut codes[..16]);
                let scale = half(208) * (block[192 + group] as i8) as f32;
                each.take(Group { codes: &codes[..16], scale, min: 0.0 });
            }
        }
        TensorType::Q2_K => low_bits::q2_k(block, each),
        TensorType::Q3_K => low_bits::q3_k(block, each),
        TensorType::TQ1_0 => low_bits::tq1_0(block, each),
        TensorType::TQ2_0 => low_bits::tq2_0(block, each),
        TensorType::IQ4_NL => uneven::iq4_nl(block, each),
        TensorType::IQ4_XS => uneven::iq4_xs(block, each),
        TensorType::MXFP4 => uneven::mxfp4(block, each),
        TensorType::NVFP4 => uneven::nvfp4(block, each),
        TensorType::IQ3_S => grids::iq3_s(block, each),
        TensorType::IQ3_XXS => grids::iq3_xxs(block, each),
        TensorType::IQ2_S => grids::iq2_s(block, each),
        TensorType::IQ2_XS => grids::iq2_xs(block, each),
        TensorType::IQ2_XXS => grids::iq2_xxs(block, each),
        TensorType::IQ1_M => grids::iq1_m(block, each),
        TensorType::IQ1_S => grids::iq1_s(block, each),
        TensorType::F32
        | TensorType::F16
        | TensorType::BF16
        | TensorType::F8_E4M3
        | TensorType::F8_E5M2
        | TensorType::F8_E8M0
        | TensorType::I8
        | TensorType::U8
        | TensorType::F4
        | TensorType::NF4 => unreachable!("these types have no groups"),
    }
}

/// The values of the groups, one after the other.
struct Values<'a>(&'a mut Vec<f32>);

impl TakeGroup for Values<'_> {
    #[inline(always)]
    fn take(&mut self, group: Group) {
        self.0.extend(group.codes.iter().map(|code| *code as f32 * group.scale + group.min));
    }
}

/// The FP4 code of twice its value.
pub(super) fn fp4_code(doubled: i8) -> i8 {
    const SIZES: [i8; 13] = [0, 1, 2, 3, 4, 0, 5, 0, 6, 0, 0, 0, 7];
    SIZES[usize::from(doubled.unsigned_abs())] | if doubled < 0 { 8 } else { 0 }
}

/// The f16 at a byte of a block.
fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Reads 32 codes from sixteen bytes: the low nibbles are codes 0..16, the high ones 16..32.
fn nibbles(bytes: &[u8], codes: &mut [i8; 32]) {
    for (i, byte) in bytes.iter().enumerate() {
        codes[i] = (byte & 15) as i8;
        codes[i + 16] = (byte >> 4) as i8;
    }
}

/// Adds bit `i` of four bytes to code `i` as its fifth bit.
fn fifth_bits(bytes: &[u8], codes: &mut [i8; 32]) {
    for (i, code) in codes.iter_mut().enumerate() {
        *code |= (((bytes[i / 8] >> (i % 8)) & 1) << 4) as i8;
    }
}

/// The 6-bit scale and the 6-bit minimum of one of a super-block's eight groups.
fn six_bits(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, min) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        (
            (packed[group + 4] & 15) | (packed[group - 4] >> 6) << 4,
            (packed[group + 4] >> 4) | (packed[group] >> 6) << 4,
        )
    };
    (scale as f32, min as f32)
}

/// Reads the sixteen 6-bit codes of a group, minus 32. Bytes 0..128 of the super-block hold the low nibbles, 128..192
/// the upper two bits; each half of the super-block is four runs of 32.
fn q6_k_codes(block: &[u8], group: usize, codes: &mut [i8]) {
    let (half, run, start) = (group / 8, group % 8 / 2, group % 2 * 16);
    let low = &block[half * 64 + run % 2 * 32 + start..][..16];
    let high = &block[128 + half * 32 + start..][..16];
    let (low_shift, high_shift) = (4 * (run / 2), 2 * run);
    for ((code, low), high) in codes.iter_mut().zip(low).zip(high) {
        *code = ((low >> low_shift & 15) | (high >> high_shift & 3) << 4) as i8 - 32;
    }
}
