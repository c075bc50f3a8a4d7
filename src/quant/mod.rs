//! The only codec of stored weights: GGUF blocks -> f32 values, and -> the device's two packed layouts.
//!
//! Every block type is read as groups of 16 or 32 small integers with a scale and a minimum:
//! `value = code * scale + min`. Block layouts: ggml's `ggml-common.h`; checked against the Python `gguf` package in
//! tests/kernel.rs. Called by `loader` and `encoder`.

mod encode;
pub mod half_float;

use crate::error::{Error, Result};
use crate::format::TensorType;
use encode::{GROUP, encode};
use half::f16;
use half_float::{f32_to_half, half_to_f32};

/// How dense weights are packed while they are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantize {
    /// 9 bits a value, in [`Layout::Packed8`].
    Q8,
    /// 5 bits a value, in [`Layout::Packed4`].
    Q4,
}

impl std::str::FromStr for Quantize {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "q8" => Ok(Self::Q8),
            "q4" => Ok(Self::Q4),
            _ => Err(Error::UnknownOption {
                option: "quantize",
                expected: "q8 or q4".into(),
                found: name.into(),
            }),
        }
    }
}

/// How a weight's `words` are read on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Eight unsigned 4-bit codes a word, a scale and a minimum per 32.
    Packed4,
    /// Four signed 8-bit codes a word, a scale and a minimum per `group` (16 or 32).
    Packed8 { group: usize },
    /// One f32 a word.
    Dense,
}

impl Layout {
    /// The layout that holds `dtype` without loss of codes.
    pub fn of(dtype: TensorType) -> Self {
        match dtype {
            TensorType::F32 | TensorType::F16 | TensorType::BF16 => Self::Dense,
            TensorType::Q4_0 | TensorType::Q4_1 | TensorType::Q4_K => Self::Packed4,
            TensorType::Q5_0 | TensorType::Q5_1 | TensorType::Q8_0 | TensorType::Q5_K => {
                Self::Packed8 { group: 32 }
            }
            TensorType::Q6_K => Self::Packed8 { group: 16 },
        }
    }

    /// The same where dense weights are packed by `quantize`.
    pub fn packed(dtype: TensorType, quantize: Option<Quantize>) -> Self {
        match (Self::of(dtype), quantize) {
            (Self::Dense, Some(Quantize::Q8)) => Self::Packed8 { group: GROUP },
            (Self::Dense, Some(Quantize::Q4)) => Self::Packed4,
            (layout, _) => layout,
        }
    }

    /// Values in one word.
    pub fn per_word(self) -> usize {
        match self {
            Self::Packed4 => 8,
            Self::Packed8 { .. } => 4,
            Self::Dense => 1,
        }
    }

    /// Values that share a scale; `None` where there are no scales.
    pub fn group(self) -> Option<usize> {
        match self {
            Self::Packed4 => Some(32),
            Self::Packed8 { group } => Some(group),
            Self::Dense => None,
        }
    }

    /// Whether products with both are the same kernels: groups of all sizes are.
    pub fn shares_kernels(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Bytes of `words` and of `scales` for a weight `[out, in]`.
    pub fn bytes(self, out_features: usize, in_features: usize) -> [u64; 2] {
        let words = (in_features / self.per_word()) as u64 * out_features as u64 * 4;
        let scales = self.group().map_or(4, |group| (in_features / group) as u64 * out_features as u64 * 4);
        [words, scales]
    }
}

/// A weight `[out, in]` in the device's layout: transposed, so that neighbouring outputs are neighbouring words.
pub struct Packed {
    pub layout: Layout,
    pub out_features: usize,
    pub in_features: usize,
    /// `[in / per_word, out]`; the first value of a word is in its lowest bits.
    pub words: Vec<u32>,
    /// `[in / group, out]`: f16 scale low, f16 minimum high. One zero where the layout has no scales.
    pub scales: Vec<u32>,
    /// A power of two that scales and minima are multiplied by: it keeps the stored f16 far from the subnormal
    /// range, which some GPUs flush to zero.
    pub factor: f32,
}

/// One group of a block, as [`for_groups`] hands it out.
struct Group<'a> {
    codes: &'a [i8],
    scale: f32,
    min: f32,
}

