//! Stored rows -> a weight in the device's layout, some rows at a time. Called by `loader` and the self-test.

use super::codec::{Group, TakeGroup, dequantize, for_groups, fp4_code};
use super::encode::{GROUP, encode, encode16};
use super::half_float::{f32_to_half, half_to_f32};
use super::layout::{Code, Half, Layout};
use super::packed::Packed;
use super::scales::Scales;
use crate::format::TensorType;
use std::slice::{ChunksExactMut, IterMut};

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
    /// What makes values of its codes, where another tensor has that.
    beside: Option<Scales>,
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
        let groups = layout.group(in_features).map_or(0, |group| in_features / group);
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
            beside: None,
            packed,
            pairs: vec![(0.0, 0.0); groups * out_features],
            rows: 0,
            tile_words: vec![0; (words + TILE_ROWS) * TILE_ROWS],
            tile_pairs: vec![(0.0, 0.0); groups * TILE_ROWS],
        }
    }

    /// Takes the scales of a weight whose codes have them in another tensor.
    pub fn scaled(self, scales: Scales) -> Self {
        Self { beside: Some(scales), ..self }
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
        let (dtype, beside) = (self.dtype, self.beside.as_ref());
        let has_blocks = dtype.block_len() >= 16;
        let values = || {
            let mut values = dequantize(dtype, row);
            beside.into_iter().for_each(|scales| scales.apply(self.rows, &mut values));
            values
        };
        match layout {
            Layout::Dense => {
                words.iter_mut().zip(values()).for_each(|(word, value)| *word = value.to_bits());
            }
            Layout::Half(_) => copy(row, words),
            Layout::Scaled { code: Code::I16, .. } => {
                let mut codes = [0; GROUP];
                let words = words.chunks_exact_mut(GROUP / 2);
                for ((values, words), pair) in values().as_chunks().0.iter().zip(words).zip(pairs) {
                    *pair = (encode16(values, &mut codes), 0.0);
                    copy(bytemuck::cast_slice(&codes), words);
                }
            }
            Layout::Scaled { .. } if !has_blocks => {
                let (unit, group) =
                    (if dtype == TensorType::F4 { 0.5 } else { 1.0 }, self.packed.in_features / pairs.len());
                match dtype {
                    // The file has the first of two codes in the upper bits.
                    TensorType::F4 => {
                        copy(&row.iter().map(|byte| byte.rotate_left(4)).collect::<Vec<_>>(), words);
                    }
                    _ => copy(row, words),
                }
                for (i, pair) in pairs.iter_mut().enumerate() {
                    *pair = (beside.map_or(1.0, |scales| scales.at(self.rows, i * group)) * unit, 0.0);
                }
            }
            Layout::Packed4 { .. } | Layout::Packed8 { .. } | Layout::Scaled { .. } => {
                let words = words.chunks_exact_mut(words.len() / pairs.len());
                let mut places = Places { layout, words, pairs: pairs.iter_mut() };
                if has_blocks {
                    for block in row.chunks_exact(dtype.block_bytes()) {
                        for_groups(dtype, block, &mut places);
                    }
                    return;
                }
                let mut codes = [0; GROUP];
                for values in values().as_chunks().0 {
                    let (scale, min) = encode(layout, values, &mut codes);
                    places.take(Group { codes: &codes, scale, min });
                }
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
        match self.packed.layout {
            Layout::Dense | Layout::Half(Half::BF16) => Packed { scales: vec![0], ..self.packed },
            Layout::Half(Half::F16) => {
                raise(&mut self.packed);
                Packed { scales: vec![0], ..self.packed }
            }
            Layout::Scaled { .. } => {
                let scales = self.pairs.iter().map(|(scale, _)| scale.to_bits()).collect();
                Packed { scales, ..self.packed }
            }
            Layout::Packed4 { .. } | Layout::Packed8 { .. } => {
                let factor = shared_factor(&self.pairs);
                let inverse = 1.0 / factor; // exact: the factor is a power of two
                let pair = |(scale, min): &(f32, f32)| {
                    f32_to_half(scale * inverse) | f32_to_half(min * inverse) << 16
                };
                Packed { scales: self.pairs.iter().map(pair).collect(), factor, ..self.packed }
            }
        }
    }
}

/// Moves the bytes of codes into words, the first into the lowest bits.
fn copy(bytes: &[u8], words: &mut [u32]) {
    words.iter_mut().zip(bytes.as_chunks().0).for_each(|(word, bytes)| *word = u32::from_le_bytes(*bytes));
}

/// Multiplies the values of an f16 weight with the power of two that brings the largest near the upper end of f16, and its
/// factor with the inverse. That is exact: what was normal stays so, and what was subnormal has more bits there.
fn raise(packed: &mut Packed) {
    let (low, high) = (|word: &u32| word & 0x7fff, |word: &u32| word >> 16 & 0x7fff);
    // As integers, sizes have the order of the values.
    let largest = packed.words.iter().fold(0, |all, word| all.max(low(word)).max(high(word)));
    let ratio = 1.0 / factor_of(half_to_f32(largest));
    if largest >= INFINITY || ratio <= 1.0 {
        return;
    }
    let raised = |bits: u32| f32_to_half(half_to_f32(bits & 0xffff) * ratio);
    packed.words.iter_mut().for_each(|word| *word = raised(*word) | raised(*word >> 16) << 16);
    packed.factor /= ratio;
}

/// An infinite f16.
const INFINITY: u32 = 0x7c00;

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
            *pair = match self.layout {
                Layout::Scaled { code: Code::I4, .. } => {
                    write_nibbles(group.codes.iter().map(|code| code + 8), words);
                    (group.scale, 0.0)
                }
                Layout::Scaled { code: Code::Odd4, .. } => {
                    write_nibbles(group.codes.iter().map(|code| (code + 15) / 2), words);
                    (2.0 * group.scale, 0.0)
                }
                Layout::Scaled { code: Code::F4, .. } => {
                    write_nibbles(group.codes.iter().map(|code| fp4_code(*code)), words);
                    (group.scale, 0.0)
                }
                layout => {
                    write_words(layout, group.codes, words);
                    (group.scale, group.min)
                }
            };
        }
    }
}

/// Writes codes of 4 bits into `words`, the first code into the lowest bits.
fn write_nibbles(codes: impl Iterator<Item = i8>, words: &mut [u32]) {
    words.fill(0);
    codes.enumerate().for_each(|(i, code)| words[i / 8] |= (code as u32 & 15) << (i % 8 * 4));
}

/// Writes a group's codes into `words`, the first code into the lowest bits.
fn write_words(layout: Layout, codes: &[i8], words: &mut [u32]) {
    let codes: &[u8] = bytemuck::cast_slice(codes);
    match layout {
        Layout::Packed4 { .. } => {
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
    factor_of(largest)
}

/// The power of two that brings numbers of at most `largest` to about 2^14.
fn factor_of(largest: f32) -> f32 {
    if largest > 0.0 && largest.is_finite() { (largest.log2().ceil() - 14.0).max(-100.0).exp2() } else { 1.0 }
}
