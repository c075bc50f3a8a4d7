//! What is asked of an encoder.

use crate::model::{Adapter, Feature, Pooling, Precision};

/// What is computed from the hidden states.
#[derive(Clone)]
pub struct Settings {
    pub feature: Feature,
    pub pooling: Pooling,
    /// `Reference` rounds embeddings and scores to bfloat16.
    pub precision: Precision,
}

impl Settings {
    /// In f32.
    pub fn new(feature: Feature, pooling: Pooling) -> Self {
        Self { feature, pooling, precision: Precision::Full }
    }

    /// Whether embeddings and scores are rounded to bfloat16.
    pub fn rounds(&self) -> bool {
        self.precision == Precision::Reference && self.pooling.adapter().is_none_or(Adapter::rounds)
    }
}
