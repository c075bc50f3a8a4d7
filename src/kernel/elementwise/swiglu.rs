//! The gated activation (arXiv 2002.05202): contract, launch and twin. The formula is in swiglu.wgsl.

use crate::kernel::backend::EncoderBackend;
use crate::kernel::cpu::vector::for_rows;
use crate::kernel::cpu::{from_host, host, rows_columns};
use crate::kernel::launch::dense;
use crate::kernel::launch::elements::over_elements;
use crate::kernel::launch::info::info;
use burn::backend::Dispatch;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use burn_wgpu::CubeTensor;

/// `silu(gate) * up`, element by element: `[T, F]` -> `[T, F]`.
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::swiglu(gate.into_dispatch(), up.into_dispatch()))
}

/// Launches [`swiglu`].
pub(crate) fn launch(gate: CubeTensor, up: CubeTensor) -> CubeTensor {
    let (gate, up) = (dense(gate), dense(up));
    let shape = [gate.meta.shape()[0], gate.meta.shape()[1]];
    let count = shape[0] * shape[1];
    let (kernel, groups) =
        over_elements("swiglu", include_str!("swiglu.wgsl"), count, info! { length: count });
    kernel.run(&[&gate, &up], shape, groups)
}

/// The CPU twin of [`launch`].
pub(crate) fn twin(gate: FlexTensor, up: FlexTensor) -> FlexTensor {
    let (gate, up) = (host(gate), host(up));
    let [rows, width] = rows_columns(&gate);
    let (gate, up) = (gate.storage::<f32>(), up.storage::<f32>());
    let mut output = vec![0.0; rows * width];
    for_rows(&mut output, width, |row, out| {
        let span = row * width..(row + 1) * width;
        for ((out, gate), up) in out.iter_mut().zip(&gate[span.clone()]).zip(&up[span]) {
            *out = gate / (1.0 + (-gate).exp()) * up;
        }
    });
    from_host(output, [rows, width])
}
