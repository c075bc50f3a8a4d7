//! `y = x Wᵀ + b`, the only part of the network that knows how weights are stored; and the norms.

use super::config::{Norm as NormConfig, NormKind};
use super::weights::Weights;
use crate::error::Result;
use crate::kernel::{self, Activation, PackedWeight};
use burn::tensor::Tensor;

/// A linear layer with `[out, in]` weights, and a bias if it has one.
#[derive(Clone)]
pub(crate) struct Linear {
    weight: PackedWeight,
    bias: Option<Tensor<1>>,
}

impl Linear {
    /// Takes `{prefix}.weight` out of `weights`, and `{prefix}.bias` if `bias` is set.
    pub(crate) fn load(weights: &mut Weights, prefix: &str, bias: bool) -> Result<Self> {
        Ok(Self {
            weight: weights.matrix(&format!("{prefix}.weight"))?,
            bias: if bias { Some(weights.vector(&format!("{prefix}.bias"))?) } else { None },
        })
    }

    /// Takes the layers `{prefix}.{name}` of `parts`, each with its number of outputs and whether it has a bias. Neighbors
    /// may be joined into one layer, whose outputs are theirs one after the other.
    pub(crate) fn load_joined(
        weights: &mut Weights,
        prefix: &str,
        parts: &[(&str, usize, bool)],
    ) -> Result<Vec<Self>> {
        let mut layers: Vec<Self> = Vec::new();
        let mut joined = 0; // outputs of the last layer that no name has taken
        let mut taken = 0; // and those that names have taken
        for (name, outputs, bias) in parts {
            let prefix = format!("{prefix}.{name}");
            let Some(before) = layers.last_mut().filter(|_| joined >= *outputs) else {
                let layer = Self::load(weights, &prefix, *bias)?;
                joined = layer.weight.out_features.saturating_sub(*outputs);
                taken = *outputs;
                layers.push(layer);
                continue;
            };
            joined -= outputs;
            let next = if *bias { Some(weights.vector(&format!("{prefix}.bias"))?) } else { None };
            // Where one has a bias and the other has none, that one adds zeros.
            before.bias = match (before.bias.take(), next) {
                (None, None) => None,
                (Some(all), Some(next)) => Some(Tensor::cat(vec![all, next], 0)),
                (Some(all), None) => {
                    let zeros = Tensor::zeros([*outputs], &all.device());
                    Some(Tensor::cat(vec![all, zeros], 0))
                }
                (None, Some(next)) => {
                    let zeros = Tensor::zeros([taken], &next.device());
                    Some(Tensor::cat(vec![zeros, next], 0))
                }
            };
            taken += outputs;
        }
        Ok(layers)
    }

    /// `[T, in]` -> `[T, out]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.bias {
            Some(bias) => kernel::quant_matmul_bias(x, &self.weight, bias.clone()),
            None => kernel::quant_matmul(x, &self.weight),
        }
    }

    /// The weight, and whether there is a bias.
    pub(super) fn facts(&self) -> (&PackedWeight, bool) {
        (&self.weight, self.bias.is_some())
    }

    /// `residual + forward(x)`: `[T, in]`, `[T, out]` -> `[T, out]`
    pub(crate) fn forward_add(&self, x: Tensor<2>, residual: Tensor<2>) -> Tensor<2> {
        match &self.bias {
            Some(_) => residual + self.forward(x),
            None => kernel::quant_matmul_add(x, &self.weight, residual),
        }
    }

    /// `activation(forward(x))`: `[T, in]` -> `[T, out]`
    pub(crate) fn forward_activated(&self, x: Tensor<2>, activation: Activation) -> Tensor<2> {
        kernel::quant_matmul_act(x, &self.weight, self.bias.clone(), activation)
    }

    /// `activation(gate(x)) * up(x)` of a gate and an up projection, joined and without bias: `[T, in]` ->
    /// `[T, out / 2]`
    pub(crate) fn forward_glu(&self, x: Tensor<2>, activation: Activation) -> Tensor<2> {
        kernel::quant_matmul_glu(x, &self.weight, activation)
    }
}

/// A norm over each row, with learned weights; [`NormKind`] has the formulas.
#[derive(Clone)]
pub(crate) struct Norm {
    weight: Tensor<1>,
    /// Of a layer norm.
    bias: Option<Tensor<1>>,
    epsilon: f32,
}

impl Norm {
    /// Takes `{prefix}.weight` out of `weights`, and `{prefix}.bias` for a layer norm.
    pub(crate) fn load(weights: &mut Weights, prefix: &str, config: NormConfig) -> Result<Self> {
        let weight = norm_weight(weights, &format!("{prefix}.weight"), config.kind)?;
        let bias = match config.kind {
            NormKind::Layer => Some(weights.vector(&format!("{prefix}.bias"))?),
            _ => None,
        };
        Ok(Self { weight, bias, epsilon: config.epsilon })
    }

    /// `[T, D]` -> `[T, D]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.bias {
            Some(bias) => kernel::layer_norm(x, self.weight.clone(), bias.clone(), self.epsilon),
            None => kernel::rms_norm(x, self.weight.clone(), self.epsilon),
        }
    }

    /// The kernel that it runs.
    pub(crate) fn kernel(&self) -> &'static str {
        if self.bias.is_some() { "layer_norm" } else { "rms_norm" }
    }
}

/// The factors of a norm: the tensor `name`, or one more where the checkpoint holds the difference to 1.
pub(crate) fn norm_weight(weights: &mut Weights, name: &str, kind: NormKind) -> Result<Tensor<1>> {
    let weight = weights.vector(name)?;
    Ok(if kind == NormKind::RmsPlusOne { weight + 1.0 } else { weight })
}
