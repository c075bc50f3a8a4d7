//! One term of the layer-weighted sum: contract, launch and twin. The formula is in layer_mix.wgsl.

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

/// The number that is added to the variance; layer_mix.wgsl has it too.
const EPSILON: f32 = 1e-5;

/// One term of the layer-weighted sum (GRAN-TED, section 3.2): `mix + alpha * LayerNorm(hidden)`, the LayerNorm over
/// each row without parameters, with epsilon 1e-5: `[T, D]` -> `[T, D]`.
pub fn layer_mix(mix: Tensor<2>, hidden: Tensor<2>, alpha: f32) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::layer_mix(mix.into_dispatch(), hidden.into_dispatch(), alpha))
}

/// Launches [`layer_mix`].
pub(crate) fn launch(mix: CubeTensor, hidden: CubeTensor, alpha: f32) -> CubeTensor {
    let (mix, hidden) = (dense(mix), dense(hidden));
    let shape = [hidden.meta.shape()[0], hidden.meta.shape()[1]];
    let info = info! { T: shape[0], D: shape[1], alpha };
    let (kernel, groups) = over_rows("layer_mix", include_str!("layer_mix.wgsl"), 2, shape[0], info);
    kernel.run(&[&mix, &hidden], shape, groups)
}

/// The CPU twin of [`launch`].
pub(crate) fn twin(mix: FlexTensor, hidden: FlexTensor, alpha: f32) -> FlexTensor {
    let (mix, hidden) = (host(mix), host(hidden));
    let [rows, width] = rows_columns(&hidden);
    let hidden = hidden.storage::<f32>();
    let mut output = mix.storage::<f32>().to_vec();
    for_rows(&mut output, width, |row, out| add_normalized(&hidden[row * width..][..width], alpha, out));
    from_host(output, [rows, width])
}

simd!(fn add_normalized(x: &[f32], alpha: f32, out: &mut [f32]) = add_normalized_body);

#[inline(always)]
fn add_normalized_body<const FMA: bool>(x: &[f32], alpha: f32, out: &mut [f32]) {
    let (mean, variance) = mean_and_variance(x);
    let scale = alpha / (variance + EPSILON).sqrt();
    for (out, x) in out.iter_mut().zip(x) {
        *out = madd::<FMA>(x - mean, scale, *out);
    }
}
