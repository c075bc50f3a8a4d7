//! The quantized product on the CPU: panels of columns are unpacked once and multiplied with all rows.

mod f16;
mod floats;
mod int8;

use super::{Arithmetic, Ending, Product, ProductKind};
use crate::kernel::activation::Activation;
use crate::kernel::cpu::vector::{BLOCK_ROWS, PANEL, simd};
use crate::kernel::cpu::{from_host, host, rows_columns};
use crate::quant::Layout;
use burn::backend::flex::FlexTensor;

/// The CPU twin of [`super::launch()`].
pub(crate) fn twin(
    x: FlexTensor,
    words: FlexTensor,
    scales: FlexTensor,
    addend: Option<FlexTensor>,
    product: Product,
) -> FlexTensor {
    let (x, words, scales) = (host(x), host(words), host(scales));
    let addend = addend.map(host);
    let [m, k] = rows_columns(&x);
    let Product { kind: ProductKind { layout, arithmetic }, out_features: n, factor, .. } = product;
    let weight = Weight { layout, n, k, factor, words: words.storage(), scales: scales.storage() };
    let add = match &addend {
        Some(addend) if addend.layout().shape().len() == 2 => {
            Some(Addend { values: addend.storage(), stride: n })
        }
        Some(addend) => Some(Addend { values: addend.storage(), stride: 0 }),
        None => None,
    };
    let task = Task { m, width: product.width(), weight, add, ending: product.ending };
    let output = match arithmetic {
        Arithmetic::F32 => {
            let rows = interleave(x.storage(), k);
            for_panels::<floats::Floats>(&task, |first, output| {
                multiply::<floats::Floats>(&rows, &task, first, output);
            })
        }
        Arithmetic::F16 => {
            let rows = f16::Rows::new(x.storage(), k);
            // Without fused multiply-adds, on every processor: halves are rounded one by one.
            for_panels::<f16::Halves>(&task, |first, output| {
                multiply_body::<false, f16::Halves>(&rows, &task, first, output);
            })
        }
        Arithmetic::Int8 => {
            let rows = int8::Rows::new(x.storage(), k, layout.group(k).unwrap_or(k));
            for_panels::<int8::Codes>(&task, |first, output| {
                multiply::<int8::Codes>(&rows, &task, first, output);
            })
        }
    };
    from_host(output, [m, task.width])
}

/// Values of a row of x that share a scale, in halves and in integers.
const X_GROUP: usize = 32;

/// Columns of a weight, unpacked for one arithmetic.
trait Panel: Sized {
    /// `x`, as this arithmetic multiplies it: in blocks of [`BLOCK_ROWS`] rows.
    type Rows: ?Sized;
    /// The packed columns of [`Self::ABREAST`] panels.
    type Columns;
    /// Panels whose words are gathered at once.
    const ABREAST: usize;

    /// Memory for a panel of `weight`.
    fn new(weight: &Weight) -> Self;

    /// The columns from `first` on; those past the weight's edge are zero.
    fn gather(weight: &Weight, first: usize) -> Self::Columns;

    /// Unpacks the panel at `place`, below [`Self::ABREAST`].
    fn unpack<const FMA: bool>(&mut self, weight: &Weight, columns: &Self::Columns, place: usize);

    /// `sum_k x[k] * w[k]` for the rows of a block, in the order of k.
    fn multiply<const FMA: bool>(&self, rows: &Self::Rows, block: usize) -> [[f32; PANEL]; BLOCK_ROWS];
}

/// A product: everything but its left operand.
struct Task<'a> {
    /// Rows of the left operand and of the output.
    m: usize,
    /// Columns of the output.
    width: usize,
    weight: Weight<'a>,
    /// What is added to each sum.
    add: Option<Addend<'a>>,
    ending: Ending,
}

/// `values[row * stride + column]`
struct Addend<'a> {
    values: &'a [f32],
    stride: usize,
}

/// A packed weight on the host, as [`crate::quant::Packed`] describes it.
struct Weight<'a> {
    layout: Layout,
    /// Columns of `words`.
    n: usize,
    /// Values of a column.
    k: usize,
    factor: f32,
    words: &'a [u32],
    scales: &'a [u32],
}

/// The output matrix, of which every panel writes columns of its own.
struct Output {
    /// The element of row 0 and column 0.
    start: *mut f32,
}

// SAFETY: panels write disjoint columns.
unsafe impl Sync for Output {}

/// The output `[m, width]`, of which `work(first, output)` writes the columns of `P::ABREAST` panels from `first` on.
fn for_panels<P: Panel>(task: &Task, work: impl Fn(usize, &Output) + Sync) -> Vec<f32> {
    let mut values = vec![0.0; task.m * task.width];
    let output = Output { start: values.as_mut_ptr() };
    let step = P::ABREAST * PANEL;
    let count = task.width.div_ceil(step);
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        (0..count).into_par_iter().for_each(|index| work(index * step, &output));
    }
    #[cfg(target_family = "wasm")]
    (0..count).for_each(|index| work(index * step, &output));
    values
}

