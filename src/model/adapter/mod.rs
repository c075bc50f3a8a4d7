//! The paper's adapters: the token features of a text -> one embedding. Both were trained on frozen encoders. Each
//! has a file; this one holds their facts, their choice, and the parts they share. `loader` reads them.

mod attention;
mod mean_mlp;

use super::linear::Linear;
use super::weights::Weights;
use crate::device::Device;
use crate::error::Result;
use crate::kernel;
use attention::AttentionPooling;
use burn::tensor::{Tensor, activation::gelu};
use mean_mlp::MeanMlp;

/// The arithmetic that an adapter runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32 throughout.
    #[default]
    Full,
    /// The reference's: weights, rotary tables and every result are rounded to bfloat16. (Sums, softmax and the inside
    /// of a norm stay f32.) The reference runs attention pooling in it, but mean + MLP in f32; so does this crate, and
    /// then reports do not claim the reference's precision.
    Reference,
}

impl Precision {
    fn round(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Full => x,
            Self::Reference => kernel::round_bf16(x),
        }
    }
}

/// The kind of an adapter, which the names of its tensors tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterKind {
    /// Attention pooling.
    Attention {
        /// The number of transformer blocks.
        blocks: usize,
        /// Whether q and k are rotated; otherwise the projections have biases.
        rope: bool,
    },
    /// The mean of the tokens and an MLP.
    MeanMlp,
}

impl AdapterKind {
    /// `attention` or `mean_mlp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attention { .. } => "attention",
            Self::MeanMlp => "mean_mlp",
        }
    }
}

/// The facts about an adapter that people are shown.
#[derive(Clone, Debug)]
pub struct AdapterInfo {
    /// The file's name, without folder, host and query.
    pub name: String,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// Its kind.
    pub kind: AdapterKind,
    /// The length of an embedding, E.
    pub dimension: usize,
    /// The number of its parameters.
    pub parameters: u64,
    /// The learned layer weights in the same file, before their softmax; one per layer of the encoder.
    pub layer_weights: Option<Vec<f32>>,
}

/// A loaded adapter.
pub struct Adapter {
    /// Its facts.
    pub info: AdapterInfo,
    /// The arithmetic that it runs in.
    pub precision: Precision,
    network: Network,
}

enum Network {
    Attention(Box<AttentionPooling>),
    MeanMlp(Box<MeanMlp>),
}

impl Adapter {
    /// Takes its tensors out of `weights`. `max_length` is the number of tokens of the longest text that it will get.
    ///
    /// # Errors
    /// [`Error::MissingTensor`](crate::error::Error::MissingTensor).
    pub(crate) fn load(
        weights: &mut Weights,
        info: AdapterInfo,
        precision: Precision,
        max_length: usize,
        device: &Device,
    ) -> Result<Self> {
        let network = match info.kind {
            AdapterKind::Attention { blocks, rope } => Network::Attention(Box::new(AttentionPooling::load(
                weights, blocks, rope, precision, max_length, device,
            )?)),
            AdapterKind::MeanMlp => Network::MeanMlp(Box::new(MeanMlp::load(weights)?)),
        };
        Ok(Self { info, precision, network })
    }

    /// `features [T, D]` of packed texts, which are the rows `segments`, `[first, end)` -> `[B, E]`, not of unit
    /// length.
    pub(crate) fn forward(&self, features: Tensor<2>, segments: &[[u32; 2]], device: &Device) -> Tensor<2> {
        match &self.network {
            Network::Attention(pooling) => pooling.forward(features, segments, self.precision, device),
            Network::MeanMlp(pooling) => pooling.forward(features, segments, device),
        }
    }

    /// Whether its embeddings are rounded to bfloat16.
    pub(crate) fn rounds(&self) -> bool {
        self.precision == Precision::Reference && matches!(self.network, Network::Attention(_))
    }
}

/// `mlp.3(gelu(mlp.0(x)))` with the exact GELU. The names are the checkpoint's, where 1 and 2 are GELU and dropout.
struct Mlp {
    mlp_0: Linear,
    mlp_3: Linear,
}

impl Mlp {
    fn load(weights: &mut Weights, prefix: &str, bias: bool) -> Result<Self> {
        Ok(Self {
            mlp_0: Linear::load(weights, &format!("{prefix}.0"), bias)?,
            mlp_3: Linear::load(weights, &format!("{prefix}.3"), bias)?,
        })
    }

    fn forward(&self, x: Tensor<2>, precision: Precision) -> Tensor<2> {
        let hidden = precision.round(gelu(precision.round(self.mlp_0.forward(x)))); // [T, 4 D]
        precision.round(self.mlp_3.forward(hidden)) // [T, D]
    }
}

/// LayerNorm with a learned weight and bias; eps is 1e-5.
struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
}

impl LayerNorm {
    fn load(weights: &mut Weights, prefix: &str) -> Result<Self> {
        Ok(Self {
            weight: weights.vector(&format!("{prefix}.weight"))?,
            bias: weights.vector(&format!("{prefix}.bias"))?,
        })
    }

    fn forward(&self, x: Tensor<2>, precision: Precision) -> Tensor<2> {
        let normed = kernel::layer_mix(x.zeros_like(), x, 1.0);
        precision.round(normed * self.weight.clone().unsqueeze() + self.bias.clone().unsqueeze())
    }
}
