//! The gated linear unit (arXiv 2002.05202): contract, launch and twin. The formula is in glu.wgsl.

use crate::kernel::activation::Activation;
use crate::kernel::backend::EncoderBackend;
use crate::kernel::cpu::vector::{for_rows, simd};
use crate::kernel::cpu::{from_host, host, rows_columns};
use crate::kernel::launch::dense;
use crate::kernel::launch::elements::over_elements;
use crate::kernel::launch::info::info;
use burn::backend::Dispatch;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use burn_wgpu::CubeTensor;

/// `activation(gate) * up`, element by element: `[T, F]` -> `[T, F]`. With SiLU it is SwiGLU, with GELU GEGLU.
pub fn glu(gate: Tensor<2>, up: Tensor<2>, activation: Activation) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::glu(gate.into_dispatch(), up.into_dispatch(), activation))
}

/// Launches [`glu`].
pub(crate) fn launch(gate: CubeTensor, up: CubeTensor, activation: Activation) -> CubeTensor {
    let (gate, up) = (dense(gate), dense(up));
    let shape = [gate.meta.shape()[0], gate.meta.shape()[1]];
    let count = shape[0] * shape[1];
    let (kernel, groups) = over_elements("glu", include_str!("glu.wgsl"), count, info! { length: count });
    kernel.set("activation", activation.wgsl()).run(&[&gate, &up], shape, groups)
}

/// The CPU twin of [`launch`].
pub(crate) fn twin(gate: FlexTensor, up: FlexTensor, activation: Activation) -> FlexTensor {
    let (gate, up) = (host(gate), host(up));
    let [rows, width] = rows_columns(&gate);
    let (gate, up) = (gate.storage::<f32>(), up.storage::<f32>());
    let mut output = vec![0.0; rows * width];
    for_rows(&mut output, width, |row, out| {
        let span = row * width..(row + 1) * width;
        multiply(&gate[span.clone()], &up[span], activation, out);
    });
    from_host(output, [rows, width])
}

simd!(fn multiply(gate: &[f32], up: &[f32], activation: Activation, out: &mut [f32]) = multiply_body);

#[inline(always)]
fn multiply_body<const FMA: bool>(gate: &[f32], up: &[f32], activation: Activation, out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = activation.apply::<FMA>(*gate) * up;
    }
}
