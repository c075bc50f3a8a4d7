//! The text of the product whose operands lie in the workgroup's memory: registers written out as in `registers`.

use super::lines;
use super::tile::Tile;
use crate::kernel::launch::Values;
use crate::quant::Layout;

/// Values of k in the workgroup's memory: with f32 and the largest tile 13 of WebGPU's 16 KiB.
const DEPTH: usize = 16;
const COMPONENTS: [&str; 4] = ["x", "y", "z", "w"];

pub fn values(layout: Layout, tile: Tile) -> Values {
    let [rows, columns] = tile.outputs();
    let [lanes_x, lanes_y] = tile.lanes;
    let each_row = |line: &dyn Fn(usize) -> String| lines(tile.rows, line);
    let x = each_row(&|i| format!("let x{i} = xs[({}u + local.y) * STRIDE + q];", i * lanes_y as usize));
    let multiply = lines(4, &|c| {
        let sums = each_row(&|i| {
            let x = format!("vec4<f32>(x{i}.{})", COMPONENTS[c]);
            format!("a{i} = fma({x}, w0, a{i}); b{i} = fma({x}, w1, b{i});")
        });
        format!(
            "{{ let row = (4u * q + {c}u) * QUADS + local.x;
            let w0 = ws[row]; let w1 = ws[row + QUADS / 2u];
            {sums} }}"
        )
    });
    let store = each_row(&|i| {
        format!("store(first_m + {}u + local.y, first_n + 4u * local.x, a{i}, b{i});", i * lanes_y as usize)
    });
    let weight = match layout {
        Layout::Packed4 => "return scaled(f32((words[k / 8u * N + n] >> (4u * (k % 8u))) & 15u), k, n);",
        Layout::Packed8 { .. } => {
            "return scaled(f32(bitcast<i32>(words[k / 4u * N + n] << (24u - 8u * (k % 4u))) >> 24u), k, n);"
        }
        // A declared binding that nothing reads would be missing from the automatic layout.
        Layout::Dense => "_ = scales[0]; return bitcast<f32>(words[k * N + n]);",
    };
    vec![
        ("depth", DEPTH.to_string()),
        ("rows_each", rows.to_string()),
        ("quads", (columns / 4).to_string()),
        ("invocations", (lanes_x * lanes_y).to_string()),
        ("declare", each_row(&|i| format!("var a{i} = vec4<f32>(); var b{i} = vec4<f32>();"))),
        ("x", x),
        ("multiply", multiply),
        ("store", store),
        ("weight", weight.into()),
    ]
}
