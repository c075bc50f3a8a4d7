//! The choices that make a vector out of hidden states.

use crate::model::{Adapter, Feature, Pooling, Precision};

/// How a vector is computed from the hidden states of a text.
#[derive(Clone)]
pub struct Settings {
    /// Which hidden states make the token features.
    pub feature: Feature,
    /// How the features of a text's tokens become one vector.
    pub pooling: Pooling,
    /// `Reference` rounds embeddings and scores to bfloat16.
    pub precision: Precision,
}

impl Settings {
    /// Settings in f32.
    pub fn new(feature: Feature, pooling: Pooling) -> Self {
        Self { feature, pooling, precision: Precision::Full }
    }

    /// Whether embeddings and scores are rounded to bfloat16.
    pub fn rounds(&self) -> bool {
        self.precision == Precision::Reference && self.pooling.adapter().is_none_or(Adapter::rounds)
    }
}
