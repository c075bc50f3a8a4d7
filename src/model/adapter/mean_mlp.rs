//! The mean of a text's tokens and an MLP.
//!
//! ```text
//! e = proj(out_norm(mlp(mean(c))))        [E]
//! ```

use super::{LayerNorm, Mlp, Precision};
use crate::device::Device;
use crate::error::Result;
use crate::kernel;
use crate::model::linear::Linear;
use crate::model::weights::Weights;
use burn::tensor::{DType, Tensor, TensorData};

/// The network of the mean and the MLP; field names are the checkpoint's weight names.
pub(super) struct MeanMlp {
    mlp: Mlp,
    out_norm: LayerNorm,
    proj: Linear,
}

impl MeanMlp {
    /// Takes its tensors out of `weights`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`](crate::error::Error::MissingTensor).
    pub(super) fn load(weights: &mut Weights) -> Result<Self> {
        Ok(Self {
            mlp: Mlp::load(weights, "mlp", false)?,
            out_norm: LayerNorm::load(weights, "out_norm")?,
            proj: Linear::load(weights, "proj", true)?,
        })
    }

    /// `features [T, D]` of the texts `segments`, `[first, end)` -> `[B, E]`
    pub(super) fn forward(&self, features: Tensor<2>, segments: &[[u32; 2]], device: &Device) -> Tensor<2> {
        let shape = [segments.len(), 2];
        let segments =
            Tensor::from_data(TensorData::new(segments.concat(), shape), (device.burn(), DType::U32));
        let pooled = kernel::segment_mean(features, segments); // [B, D]
        let x = self.mlp.forward(pooled, Precision::Full);
        self.proj.forward(self.out_norm.forward(x, Precision::Full)) // [B, E]
    }
}
