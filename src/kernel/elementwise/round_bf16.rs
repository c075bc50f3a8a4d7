//! Rounding to bfloat16, for results as the reference's; contract in [`super::round_bf16`] and round_bf16.wgsl.

use crate::kernel::backend::EncoderBackend;
use crate::kernel::launch::info::info;
use crate::kernel::launch::{Wgsl, dense, fold, from_host, host, rows_columns};
use burn::backend::Dispatch;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use burn_wgpu::CubeTensor;
use half::bf16;

const LANES: u32 = 64;

/// Rounds every element, which is finite, to the nearest bfloat16, ties to even, kept as f32: `[T, D]` -> `[T, D]`.
pub fn round_bf16(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::round_bf16(x.into_dispatch()))
}

pub fn launch(x: CubeTensor) -> CubeTensor {
    let x = dense(x);
    let shape = [x.meta.shape()[0], x.meta.shape()[1]];
    let count = shape[0] * shape[1];
    let [columns, rows] = fold(count.div_ceil(LANES as usize));
    Wgsl::new("round_bf16", &[include_str!("round_bf16.wgsl")], [LANES, 1], info! { length: count }).run(
        &[&x],
        shape,
        [columns, rows, 1],
    )
}

pub fn twin(x: FlexTensor) -> FlexTensor {
    let x = host(x);
    let shape = rows_columns(&x);
    from_host(x.storage::<f32>().iter().map(|x| bf16::from_f32(*x).to_f32()).collect(), shape)
}
