//! The product in half precision on the CPU, to compare devices with: f16 is emulated, value by value.
//!
//! Products and sums are rounded separately, which WGSL allows for `fma` and Mesa's llvmpipe does: there the bits are
//! the same. GPUs that fuse them differ from this by less than they differ from f32.

use super::floats::{ABREAST, Columns};
use super::{Panel, Weight, X_GROUP, interleave};
use crate::kernel::cpu::vector::{BLOCK_ROWS, PANEL};
use crate::kernel::product::BLOCK_K;
use crate::kernel::product::f16::raise;
use half::f16;

/// `x [M, K]` in halves, in blocks of [`BLOCK_ROWS`] rows; rows past the end are zero.
pub(super) struct Rows {
    /// `[K, BLOCK_ROWS]` per block.
    values: Vec<[f32; BLOCK_ROWS]>,
    /// `[K / 32, BLOCK_ROWS]` per block.
    scales: Vec<[f32; BLOCK_ROWS]>,
}

impl Rows {
    pub(super) fn new(x: &[f32], k: usize) -> Self {
        let mut values = interleave(x, k);
        let scales = values.as_chunks_mut::<X_GROUP>().0.iter_mut().map(halve).collect();
        Self { values, scales }
    }
}

/// Divides each row by its scale, in the same steps as f16.wgsl; gives the scales.
fn halve(group: &mut [[f32; BLOCK_ROWS]; X_GROUP]) -> [f32; BLOCK_ROWS] {
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

/// The nearest f16.
fn round(value: f32) -> f32 {
    f16::from_f32(value).to_f32()
}

/// Columns of a weight in halves.
pub(super) struct Halves {
    /// `[K]`
    values: Vec<[f32; PANEL]>,
    /// The factor of the sums.
    factor: f32,
}

impl Panel for Halves {
    type Rows = Rows;
    type Columns = Columns;
    const ABREAST: usize = ABREAST;

    fn new(weight: &Weight) -> Self {
        Self { values: vec![[0.0; PANEL]; weight.k], factor: raise(weight.layout) * weight.factor }
    }

    fn gather(weight: &Weight, first: usize) -> Columns {
        Columns::gather(weight, first)
    }

    fn unpack<const FMA: bool>(&mut self, weight: &Weight, columns: &Columns, place: usize) {
        // The product of a code, an f16 and a power of two is exact in f32: fused or not makes no difference.
        let raised = Weight { factor: raise(weight.layout).recip(), ..*weight };
        columns.unpack::<false>(&raised, place, &mut self.values);
        self.values.iter_mut().flatten().for_each(|value| *value = round(*value));
    }

    fn multiply<const FMA: bool>(&self, rows: &Rows, block: usize) -> [[f32; PANEL]; BLOCK_ROWS] {
        let k = self.values.len();
        let x = rows.values[block * k..][..k].chunks_exact(BLOCK_K);
        let mut sums = [[0f32; PANEL]; BLOCK_ROWS];
        for (run, (x, w)) in x.zip(self.values.chunks_exact(BLOCK_K)).enumerate() {
            let scales = &rows.scales[(block * k + run * BLOCK_K) / X_GROUP];
            for i in 0..BLOCK_ROWS {
                for j in 0..PANEL {
                    // Rounding an f32 result once gives what f16 arithmetic gives: products are exact in f32, and sums
                    // have more than 2 * 11 + 2 bits there.
                    let add = |sum: f32, (x, w): (&[f32; BLOCK_ROWS], &[f32; PANEL])| {
                        round(sum + round(x[i] * w[j]))
                    };
                    sums[i][j] += scales[i] * x.iter().zip(w).fold(0.0, add);
                }
            }
        }
        sums.map(|sums| sums.map(|sum| sum * self.factor))
    }
}
