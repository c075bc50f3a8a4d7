//! The scales of a tensor of codes: where they lie, and how they are read.

use crate::error::{Error, Result};
use crate::format::{Source, TensorInfo, TensorType};
use crate::quant::{self, Layout, NEAREST, Scales, Shared};
use std::rc::Rc;

/// A tensor that belongs to another one: the index of its file, and its place there.
pub(crate) type Place = (usize, TensorInfo);

/// The tensors that make values of another one's codes.
#[derive(Clone, Debug)]
pub(crate) struct Scaling {
    /// The scales.
    pub scale: Place,
    /// How they belong to the codes.
    pub order: Order,
    /// A scale of the scales.
    pub second: Option<Place>,
    /// A factor for each column.
    pub input: Option<Place>,
    /// The number of columns that were multiplied with a Hadamard matrix together.
    pub turned: Option<usize>,
}

/// How scales belong to the codes of a weight.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// One for all.
    One,
    /// One for each row.
    Rows,
    /// One for each block of [`BLOCK`] rows and columns.
    Blocks,
    /// One for so many columns of a row, in the order of cuBLAS.
    Swizzled(usize),
    /// One for so many values of all rows, which are places in a table; the scales may be places in a table too.
    Runs { run: usize, table: Box<Place>, nested: Option<Box<Nested>> },
}

/// Scales of a byte, of bitsandbytes: `scale = table[byte] * scales[i / run] + offset`.
#[derive(Clone, Debug)]
pub(crate) struct Nested {
    pub scale: Place,
    pub table: Place,
    pub run: usize,
    pub offset: f32,
}

/// Rows and columns of a block of [`Order::Blocks`].
pub(crate) const BLOCK: usize = 128;

/// Rows and columns of the blocks in which cuBLAS has scales.
const SWIZZLE: [usize; 2] = [128, 4];

/// The number of swizzled scales of a weight `[rows, columns]`, one for `group` columns.
pub(crate) fn swizzled_len([rows, columns]: [usize; 2], group: usize) -> usize {
    rows.next_multiple_of(SWIZZLE[0]) * columns.div_ceil(group).next_multiple_of(SWIZZLE[1])
}

impl Scaling {
    /// The layout that keeps the codes of a weight with rows of `in_features`, or the nearest one.
    pub(crate) fn layout(&self, dtype: TensorType, in_features: usize) -> Layout {
        if self.turned.is_some() || self.input.is_some() || dtype == TensorType::NF4 {
            return NEAREST;
        }
        let group = match self.order {
            Order::One | Order::Rows => None,
            Order::Blocks => Some(gcd(in_features, BLOCK)).filter(|group| *group < in_features),
            Order::Swizzled(group) => Some(group),
            Order::Runs { .. } => return NEAREST,
        };
        match Layout::of(dtype) {
            Layout::Scaled { code, .. } => Layout::Scaled { code, group },
            layout => layout,
        }
    }

    /// Host memory of the scales, as they are stored and as they are used.
    pub(crate) fn host_bytes(&self) -> u64 {
        let (_, info) = &self.scale;
        info.range.end - info.range.start + 4 * info.shape.iter().product::<usize>() as u64
    }

    /// Reads the scales of a weight `[rows, columns]`.
    ///
    /// # Errors
    /// Those of the source; [`Error::NotFinite`].
    pub(crate) async fn read(&self, sources: &[Rc<dyn Source>], shape: [usize; 2]) -> Result<Scales> {
        let [_, columns] = shape;
        let mut values = numbers(sources, &self.scale).await?;
        let blocks = |rows, columns: usize, per_row| Shared::Blocks { rows, columns, per_row };
        let mut table = None;
        let shared = match &self.order {
            Order::One => Shared::All,
            Order::Rows => blocks(1, columns, 1),
            Order::Blocks => blocks(BLOCK, BLOCK, columns.div_ceil(BLOCK)),
            Order::Swizzled(group) => {
                values = unswizzled(&values, shape, *group);
                blocks(1, *group, columns.div_ceil(*group))
            }
            Order::Runs { run, table: place, nested } => {
                table = numbers(sources, place).await?.first_chunk().copied();
                if let Some(nested) = nested {
                    values = nested.apply(sources, &values).await?;
                }
                Shared::Run(*run)
            }
        };
        if let Some(second) = &self.second {
            let second = numbers(sources, second).await?;
            values.iter_mut().for_each(|value| *value *= second[0]);
        }
        let input = match &self.input {
            Some(input) => Some(numbers(sources, input).await?),
            None => None,
        };
        let scales = Scales { values, shared, table, turned: self.turned, input };
        let (source, info) = &self.scale;
        match scales.is_finite() {
            true => Ok(scales),
            false => {
                Err(Error::NotFinite { file: sources[*source].name().into(), tensor: info.name.clone() })
            }
        }
    }
}

impl Nested {
    async fn apply(&self, sources: &[Rc<dyn Source>], bytes: &[f32]) -> Result<Vec<f32>> {
        let (table, scale) = (numbers(sources, &self.table).await?, numbers(sources, &self.scale).await?);
        let value = |(i, byte): (usize, &f32)| table[*byte as usize] * scale[i / self.run] + self.offset;
        Ok(bytes.iter().enumerate().map(value).collect())
    }
}

/// The numbers of a tensor.
async fn numbers(sources: &[Rc<dyn Source>], (source, info): &Place) -> Result<Vec<f32>> {
    Ok(quant::dequantize(info.dtype, &sources[*source].read(info.range.clone()).await?))
}

/// Scales in the order of rows and columns, from blocks of 128 rows and 4 columns, in which (r, c) stands at
/// `r % 32 * 16 + r / 32 * 4 + c`.
fn unswizzled(values: &[f32], [rows, columns]: [usize; 2], group: usize) -> Vec<f32> {
    let columns = columns.div_ceil(group);
    let across = columns.div_ceil(SWIZZLE[1]);
    let place = |row: usize, column: usize| {
        let block = row / SWIZZLE[0] * across + column / SWIZZLE[1];
        let row = row % SWIZZLE[0];
        block * SWIZZLE[0] * SWIZZLE[1] + row % 32 * 16 + row / 32 * 4 + column % 4
    };
    let value = |at: usize| values[place(at / columns, at % columns)];
    (0..rows * columns).map(value).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
