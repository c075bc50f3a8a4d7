//! The product in f32 on the CPU: a weight's columns are dequantized once and multiplied with all rows.

use super::{Panel, Weight, gather};
use crate::kernel::cpu::vector::{BLOCK_ROWS, PANEL, madd, multiply_rows};
use crate::quant::floats8::{e4m3_size, e5m2_size, fp4_size_doubled};
use crate::quant::half_float::half_to_f32;
use crate::quant::{Code, Half, Layout};

/// Panels whose words are gathered at once. Natively, a row of two panels is two lines of the cache, for which its page
/// is looked up once: 1.2 times as fast on 64 tokens as one panel at a time; four gain less.
pub(super) const ABREAST: usize = 2;

/// Dequantized columns of a weight, `[K]`.
pub(super) struct Floats(Vec<[f32; PANEL]>);

impl Panel for Floats {
    type Rows = [[f32; BLOCK_ROWS]];
    type Columns = Columns;
    const ABREAST: usize = ABREAST;

    #[inline(always)]
    fn new(weight: &Weight) -> Self {
        Self(vec![[0.0; PANEL]; weight.k])
    }

    #[inline(always)]
    fn gather(weight: &Weight, first: usize) -> Columns {
        Columns::gather(weight, first)
    }

    #[inline(always)]
    fn unpack<const FMA: bool>(&mut self, weight: &Weight, columns: &Columns, place: usize) {
        columns.unpack::<FMA>(weight, place, &mut self.0);
    }

    #[inline(always)]
    fn multiply<const FMA: bool>(
        &self,
        rows: &[[f32; BLOCK_ROWS]],
        block: usize,
    ) -> [[f32; PANEL]; BLOCK_ROWS] {
        let k = self.0.len();
        multiply_rows::<FMA>(&rows[block * k..][..k], &self.0)
    }
}

/// The packed columns of [`ABREAST`] panels.
pub(super) struct Columns {
    words: Vec<[u32; ABREAST * PANEL]>,
    scales: Vec<[u32; ABREAST * PANEL]>,
}

impl Columns {
    /// Gathers the columns from `first` on; those past the weight's edge are zero.
    #[inline(always)]
    pub(super) fn gather(weight: &Weight, first: usize) -> Self {
        let scales = match weight.layout {
            Layout::Dense | Layout::Half(_) => Vec::new(),
            _ => gather(weight.scales, weight.n, first),
        };
        Self { words: gather(weight.words, weight.n, first), scales }
    }

    /// Unpacks the panel at `place` as f32; columns past the weight's edge are zero.
    #[inline(always)]
    pub(super) fn unpack<const FMA: bool>(&self, weight: &Weight, place: usize, panel: &mut [[f32; PANEL]]) {
        let byte = |word: u32, i: usize| ((word << (24 - 8 * i)) as i32 >> 24) as f32;
        match weight.layout {
            Layout::Packed4 { .. } => self.unpack_words::<FMA, 8>(weight, place, panel, |word, i| {
                ((word >> (4 * i)) & 15) as i32 as f32
            }),
            Layout::Packed8 { .. } => self.unpack_words::<FMA, 4>(weight, place, panel, byte),
            Layout::Scaled { code: Code::I8, .. } => {
                self.unpack_scaled::<4>(weight, place, panel, 1.0, byte);
            }
            Layout::Scaled { code: Code::I16, .. } => {
                self.unpack_scaled::<2>(weight, place, panel, 1.0, |word, i| {
                    ((word << (16 - 16 * i)) as i32 >> 16) as f32
                });
            }
            Layout::Scaled { code: Code::I4, .. } => {
                self.unpack_scaled::<8>(weight, place, panel, 1.0, |word, i| {
                    ((word >> (4 * i)) & 15) as i32 as f32 - 8.0
                });
            }
            Layout::Scaled { code: Code::Odd4, .. } => {
                self.unpack_scaled::<8>(weight, place, panel, 1.0, |word, i| {
                    ((word >> (4 * i)) & 15) as i32 as f32 - 7.5
                });
            }
            Layout::Scaled { code: Code::F4, .. } => {
                self.unpack_scaled::<8>(weight, place, panel, 1.0, |word, i| {
                    signed(fp4_size_doubled(word >> (4 * i)), word << (28 - 4 * i))
                });
            }
            Layout::Scaled { code: Code::E4M3, .. } => {
                self.unpack_scaled::<4>(weight, place, panel, f32::from_bits((127 - 7) << 23), |word, i| {
                    signed(e4m3_size(word >> (8 * i)), word << (24 - 8 * i))
                });
            }
            Layout::Scaled { code: Code::E5M2, .. } => {
                self.unpack_scaled::<4>(weight, place, panel, f32::from_bits((127 - 15) << 23), |word, i| {
                    signed(e5m2_size(word >> (8 * i)), word << (24 - 8 * i))
                });
            }
            Layout::Half(Half::F16) => {
                self.unpack_scaled::<2>(weight, place, panel, weight.factor, |word, i| {
                    half_to_f32((word >> (16 * i)) & 0xffff)
                });
            }
            Layout::Half(Half::BF16) => self.unpack_scaled::<2>(weight, place, panel, 1.0, |word, i| {
                f32::from_bits((word << (16 - 16 * i)) & 0xffff_0000)
            }),
            Layout::Dense => {
                self.unpack_words::<FMA, 1>(weight, place, panel, |word, _| f32::from_bits(word));
            }
        }
    }

