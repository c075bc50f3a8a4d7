//! From hidden states to one vector per text: the feature says which layers count, the pooling how the tokens of a text
//! become one vector.
//!
//! ```text
//! weighted:  c = sum_{l=1..L} softmax(w)_l * LayerNorm(h_l)        GRAN-TED, section 3.2
//! norm_avg:  c = sum_{l=1..L} LayerNorm(h_l) / L
//! ```

use super::adapter::Adapter;
use super::decoder::{Batch, Decoder};
use crate::error::{Error, Result};
use crate::kernel;
use burn::tensor::Tensor;
use std::{fmt, rc::Rc};

/// The hidden states that make the token features; `hidden_states` is transformers' list of 1 + L.
#[derive(Clone, Debug, PartialEq)]
pub enum Feature {
    /// `hidden_states[-1]`: the last layer, after the final norm.
    Last,
    /// `hidden_states[-2]`: the layer before the last.
    Penultimate,
    /// `hidden_states[i]`; 0 is the token embeddings.
    Layer(usize),
    /// The mean of all layers after a parameter-free LayerNorm.
    NormAvg,
    /// The sum of all layers after a parameter-free LayerNorm, weighted by `softmax(w)`; `w` has one weight per layer.
    Weighted(Vec<f32>),
}

/// The way in which the tokens of a text become one vector.
#[derive(Clone)]
pub enum Pooling {
    /// The mean of all tokens.
    Mean,
    /// The last token.
    LastToken,
    /// A trained adapter.
    Adapter(Rc<Adapter>),
}

impl Feature {
    /// Reads `last`, `penultimate`, `norm_avg`, `layer(i)` or `weighted`, which takes `weights`.
    ///
    /// # Errors
    /// [`Error::UnknownOption`] lists the choices.
    pub fn parse(name: &str, weights: Option<&[f32]>) -> Result<Self> {
        let layer = || name.strip_prefix("layer(")?.strip_suffix(')')?.parse().ok();
        match (name, weights) {
            ("last", _) => Ok(Self::Last),
            ("penultimate", _) => Ok(Self::Penultimate),
            ("norm_avg", _) => Ok(Self::NormAvg),
            ("weighted", Some(weights)) => Ok(Self::Weighted(weights.to_vec())),
            _ => match layer() {
                Some(layer) => Ok(Self::Layer(layer)),
                None => Err(Error::UnknownOption {
                    option: "feature",
                    expected:
                        "last, penultimate, norm_avg, layer(i), or weighted with a list of layer weights"
                            .into(),
                    found: name.into(),
                }),
            },
        }
    }

    /// Checks that a model of `layers` layers has this layer, or as many layers as there are weights.
    ///
    /// # Errors
    /// [`Error::LayerCount`], [`Error::LayerWeight`].
    pub fn check(&self, layers: usize) -> Result<()> {
        match self {
            Self::Layer(layer) if *layer > layers => {
                Err(Error::LayerCount { item: "layer(i)", found: *layer, layers })
            }
            Self::Weighted(weights) if weights.len() != layers => {
                Err(Error::LayerCount { item: "the number of layer weights", found: weights.len(), layers })
            }
            Self::Weighted(weights) => match weights.iter().position(|weight| !weight.is_finite()) {
                Some(index) => Err(Error::LayerWeight { index, found: weights[index] }),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The token features of a batch: token embeddings `x [T, D]` -> `[T, D]`. No hidden state is kept.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub(crate) async fn forward(&self, decoder: &Decoder, x: Tensor<2>, batch: &Batch) -> Result<Tensor<2>> {
        let layers = decoder.len();
        let uniform = vec![0.0; layers];
        let (layer, weights) = match self {
            Self::Last => (layers, None),
            Self::Penultimate => (layers - 1, None),
            Self::Layer(layer) => (*layer, None),
            Self::NormAvg => (layers, Some(&uniform)),
            Self::Weighted(weights) => (layers, Some(weights)),
        };
        let mut features = x.zeros_like();
        match weights.map(|weights| softmax(weights)) {
            Some(alpha) => {
                let mix = |l: usize, h: &Tensor<2>| {
                    if l > 0 {
                        features = kernel::layer_mix(features.clone(), h.clone(), alpha[l - 1]);
                    }
                };
                decoder.forward(x, batch, layer, mix).await?;
            }
            None => {
                let pick = |l: usize, h: &Tensor<2>| {
                    if l == layer {
                        features = h.clone();
                    }
                };
                decoder.forward(x, batch, layer, pick).await?;
            }
        }
        Ok(features)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Last => f.write_str("last"),
            Self::Penultimate => f.write_str("penultimate"),
            Self::Layer(layer) => write!(f, "layer({layer})"),
            Self::NormAvg => f.write_str("norm_avg"),
            Self::Weighted(_) => f.write_str("weighted"),
        }
    }
}

/// `softmax(w)` of L weights, computed in f64: equal weights give exactly `1 / L` each.
pub(crate) fn softmax(weights: &[f32]) -> Vec<f32> {
    let largest = weights.iter().fold(f32::MIN, |a, b| a.max(*b)) as f64;
    let powers: Vec<f64> = weights.iter().map(|w| (*w as f64 - largest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.iter().map(|power| (power / total) as f32).collect()
}

impl Pooling {
    /// Reads `mean`, `last_token`, or `adapter`, which takes the loaded `adapter`.
    ///
    /// # Errors
    /// [`Error::UnknownOption`] lists the choices.
    pub fn parse(name: &str, adapter: Option<Rc<Adapter>>) -> Result<Self> {
        match (name, adapter) {
            ("mean", _) => Ok(Self::Mean),
            ("last_token", _) => Ok(Self::LastToken),
            ("adapter", Some(adapter)) => Ok(Self::Adapter(adapter)),
            _ => Err(Error::UnknownOption {
                option: "pooling",
                expected: "mean, last_token, or adapter with an adapter's file".into(),
                found: name.into(),
            }),
        }
    }

    /// The adapter, if this is one.
    pub fn adapter(&self) -> Option<&Adapter> {
        match self {
            Self::Adapter(adapter) => Some(adapter),
            _ => None,
        }
    }
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::LastToken => "last_token",
            Self::Adapter(adapter) => adapter.info.kind.name(),
        })
    }
}
