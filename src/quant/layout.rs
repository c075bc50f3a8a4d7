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
    /// Eight unsigned 4-bit codes per word, and a scale and a minimum per `group` values.
    Packed4 {
        /// 16 or 32.
        group: usize,
    },
    /// Four signed 8-bit codes per word, and a scale and a minimum per `group` values.
    Packed8 {
        /// 16 or 32.
        group: usize,
    },
    /// Codes of 4, 8 or 16 bits, and an f32 scale per `group` values, or one for each row.
    Scaled {
        /// What the codes are.
        code: Code,
        /// A multiple of 16; `None` for a whole row.
        group: Option<usize>,
    },
    /// Two numbers of 16 bits per word, and no scales.
    Half(Half),
    /// One f32 per word, and no scales.
    Dense,
}

/// The codes of [`Layout::Scaled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Floats of 8 bits: 4 of exponent and 3 of fraction.
    E4M3,
    /// Floats of 8 bits: 5 of exponent and 2 of fraction.
    E5M2,
    /// Signed integers of 8 bits.
    I8,
    /// Signed integers of 16 bits.
    I16,
    /// Integers of 4 bits, of which 8 is taken.
    I4,
    /// Integers of 4 bits, of which 7.5 is taken: halves of odd numbers.
    Odd4,
    /// Floats of 4 bits, 2 of exponent and 1 of fraction, and twice their values: FP4.
    F4,
}

/// The numbers of [`Layout::Half`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Half {
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an f32.
    BF16,
}

/// The layout of values that no other holds as they are stored: they are rounded by at most 2^-16 of the largest of a group.
pub const NEAREST: Layout = Layout::Scaled { code: Code::I16, group: Some(GROUP) };

impl Layout {
    /// The layout that keeps the values of `dtype`. Codes whose scales are in other tensors have one for each row.
    pub fn of(dtype: TensorType) -> Self {
        let scaled = |code| Self::Scaled { code, group: None };
        let in_groups = |code, group| Self::Scaled { code, group: Some(group) };
        match dtype {
            TensorType::F32 | TensorType::F8_E8M0 | TensorType::U8 => Self::Dense,
            TensorType::BF16 => Self::Half(Half::BF16),
            TensorType::F16 => Self::Half(Half::F16),
            TensorType::F8_E4M3 => scaled(Code::E4M3),
            TensorType::F8_E5M2 => scaled(Code::E5M2),
            TensorType::I8 => scaled(Code::I8),
            TensorType::F4 => scaled(Code::F4),
            TensorType::MXFP4 => in_groups(Code::F4, 32),
            TensorType::NVFP4 => in_groups(Code::F4, 16),
            TensorType::NF4 => NEAREST,
            TensorType::Q3_K => in_groups(Code::I4, 16),
            TensorType::IQ3_S | TensorType::IQ1_S => in_groups(Code::Odd4, 32),
            TensorType::IQ1_M => in_groups(Code::Odd4, 16),
            TensorType::IQ4_XS | TensorType::IQ3_XXS | TensorType::IQ2_XXS => in_groups(Code::I8, 32),
            TensorType::IQ2_S | TensorType::IQ2_XS => in_groups(Code::I8, 16),
            TensorType::Q4_0
            | TensorType::Q4_1
            | TensorType::Q4_K
            | TensorType::TQ1_0
            | TensorType::TQ2_0 => Self::Packed4 { group: 32 },
            TensorType::Q2_K => Self::Packed4 { group: 16 },
            TensorType::Q5_0
            | TensorType::Q5_1
            | TensorType::Q8_0
            | TensorType::Q5_K
            | TensorType::IQ4_NL => Self::Packed8 { group: 32 },
            TensorType::Q6_K => Self::Packed8 { group: 16 },
        }
    }

    /// The layout of a weight stored as `dtype` in a model whose dense weights are packed by `quantize`.
    pub fn packed(dtype: TensorType, quantize: Option<Quantize>) -> Self {
        let layout = Self::of(dtype);
        quantize.map_or(layout, |quantize| layout.quantized(quantize))
    }

    /// The layout of a weight in this one after packing. One that has integer codes stays as it is.
    pub fn quantized(self, quantize: Quantize) -> Self {
        let is_integer = match self {
            Self::Packed4 { .. } | Self::Packed8 { .. } => true,
            Self::Scaled { code, .. } => !matches!(code, Code::E4M3 | Code::E5M2 | Code::I16),
            Self::Half(_) | Self::Dense => false,
        };
        match quantize {
            _ if is_integer => self,
            Quantize::Q8 => Self::Packed8 { group: GROUP },
            Quantize::Q4 => Self::Packed4 { group: GROUP },
        }
    }

    /// Values in a word.
    pub fn per_word(self) -> usize {
        match self {
            Self::Packed4 { .. } | Self::Scaled { code: Code::I4 | Code::Odd4 | Code::F4, .. } => 8,
            Self::Half(_) | Self::Scaled { code: Code::I16, .. } => 2,
            Self::Packed8 { .. } | Self::Scaled { .. } => 4,
            Self::Dense => 1,
        }
    }

    /// Values of a row of `in_features` that share a scale; `None` if the layout has no scales.
    pub fn group(self, in_features: usize) -> Option<usize> {
        match self {
            Self::Packed4 { group } | Self::Packed8 { group } => Some(group),
            Self::Scaled { group, .. } => Some(group.unwrap_or(in_features)),
            Self::Half(_) | Self::Dense => None,
        }
    }

    /// Whether a scale and a minimum in f16 make values of unsigned or signed codes.
    pub fn has_pairs(self) -> bool {
        matches!(self, Self::Packed4 { .. } | Self::Packed8 { .. })
    }

    /// Whether both layouts run the same compiled kernels. The group size makes no difference.
    pub fn shares_kernels(self, other: Self) -> bool {
        match (self, other) {
            (Self::Scaled { code, .. }, Self::Scaled { code: other, .. }) => code == other,
            (Self::Half(half), Self::Half(other)) => half == other,
            _ => std::mem::discriminant(&self) == std::mem::discriminant(&other),
        }
    }

    /// Bytes of `words` and bytes of `scales` for a weight `[out, in]`.
    pub fn bytes(self, out_features: usize, in_features: usize) -> [u64; 2] {
        let words = (in_features / self.per_word()) as u64 * out_features as u64 * 4;
        let scales =
            self.group(in_features).map_or(4, |group| (in_features / group) as u64 * out_features as u64 * 4);
        [words, scales]
    }
}
