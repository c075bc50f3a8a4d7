//! Stored rows -> a weight in the device's layout, some rows at a time. Called by `loader` and the self-test.

use super::codec::{Group, TakeGroup, dequantize, for_groups};
use super::encode::{GROUP, encode};
use super::half_float::f32_to_half;
use super::layout::Layout;
use crate::format::TensorType;
use std::slice::{ChunksExactMut, IterMut};

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
    /// `[in / group, out]`: an f16 scale in the low half, an f16 minimum in the high half. One zero if the layout has
    /// no scales.
    pub scales: Vec<u32>,
    /// A power of two by which the stored scales and minima are multiplied: it keeps them far from f16's subnormal
    /// range, which some GPUs flush to zero.
    pub factor: f32,
}

impl Packed {
    /// Whether every value is zero. The first value that is not ends the search.
    pub fn is_zero(&self) -> bool {
        match self.layout {
            Layout::Dense => self.words.iter().all(|word| f32::from_bits(*word) == 0.0),
            // Without scales and minima, and without codes, all values are zero.
            _ => {
                let zeros = |pair: &u32| pair & 0x7fff_7fff == 0;
                self.scales.iter().all(zeros)
                    || self.words.iter().all(|codes| *codes == 0)
                        && self.scales.iter().all(|pair| zeros(&(pair >> 16)))
            }
        }
    }

    /// Whether every scale, minimum and dense value is a finite number.
    pub fn is_finite(&self) -> bool {
        match self.layout {
            Layout::Dense => all_of(&self.words, |word| f32::from_bits(word).is_finite()),
            // The exponents of both halves: all ones are infinity or NaN.
            _ => all_of(&self.scales, |pair| (pair & 0x7c00 != 0x7c00) & (pair & 0x7c00_0000 != 0x7c00_0000)),
        }
    }
}

/// Whether `is` holds for all `values`, many at a time: a search that may end anywhere is not vectorized.
fn all_of(values: &[u32], is: impl Fn(u32) -> bool) -> bool {
    values.chunks(1024).all(|chunk| chunk.iter().fold(true, |all, value| all & is(*value)))
}

/// The weight `[out, in]` stored in `bytes`, ready for upload in the layout that keeps its codes. `in` is a multiple of
/// the block and of 32.
pub fn pack(dtype: TensorType, bytes: &[u8], out_features: usize, in_features: usize) -> Packed {
    pack_as(Layout::of(dtype), dtype, bytes, out_features, in_features)
}

/// The weight `[out, in]` stored in `bytes`, in `layout`, which is one that [`Layout::packed`] gives for `dtype`.
pub fn pack_as(
    layout: Layout,
    dtype: TensorType,
    bytes: &[u8],
    out_features: usize,
    in_features: usize,
) -> Packed {
    let mut packer = Packer::new(layout, dtype, out_features, in_features);
    packer.push(bytes);
    packer.finish()
}

/// Rows that are packed before they are turned into columns: their words fill one line of the cache.
const TILE_ROWS: usize = 16;

/// A weight that is packed some rows at a time, in its rows' order.
pub struct Packer {
    dtype: TensorType,
    packed: Packed,
    /// The scale and the minimum of each group, `[in / group, out]`, before they share a factor.
    pairs: Vec<(f32, f32)>,
    /// Number of rows pushed so far.
    rows: usize,
    /// The unfinished tile's packed words, `[TILE_ROWS, in / per_word + TILE_ROWS]`. Rows are padded by one cache line:
    /// at a power-of-two distance they would evict each other.
    tile_words: Vec<u32>,
    /// The unfinished tile's scales and minima, `[TILE_ROWS, in / group]`.
    tile_pairs: Vec<(f32, f32)>,
}

impl Packer {
    /// Starts a weight `[out, in]` in `layout`, whose rows are stored as `dtype`.
    pub fn new(layout: Layout, dtype: TensorType, out_features: usize, in_features: usize) -> Self {
        let words = in_features / layout.per_word();
        let groups = layout.group().map_or(0, |group| in_features / group);
        let packed = Packed {
            layout,
            out_features,
            in_features,
            words: vec![0; words * out_features],
            scales: Vec::new(),
            factor: 1.0,
        };
        Self {
            dtype,
            packed,
            pairs: vec![(0.0, 0.0); groups * out_features],
            rows: 0,
            tile_words: vec![0; (words + TILE_ROWS) * TILE_ROWS],
            tile_pairs: vec![(0.0, 0.0); groups * TILE_ROWS],
        }
    }

    /// Packs the next rows; `bytes` hold whole ones.
    pub fn push(&mut self, bytes: &[u8]) {
        let row_bytes = self.packed.in_features / self.dtype.block_len() * self.dtype.block_bytes();
        for row in bytes.chunks_exact(row_bytes) {
            self.pack_row(row);
            self.rows += 1;
            if self.rows.is_multiple_of(TILE_ROWS) {
                self.store(self.rows - TILE_ROWS);
            }
        }
    }

