//! Rounding to bfloat16, for the reference's results: contract, launch and twin. The formula is in round_bf16.wgsl.

use crate::kernel::backend::EncoderBackend;
use crate::kernel::cpu::{from_host, host, rows_columns};
use crate::kernel::launch::dense;
use crate::kernel::launch::elements::over_elements;
use crate::kernel::launch::info::info;
use burn::backend::Dispatch;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use burn_wgpu::CubeTensor;
use half::bf16;

/// Rounds every element, which is finite, to the nearest bfloat16, ties to even, kept as f32: `[T, D]` -> `[T, D]`.
pub fn round_bf16(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::round_bf16(x.into_dispatch()))
}

/// Launches [`round_bf16`].
pub(crate) fn launch(x: CubeTensor) -> CubeTensor {
    let x = dense(x);
    let shape = [x.meta.shape()[0], x.meta.shape()[1]];
    let count = shape[0] * shape[1];
    let (kernel, groups) =
        over_elements("round_bf16", include_str!("round_bf16.wgsl"), count, info! { length: count });
    kernel.run(&[&x], shape, groups)
}

/// The CPU twin of [`launch`].
pub(crate) fn twin(x: FlexTensor) -> FlexTensor {
    let x = host(x);
    let shape = rows_columns(&x);
    from_host(x.storage::<f32>().iter().map(|x| bf16::from_f32(*x).to_f32()).collect(), shape)
}
