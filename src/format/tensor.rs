//! The storage type of a tensor, and its place in a file.

use std::ops::Range;

/// The storage type of a tensor's elements, by GGUF's name. The block layouts are those of ggml's `ggml-common.h`.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum TensorType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an f32.
    BF16,
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
}

impl TensorType {
    /// The number of values in one block: the length of a row is a multiple of it.
    pub fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// The size of one block in bytes.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
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