    /// Unpacks words of `PER_WORD` codes; `code(word, i)` is the i-th of a word.
    #[inline(always)]
    fn unpack_words<const FMA: bool, const PER_WORD: usize>(
        &self,
        weight: &Weight,
        place: usize,
        panel: &mut [[f32; PANEL]],
        code: impl Fn(u32, usize) -> f32,
    ) {
        let part = |row: &[u32; ABREAST * PANEL]| row.as_chunks::<PANEL>().0[place];
        let group = weight.layout.group(weight.k);
        let (mut scale, mut min) = ([1f32; PANEL], [0f32; PANEL]);
        for (index, (values, row)) in
            panel.as_chunks_mut::<PER_WORD>().0.iter_mut().zip(&self.words).enumerate()
        {
            if let Some(group) = group
                && (index * PER_WORD).is_multiple_of(group)
            {
                let pairs = part(&self.scales[index * PER_WORD / group]);
                for j in 0..PANEL {
                    scale[j] = half_to_f32(pairs[j] & 0xffff) * weight.factor;
                    min[j] = half_to_f32(pairs[j] >> 16) * weight.factor;
                }
            }
            let row = part(row);
            for (i, values) in values.iter_mut().enumerate() {
                for j in 0..PANEL {
                    values[j] = madd::<FMA>(code(row[j], i), scale[j], min[j]);
                }
            }
        }
    }
    /// Unpacks words of `PER_WORD` values without a minimum; `unit` is a factor of all of them, beside their scales.
    #[inline(always)]
    fn unpack_scaled<const PER_WORD: usize>(
        &self,
        weight: &Weight,
        place: usize,
        panel: &mut [[f32; PANEL]],
        unit: f32,
        value: impl Fn(u32, usize) -> f32,
    ) {
        let part = |row: &[u32; ABREAST * PANEL]| row.as_chunks::<PANEL>().0[place];
        let words_each = weight.layout.group(weight.k).unwrap_or(weight.k) / PER_WORD;
        let panels = panel.chunks_exact_mut(words_each * PER_WORD).zip(self.words.chunks_exact(words_each));
        for (group, (panel, words)) in panels.enumerate() {
            let scale = match self.scales.get(group) {
                Some(scales) => part(scales).map(|bits| f32::from_bits(bits) * unit),
                None => [unit; PANEL],
            };
            for (values, row) in panel.as_chunks_mut::<PER_WORD>().0.iter_mut().zip(words) {
                let row = part(row);
                for (i, values) in values.iter_mut().enumerate() {
                    for j in 0..PANEL {
                        values[j] = value(row[j], i) * scale[j];
                    }
                }
            }
        }
    }
}

/// `size` with the sign of the uppermost bit of `top`.
#[inline(always)]
fn signed(size: f32, top: u32) -> f32 {
    f32::from_bits(size.to_bits() | top & 0x8000_0000)
}