/// `x [M, K]` in blocks of [`BLOCK_ROWS`] rows, each block `[K, BLOCK_ROWS]`; rows past the end are zero.
fn interleave(x: &[f32], k: usize) -> Vec<[f32; BLOCK_ROWS]> {
    let mut blocks = vec![[0f32; BLOCK_ROWS]; (x.len() / k).div_ceil(BLOCK_ROWS) * k];
    for (row, values) in x.chunks_exact(k).enumerate() {
        for (block, value) in blocks[row / BLOCK_ROWS * k..][..k].iter_mut().zip(values) {
            block[row % BLOCK_ROWS] = *value;
        }
    }
    blocks
}

simd!(fn multiply<P: Panel>(rows: &P::Rows, task: &Task, first: usize, output: &Output) = multiply_body);

/// Multiplies all rows with the panels from column `first` of the output on, and stores the results.
#[inline(always)]
fn multiply_body<const FMA: bool, P: Panel>(rows: &P::Rows, task: &Task, first: usize, output: &Output) {
    let Task { m, width, weight, ending, .. } = task;
    let gate = match ending {
        Ending::Gated(activation) => Some(*activation),
        _ => None,
    };
    let gated = gate.is_some();
    let columns = P::gather(weight, first);
    let up_columns = gated.then(|| P::gather(weight, width + first));
    let mut panel = P::new(weight);
    let mut up_panel = gated.then(|| P::new(weight));
    for place in 0..P::ABREAST {
        let first = first + place * PANEL;
        if first >= *width {
            break;
        }
        panel.unpack::<FMA>(weight, &columns, place);
        if let (Some(up_panel), Some(up_columns)) = (&mut up_panel, &up_columns) {
            up_panel.unpack::<FMA>(weight, up_columns, place);
        }
        for block in 0..m.div_ceil(BLOCK_ROWS) {
            let mut sums = panel.multiply::<FMA>(rows, block);
            if let (Some(up_panel), Some(activation)) = (&up_panel, gate) {
                multiply_gate::<FMA>(&mut sums, &up_panel.multiply::<FMA>(rows, block), activation);
            }
            store::<FMA>(&mut sums, block * BLOCK_ROWS..*m, task, first, output);
        }
    }
}

/// Writes the sums of the rows `rows`, which may be fewer, into the columns from `first` on.
#[inline(always)]
fn store<const FMA: bool>(
    sums: &mut [[f32; PANEL]; BLOCK_ROWS],
    rows: std::ops::Range<usize>,
    task: &Task,
    first: usize,
    output: &Output,
) {
    let width = PANEL.min(task.width - first);
    for (row, sums) in rows.zip(sums) {
        if let Some(Addend { values, stride }) = &task.add {
            let addend = &values[row * stride + first..][..width];
            sums.iter_mut().zip(addend).for_each(|(sum, value)| *sum += value);
        }
        if let Ending::Activated(activation) = task.ending {
            sums.iter_mut().for_each(|sum| *sum = activation.apply::<FMA>(*sum));
        }
        for (column, sum) in sums[..width].iter().enumerate() {
            // SAFETY: row < m and first + column < width, inside the output; no other panel has these columns.
            unsafe { *output.start.add(row * task.width + first + column) = *sum };
        }
    }
}

/// `sums = activation(sums) * up`
#[inline(always)]
fn multiply_gate<const FMA: bool>(
    sums: &mut [[f32; PANEL]; BLOCK_ROWS],
    up: &[[f32; PANEL]; BLOCK_ROWS],
    activation: Activation,
) {
    // The choice stands outside of the loops, so that they are vectorized.
    match activation {
        Activation::Silu => each(sums, up, |v| Activation::Silu.apply::<FMA>(v)),
        Activation::GeluTanh => each(sums, up, |v| Activation::GeluTanh.apply::<FMA>(v)),
        other => each(sums, up, |v| other.apply::<FMA>(v)),
    }
}

#[inline(always)]
fn each(
    sums: &mut [[f32; PANEL]; BLOCK_ROWS],
    up: &[[f32; PANEL]; BLOCK_ROWS],
    activate: impl Fn(f32) -> f32,
) {
    for i in 0..BLOCK_ROWS {
        for j in 0..PANEL {
            sums[i][j] = activate(sums[i][j]) * up[i][j];
        }
    }
}

/// `W` columns from `first` on of `values [rows, n]`; those past the edge are zero. Kept separate from unpacking: rows
/// lie in different pages, and a loop of loads alone keeps many misses in flight.
#[inline(always)]
fn gather<const W: usize>(values: &[u32], n: usize, first: usize) -> Vec<[u32; W]> {
    let width = W.min(n.saturating_sub(first));
    let part = |row: &[u32]| {
        let mut part = [0; W];
        part[..width].copy_from_slice(&row[first..first + width]);
        part
    };
    if width == W {
        return values.chunks_exact(n).map(|row| *row[first..].first_chunk().unwrap_or(&[0; W])).collect();
    }
    values.chunks_exact(n).map(part).collect()
}
