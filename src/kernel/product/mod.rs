//! The product with a packed weight: its contracts and its launch. Formula and bindings are in registers.wgsl, the
//! weight's layout in [`crate::quant::Packed`].

pub mod arithmetic;
mod f16;
mod int8;
mod registers;
mod shared;
pub mod tile;
mod tiling;
mod twin;
mod weight;

use super::backend::EncoderBackend;
use crate::kernel::launch::info::info;
use crate::kernel::launch::{self, Wgsl, dense};
use crate::quant::Layout;
pub use arithmetic::Arithmetic;
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::Tensor;
use burn_wgpu::CubeTensor;
use tile::Kind;
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
    let product = Product { layout, arithmetic: arithmetic.of(layout), out_features, factor, gated };
    let words = weight.words.clone().into_dispatch();
    let scales = weight.scales.clone().into_dispatch();
    Tensor::from_dispatch(match addend {
        Some(addend) => Dispatch::quant_matmul_add(x.into_dispatch(), words, scales, addend, product),
        None => Dispatch::quant_matmul(x.into_dispatch(), words, scales, product),
    })
}

/// The weight of a product, and what becomes of its sums.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    pub layout: Layout,
    /// F32 where the layout is dense.
    pub arithmetic: Arithmetic,
    /// Columns of `words`.
    pub out_features: usize,
    /// Of the scales.
    pub factor: f32,
    /// The columns are a gate and an up projection, and the result is their SwiGLU.
    pub gated: bool,
}

impl Product {
    /// Columns of the result.
    fn width(&self) -> usize {
        if self.gated { self.out_features / 2 } else { self.out_features }
    }
}

/// Values of k that a block has: two vec4 of x, one to eight words.
const BLOCK: usize = 8;

/// Stands before each of the kernels.
const PRELUDE: &str = include_str!("prelude.wgsl");
/// Stands after the kernels whose operands lie in the workgroup's memory.
const WORKGROUP: &str = include_str!("workgroup.wgsl");

pub fn launch(
    x: CubeTensor,
    words: CubeTensor,
    scales: CubeTensor,
    addend: Option<CubeTensor>,
    product: Product,
) -> CubeTensor {
    let x = dense(x);
    let (m, k, n, width) = (x.meta.shape()[0], x.meta.shape()[1], product.out_features, product.width());
    let (layout, tile) = (product.layout, tile::for_rows(m, product.layout, product.arithmetic));
    let [rows_each, columns_each] = tile.outputs();
    let half = columns_each / 2;
    // A gated product's workgroup has as many columns of the one kind as of the other.
    let (columns, second) = if product.gated { (half, width) } else { (2 * half, half) };
    let (addend, row_stride, step) = match addend {
        Some(addend) if addend.meta.shape().len() == 2 => (dense(addend), n, 1),
        Some(addend) => (dense(addend), 0, 1),
        None => (launch::zero(&x), 0, 0),
    };
    let blocks = layout.group().unwrap_or(32) / BLOCK;
    let gated = usize::from(product.gated);
    let info = info! {
        M: m, K: k, N: n, factor: product.factor, blocks, columns, second, row_stride, step, gated, width,
    };
    let kernel = |name, sources| Wgsl::new(name, sources, tile.lanes, info);
    let kernel = match (product.arithmetic, tile.kind) {
        (Arithmetic::Int8, _) => {
            kernel("quant_matmul_int8", &[PRELUDE, include_str!("int8.wgsl"), WORKGROUP])
                .set("group", 8 * blocks)
                .unroll(move || int8::values(layout, tile))
        }
        (Arithmetic::F16, _) => kernel("quant_matmul_f16", &[PRELUDE, include_str!("f16.wgsl"), WORKGROUP])
            .unroll(move || f16::values(layout, tile)),
        (Arithmetic::F32, Kind::Software | Kind::Registers) => {
            kernel("quant_matmul", &[PRELUDE, include_str!("registers.wgsl")])
                .unroll(move || registers::values(layout, tile))
        }
        (Arithmetic::F32, Kind::Shared) => {
            kernel("quant_matmul_shared", &[PRELUDE, include_str!("shared.wgsl"), WORKGROUP])
                .unroll(move || shared::values(layout, tile))
        }
    };
    kernel
        .set("enable", if product.arithmetic == Arithmetic::F16 { "enable f16;" } else { "" })
        .set("kind", format!("{:?}", tile.kind))
        .set("per_word", layout.per_word())
        .set("tile_m", tile.rows)
        .set("tile_n", tile.columns)
        .run(&[&x, &words, &scales, &addend], [m, width], [width.div_ceil(columns), m.div_ceil(rows_each), 1])
}
