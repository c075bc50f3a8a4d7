//! A packed weight on the device.

use super::Arithmetic;
use crate::device::Device;
use crate::quant::{self, Layout};
use burn::tensor::{DType, Int, Tensor, TensorData};

/// A linear layer's weight on the device, as [`quant::Packed`] holds it on the host.
#[derive(Clone, Debug)]
pub struct PackedWeight {
    /// How `words` is read.
    pub layout: Layout,
    /// In which arithmetic products with it are computed.
    pub arithmetic: Arithmetic,
    /// Rows of the checkpoint's `[out, in]` weight.
    pub out_features: usize,
    /// Columns of the checkpoint's weight.
    pub in_features: usize,
    /// `[in / values per word, out]`
    pub words: Tensor<2, Int>,
    /// `[in / group, out]`: an f16 scale in the low half, an f16 minimum in the high half; `[1, 1]` if the layout has
    /// no scales.
    pub scales: Tensor<2, Int>,
    /// A power of two by which scales and minima are multiplied.
    pub factor: f32,
}

impl PackedWeight {
    /// Moves a packed weight to the device. Products with it are in f32, unless [`Self::computed_in`] says otherwise.
    pub fn upload(packed: quant::Packed, device: &Device) -> Self {
        let columns = packed.out_features;
        let integers = |values: Vec<u32>, columns: usize| {
            let shape = [values.len() / columns, columns];
            device.keep(TensorData::new(values, shape), |data, device| {
                Tensor::from_data(data, (device, DType::U32))
            })
        };
        let scale_columns = columns.min(packed.scales.len());
        Self {
            layout: packed.layout,
            arithmetic: Arithmetic::F32,
            out_features: packed.out_features,
            in_features: packed.in_features,
            words: integers(packed.words, columns),
            scales: integers(packed.scales, scale_columns),
            factor: packed.factor,
        }
    }

    /// Has products with this weight computed in `arithmetic`.
    #[must_use]
    pub fn computed_in(self, arithmetic: Arithmetic) -> Self {
        Self { arithmetic, ..self }
    }
}
