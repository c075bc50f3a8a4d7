//! A weight in the device's layout.

use super::layout::{Code, Half, Layout};

/// A weight `[out, in]` in the device's layout: transposed, so that neighboring outputs are neighboring words.
pub struct Packed {
    /// How `words` are read.
    pub layout: Layout,
    /// Rows of the checkpoint's weight, and columns of `words`.
    pub out_features: usize,
    /// Columns of the checkpoint's weight.
    pub in_features: usize,
    /// `[in / per_word, out]`; the first value of a word is in its lowest bits.
    pub words: Vec<u32>,
    /// `[in / group, out]`: an f16 scale in the low half, an f16 minimum in the high half; an f32 scale where the layout
    /// is [`Layout::Scaled`]. One zero if the layout has no scales.
    pub scales: Vec<u32>,
    /// A power of two by which numbers in f16, be they scales and minima or the values, are multiplied: it keeps them far
    /// from f16's subnormal range, which some GPUs flush to zero.
    pub factor: f32,
}

impl Packed {
    /// Whether every value is zero. The first value that is not ends the search.
    pub fn is_zero(&self) -> bool {
        let zeros = |bits: u32| move |word: &u32| word & bits == 0;
        match self.layout {
            Layout::Dense => self.words.iter().all(|word| f32::from_bits(*word) == 0.0),
            Layout::Half(_) => self.words.iter().all(zeros(0x7fff_7fff)),
            Layout::Scaled { code, .. } => {
                let (sizes, zero) = match code {
                    Code::E4M3 | Code::E5M2 => (0x7f7f_7f7f, Some(0)),
                    Code::F4 => (0x7777_7777, Some(0)),
                    Code::I8 | Code::I16 => (u32::MAX, Some(0)),
                    Code::I4 => (u32::MAX, Some(0x8888_8888)),
                    Code::Odd4 => (u32::MAX, None),
                };
                self.words.iter().all(|word| Some(word & sizes) == zero)
                    || self.scales.iter().all(zeros(0x7fff_ffff))
            }
            // Without scales and minima, and without codes, all values are zero.
            Layout::Packed4 { .. } | Layout::Packed8 { .. } => {
                self.scales.iter().all(zeros(0x7fff_7fff))
                    || self.words.iter().all(|codes| *codes == 0)
                        && self.scales.iter().all(zeros(0x7fff_0000))
            }
        }
    }

    /// Whether every scale, minimum and value is a finite number.
    pub fn is_finite(&self) -> bool {
        // Infinity and NaN have an exponent of ones.
        let ones = |exponent: u16| {
            move |word: &u32| {
                [*word as u16, (*word >> 16) as u16].iter().any(|half| half & exponent == exponent)
            }
        };
        match self.layout {
            Layout::Dense => all_of(&self.words, |word| f32::from_bits(word).is_finite()),
            Layout::Half(Half::F16) => !self.words.iter().any(ones(0x7c00)),
            Layout::Half(Half::BF16) => !self.words.iter().any(ones(0x7f80)),
            Layout::Scaled { code, .. } => {
                let has = |wrong: fn(u8) -> bool| {
                    self.words.iter().any(|word| word.to_le_bytes().into_iter().any(wrong))
                };
                self.scales.iter().all(|scale| f32::from_bits(*scale).is_finite())
                    && match code {
                        Code::E4M3 => !has(|byte| byte & 0x7f == 0x7f),
                        Code::E5M2 => !has(|byte| byte & 0x7c == 0x7c),
                        Code::I8 | Code::I16 | Code::I4 | Code::Odd4 | Code::F4 => true,
                    }
            }
            Layout::Packed4 { .. } | Layout::Packed8 { .. } => {
                all_of(&self.scales, |pair| (pair & 0x7c00 != 0x7c00) & (pair & 0x7c00_0000 != 0x7c00_0000))
            }
        }
    }
}

/// Whether `is` holds for all `values`, many at a time: a search that may end anywhere is not vectorized.
fn all_of(values: &[u32], is: impl Fn(u32) -> bool) -> bool {
    values.chunks(1024).all(|chunk| chunk.iter().fold(true, |all, value| all & is(*value)))
}
