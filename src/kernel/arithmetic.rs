//! In what the products with packed weights are computed: a choice made for a model when it is loaded.

use super::quant::Layout;
use crate::error::{Error, Result};
use serde::Serialize;
use std::str::FromStr;

/// In what a product multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// Dequantized weights and activations in f32.
    #[default]
    F32,
    /// The weights' codes and activations of 8 bits, exactly; scales and sums in f32. Embeddings change a little.
    Int8,
}

impl Arithmetic {
    /// What a weight of `layout` is multiplied in: dense ones have no codes.
    pub fn of(self, layout: Layout) -> Self {
        if layout == Layout::Dense { Self::F32 } else { self }
    }
}

impl FromStr for Arithmetic {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "f32" => Ok(Self::F32),
            "int8" => Ok(Self::Int8),
            _ => Err(Error::UnknownOption {
                option: "arithmetic",
                expected: "f32 or int8".into(),
                found: name.into(),
            }),
        }
    }
}
