//! Reproducible random numbers and weight blocks.

use gran_ted::format::TensorType;
use half::{bf16, f16};

/// The splitmix64 sequence from a seed.
pub struct Noise(u64);

impl Noise {
    /// From `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In -1..1.
    pub fn value(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// `count` of them.
    pub fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.value()).collect()
    }

    /// Bytes of `count` values of type `dtype`: random codes, small finite scales and minima of both signs.
    pub fn blocks(&mut self, dtype: TensorType, count: usize) -> Vec<u8> {
        match dtype {
            TensorType::F32 => return self.values(count).iter().flat_map(|x| x.to_le_bytes()).collect(),
            TensorType::F16 => {
                return self.values(count).iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
            }
            TensorType::BF16 => {
                return self.values(count).iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
            }
            _ => {}
        }
        let halves: &[usize] = match dtype {
            TensorType::Q4_0 | TensorType::Q5_0 | TensorType::Q8_0 => &[0],
            TensorType::Q6_K => &[208],
            _ => &[0, 2],
        };
        let mut bytes: Vec<u8> =
            (0..count / dtype.block_len() * dtype.block_bytes()).map(|_| self.next() as u8).collect();
        for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
            for at in halves {
                block[*at..at + 2].copy_from_slice(&f16::from_f32(self.value() * 0.1).to_le_bytes());
            }
        }
        bytes
    }
}
