//! How a weight lies on the device: decided by the type that its checkpoint stores, or by the user for dense weights.

use super::encode::GROUP;
use crate::format::TensorType;
use crate::named::named;

named! {
    /// How dense weights are packed while they are loaded.
    pub enum Quantize("quantize", expected "q8 or q4") {
        /// 9 bits per value, in [`Layout::Packed8`].
        Q8 = "q8",
        /// 5 bits per value, in [`Layout::Packed4`].
        Q4 = "q4",
    }
}

/// How the `words` of a weight are read on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Eight unsigned 4-bit codes per word, and a scale and a minimum per 32 values.
    Packed4,
    /// Four signed 8-bit codes per word, and a scale and a minimum per `group` values.
    Packed8 {
        /// 16 or 32.
        group: usize,
    },
    /// One f32 per word, and no scales.
    Dense,
}

impl Layout {
    /// The layout that keeps the codes of `dtype`.
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

    /// The layout of a weight stored as `dtype` in a model whose dense weights are packed by `quantize`.
    pub fn packed(dtype: TensorType, quantize: Option<Quantize>) -> Self {
        match (Self::of(dtype), quantize) {
            (Self::Dense, Some(Quantize::Q8)) => Self::Packed8 { group: GROUP },
            (Self::Dense, Some(Quantize::Q4)) => Self::Packed4,
            (layout, _) => layout,
        }
    }

    /// Values in a word.
    pub fn per_word(self) -> usize {
        match self {
            Self::Packed4 => 8,
            Self::Packed8 { .. } => 4,
            Self::Dense => 1,
        }
    }

    /// Values that share a scale; `None` if the layout has no scales.
    pub fn group(self) -> Option<usize> {
        match self {
            Self::Packed4 => Some(32),
            Self::Packed8 { group } => Some(group),
            Self::Dense => None,
        }
    }

    /// Whether both layouts run the same compiled kernels. The group size makes no difference.
    pub fn shares_kernels(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Bytes of `words` and bytes of `scales` for a weight `[out, in]`.
    pub fn bytes(self, out_features: usize, in_features: usize) -> [u64; 2] {
        let words = (in_features / self.per_word()) as u64 * out_features as u64 * 4;
        let scales = self.group().map_or(4, |group| (in_features / group) as u64 * out_features as u64 * 4);
        [words, scales]
    }
}
