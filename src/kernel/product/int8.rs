//! The text of the product in integers: registers written out as in `registers`.

use super::lines;
use super::tile::Tile;
use crate::kernel::launch::Values;
use crate::quant::Layout;

pub fn values(layout: Layout, tile: Tile) -> Values {
    let [rows, columns] = tile.outputs();
    let [lanes_x, lanes_y] = tile.lanes;
    let parts = 32 / layout.group().unwrap_or(32);
    let each_row = |line: &dyn Fn(usize) -> String| lines(tile.rows, line);
    let row = |i: usize| format!("({}u + local.y)", i * lanes_y as usize);
    let peaks = (0..8).fold("0.0".to_string(), |all, i| format!("max({all}, peak(v{i}))"));
    let sums = lines(parts, &|part| {
        let each = 8 / parts;
        let sum: Vec<_> = (part * each..(part + 1) * each).map(|i| format!("q{i}")).collect();
        format!("x_sums[to * PARTS + {part}u] = total({});", sum.join(" + "))
    });
    let (word, weight): (&dyn Fn(usize) -> String, _) = match layout {
        // A word of nibbles is masked to its even and to its odd codes: x lies in the same order.
        Layout::Packed4 => (
            &|t| {
                let (a, b, c) = (t / 2 * 2, t / 2 * 2 + 1, if t % 2 == 0 { "xz" } else { "yw" });
                format!("joined(vec4<i32>(q{a}.{c}, q{b}.{c}))")
            },
            "return (words[(k / 8u + t / 2u) * N + n] >> (4u * (t % 2u))) & 0x0f0f0f0fu;",
        ),
        _ => (&|t| format!("joined(q{t})"), "return words[(k / 4u + t) * N + n];"),
    };
    let multiply = each_row(&|i| {
        format!("let x{i} = xs[{} * STRIDE + t]; d{i} += dots(x{i}, w0); e{i} += dots(x{i}, w1);", row(i))
    });
    let add = each_row(&|i| {
        let sum =
            |a, d, s, m| format!("{a}{i} = fma(x{i}, fma({s}, vec4<f32>({d}{i}), {m} * n{i}), {a}{i});");
        format!(
            "let x{i} = vec4<f32>(x_scales[{0}]); let n{i} = x_sums[{0} * PARTS + part]; {1} {2}",
            row(i),
            sum("a", "d", "s0", "m0"),
            sum("b", "e", "s1", "m1"),
        )
    });
    let store = each_row(&|i| format!("store(first_m + {}, first_n + 4u * local.x, a{i}, b{i});", row(i)));
    vec![
        ("rows_each", rows.to_string()),
        ("quads", (columns / 4).to_string()),
        ("parts", parts.to_string()),
        ("invocations", (lanes_x * lanes_y).to_string()),
        ("step", format!("{:?}", 1.0f32 / 127.0)),
        ("load", lines(8, &|i| format!("let v{i} = x[at + {i}u];"))),
        ("peaks", peaks),
        ("codes", lines(8, &|i| format!("let q{i} = vec4<i32>(round(v{i} * r));"))),
        ("keep", format!("{}\n{sums}", lines(8, &|t| format!("xs[to * STRIDE + {t}u] = {};", word(t))))),
        ("weight", weight.into()),
        ("declare", each_row(&|i| format!("var a{i} = vec4<f32>(); var b{i} = vec4<f32>();"))),
        ("declare_dots", each_row(&|i| format!("var d{i} = vec4<i32>(); var e{i} = vec4<i32>();"))),
        ("multiply", multiply),
        ("add", add),
        ("store", store),
    ]
}
