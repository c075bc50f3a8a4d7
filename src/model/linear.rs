//! `y = x Wᵀ + b`: the only place that knows how weights are stored.

use super::weights::Weights;
use crate::error::Result;
use crate::kernel::{self, PackedWeight};
use burn::tensor::Tensor;

/// A linear layer.
#[derive(Clone)]
pub struct Linear {
    weight: PackedWeight,
    bias: Option<Tensor<1>>,
}

impl Linear {
    /// From `{prefix}.weight`, and `{prefix}.bias` where `bias`.
    pub fn load(weights: &mut Weights, prefix: &str, bias: bool) -> Result<Self> {
        Ok(Self {
            weight: weights.matrix(&format!("{prefix}.weight"))?,
            bias: if bias { Some(weights.vector(&format!("{prefix}.bias"))?) } else { None },
        })
    }

    /// `[T, in]` -> `[T, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = kernel::quant_matmul(x, &self.weight);
        match &self.bias {
            Some(bias) => y + bias.clone().unsqueeze(),
            None => y,
        }
    }

    /// The weight, and whether a bias is added.
    pub(super) fn facts(&self) -> (&PackedWeight, bool) {
        (&self.weight, self.bias.is_some())
    }
}

/// RMS norm with a learned weight.
#[derive(Clone)]
pub struct RmsNorm {
    weight: Tensor<1>,
    epsilon: f32,
}

impl RmsNorm {
    /// From `{prefix}.weight`.
    pub fn load(weights: &mut Weights, prefix: &str, epsilon: f32) -> Result<Self> {
        Ok(Self { weight: weights.vector(&format!("{prefix}.weight"))?, epsilon })
    }

    /// `[T, D]` -> `[T, D]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        kernel::rms_norm(x, self.weight.clone(), self.epsilon)
    }
}
