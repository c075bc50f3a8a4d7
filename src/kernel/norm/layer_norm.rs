//! Layer norm over rows (arXiv 1607.06450): contract, launch and twin. The formula is in layer_norm.wgsl.

use super::mean_and_variance;
use crate::kernel::backend::EncoderBackend;
use crate::kernel::cpu::vector::{for_rows, madd, simd};
use crate::kernel::cpu::{from_host, host, rows_columns};
use crate::kernel::launch::dense;
use crate::kernel::launch::info::info;
use crate::kernel::launch::rows::over_rows;
use burn::backend::Dispatch;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use burn_wgpu::CubeTensor;

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias`, with mean and variance over each row: `x [T, D]`, `weight [D]`,
/// `bias [D]` -> `[T, D]`.
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f32) -> Tensor<2> {
    let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::layer_norm(x.into_dispatch(), weight, bias, epsilon))
}

/// Launches [`layer_norm`].
pub(crate) fn launch(x: CubeTensor, weight: CubeTensor, bias: CubeTensor, epsilon: f32) -> CubeTensor {
    let (x, weight, bias) = (dense(x), dense(weight), dense(bias));
    let shape = [x.meta.shape()[0], x.meta.shape()[1]];
    let info = info! { T: shape[0], D: shape[1], epsilon };
    let (kernel, groups) = over_rows("layer_norm", include_str!("layer_norm.wgsl"), 2, shape[0], info);
    kernel.run(&[&x, &weight, &bias], shape, groups)
}

/// The CPU twin of [`launch`].
pub(crate) fn twin(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, epsilon: f32) -> FlexTensor {
    let (x, weight, bias) = (host(x), host(weight), host(bias));
    let [rows, width] = rows_columns(&x);
    let (input, weight, bias) = (x.storage::<f32>(), weight.storage::<f32>(), bias.storage::<f32>());
    let mut output = vec![0.0; rows * width];
    for_rows(&mut output, width, |row, out| {
        normalize(&input[row * width..][..width], weight, bias, epsilon, out)
    });
    from_host(output, [rows, width])
}

simd!(fn normalize(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) = normalize_body);

#[inline(always)]
fn normalize_body<const FMA: bool>(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    let (mean, variance) = mean_and_variance(x);
    let scale = 1.0 / (variance + epsilon).sqrt();
    for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
        *out = madd::<FMA>((x - mean) * scale, *weight, *bias);
    }
}
