//! Vectors of texts: their length and their products.

use crate::error::{Error, Result};
use half::bf16;

/// The pooled layers of one text. Every training-free feature can be made from them.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerVectors {
    /// Pooled h_0 to h_L, `[L + 1][D]`.
    pub hidden: Vec<Vec<f32>>,
    /// Pooled LayerNorm(h_1) to LayerNorm(h_L), `[L][D]`.
    pub normed: Vec<Vec<f32>>,
}

/// The hidden states of one text of T tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct States {
    /// h_0, the token embeddings, to h_L, after the final norm: `[L + 1][T * D]`, row by row.
    pub hidden: Vec<Vec<f32>>,
    /// The last layer's before the final norm, `[T * D]`.
    pub last_prenorm: Vec<f32>,
}

/// The vectors of several texts. The three lists are parallel.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// One vector per text, `[B][E]`, each of unit length.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of each text, after cutting.
    pub tokens: Vec<usize>,
    /// Whether a text was cut to the model's `max_length`.
    pub truncated: Vec<bool>,
}

impl Embeddings {
    /// The cosines of all pairs of texts, `[B][B]`.
    pub fn similarity(&self) -> Vec<Vec<f32>> {
        let row = |a: &Vec<f32>| self.vectors.iter().map(|b| dot(a, b)).collect();
        self.vectors.iter().map(row).collect()
    }
}

/// The product of two vectors, summed in f64: the order of the sum doesn't decide between near equals.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
}

/// `v / |v|`, the length taken in f64. `index` counts the texts from 0, for messages.
///
/// # Errors
/// [`Error::Device`] where `v` is not finite, [`Error::NoDirection`] where its length is zero.
pub(crate) fn unit(v: &[f32], index: usize) -> Result<Vec<f32>> {
    let length = v.iter().map(|x| (*x as f64).powi(2)).sum::<f64>().sqrt();
    check(length, index)?;
    Ok(v.iter().map(|x| (*x as f64 / length) as f32).collect())
}

/// As [`unit`], with values, length and quotients rounded to bfloat16.
pub(super) fn unit_bf16(v: &[f32], index: usize) -> Result<Vec<f32>> {
    let round = |x: f32| bf16::from_f32(x).to_f32();
    let v: Vec<f32> = v.iter().map(|x| round(*x)).collect();
    let length = round(v.iter().map(|x| x * x).sum::<f32>().sqrt());
    check(length.into(), index)?;
    let unit: Vec<f32> = v.iter().map(|x| round(x / length)).collect();
    // Squares of values below 1e-19 are lost in f32, and with them the length.
    let square: f32 = unit.iter().map(|x| x * x).sum();
    if (square - 1.0).abs() > 0.1 {
        return Err(Error::NoDirection { index: index + 1 });
    }
    Ok(unit)
}

/// Refuses a length by which no vector can be divided.
fn check(length: f64, index: usize) -> Result<()> {
    match length {
        length if !length.is_finite() => Err(not_finite()),
        0.0 => Err(Error::NoDirection { index: index + 1 }),
        _ => Ok(()),
    }
}

pub(super) fn not_finite() -> Error {
    Error::Device { reason: "an embedding is not finite".into() }
}
