//! The text of the product in half precision: registers written out as in `registers`.

use super::tile::Tile;
use super::{BLOCK, lines};
use crate::kernel::launch::Values;
use crate::quant::Layout;

const COMPONENTS: [&str; 4] = ["x", "y", "z", "w"];

/// What weights are divided by, beside the factor of their scales: it brings the largest that there can be, 2^14 times the
/// largest code and a minimum, down to 2^8.
pub fn raise(layout: Layout) -> f32 {
    match layout {
        Layout::Packed4 => 1024.0,
        _ => 8192.0,
    }
}

pub fn values(layout: Layout, tile: Tile) -> Values {
    let [rows, columns] = tile.outputs();
    let [lanes_x, lanes_y] = tile.lanes;
    let each_row = |line: &dyn Fn(usize) -> String| lines(tile.rows, line);
    let row = |i: usize| format!("({}u + local.y)", i * lanes_y as usize);
    let peaks = (0..8).fold("0.0".to_string(), |all, i| format!("max({all}, peak(v{i}))"));
    let per_word = layout.per_word();
    let words = lines(BLOCK / per_word, &|c| {
        let word = |e: &str| format!("words[(k / {per_word}u + {c}u) * N + n.{e}]");
        format!("let p{c} = vec4<u32>({});", COMPONENTS.map(word).join(", "))
    });
    let code = |j: usize| match layout {
        Layout::Packed4 => format!("vec4<f32>((p0 >> vec4<u32>({}u)) & vec4<u32>(15u))", 4 * j),
        _ => {
            let up = format!("p{} << vec4<u32>({}u)", j / 4, 24 - 8 * (j % 4));
            format!("vec4<f32>(bitcast<vec4<i32>>({up}) >> vec4<u32>(24u))")
        }
    };
    let w = lines(BLOCK, &|j| {
        format!("let w{j} = ws[row + {j}u * QUADS]; let u{j} = ws[row + {j}u * QUADS + QUADS / 2u];")
    });
    let multiply = each_row(&|i| {
        let sum = |w: &str| {
            (0..BLOCK).fold("vec4<f16>()".to_string(), |sum, j| {
                format!("fma(vec4<f16>(x{}.{}), {w}{j}, {sum})", j / 4, COMPONENTS[j % 4])
            })
        };
        format!(
            "{{ let x0 = xs[{row} * STRIDE + q]; let x1 = xs[{row} * STRIDE + q + 1u];
            let sx = vec4<f32>(x_scales[{row}]);
            a{i} = fma(sx, vec4<f32>({}), a{i});
            b{i} = fma(sx, vec4<f32>({}), b{i}); }}",
            sum("w"),
            sum("u"),
            row = row(i),
        )
    });
    let store = each_row(&|i| {
        format!("store(first_m + {}, first_n + 4u * local.x, raise * a{i}, raise * b{i});", row(i))
    });
    vec![
        ("rows_each", rows.to_string()),
        ("quads", (columns / 4).to_string()),
        ("invocations", (lanes_x * lanes_y).to_string()),
        ("raise", format!("{:?}", raise(layout))),
        ("lower", format!("{:?}", raise(layout).recip())),
        ("load", lines(8, &|i| format!("let v{i} = x[at + {i}u];"))),
        ("peaks", peaks),
        ("keep", lines(8, &|i| format!("xs[to * STRIDE + {i}u] = vec4<f16>(v{i} * inverse);"))),
        ("words", words),
        (
            "weights",
            lines(BLOCK, &|j| format!("ws[to + {j}u * QUADS] = vec4<f16>(fma({}, scale, low));", code(j))),
        ),
        ("declare", each_row(&|i| format!("var a{i} = vec4<f32>(); var b{i} = vec4<f32>();"))),
        ("w", w),
        ("multiply", multiply),
        ("store", store),
    ]
}