    /// Packs one row into its place in the tile.
    fn pack_row(&mut self, row: &[u8]) {
        let (layout, place) = (self.packed.layout, self.rows % TILE_ROWS);
        let words = self.tile_words.len() / TILE_ROWS;
        let words = &mut self.tile_words[place * words..][..words - TILE_ROWS];
        let groups = self.tile_pairs.len() / TILE_ROWS;
        let pairs = &mut self.tile_pairs[place * groups..][..groups];
        if layout == Layout::Dense {
            let values = dequantize(self.dtype, row);
            words.iter_mut().zip(values).for_each(|(word, value)| *word = value.to_bits());
            return;
        }
        let words_per_group = words.len() / groups;
        let mut places =
            Places { layout, words: words.chunks_exact_mut(words_per_group), pairs: pairs.iter_mut() };
        if Layout::of(self.dtype) == Layout::Dense {
            let mut codes = [0; GROUP];
            for values in dequantize(self.dtype, row).as_chunks().0 {
                let (scale, min) = encode(layout, values, &mut codes);
                places.take(Group { codes: &codes, scale, min });
            }
        } else {
            for block in row.chunks_exact(self.dtype.block_bytes()) {
                for_groups(self.dtype, block, &mut places);
            }
        }
    }

    /// Turns the tile's rows into the columns from `first` on.
    fn store(&mut self, first: usize) {
        let out = self.packed.out_features;
        let count = self.rows - first;
        let stride = self.tile_words.len() / TILE_ROWS;
        for (word, column) in self.packed.words.chunks_exact_mut(out).enumerate() {
            for (row, place) in column[first..first + count].iter_mut().enumerate() {
                *place = self.tile_words[row * stride + word];
            }
        }
        let stride = self.tile_pairs.len() / TILE_ROWS;
        for (group, column) in self.pairs.chunks_exact_mut(out).enumerate() {
            for (row, place) in column[first..first + count].iter_mut().enumerate() {
                *place = self.tile_pairs[row * stride + group];
            }
        }
    }

    /// The weight; call it when every row has been pushed.
    pub fn finish(mut self) -> Packed {
        self.store(self.rows / TILE_ROWS * TILE_ROWS);
        let factor = shared_factor(&self.pairs);
        let inverse = 1.0 / factor; // exact: the factor is a power of two
        let pair =
            |(scale, min): &(f32, f32)| f32_to_half(scale * inverse) | f32_to_half(min * inverse) << 16;
        let scales = match self.packed.layout {
            Layout::Dense => vec![0],
            _ => self.pairs.iter().map(pair).collect(),
        };
        Packed { scales, factor, ..self.packed }
    }
}

/// The places of a row's groups: their words, and their scales and minima.
struct Places<'a> {
    layout: Layout,
    words: ChunksExactMut<'a, u32>,
    pairs: IterMut<'a, (f32, f32)>,
}

impl TakeGroup for Places<'_> {
    #[inline(always)]
    fn take(&mut self, group: Group) {
        if let (Some(words), Some(pair)) = (self.words.next(), self.pairs.next()) {
            write_words(self.layout, group.codes, words);
            *pair = (group.scale, group.min);
        }
    }
}

/// Writes a group's codes into `words`, the first code into the lowest bits.
fn write_words(layout: Layout, codes: &[i8], words: &mut [u32]) {
    let codes: &[u8] = bytemuck::cast_slice(codes);
    match layout {
        Layout::Packed4 => {
            for (word, codes) in words.iter_mut().zip(codes.as_chunks().0) {
                // Eight nibbles, one in each byte: neighbors are joined three times.
                let pairs = u64::from_le_bytes(*codes);
                let pairs = (pairs | pairs >> 4) & 0x00ff_00ff_00ff_00ff;
                let pairs = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
                *word = (pairs | pairs >> 16) as u32;
            }
        }
        _ => words.iter_mut().zip(codes.as_chunks().0).for_each(|(word, codes)| {
            *word = u32::from_le_bytes(*codes);
        }),
    }
}

/// The power of two that brings the largest scale or minimum to about 2^14, the upper end of f16.
fn shared_factor(pairs: &[(f32, f32)]) -> f32 {
    let larger = |all: f32, value: f32| if value.abs() > all { value.abs() } else { all }; // `max` is a call in wasm
    let largest = pairs.iter().fold(0f32, |all, (scale, min)| larger(larger(all, *scale), *min));
    if largest > 0.0 && largest.is_finite() { (largest.log2().ceil() - 14.0).max(-100.0).exp2() } else { 1.0 }
}
