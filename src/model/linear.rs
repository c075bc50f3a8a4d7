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

    /// The layers `{prefix}.{name}` of so many outputs each, of which neighbours may be joined: their outputs are one
    /// after the other.
    pub fn load_joined(
        weights: &mut Weights,
        prefix: &str,
        parts: &[(&str, usize)],
        bias: bool,
    ) -> Result<Vec<Self>> {
        let mut layers: Vec<Self> = Vec::new();
        let mut joined = 0; // outputs of the last layer that no name has taken
        for (name, outputs) in parts {
            let prefix = format!("{prefix}.{name}");
            let Some(before) = layers.last_mut().filter(|_| joined >= *outputs) else {
                let layer = Self::load(weights, &prefix, bias)?;
                joined = layer.weight.out_features.saturating_sub(*outputs);
                layers.push(layer);
                continue;
            };
            joined -= outputs;
            if let Some(all) = before.bias.take() {
                let next = weights.vector(&format!("{prefix}.bias"))?;
                before.bias = Some(Tensor::cat(vec![all, next], 0));
            }
        }
        Ok(layers)
    }

    /// `[T, in]` -> `[T, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.bias {
            Some(bias) => kernel::quant_matmul_bias(x, &self.weight, bias.clone()),
            None => kernel::quant_matmul(x, &self.weight),
        }
    }

    /// The weight, and whether a bias is added.
    pub(super) fn facts(&self) -> (&PackedWeight, bool) {
        (&self.weight, self.bias.is_some())
    }

    /// `residual + forward(x)`: `[T, in]`, `[T, out]` -> `[T, out]`
    pub fn forward_add(&self, x: Tensor<2>, residual: Tensor<2>) -> Tensor<2> {
        match &self.bias {
            Some(_) => residual + self.forward(x),
            None => kernel::quant_matmul_add(x, &self.weight, residual),
        }
    }

    /// SwiGLU of a gate and an up projection, joined and without bias: `[T, in]` -> `[T, out / 2]`
    pub fn forward_swiglu(&self, x: Tensor<2>) -> Tensor<2> {
        kernel::quant_matmul_swiglu(x, &self.weight)
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
