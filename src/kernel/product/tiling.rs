//! The text that the products through the workgroup's memory share and that loops write out; workgroup.wgsl has the
//! rest.

use super::tile::Tile;
use crate::kernel::launch::Values;
use crate::kernel::launch::text::lines;

/// A tile whose operands lie in the workgroup's memory. An invocation owns `tile.rows` rows, as far apart as there are
/// lanes along M, and two vec4 of columns; the sums of row `i` are the registers `a{i}` and `b{i}`.
#[derive(Clone, Copy)]
pub(super) struct Tiling(pub Tile);

impl Tiling {
    /// `line(i)` for each row of an invocation.
    pub(super) fn each_row(self, line: &dyn Fn(usize) -> String) -> String {
        lines(self.0.rows, line)
    }

    /// An invocation's row `i`, counted from the workgroup's first.
    pub(super) fn row(self, i: usize) -> String {
        format!("({}u + at.local.y)", i * self.0.lanes[1] as usize)
    }

    /// The places that each of the products fills: sizes, the registers of the sums, and the end, which stores the sums
    /// multiplied by `factor`: empty, or an expression and ` * `.
    pub(super) fn values(self, factor: &str) -> Values {
        let [rows, columns] = self.0.outputs();
        let store = |i: usize| {
            let row = self.row(i);
            format!("store(first_m + {row}, first_n + 4u * at.local.x, {factor}a{i}, {factor}b{i});")
        };
        vec![
            ("rows_each", rows.to_string()),
            ("quads", (columns / 4).to_string()),
            ("invocations", self.0.lanes.iter().product::<u32>().to_string()),
            ("declare", self.each_row(&|i| format!("var a{i} = vec4<f32>(); var b{i} = vec4<f32>();"))),
            ("store", self.each_row(&store)),
        ]
    }
}

/// The places of the kernels that round x: 32 k of a row as the registers `v0` to `v7`, and the bits of the largest size
/// among them.
pub(super) fn rounded_x() -> Values {
    let peaks = (0..8).fold("0u".to_string(), |all, i| format!("max({all}, peak(v{i}))"));
    vec![("load", lines(8, &|i| format!("let v{i} = x[first + {i}u];"))), ("peaks", peaks)]
}
