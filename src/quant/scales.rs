//! The scales of codes that stand beside their weight in tensors of their own, as files in safetensors have them:
//!
//! ```text
//! value[n, k] = table[code[n, k]] * scale[n / rows, k / columns]            then turned, and times input[k]
//! ```
//! Called by `loader`, which reads them, and by the packer.

/// How the codes of a weight become its values.
#[derive(Clone, Debug, Default)]
pub struct Scales {
    /// The scales, in the order of the values that they belong to.
    pub values: Vec<f32>,
    /// The values that share one.
    pub shared: Shared,
    /// The values of codes of four bits, where the file has a table of them.
    pub table: Option<[f32; 16]>,
    /// The number of neighboring columns that were multiplied with a Hadamard matrix, a power of 4. They are turned back.
    pub turned: Option<usize>,
    /// A factor for each column.
    pub input: Option<Vec<f32>>,
}

/// The values of a weight `[N, K]` that share a scale.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Shared {
    /// All of them.
    #[default]
    All,
    /// Blocks of some rows and columns; there are `per_row` of them side by side.
    Blocks {
        /// Rows of a block.
        rows: usize,
        /// Columns of a block; the last one may have fewer.
        columns: usize,
        /// Blocks side by side.
        per_row: usize,
    },
    /// So many, one after the other, through all rows.
    Run(usize),
}

impl Scales {
    /// Whether all of it are finite numbers.
    pub fn is_finite(&self) -> bool {
        let table = self.table.as_ref().map_or(&[][..], |table| table);
        let input = self.input.as_deref().unwrap_or_default();
        [&self.values, table, input].into_iter().flatten().all(|value| value.is_finite())
    }

    /// Turns the codes of a row into its values.
    pub fn apply(&self, row: usize, values: &mut [f32]) {
        if let Some(table) = &self.table {
            values.iter_mut().for_each(|value| *value = table[*value as usize & 15]);
        }
        self.scale(row, values);
        if let Some(group) = self.turned {
            values.chunks_exact_mut(group).for_each(turn);
        }
        if let Some(input) = &self.input {
            values.iter_mut().zip(input).for_each(|(value, factor)| *value *= factor);
        }
    }

    fn scale(&self, row: usize, values: &mut [f32]) {
        match self.shared {
            Shared::All => values.iter_mut().for_each(|value| *value *= self.values[0]),
            Shared::Blocks { rows, columns, per_row } => {
                let scales = &self.values[row / rows * per_row..];
                for (values, scale) in values.chunks_mut(columns).zip(scales) {
                    values.iter_mut().for_each(|value| *value *= scale);
                }
            }
            Shared::Run(len) => {
                let first = row * values.len();
                for (i, value) in values.iter_mut().enumerate() {
                    *value *= self.values[(first + i) / len];
                }
            }
        }
    }

    /// The scale of row `row` at column `column`.
    pub(super) fn at(&self, row: usize, column: usize) -> f32 {
        match self.shared {
            Shared::All => self.values[0],
            Shared::Blocks { rows, columns, per_row } => self.values[row / rows * per_row + column / columns],
            Shared::Run(_) => f32::NAN, // such weights are not kept as codes
        }
    }
}

/// Multiplies with the regular Hadamard matrix of the length of `values`, a power of 4: H4 x H4 x ..., over its root. It
/// is its own inverse.
fn turn(values: &mut [f32]) {
    let mut step = 1;
    while step < values.len() {
        for block in values.chunks_exact_mut(4 * step) {
            for i in 0..step {
                let [a, b, c, d] = [0, 1, 2, 3].map(|part| block[part * step + i]);
                let turned = [a + b + c - d, a + b - c + d, a - b + c + d, b + c + d - a];
                (0..4).for_each(|part| block[part * step + i] = 0.5 * turned[part]);
            }
        }
        step *= 4;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn turning_twice_changes_nothing() {
        for len in [4, 16, 256] {
            let values: Vec<f32> = (0..len).map(|i| (i * i * 7 % 13) as f32 - 6.0).collect();
            let mut turned = values.clone();
            super::turn(&mut turned);
            assert_ne!(turned, values);
            super::turn(&mut turned);
            let apart = turned.iter().zip(&values).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            assert!(apart < 1e-5, "{len}: {apart}");
        }
    }
}
