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

use super::activation::Activation;
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

/// `y = x Wᵀ`: `x [T, in]` -> `[T, out]`, in the weight's arithmetic. The weight may have been filled up to a multiple of
/// 32 inputs, in this and the other products: x has its own width.
pub fn quant_matmul(x: Tensor<2>, weight: &PackedWeight) -> Tensor<2> {
    dispatch(x, weight, None, Ending::Plain)
}

/// `y = x Wᵀ + bias`: `x [T, in]`, `bias [out]` -> `[T, out]`, in the weight's arithmetic.
pub fn quant_matmul_bias(x: Tensor<2>, weight: &PackedWeight, bias: Tensor<1>) -> Tensor<2> {
    dispatch(x, weight, Some(bias.into_dispatch()), Ending::Plain)
}

/// `y = x Wᵀ + residual`: `x [T, in]`, `residual [T, out]` -> `[T, out]`, in the weight's arithmetic.
pub fn quant_matmul_add(x: Tensor<2>, weight: &PackedWeight, residual: Tensor<2>) -> Tensor<2> {
    dispatch(x, weight, Some(residual.into_dispatch()), Ending::Plain)
}

/// `y = activation(x Gᵀ) * (x Uᵀ)`, where the weight's first `out / 2` rows are G, and the others U: `x [T, in]` ->
/// `[T, out / 2]`, in the weight's arithmetic.
pub fn quant_matmul_glu(x: Tensor<2>, weight: &PackedWeight, activation: Activation) -> Tensor<2> {
    dispatch(x, weight, None, Ending::Gated(activation))
}

/// `y = activation(x Wᵀ + bias)`, in the weight's arithmetic: `x [T, in]`, `bias [out]` or none -> `[T, out]`.
pub fn quant_matmul_act(
    x: Tensor<2>,
    weight: &PackedWeight,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<2> {
    dispatch(x, weight, bias.map(Tensor::into_dispatch), Ending::Activated(activation))
}

fn dispatch(
    x: Tensor<2>,
    weight: &PackedWeight,
    addend: Option<DispatchTensor>,
    ending: Ending,
) -> Tensor<2> {
    let PackedWeight { layout, arithmetic, out_features, factor, .. } = *weight;
    let product = Product { kind: ProductKind::new(layout, arithmetic), out_features, factor, ending };
    let x = widened(x, weight.in_features);
    let words = weight.words.clone().into_dispatch();
    let scales = weight.scales.clone().into_dispatch();
    Tensor::from_dispatch(match addend {
        Some(addend) => Dispatch::quant_matmul_add(x.into_dispatch(), words, scales, addend, product),
        None => Dispatch::quant_matmul(x.into_dispatch(), words, scales, product),
    })
}

/// `x` filled up with zeros to the width of the weight, whose rows may be filled up too.
fn widened(x: Tensor<2>, width: usize) -> Tensor<2> {
    let [rows, columns] = x.dims();
    if columns == width {
        return x;
    }
    let zeros = Tensor::zeros([rows, width - columns], &x.device());
    Tensor::cat(vec![x, zeros], 1)
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
    /// The use of the sums.
    pub ending: Ending,
}

/// What becomes of the sums of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// They are the result, with an addend if there is one.
    Plain,
    /// The result is their activation, after the addend.
    Activated(Activation),
    /// The columns are a gate and an up projection, and the result is the activation of the first times the second.
    Gated(Activation),
}

impl Product {
    /// Columns of the result: half of `out_features` if it is gated.
    fn width(&self) -> usize {
        if self.is_gated() { self.out_features / 2 } else { self.out_features }
    }

    fn is_gated(&self) -> bool {
        matches!(self.ending, Ending::Gated(_))
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
    let (columns, second) = if product.is_gated() { (half, width) } else { (2 * half, half) };
    let (addend, row_stride, step) = match addend {
        Some(addend) if addend.meta.shape().len() == 2 => (dense(addend), n, 1),
        Some(addend) => (dense(addend), 0, 1),
        None => (launch::zero(&x), 0, 0),
    };
    let blocks = layout.group(k).unwrap_or(32) / BLOCK_K;
    let gated = usize::from(product.is_gated());
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
    let (activation, result) = match product.ending {
        // A plain product declares the activation of the most usual gate, and shares its pipeline.
        Ending::Plain => (Activation::Silu, "v"),
        Ending::Gated(activation) => (activation, "v"),
        Ending::Activated(activation) => (activation, "activate(v)"),
    };
    kernel
        .set("activation", activation.wgsl())
        .set("result", result)
        .set("enable", if arithmetic == Arithmetic::F16 { "enable f16;" } else { "" })
        .set("family", product.kind.family().name)
        .set("operands", format!("{:?}", tile.operands))
        .set("per_word", layout.per_word())
        .set("tile_m", tile.rows)
        .set("tile_n", tile.columns)
        .run(&[&x, &words, &scales, &addend], [m, width], [width.div_ceil(columns), m.div_ceil(rows_each), 1])
}
