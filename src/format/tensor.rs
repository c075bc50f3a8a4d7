//! The storage type of a tensor, and its place in a file.

use std::ops::Range;

/// The storage type of a tensor's elements, by the name of GGUF or safetensors. The block layouts are those of ggml's
/// `ggml-common.h`.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum TensorType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an f32.
    BF16,
    /// A float of 8 bits: a sign, 4 bits of exponent, 3 of fraction; no infinity.
    F8_E4M3,
    /// A float of 8 bits: the upper half of an f16.
    F8_E5M2,
    /// A power of two: scales of other tensors.
    F8_E8M0,
    /// Signed codes of 8 bits, with scales in other tensors.
    I8,
    /// Bytes whose meaning another tensor tells.
    U8,
    /// FP4 (E2M1): two codes in a byte, the upper one first, with scales in other tensors.
    F4,
    /// Two codes of 4 bits in a byte, the upper one first; their values and scales are in other tensors.
    NF4,
    /// 4-bit codes with one scale for 32 values.
    Q4_0,
    /// 4-bit codes with a scale and a minimum for 32 values.
    Q4_1,
    /// 5-bit codes with one scale for 32 values.
    Q5_0,
    /// 5-bit codes with a scale and a minimum for 32 values.
    Q5_1,
    /// 8-bit codes with one scale for 32 values.
    Q8_0,
    /// 4-bit codes; a block of 256 values has a 6-bit scale and minimum for each 32 of them.
    Q4_K,
    /// 5-bit codes; a block of 256 values has a 6-bit scale and minimum for each 32 of them.
    Q5_K,
    /// 6-bit codes; a block of 256 values has an 8-bit scale for each 16 of them.
    Q6_K,
    /// 2-bit codes; a block of 256 values has a 4-bit scale and minimum for each 16 of them.
    Q2_K,
    /// 3-bit codes; a block of 256 values has a 6-bit scale for each 16 of them.
    Q3_K,
    /// 4-bit codes of sixteen uneven values, with one scale for 32 values.
    IQ4_NL,
    /// The codes of IQ4_NL; a block of 256 values has a 6-bit scale for each 32 of them.
    IQ4_XS,
    /// Four values a code from a grid of 512, and signs; a block of 256 values has a 4-bit scale for each 32 of them.
    IQ3_S,
    /// Four values a code from a grid of 256, and signs; a block of 256 values has a 4-bit scale for each 32 of them.
    IQ3_XXS,
    /// Eight values a code from a grid of 1024, and signs; a block of 256 values has a 4-bit scale for each 16 of them.
    IQ2_S,
    /// Eight values a code from a grid of 512, and signs; a block of 256 values has a 4-bit scale for each 16 of them.
    IQ2_XS,
    /// Eight values a code from a grid of 256, and signs; a block of 256 values has a 4-bit scale for each 32 of them.
    IQ2_XXS,
    /// Eight values a code from a grid of 2048, moved by an eighth; a block of 256 values has a 3-bit scale for each 16.
    IQ1_M,
    /// Eight values a code from a grid of 2048, moved by an eighth; a block of 256 values has a 3-bit scale for each 32.
    IQ1_S,
    /// FP4 (E2M1) with a power of two for 32 values.
    MXFP4,
    /// FP4 (E2M1) with an E4M3 scale for each 16 of 64 values.
    NVFP4,
    /// Five values of -1, 0, 1 in a byte, with one scale for 256 values.
    TQ1_0,
    /// Four values of -1, 0, 1 in a byte, with one scale for 256 values.
    TQ2_0,
}

impl TensorType {
    /// The number of values in one block: the length of a row is a multiple of it.
    pub fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::F8_E4M3 | Self::F8_E5M2 | Self::F8_E8M0 | Self::I8 | Self::U8 => 1,
            Self::F4 | Self::NF4 => 2,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 | Self::IQ4_NL | Self::MXFP4 => 32,
            Self::NVFP4 => 64,
            _ => 256,
        }
    }

    /// Whether its elements are numbers by themselves, without a tensor of scales.
    pub fn is_whole(self) -> bool {
        !matches!(self, Self::F8_E8M0 | Self::I8 | Self::U8 | Self::F4 | Self::NF4)
    }

    /// The size of one block in bytes.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::F8_E4M3 | Self::F8_E5M2 | Self::F8_E8M0 | Self::I8 | Self::U8 | Self::F4 | Self::NF4 => 1,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
            Self::Q2_K => 84,
            Self::Q3_K => 110,
            Self::IQ4_NL => 18,
            Self::IQ4_XS => 136,
            Self::IQ3_S => 110,
            Self::IQ3_XXS => 98,
            Self::IQ2_S => 82,
            Self::IQ2_XS => 74,
            Self::IQ2_XXS => 66,
            Self::IQ1_M => 56,
            Self::IQ1_S => 50,
            Self::MXFP4 => 17,
            Self::NVFP4 => 36,
            Self::TQ1_0 => 54,
            Self::TQ2_0 => 66,
        }
    }
}

/// A tensor's name, type, shape and place in its file.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// The name that the file gives it.
    pub name: String,
    /// The storage type of its elements.
    pub dtype: TensorType,
    /// Row-major, slowest dimension first: a linear layer is `[out, in]`.
    pub shape: Vec<usize>,
    /// The place of its bytes, counted from the start of the file.
    pub range: Range<u64>,
}

/// Shape and size in bytes of a tensor with the dimensions `dims`, whose rows are whole blocks of `dtype`. `None` where
/// the memory cannot hold it: a dimension or the number of values is above a `usize`, or the size above a `u64`.
pub(super) fn extent<T: Copy + TryInto<usize>>(dims: &[T], dtype: TensorType) -> Option<(Vec<usize>, u64)> {
    let shape = dims.iter().map(|&dim| dim.try_into().ok()).collect::<Option<Vec<usize>>>()?;
    let len = shape.iter().try_fold(1, |len: usize, &dim| len.checked_mul(dim))?;
    let blocks = (len / dtype.block_len()) as u64;
    Some((shape, blocks.checked_mul(dtype.block_bytes() as u64)?))
}
