//! The product in integers on the CPU: rows are rounded once, panels of codes are unpacked once and multiplied with all
//! rows.
//!
//! Codes stand in pairs of neighboring k, sixteen bits each: AVX2 and SIMD128 multiply and add such pairs in one
//! instruction.

use super::{Panel, Weight, X_GROUP, gather};
use crate::kernel::cpu::vector::{BLOCK_ROWS, PANEL, dot_pairs, madd, simd};
use crate::quant::Layout;
use crate::quant::half_float::half_to_f32;
use crate::quant::rounding::round_even_to_int;

/// `x [M, K]` in codes, in blocks of [`BLOCK_ROWS`] rows; rows past the end are zero.
pub(super) struct Rows {
    /// `[K / 2, BLOCK_ROWS]` per block.
    pairs: Vec<[i32; BLOCK_ROWS]>,
    /// `[K / 32, BLOCK_ROWS]` per block.
    scales: Vec<[f32; BLOCK_ROWS]>,
    /// Sums of codes, `[K / group, BLOCK_ROWS]` per block.
    sums: Vec<[f32; BLOCK_ROWS]>,
}

impl Rows {
    /// Rounds `x`, for weights in groups of `group`.
    pub(super) fn new(x: &[f32], k: usize, group: usize) -> Self {
        let blocks = (x.len() / k).div_ceil(BLOCK_ROWS);
        let mut rows = Self {
            pairs: vec![[0; BLOCK_ROWS]; blocks * k / 2],
            scales: vec![[0.0; BLOCK_ROWS]; blocks * k / X_GROUP],
            sums: vec![[0.0; BLOCK_ROWS]; blocks * k / group],
        };
        quantize(x, k, group, &mut rows);
        rows
    }
}

simd!(fn quantize(x: &[f32], k: usize, group: usize, rows: &mut Rows) = quantize_body);

#[inline(always)]
fn quantize_body<const FMA: bool>(x: &[f32], k: usize, group: usize, rows: &mut Rows) {
    for (row, values) in x.chunks_exact(k).enumerate() {
        let (block, row) = (row / BLOCK_ROWS, row % BLOCK_ROWS);
        for (g, values) in values.as_chunks::<X_GROUP>().0.iter().enumerate() {
            let (scale, codes) = codes(values);
            rows.scales[block * k / X_GROUP + g][row] = scale;
            let at = block * k / 2 + g * X_GROUP / 2;
            for (pair, [a, b]) in rows.pairs[at..].iter_mut().zip(codes.as_chunks().0) {
                pair[row] = a & 0xffff | b << 16;
            }
            let at = block * k / group + g * X_GROUP / group;
            for (sum, codes) in rows.sums[at..].iter_mut().zip(codes.chunks_exact(group)) {
                sum[row] = codes.iter().sum::<i32>() as f32;
            }
        }
    }
}

/// The scale and the codes of a group, in the same steps as int8.wgsl. The scale of values that are not finite, or too
/// large, is NaN: so is every sum of theirs, as in f32.
#[inline(always)]
fn codes(values: &[f32; X_GROUP]) -> (f32, [i32; X_GROUP]) {
    // Sizes are compared as integers: NaN is above infinity there, where a comparison of floats would pass over it.
    let mut peaks = [0u32; 8];
    for values in values.as_chunks::<8>().0 {
        for (peak, value) in peaks.iter_mut().zip(values) {
            *peak = (*peak).max(value.abs().to_bits());
        }
    }
    let bits = (peaks.into_iter().fold(0, u32::max) + 255) & !255;
    let exponent = bits >> 23;
    if !(32..=244).contains(&exponent) {
        return (if exponent < 32 { 0.0 } else { f32::NAN }, [0; X_GROUP]);
    }
    let quotient = (127u32 << 25) / ((bits >> 8) & 0x7fff | 0x8000);
    let inverse = quotient as f32 * f32::from_bits((244 - exponent) << 23);
    (f32::from_bits(bits) * (1.0 / 127.0), values.map(|value| round_even_to_int(value * inverse)))
}

