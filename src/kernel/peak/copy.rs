//! A copy, which measures the device's bandwidth: contract, launch and twin. The formula is in copy.wgsl.

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

/// Copies `x` into new memory, `times` times one after the other, to measure the device's bandwidth: `[T, D]` with D a
/// multiple of 4 -> `[T, D]`. Several times, because new memory is slow when it is first touched.
pub fn copy(x: Tensor<2>, times: usize) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::copy(x.into_dispatch(), times))
}

/// Launches [`copy()`].
pub(crate) fn launch(x: CubeTensor, times: usize) -> CubeTensor {
    let x = dense(x);
    let shape = [x.meta.shape()[0], x.meta.shape()[1]];
    let count = shape[0] * shape[1] / 4;
    let run = || {
        let (kernel, groups) =
            over_elements("copy", include_str!("copy.wgsl"), count, info! { length: count });
        kernel.run(&[&x], shape, groups)
    };
    (1..times).for_each(|_| drop(run()));
    run()
}

/// The CPU twin of [`launch`].
pub(crate) fn twin(x: FlexTensor, times: usize) -> FlexTensor {
    let x = host(x);
    let [rows, width] = rows_columns(&x);
    let values = x.storage::<f32>();
    let mut output = vec![0.0; rows * width];
    for _ in 0..times {
        for_rows(&mut output, width, |row, out| out.copy_from_slice(&values[row * width..][..width]));
    }
    from_host(output, [rows, width])
}
