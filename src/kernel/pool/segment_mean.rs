//! Mean pooling over packed texts: contract, launch and twin. The formula is in segment_mean.wgsl.

use crate::kernel::backend::EncoderBackend;
use crate::kernel::cpu::vector::for_rows;
use crate::kernel::cpu::{from_host, host, rows_columns};
use crate::kernel::launch::info::info;
use crate::kernel::launch::{Wgsl, dense};
use burn::backend::Dispatch;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Int, Tensor};
use burn_wgpu::CubeTensor;

/// Invocations of a workgroup, along a row.
const WORKGROUP: u32 = 64;

/// The mean of `x`'s rows over each segment: `x [T, D]`, `segments [B, 2]` u32 (first row, end row; not empty) ->
/// `[B, D]`.
pub fn segment_mean(x: Tensor<2>, segments: Tensor<2, Int>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::segment_mean(x.into_dispatch(), segments.into_dispatch()))
}

/// Launches [`segment_mean`].
pub(crate) fn launch(x: CubeTensor, segments: CubeTensor) -> CubeTensor {
    let (x, segments) = (dense(x), dense(segments));
    let shape = [segments.meta.shape()[0], x.meta.shape()[1]];
    let info = info! { B: shape[0], D: shape[1] };
    Wgsl::new("segment_mean", &[include_str!("segment_mean.wgsl")], [WORKGROUP, 1], info).run(
        &[&x, &segments],
        shape,
        [shape[1].div_ceil(WORKGROUP as usize), shape[0], 1],
    )
}

/// The CPU twin of [`launch`].
pub(crate) fn twin(x: FlexTensor, segments: FlexTensor) -> FlexTensor {
    let (x, segments) = (host(x), host(segments));
    let [_, width] = rows_columns(&x);
    let [count, _] = rows_columns(&segments);
    let (x, segments) = (x.storage::<f32>(), segments.storage::<u32>());
    let mut output = vec![0.0; count * width];
    for_rows(&mut output, width, |segment, out| {
        let (first, end) = (segments[2 * segment] as usize, segments[2 * segment + 1] as usize);
        for row in x[first * width..end * width].chunks(width) {
            out.iter_mut().zip(row).for_each(|(out, x)| *out += x);
        }
        out.iter_mut().for_each(|out| *out /= (end - first) as f32);
    });
    from_host(output, [count, width])
}