/// Columns of a weight in codes.
pub(super) struct Codes {
    /// `[K / 2]`
    pairs: Vec<[i32; PANEL]>,
    /// Scales and minima, `[K / group]`.
    scales: Vec<[[f32; PANEL]; 2]>,
    /// Pairs of a group.
    each: usize,
}

/// The packed columns of a panel: words, and scales beside minima.
pub(super) struct Columns {
    words: Vec<[u32; PANEL]>,
    scales: Vec<[u32; PANEL]>,
}

impl Panel for Codes {
    type Rows = Rows;
    type Columns = Columns;
    const ABREAST: usize = 1;

    #[inline(always)]
    fn new(weight: &Weight) -> Self {
        let group = weight.layout.group(weight.k).unwrap_or(X_GROUP);
        Self {
            pairs: vec![[0; PANEL]; weight.k / 2],
            scales: vec![[[0.0; PANEL]; 2]; weight.k / group],
            each: group / 2,
        }
    }

    #[inline(always)]
    fn gather(weight: &Weight, first: usize) -> Columns {
        Columns {
            words: gather(weight.words, weight.n, first),
            scales: gather(weight.scales, weight.n, first),
        }
    }

    #[inline(always)]
    fn unpack<const FMA: bool>(&mut self, weight: &Weight, columns: &Columns, _place: usize) {
        match weight.layout {
            Layout::Packed4 { .. } => unpack::<4>(&columns.words, &mut self.pairs, |word, i| {
                let byte = word >> (8 * i);
                (byte & 0xf | (byte & 0xf0) << 12) as i32
            }),
            _ => unpack::<2>(&columns.words, &mut self.pairs, |word, i| {
                let [low, high] = [24, 16].map(|shift| ((word >> (16 * i)) << shift) as i32 >> 24);
                low & 0xffff | high << 16
            }),
        }
        let value = |bits: u32| half_to_f32(bits) * weight.factor;
        for (scales, row) in self.scales.iter_mut().zip(&columns.scales) {
            *scales = [row.map(|pair| value(pair & 0xffff)), row.map(|pair| value(pair >> 16))];
        }
    }

    #[inline(always)]
    fn multiply<const FMA: bool>(&self, rows: &Rows, block: usize) -> [[f32; PANEL]; BLOCK_ROWS] {
        let (k, groups) = (self.pairs.len(), self.scales.len());
        let parts = X_GROUP / 2 / self.each;
        let x = rows.pairs[block * k..][..k].chunks_exact(self.each);
        let mut sums = [[0f32; PANEL]; BLOCK_ROWS];
        for (g, (x, w)) in x.zip(self.pairs.chunks_exact(self.each)).enumerate() {
            let mut dots = [[0i32; PANEL]; BLOCK_ROWS];
            for (x, w) in x.iter().zip(w) {
                for i in 0..BLOCK_ROWS {
                    dot_pairs::<FMA>(&mut dots[i], w, x[i]);
                }
            }
            let [scale, min] = &self.scales[g];
            let x_scales = &rows.scales[(block * groups + g) / parts];
            let x_sums = &rows.sums[block * groups + g];
            for i in 0..BLOCK_ROWS {
                for j in 0..PANEL {
                    let dot = madd::<FMA>(scale[j], dots[i][j] as f32, min[j] * x_sums[i]);
                    sums[i][j] = madd::<FMA>(x_scales[i], dot, sums[i][j]);
                }
            }
        }
        sums
    }
}

/// Unpacks words of `PAIRS` pairs of codes; `pair(word, i)` is the i-th of a word.
#[inline(always)]
fn unpack<const PAIRS: usize>(
    words: &[[u32; PANEL]],
    pairs: &mut [[i32; PANEL]],
    pair: impl Fn(u32, usize) -> i32,
) {
    for (pairs, words) in pairs.as_chunks_mut::<PAIRS>().0.iter_mut().zip(words) {
        for (i, pairs) in pairs.iter_mut().enumerate() {
            for j in 0..PANEL {
                pairs[j] = pair(words[j], i);
            }
        }
    }
}
