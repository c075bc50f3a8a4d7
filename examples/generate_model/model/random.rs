//! Reproducible random numbers, and the weights that are made of them.

use gran_ted::format::TensorType;
use half::{bf16, f16};

/// The SplitMix64 sequence from a seed.
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A number from -1 to below 1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> impl Iterator<Item = u8> {
        (0..len).map(|_| self.next() as u8)
    }

    /// Writes F32 values within 0.2 of `center`.
    pub fn fill_around(&mut self, center: f32, bytes: &mut [u8]) {
        for value in bytes.as_chunks_mut().0 {
            *value = (center + 0.2 * self.unit()).to_le_bytes();
        }
    }

    /// Writes blocks of `dtype` for rows of `row_len`: random quants, and scales that undo the quants' own deviation and mean.
    /// Values are around 0 with a standard deviation of about 1 / sqrt(row_len), so that a linear layer keeps the scale of
    /// its input.
    pub fn fill(&mut self, dtype: TensorType, row_len: usize, bytes: &mut [u8]) {
        use TensorType::*;
        let deviation = 1.0 / (row_len as f32).sqrt();
        // These are the deviation and mean of q, or of q times its 6- or 8-bit scale, as random bytes have them, and where d
        // and the minimum stand in a block.
        let (quants, mean, place) = match dtype {
            F32 | F16 | BF16 => return self.fill_dense(dtype, deviation / 0.58, bytes),
            Q4_0 => (4.6, None, 0),
            Q4_1 => (4.6, Some(-7.5), 0),
            Q5_0 => (9.2, None, 0),
            Q5_1 => (9.2, Some(-15.5), 0),
            Q8_0 => (74.0, None, 0),
            Q4_K => (320.0, Some(7.5), 0),
            Q5_K => (660.0, Some(15.5), 0),
            Q6_K => (1370.0, None, 208),
            Q2_K => (13.9, Some(1.5), 80),
            Q3_K => (43.5, None, 108),
            IQ4_NL => (67.0, None, 0),
            IQ4_XS => (1240.0, None, 0),
            IQ3_S => (141.0, None, 0),
            IQ3_XXS => (142.0, None, 0),
            IQ2_S | IQ2_XS | IQ2_XXS => (56.0, None, 0),
            IQ1_S => (7.2, None, 0),
            IQ1_M => (7.2, None, 48),
            TQ1_0 => (0.82, None, 52),
            TQ2_0 => (1.1, None, 64),
            MXFP4 => (2.9, None, 0),
            NVFP4 => (2.9, None, 0),
            other => unreachable!("{other:?} is no type of GGUF"),
        };
        for eight in bytes.chunks_mut(8) {
            eight.copy_from_slice(&self.next().to_le_bytes()[..eight.len()]);
        }
        for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
            let d = deviation / quants * (1.0 + 0.5 * self.unit());
            match dtype {
                IQ1_M => {
                    scatter(f16::from_f32(d), block);
                    continue;
                }
                MXFP4 => {
                    block[0] = (127.0 + d.log2()) as u8;
                    continue;
                }
                NVFP4 => {
                    // E4M3 by its bits: below 2^-6 a whole number of 2^-9.
                    let bits = if d < 1.0 / 64.0 { d * 512.0 } else { 8.0 + (d.log2() + 6.0) * 8.0 };
                    block[..4].fill(bits as u8);
                    continue;
                }
                _ => {}
            }
            for (value, at) in [(Some(1.0), place), (mean, place + 2)] {
                if let Some(value) = value {
                    block[at..at + 2].copy_from_slice(&f16::from_f32(value * d).to_le_bytes());
                }
            }
        }
    }

    fn fill_dense(&mut self, dtype: TensorType, limit: f32, bytes: &mut [u8]) {
        for value in bytes.chunks_exact_mut(dtype.block_bytes()) {
            let random = limit * self.unit();
            match dtype {
                TensorType::F32 => value.copy_from_slice(&random.to_le_bytes()),
                TensorType::F16 => value.copy_from_slice(&f16::from_f32(random).to_le_bytes()),
                _ => value.copy_from_slice(&bf16::from_f32(random).to_le_bytes()),
            }
        }
    }
}

/// Writes the scale of an IQ1_M block, whose bits stand at the top of four numbers.
pub fn scatter(d: f16, block: &mut [u8]) {
    for (i, place) in block[48..56].iter_mut().skip(1).step_by(2).enumerate() {
        *place = *place & 15 | (d.to_bits() >> (4 * i) << 4) as u8;
    }
}
