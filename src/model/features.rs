//! From hidden states to one vector per text: the feature says which layers count, the pooling how the tokens of a text
//! become one vector.
//!
//! ```text
//! weighted:  c = sum_{l=1..L} softmax(w)_l * LayerNorm(h_l)        GRAN-TED, section 3.2
//! norm_avg:  c = sum_{l=1..L} LayerNorm(h_l) / L
//! ```

use super::adapter::Adapter;
use super::config::Config;
use super::decoder::{Batch, Decoder, State};
use crate::error::{Error, Result};
use crate::kernel;
use burn::tensor::Tensor;
use std::{fmt, rc::Rc};

/// The hidden states that make the token features; `hidden_states` is transformers' list of 1 + L.
#[derive(Clone, Debug, PartialEq)]
pub enum Feature {
    /// The last layer, after the final norm where there is one.
    Last,
    /// The last layer, before the final norm. Libraries disagree which of the two is `hidden_states[-1]`.
    LastPrenorm,
    /// `hidden_states[-2]`: the layer before the last.
    Penultimate,
    /// `hidden_states[i]`; 0 is the token embeddings.
    Layer(usize),
    /// The mean of all layers after a parameter-free LayerNorm. Encoders of encoder-decoder models and AltCLIP count their token
    /// embeddings as a layer, as the paper's own program does.
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
    /// Reads `last`, `last_prenorm`, `penultimate`, `norm_avg`, `layer(i)` or `weighted`, which takes `weights`.
    ///
    /// # Errors
    /// [`Error::UnknownOption`] lists the choices.
    pub fn parse(name: &str, weights: Option<&[f32]>) -> Result<Self> {
        let layer = || name.strip_prefix("layer(")?.strip_suffix(')')?.parse().ok();
        match (name, weights) {
            ("last", _) => Ok(Self::Last),
            ("last_prenorm", _) => Ok(Self::LastPrenorm),
            ("penultimate", _) => Ok(Self::Penultimate),
            ("norm_avg", _) => Ok(Self::NormAvg),
            ("weighted", Some(weights)) => Ok(Self::Weighted(weights.to_vec())),
            _ => match layer() {
                Some(layer) => Ok(Self::Layer(layer)),
                None => Err(Error::UnknownOption {
                    option: "feature",
                    expected:
                        "last, last_prenorm, penultimate, norm_avg, layer(i), or weighted with a list of layer weights"
                            .into(),
                    found: name.into(),
                }),
            },
        }
    }

    /// Checks that the model has this layer, or as many layers as there are weights.
    ///
    /// # Errors
    /// [`Error::LayerCount`], [`Error::LayerWeight`]; [`Error::CutModel`] for what a file without its last layers does not
    /// give.
    pub fn check(&self, config: &Config) -> Result<()> {
        let layers = config.num_hidden_layers;
        if let Some(stated) = config.cut_from
            && !matches!(self, Self::Layer(_))
        {
            return Err(Error::CutModel { feature: self.to_string(), held: layers, stated });
        }
        self.check_counts(layers, config.counted_states())
    }

    /// Checks that `layers` layers, of whose states `counted` are averaged, have what this names.
    ///
    /// # Errors
    /// [`Error::LayerCount`], [`Error::LayerWeight`].
    pub fn check_counts(&self, layers: usize, counted: usize) -> Result<()> {
        match self {
            Self::Layer(layer) if *layer > layers => {
                Err(Error::LayerCount { item: "layer(i)", found: *layer, layers })
            }
            Self::Weighted(weights) if weights.len() != counted => {
                let found = weights.len();
                Err(Error::LayerCount { item: "the number of layer weights", found, layers: counted })
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
        let (layers, counted) = (decoder.len(), decoder.counted_states());
        let uniform = vec![0.0; counted];
        let (last, wanted, weights) = match self {
            Self::Last => (layers, State::Layer(layers), None),
            Self::LastPrenorm => (layers, State::LastPrenorm, None),
            Self::Penultimate => (layers - 1, State::Layer(layers - 1), None),
            Self::Layer(layer) => (*layer, State::Layer(*layer), None),
            Self::NormAvg => (layers, State::Layer(layers), Some(&uniform)),
            Self::Weighted(weights) => (layers, State::Layer(layers), Some(weights)),
        };
        let mut features = x.zeros_like();
        match weights.map(|weights| softmax(weights)) {
            Some(alpha) => {
                let first = 1 + layers - counted;
                let mix = |state: State, h: &Tensor<2>| {
                    if let State::Layer(l) = state
                        && let Some(alpha) = l.checked_sub(first).and_then(|index| alpha.get(index))
                    {
                        features = kernel::layer_mix(features.clone(), h.clone(), *alpha);
                    }
                };
                decoder.forward(x, batch, last, mix).await?;
            }
            None => {
                let pick = |state: State, h: &Tensor<2>| {
                    if state == wanted {
                        features = h.clone();
                    }
                };
                decoder.forward(x, batch, last, pick).await?;
            }
        }
        Ok(features)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Last => f.write_str("last"),
            Self::LastPrenorm => f.write_str("last_prenorm"),
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