/// The values of `bytes`, which hold whole blocks of `dtype`.
pub fn dequantize(dtype: TensorType, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        TensorType::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        TensorType::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        TensorType::BF16 => {
            // The upper half of an f32.
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_bits((u16::from_le_bytes(*b) as u32) << 16))
                .collect()
        }
        _ => {
            let mut values = Vec::with_capacity(bytes.len() / dtype.block_bytes() * dtype.block_len());
            for block in bytes.chunks_exact(dtype.block_bytes()) {
                for_groups(dtype, block, |group| {
                    values.extend(group.codes.iter().map(|code| *code as f32 * group.scale + group.min));
                });
            }
            values
        }
    }
}

/// The weight `[out, in]` stored in `bytes`, ready for upload. `in` is a multiple of the block and of 32.
pub fn pack(dtype: TensorType, bytes: &[u8], out_features: usize, in_features: usize) -> Packed {
    pack_as(Layout::of(dtype), dtype, bytes, out_features, in_features)
}

/// The same in `layout`, which is one of [`Layout::packed`].
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
const TILE: usize = 16;

/// A weight that is packed some rows at a time.
pub struct Packer {
    dtype: TensorType,
    packed: Packed,
    /// Scale and minimum of each group, `[in / group, out]`, before they share a factor.
    pairs: Vec<(f32, f32)>,
    /// Rows pushed.
    rows: usize,
    /// The rows of the unfinished tile, each as words and pairs. Rows of words are one line apart from a power of two,
    /// where they would push each other out of the cache.
    tile_words: Vec<u32>,
    tile_pairs: Vec<(f32, f32)>,
}

impl Packer {
    /// For a weight `[out, in]` of rows stored as `dtype`, in `layout`.
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
            tile_words: vec![0; (words + TILE) * TILE],
            tile_pairs: vec![(0.0, 0.0); groups * TILE],
        }
    }

    /// Packs the next whole rows.
    pub fn push(&mut self, bytes: &[u8]) {
        let row_bytes = self.packed.in_features / self.dtype.block_len() * self.dtype.block_bytes();
        for row in bytes.chunks_exact(row_bytes) {
            self.pack_row(row);
            self.rows += 1;
            if self.rows.is_multiple_of(TILE) {
                self.store(self.rows - TILE);
            }
        }
    }

    /// Packs a row into its place in the tile.
    fn pack_row(&mut self, row: &[u8]) {
        let (layout, place) = (self.packed.layout, self.rows % TILE);
        let words = self.tile_words.len() / TILE;
        let words = &mut self.tile_words[place * words..][..words - TILE];
        let groups = self.tile_pairs.len() / TILE;
        let pairs = &mut self.tile_pairs[place * groups..][..groups];
        if layout == Layout::Dense {
            let values = dequantize(self.dtype, row);
            words.iter_mut().zip(values).for_each(|(word, value)| *word = value.to_bits());
            return;
        }
        let words_per_group = words.len() / groups;
        let mut places = words.chunks_exact_mut(words_per_group).zip(pairs);
        let mut next = |group: Group| {
            if let Some((words, pair)) = places.next() {
                join(layout, group.codes, words);
                *pair = (group.scale, group.min);
            }
        };
        if Layout::of(self.dtype) == Layout::Dense {
            let mut codes = [0; GROUP];
            for values in dequantize(self.dtype, row).as_chunks().0 {
                let (scale, min) = encode(layout, values, &mut codes);
                next(Group { codes: &codes, scale, min });
            }
        } else {
            for block in row.chunks_exact(self.dtype.block_bytes()) {
                for_groups(self.dtype, block, &mut next);
            }
        }
    }

    /// Turns the tile's rows into columns from `first` on.
    fn store(&mut self, first: usize) {
        let out = self.packed.out_features;
        let count = self.rows - first;
        let stride = self.tile_words.len() / TILE;
        for (word, column) in self.packed.words.chunks_exact_mut(out).enumerate() {
            for (row, place) in column[first..first + count].iter_mut().enumerate() {
                *place = self.tile_words[row * stride + word];
            }
        }
        let stride = self.tile_pairs.len() / TILE;
        for (group, column) in self.pairs.chunks_exact_mut(out).enumerate() {
            for (row, place) in column[first..first + count].iter_mut().enumerate() {
                *place = self.tile_pairs[row * stride + group];
            }
        }
    }

    /// The weight, once every row was pushed.
    pub fn finish(mut self) -> Packed {
        self.store(self.rows / TILE * TILE);
        let factor = shared_factor(&self.pairs);
        let inverse = 1.0 / factor; // of a power of two: exact
        let pair =
            |(scale, min): &(f32, f32)| f32_to_half(scale * inverse) | f32_to_half(min * inverse) << 16;
        let scales = match self.packed.layout {
            Layout::Dense => vec![0],
            _ => self.pairs.iter().map(pair).collect(),
        };
        Packed { scales, factor, ..self.packed }
    }
}

