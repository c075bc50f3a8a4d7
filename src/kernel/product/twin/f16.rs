//! The product in half precision on the CPU, to compare devices with: f16 is emulated, value by value.
//!
//! Products and sums are rounded each, which WGSL allows for `fma` and Mesa's llvmpipe does: there the bits are the same. GPUs
//! that fuse them differ by less than from f32.

use super::{Columns, Weight, interleave};
use crate::kernel::cpu::vector::{PANEL, ROWS};
use crate::kernel::product::BLOCK;
use crate::kernel::product::f16::raise;
use half::f16;

/// Values of x that share a scale.
const GROUP: usize = 32;

/// `x [M, K]` in halves, in blocks of `ROWS` rows; rows past the end are zero.
pub struct Rows {
    /// `[K, ROWS]` a block.
    values: Vec<[f32; ROWS]>,
    /// `[K / 32, ROWS]` a block.
    scales: Vec<[f32; ROWS]>,
}

impl Rows {
    pub fn new(x: &[f32], k: usize) -> Self {
        let mut values = interleave(x, k);
        let scales = values.as_chunks_mut::<GROUP>().0.iter_mut().map(halve).collect();
        Self { values, scales }
    }
}

/// Divides each row by its scale, by the same steps as in quant_matmul_f16.wgsl.
fn halve(group: &mut [[f32; ROWS]; GROUP]) -> [f32; ROWS] {
    std::array::from_fn(|row| {
        let peak = group.iter().fold(0f32, |peak, values| peak.max(values[row].abs()));
        let exponent = peak.to_bits() >> 23;
        let [scale, inverse] = match exponent {
            0..32 => [0.0, 0.0],
            _ => [exponent - 3, 257 - exponent].map(|exponent| f32::from_bits(exponent << 23)),
        };
        group.iter_mut().for_each(|values| values[row] = round(values[row] * inverse));
        scale
    })
}

fn round(value: f32) -> f32 {
    f16::from_f32(value).to_f32()
}

/// Columns of a weight in halves.
pub struct Halves {
    /// `[K]`
    values: Vec<[f32; PANEL]>,
    raise: f32,
}

impl Halves {
    /// Columns `first..first + PANEL`; columns past the edge are zero.
    pub fn unpack(weight: &Weight, first: usize) -> Self {
        let raise = raise(weight.layout);
        let mut values = vec![[0f32; PANEL]; weight.k];
        // Of codes, f16 and a power of two a product is exact: fused or not is the same.
        let raised = Weight { factor: raise.recip(), ..*weight };
        Columns::gather(&raised, first).unpack::<false>(&raised, 0, &mut values);
        values.iter_mut().flatten().for_each(|value| *value = round(*value));
        Self { values, raise: raise * weight.factor }
    }

    /// `sum_k x[k] * w[k]` for a block of rows.
    pub fn multiply(&self, rows: &Rows, block: usize) -> [[f32; PANEL]; ROWS] {
        let k = self.values.len();
        let x = rows.values[block * k..][..k].chunks_exact(BLOCK);
        let mut sums = [[0f32; PANEL]; ROWS];
        for (run, (x, w)) in x.zip(self.values.chunks_exact(BLOCK)).enumerate() {
            let scales = &rows.scales[(block * k + run * BLOCK) / GROUP];
            for i in 0..ROWS {
                for j in 0..PANEL {
                    // Through f32 they are rounded as if at once: a product fits it, and of a sum it has twice f16's bits and two.
                    let add =
                        |sum: f32, (x, w): (&[f32; ROWS], &[f32; PANEL])| round(sum + round(x[i] * w[j]));
                    sums[i][j] += scales[i] * x.iter().zip(w).fold(0.0, add);
                }
            }
        }
        sums.map(|sums| sums.map(|sum| sum * self.raise))
    }
}
