//! Parts that the CPU twins share: access to the elements of tensors, and vector arithmetic.

pub(super) mod vector;

use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

/// The tensor with its elements in row-major order.
pub(super) fn host(x: FlexTensor) -> FlexTensor {
    x.to_contiguous()
}

/// A CPU tensor of `values`.
pub(super) fn from_host(values: Vec<f32>, shape: [usize; 2]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// `[rows, columns]` of a CPU tensor.
pub(super) fn rows_columns(x: &FlexTensor) -> [usize; 2] {
    let shape = x.layout().shape();
    [shape[0], shape[1]]
}
