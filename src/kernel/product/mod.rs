//! The product with a packed weight: its contracts and its launch. The formula is in registers.wgsl, the bindings are
//! in prelude.wgsl, and [`crate::quant::Packed`] has the weight's layout.

mod arithmetic;
mod decode;
mod f16;
mod int8;
mod registers;
mod shared;
pub(crate) mod tile;
mod tiling;
mod twin;
mod weight;

use super::backend::EncoderBackend;
use crate::kernel::launch::info::info;
use crate::kernel::launch::{self, Wgsl, dense};
pub use arithmetic::Arithmetic;
pub(crate) use arithmetic::ProductKind;
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::Tensor;
use burn_wgpu::CubeTensor;
use tile::Operands;
pub(crate) use twin::twin;
pub use weight::PackedWeight;

/// `y = x Wᵀ`: `x [T, in]` -> `[T, out]`, in the weight's arithmetic.
pub fn quant_matmul(x: Tensor<2>, weight: &PackedWeight) -> Tensor<2> {
    dispatch(x, weight, None, false)
}

/// `y = x Wᵀ + bias`: `x [T, in]`, `bias [out]` -> `[T, out]`, in the weight's arithmetic.
pub fn quant_matmul_bias(x: Tensor<2>, weight: &PackedWeight, bias: Tensor<1>) -> Tensor<2> {
    dispatch(x, weight, Some(bias.into_dispatch()), false)
}

/// `y = x Wᵀ + residual`: `x [T, in]`, `residual [T, out]` -> `[T, out]`, in the weight's arithmetic.
pub fn quant_matmul_add(x: Tensor<2>, weight: &PackedWeight, residual: Tensor<2>) -> Tensor<2> {
    dispatch(x, weight, Some(residual.into_dispatch()), false)
}

/// `y = silu(x Gᵀ) * (x Uᵀ)`, where the weight's first `out / 2` rows are G, and the others U: `x [T, in]` ->
/// `[T, out / 2]`, in the weight's arithmetic.
pub fn quant_matmul_swiglu(x: Tensor<2>, weight: &PackedWeight) -> Tensor<2> {
    dispatch(x, weight, None, true)
}

fn dispatch(x: Tensor<2>, weight: &PackedWeight, addend: Option<DispatchTensor>, gated: bool) -> Tensor<2> {
    let PackedWeight { layout, arithmetic, out_features, factor, .. } = *weight;
    let product = Product { kind: ProductKind::new(layout, arithmetic), out_features, factor, gated };
    let words = weight.words.clone().into_dispatch();
    let scales = weight.scales.clone().into_dispatch();
    Tensor::from_dispatch(match addend {
        Some(addend) => Dispatch::quant_matmul_add(x.into_dispatch(), words, scales, addend, product),
        None => Dispatch::quant_matmul(x.into_dispatch(), words, scales, product),
    })
}

/// The weight of a product, without its tensors, and the use of the sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    /// Which kernels run.
    pub kind: ProductKind,
    /// Columns of the weight's `words`.
    pub out_features: usize,
    /// A power of two by which the weight's scales and minima are multiplied.
    pub factor: f32,
    /// Whether the columns are a gate and an up projection, and the result is their SwiGLU.
    pub gated: bool,
}

impl Product {
    /// Columns of the result: half of `out_features` if it is gated.
    fn width(&self) -> usize {
        if self.gated { self.out_features / 2 } else { self.out_features }
    }
}

/// Values of k in a block: two vec4 of x, one to eight words of a weight.
const BLOCK_K: usize = 8;

/// Stands before each of the kernels.
const PRELUDE: &str = include_str!("prelude.wgsl");
/// Stands after the kernels whose operands lie in the workgroup's memory.
const WORKGROUP: &str = include_str!("workgroup.wgsl");

/// Launches the product of `x [M, K]` with a weight, in the tile for M rows. `addend` is `[M, N]` or `[N]`.
pub(crate) fn launch(
    x: CubeTensor,
    words: CubeTensor,
    scales: CubeTensor,
    addend: Option<CubeTensor>,
    product: Product,
) -> CubeTensor {
    let x = dense(x);
    let (m, k, n, width) = (x.meta.shape()[0], x.meta.shape()[1], product.out_features, product.width());
    let ProductKind { layout, arithmetic } = product.kind;
    let tile = tile::for_rows(m, product.kind);
    let [rows_each, columns_each] = tile.outputs();
    let half = columns_each / 2;
    // A gated product's workgroup has as many columns of the gate as of the up projection.
    let (columns, second) = if product.gated { (half, width) } else { (2 * half, half) };
    let (addend, row_stride, step) = match addend {
        Some(addend) if addend.meta.shape().len() == 2 => (dense(addend), n, 1),
        Some(addend) => (dense(addend), 0, 1),
        None => (launch::zero(&x), 0, 0),
    };
    let blocks = layout.group(k).unwrap_or(32) / BLOCK_K;
    let gated = usize::from(product.gated);
    let info = info! {
        M: m, K: k, N: n, factor: product.factor, blocks, columns, second, row_stride, step, gated, width,
    };
    let kernel = |name, sources| Wgsl::new(name, sources, tile.lanes, info);
    let kernel = match (arithmetic, tile.operands) {
        (Arithmetic::Int8, _) => {
            kernel("quant_matmul_int8", &[PRELUDE, include_str!("int8.wgsl"), WORKGROUP])
                .set("group", 8 * blocks)
                .unroll(move || int8::values(layout, tile))
        }
        (Arithmetic::F16, _) => kernel("quant_matmul_f16", &[PRELUDE, include_str!("f16.wgsl"), WORKGROUP])
            .unroll(move || f16::values(layout, tile)),
        (Arithmetic::F32, Operands::Software | Operands::Registers) => {
            kernel("quant_matmul", &[PRELUDE, decode::source(layout), include_str!("registers.wgsl")])
                .unroll(move || registers::values(layout, tile))
        }
        (Arithmetic::F32, Operands::Shared) => {
            let sources = [PRELUDE, decode::source(layout), include_str!("shared.wgsl"), WORKGROUP];
            kernel("quant_matmul_shared", &sources).unroll(move || shared::values(layout, tile))
        }
    };
    kernel
        .set("enable", if arithmetic == Arithmetic::F16 { "enable f16;" } else { "" })
        .set("family", product.kind.family().name)
        .set("operands", format!("{:?}", tile.operands))
        .set("per_word", layout.per_word())
        .set("tile_m", tile.rows)
        .set("tile_n", tile.columns)
        .run(&[&x, &words, &scales, &addend], [m, width], [width.div_ceil(columns), m.div_ceil(rows_each), 1])
}
