//! Rotary position embedding (arXiv 2104.09864): the frequencies of a table, and the ways in which they are scaled for
//! texts longer than those of the pre-training.

use crate::error::{Error, Result};
use crate::kernel::rotary_frequencies;

/// The frequencies of rotations.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// The base: unscaled frequencies are `theta^(-2 i / head_dim)`.
    pub theta: f64,
    /// What becomes of them.
    pub scaling: RopeScaling,
}

/// How frequencies are scaled.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All of them are divided by this factor.
    Linear(f64),
    /// Long wavelengths are divided by the factor, short ones are kept, and those between are mixed (Llama 3.1).
    Llama3 {
        /// The factor.
        factor: f64,
        /// Wavelengths above `original / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Tokens of the longest text of the pre-training.
        original: f64,
    },
    /// YaRN (arXiv 2309.00071): frequencies that turn often within the original length are kept, slow ones are divided, and
    /// cosines and sines are multiplied by a factor.
    Yarn {
        /// The factor.
        factor: f64,
        /// Frequencies with more turns are kept.
        beta_fast: f64,
        /// Frequencies with fewer turns are divided.
        beta_slow: f64,
        /// Tokens of the longest text of the pre-training.
        original: f64,
        /// The factor of cosines and sines.
        attention_factor: f64,
        /// Whether the two limits are rounded to whole dimensions.
        truncate: bool,
    },
    /// Each is divided by its own number, `[head_dim / 2]` (the tensor `rope_freqs.weight` of GGUF files).
    Divisors(Vec<f32>),
}

impl Rope {
    /// Unscaled rotations.
    pub fn new(theta: f64) -> Self {
        Self { theta, scaling: RopeScaling::None }
    }

    /// The `head_dim / 2` frequencies, which positions are multiplied by. The formulas are those of transformers 5.24,
    /// modeling_rope_utils.py.
    pub(crate) fn frequencies(&self, head_dim: usize) -> Vec<f64> {
        let plain = rotary_frequencies(head_dim, self.theta);
        match &self.scaling {
            RopeScaling::None => plain,
            RopeScaling::Linear(factor) => plain.into_iter().map(|frequency| frequency / factor).collect(),
            RopeScaling::Divisors(divisors) => {
                plain.into_iter().zip(divisors).map(|(frequency, by)| frequency / f64::from(*by)).collect()
            }
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original } => plain
                .into_iter()
                .map(|frequency| {
                    let wavelength = std::f64::consts::TAU / frequency;
                    if wavelength < original / high_freq_factor {
                        return frequency;
                    }
                    if wavelength > original / low_freq_factor {
                        return frequency / factor;
                    }
                    let smooth =
                        (original / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    (1.0 - smooth) * frequency / factor + smooth * frequency
                })
                .collect(),
            RopeScaling::Yarn { factor, beta_fast, beta_slow, original, truncate, .. } => {
                let dim = head_dim as f64;
                // The dimension whose frequency turns this often within the original length.
                let dimension_of = |turns: f64| {
                    dim * (original / (turns * std::f64::consts::TAU)).ln() / (2.0 * self.theta.ln())
                };
                let (mut low, mut high) = (dimension_of(*beta_fast), dimension_of(*beta_slow));
                if *truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                (low, high) = (low.max(0.0), high.min(dim - 1.0));
                if low == high {
                    high += 0.001;
                }
                let mixed = |(i, frequency): (usize, f64)| {
                    let divided = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    frequency / factor * divided + frequency * (1.0 - divided)
                };
                plain.into_iter().enumerate().map(mixed).collect()
            }
        }
    }

    /// The factor of cosines and sines.
    pub(crate) fn amplitude(&self) -> f64 {
        match self.scaling {
            RopeScaling::Yarn { attention_factor, .. } => attention_factor,
            _ => 1.0,
        }
    }

    /// Checks that every number can be computed with; `file` is the one that states them.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(super) fn check(&self, file: &str) -> Result<()> {
        let above = |item: &str, value: f64, least: f64| {
            if value.is_finite() && value > least {
                return Ok(());
            }
            Err(Error::malformed(file, item, format!("a number above {least}"), value.to_string()))
        };
        above("rope_theta", self.theta, 1.0)?;
        match &self.scaling {
            RopeScaling::None => Ok(()),
            RopeScaling::Linear(factor) => above("the factor of RoPE scaling", *factor, 0.0),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original } => {
                above("the factor of RoPE scaling", *factor, 0.0)?;
                above("`original_max_position_embeddings` of RoPE scaling", *original, 0.0)?;
                above("`low_freq_factor` of RoPE scaling", *low_freq_factor, 0.0)?;
                above("`high_freq_factor` of RoPE scaling", *high_freq_factor, *low_freq_factor)
            }
            RopeScaling::Yarn { factor, beta_fast, beta_slow, original, attention_factor, .. } => {
                above("the factor of RoPE scaling", *factor, 0.0)?;
                above("`original_max_position_embeddings` of RoPE scaling", *original, 0.0)?;
                above("`beta_slow` of RoPE scaling", *beta_slow, 0.0)?;
                above("`beta_fast` of RoPE scaling", *beta_fast, 0.0)?;
                above("`attention_factor` of RoPE scaling", *attention_factor, 0.0)
            }
            RopeScaling::Divisors(divisors) => divisors
                .iter()
                .try_for_each(|by| above("a value of `rope_freqs.weight`", f64::from(*by), 0.0)),
        }
    }
}
