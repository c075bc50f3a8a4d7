//! In which arithmetic the products with packed weights are computed: a choice made for a model when it is loaded.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::named::named;
use crate::quant::Layout;

named! {
    /// The numbers in which a product multiplies and adds.
    #[derive(Default)]
    pub enum Arithmetic("arithmetic", expected "f32, f16 or int8") {
        /// Dequantized weights and activations in f32.
        #[default]
        F32 = "f32",
        /// Weights and activations of 11 bits in products and in sums of eight; sums of those in f32. Needs an adapter
        /// with `shader-f16`; embeddings change a little.
        F16 = "f16",
        /// The weights' codes and activations of 8 bits, multiplied exactly; scales and sums of groups in f32.
        /// Embeddings change a little.
        Int8 = "int8",
    }
}

impl Arithmetic {
    /// The arithmetic for a weight of `layout`, in a model that computes in this one: weights that are no integers with
    /// scales and minima stay in f32.
    pub fn of(self, layout: Layout) -> Self {
        if layout.has_pairs() { self } else { Self::F32 }
    }

    /// Checks that `device` can compute in it.
    ///
    /// # Errors
    /// [`Error::NoShaderF16`] for f16 on an adapter without it.
    pub fn check(self, device: &Device) -> Result<()> {
        match self {
            Self::F16 if !device.has_f16 => Err(Error::NoShaderF16 { device: device.adapter.clone() }),
            _ => Ok(()),
        }
    }
}

/// The two choices that decide which kernels a product runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProductKind {
    /// How the weight is stored.
    pub layout: Layout,
    /// The arithmetic; f32 if the layout has no pairs of scales and minima.
    pub arithmetic: Arithmetic,
}

impl ProductKind {
    /// Products with weights of `layout`, in a model that computes in `arithmetic`.
    pub(crate) fn new(layout: Layout, arithmetic: Arithmetic) -> Self {
        Self { layout, arithmetic: arithmetic.of(layout) }
    }
}