/// A group's codes as words, the first code in the lowest bits.
fn join(layout: Layout, codes: &[i8], words: &mut [u32]) {
    let codes: &[u8] = bytemuck::cast_slice(codes);
    match layout {
        Layout::Packed4 => {
            for (word, codes) in words.iter_mut().zip(codes.as_chunks().0) {
                // Eight nibbles, each in a byte: neighbours are joined three times.
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

impl Packed {
    /// Whether every scale, minimum and dense value is a finite number.
    pub fn is_finite(&self) -> bool {
        match self.layout {
            Layout::Dense => self.words.iter().all(|word| f32::from_bits(*word).is_finite()),
            _ => self.scales.iter().all(|pair| {
                [*pair as u16, (*pair >> 16) as u16].into_iter().all(|half| f16::from_bits(half).is_finite())
            }),
        }
    }
}

/// Weights of the same layout and input as one weight, whose outputs are those of `parts` one after the other.
///
/// They share the largest factor: scales of the others become smaller by a power of two, which is exact as long as they
/// stay above f16's subnormal range, 2^-28 of the largest.
pub fn join_outputs(parts: &[Packed]) -> Option<Packed> {
    let [first, ..] = parts else { return None };
    if parts.iter().any(|part| (part.layout, part.in_features) != (first.layout, first.in_features)) {
        return None;
    }
    let factor = parts.iter().fold(f32::MIN_POSITIVE, |all, part| all.max(part.factor));
    let half = |bits: u32, ratio: f32| f32_to_half(half_to_f32(bits & 0xffff) * ratio);
    let scaled = |part: &Packed| -> Vec<u32> {
        let ratio = part.factor / factor;
        part.scales.iter().map(|pair| half(*pair, ratio) | half(*pair >> 16, ratio) << 16).collect()
    };
    let scales: Vec<_> = parts.iter().map(scaled).collect();
    let beside = |columns: Vec<&[u32]>| {
        let mut all = Vec::with_capacity(columns.iter().map(|values| values.len()).sum());
        for row in 0..columns[0].len() / first.out_features {
            for (values, part) in columns.iter().zip(parts) {
                all.extend_from_slice(&values[row * part.out_features..][..part.out_features]);
            }
        }
        all
    };
    Some(Packed {
        layout: first.layout,
        out_features: parts.iter().map(|part| part.out_features).sum(),
        in_features: first.in_features,
        words: beside(parts.iter().map(|part| &part.words[..]).collect()),
        scales: match first.layout {
            Layout::Dense => vec![0],
            _ => beside(scales.iter().map(Vec::as_slice).collect()),
        },
        factor,
    })
}

/// Hands out the groups of one block, first values first.
fn for_groups(dtype: TensorType, block: &[u8], mut each: impl FnMut(Group)) {
    let half = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
    let mut codes = [0i8; 32];
    match dtype {
        TensorType::Q4_0 => {
            nibbles(&block[2..18], &mut codes);
            each(Group { codes: &codes, scale: half(0), min: -8.0 * half(0) });
        }
        TensorType::Q4_1 => {
            nibbles(&block[4..20], &mut codes);
            each(Group { codes: &codes, scale: half(0), min: half(2) });
        }
        TensorType::Q5_0 => {
            nibbles(&block[6..22], &mut codes);
            fifth_bits(&block[2..6], &mut codes);
            codes.iter_mut().for_each(|code| *code -= 16);
            each(Group { codes: &codes, scale: half(0), min: 0.0 });
        }
        TensorType::Q5_1 => {
            nibbles(&block[8..24], &mut codes);
            fifth_bits(&block[4..8], &mut codes);
            each(Group { codes: &codes, scale: half(0), min: half(2) });
        }
        TensorType::Q8_0 => {
            codes.iter_mut().zip(&block[2..34]).for_each(|(code, byte)| *code = *byte as i8);
            each(Group { codes: &codes, scale: half(0), min: 0.0 });
        }
        TensorType::Q4_K => {
            let (scale, min) = (half(0), half(2));
            for group in 0..8 {
                let bytes = &block[16 + group / 2 * 32..][..32];
                let shift = 4 * (group % 2);
                codes.iter_mut().zip(bytes).for_each(|(code, byte)| *code = ((byte >> shift) & 15) as i8);
                let (s, m) = six_bits(&block[4..16], group);
                each(Group { codes: &codes, scale: scale * s, min: -min * m });
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
                each(Group { codes: &codes, scale: scale * s, min: -min * m });
            }
        }
        TensorType::Q6_K => {
            for group in 0..16 {
                q6_k_codes(block, group, &mut codes[..16]);
                let scale = half(208) * (block[192 + group] as i8) as f32;
                each(Group { codes: &codes[..16], scale, min: 0.0 });
            }
        }
        TensorType::F32 | TensorType::F16 | TensorType::BF16 => unreachable!("dense types have no groups"),
    }
}

/// Sixteen bytes: the low nibbles are codes 0..16, the high ones 16..32.
fn nibbles(bytes: &[u8], codes: &mut [i8; 32]) {
    for (i, byte) in bytes.iter().enumerate() {
        codes[i] = (byte & 15) as i8;
        codes[i + 16] = (byte >> 4) as i8;
    }
}

/// Bit `i` of four bytes is the fifth bit of code `i`.
fn fifth_bits(bytes: &[u8], codes: &mut [i8; 32]) {
    for (i, code) in codes.iter_mut().enumerate() {
        *code |= (((bytes[i / 8] >> (i % 8)) & 1) << 4) as i8;
    }
}

/// The 6-bit scale and minimum of one of a super-block's eight groups.
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

/// Sixteen 6-bit codes, less 32: bytes 0..128 hold low nibbles, 128..192 the upper two bits. Each half of the
/// super-block is four runs of 32.
fn q6_k_codes(block: &[u8], group: usize, codes: &mut [i8]) {
    let (half, run, start) = (group / 8, group % 8 / 2, group % 2 * 16);
    let low = &block[half * 64 + run % 2 * 32 + start..][..16];
    let high = &block[128 + half * 32 + start..][..16];
    let (low_shift, high_shift) = (4 * (run / 2), 2 * run);
    for ((code, low), high) in codes.iter_mut().zip(low).zip(high) {
        *code = ((low >> low_shift & 15) | (high >> high_shift & 3) << 4) as i8 - 32;
    }
}
