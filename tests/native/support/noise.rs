//! What tests take of random numbers: values, and blocks of weights.

use super::model::{Random, scatter};
use gran_ted::format::TensorType;
use half::{bf16, f16};

impl Random {
    /// `count` values from -1 to below 1.
    pub fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.unit()).collect()
    }

    /// The bytes of `count` values of type `dtype`: random codes, small finite scales and minima of both signs.
    pub fn blocks(&mut self, dtype: TensorType, count: usize) -> Vec<u8> {
        let halves: &[usize] = match dtype {
            TensorType::F32 => return self.values(count).iter().flat_map(|x| x.to_le_bytes()).collect(),
            TensorType::F16 => {
                return self.values(count).iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
            }
            TensorType::BF16 => {
                return self.values(count).iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
            }
            // Up to the largest finite E5M2.
            TensorType::F8_E4M3 | TensorType::F8_E5M2 | TensorType::I8 => {
                return self
                    .bytes(count)
                    .map(|byte| if byte & 0x7c == 0x7c { byte ^ 8 } else { byte })
                    .collect();
            }
            TensorType::Q4_0 | TensorType::Q5_0 | TensorType::Q8_0 => &[0],
            TensorType::Q4_1 | TensorType::Q5_1 | TensorType::Q4_K | TensorType::Q5_K => &[0, 2],
            TensorType::Q6_K => &[208],
            TensorType::Q2_K => &[80, 82],
            TensorType::Q3_K => &[108],
            TensorType::TQ1_0 => &[52],
            TensorType::TQ2_0 => &[64],
            TensorType::IQ1_M | TensorType::MXFP4 | TensorType::NVFP4 => &[],
            _ => &[0],
        };
        let len = count / dtype.block_len() * dtype.block_bytes();
        let mut bytes: Vec<u8> = self.bytes(len).collect();
        for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
            for at in halves {
                block[*at..at + 2].copy_from_slice(&f16::from_f32(self.unit() * 0.1).to_le_bytes());
            }
            match dtype {
                TensorType::IQ1_M => scatter(f16::from_f32(self.unit() * 0.1), block),
                TensorType::MXFP4 => block[0] = 120 + self.below(8) as u8,
                _ => {}
            }
        }
        bytes
    }
}
