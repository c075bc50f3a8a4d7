//! In what the products with packed weights are computed: a choice made for a model when it is loaded.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::named::named;
use crate::quant::Layout;

named! {
    /// In what a product multiplies.
    #[derive(Default)]
    pub enum Arithmetic("arithmetic", expected "f32, f16 or int8") {
        /// Dequantized weights and activations in f32.
        #[default]
        F32 = "f32",
        /// Weights and activations of 11 bits in products and in sums of eight, f32 in sums of those. On adapters with
        /// `shader-f16`; embeddings change a little.
        F16 = "f16",
        /// The weights' codes and activations of 8 bits, exactly; scales and sums in f32. Embeddings change a little.
        Int8 = "int8",
    }
}

impl Arithmetic {
    /// What a weight of `layout` is multiplied in: dense ones have no codes.
    pub fn of(self, layout: Layout) -> Self {
        if layout == Layout::Dense { Self::F32 } else { self }
    }

    /// Whether `device` can compute in it.
    ///
    /// # Errors
    /// [`Error::NoShaderF16`].
    pub fn check(self, device: &Device) -> Result<()> {
        match self {
            Self::F16 if !device.has_f16 => Err(Error::NoShaderF16 { device: device.adapter.clone() }),
            _ => Ok(()),
        }
    }
}
