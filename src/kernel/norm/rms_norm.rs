//! RMS norm over rows (arXiv 1910.07467): contract, launch and twin. The formula is in rms_norm.wgsl.

use crate::kernel::backend::EncoderBackend;
use crate::kernel::cpu::vector::{dot, for_rows, simd};
use crate::kernel::cpu::{from_host, host, rows_columns};
use crate::kernel::launch::dense;
use crate::kernel::launch::info::info;
use crate::kernel::launch::rows::over_rows;
use burn::backend::Dispatch;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use burn_wgpu::CubeTensor;

/// `x / sqrt(mean(x²) + epsilon) * weight`, with the mean over each row: `x [T, D]`, `weight [D]` -> `[T, D]`.
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, epsilon: f32) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::rms_norm(x.into_dispatch(), weight.into_dispatch(), epsilon))
}

/// Launches [`rms_norm`].
pub(crate) fn launch(x: CubeTensor, weight: CubeTensor, epsilon: f32) -> CubeTensor {
    let (x, weight) = (dense(x), dense(weight));
    let shape = [x.meta.shape()[0], x.meta.shape()[1]];
    let info = info! { T: shape[0], D: shape[1], epsilon };
    let (kernel, groups) = over_rows("rms_norm", include_str!("rms_norm.wgsl"), 1, shape[0], info);
    kernel.run(&[&x, &weight], shape, groups)
}

/// The CPU twin of [`launch`].
pub(crate) fn twin(x: FlexTensor, weight: FlexTensor, epsilon: f32) -> FlexTensor {
    let (x, weight) = (host(x), host(weight));
    let [rows, width] = rows_columns(&x);
    let (input, weight) = (x.storage::<f32>(), weight.storage::<f32>());
    let mut output = vec![0.0; rows * width];
    for_rows(&mut output, width, |row, out| normalize(&input[row * width..][..width], weight, epsilon, out));
    from_host(output, [rows, width])
}

// The norm of one row; `rotary` calls it for one head.
simd!(pub(crate) fn normalize(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) = normalize_body);

#[inline(always)]
fn normalize_body<const FMA: bool>(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let scale = 1.0 / (dot::<FMA>(x, x) / x.len() as f32 + epsilon).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * weight;
    }
}
