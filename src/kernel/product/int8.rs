//! The text of the product in integers; the formula and the reasons are in int8.wgsl.

use super::tile::Tile;
use super::tiling::{Tiling, rounded_x};
use crate::kernel::launch::Values;
use crate::kernel::launch::text::lines;
use crate::quant::Layout;

/// Fills the places of int8.wgsl and workgroup.wgsl.
pub(super) fn values(layout: Layout, tile: Tile) -> Values {
    let tiling = Tiling(tile);
    let parts = 32 / layout.group(32).unwrap_or(32);
    let sums = lines(parts, &|part| {
        let each = 8 / parts;
        let sum: Vec<_> = (part * each..(part + 1) * each).map(|i| format!("q{i}")).collect();
        format!("x_sums[to * PARTS + {part}u] = total({});", sum.join(" + "))
    });
    let (word, weight): (&dyn Fn(usize) -> String, _) = match layout {
        // A word of nibbles is masked to its even and to its odd codes: x lies in the same order.
        Layout::Packed4 { .. } => (
            &|t| {
                let (a, b, c) = (t / 2 * 2, t / 2 * 2 + 1, if t % 2 == 0 { "xz" } else { "yw" });
                format!("joined(vec4<i32>(q{a}.{c}, q{b}.{c}))")
            },
            "return (words[(k / 8u + t / 2u) * N + n] >> (4u * (t % 2u))) & 0x0f0f0f0fu;",
        ),
        _ => (&|t| format!("joined(q{t})"), "return words[(k / 4u + t) * N + n];"),
    };
    let multiply = tiling.each_row(&|i| {
        let row = tiling.row(i);
        format!("let x{i} = xs[{row} * STRIDE + t]; d{i} += dots(x{i}, w0); e{i} += dots(x{i}, w1);")
    });
    let add = tiling.each_row(&|i| {
        let sum =
            |a, d, s, m| format!("{a}{i} = fma(x{i}, fma({s}, vec4<f32>({d}{i}), {m} * n{i}), {a}{i});");
        format!(
            "let x{i} = vec4<f32>(x_scales[{0}]); let n{i} = x_sums[{0} * PARTS + part]; {1} {2}",
            tiling.row(i),
            sum("a", "d", "s0", "m0"),
            sum("b", "e", "s1", "m1"),
        )
    });
    let dots = tiling.each_row(&|i| format!("var d{i} = vec4<i32>(); var e{i} = vec4<i32>();"));
    let own = [
        ("parts", parts.to_string()),
        ("step", format!("{:?}", 1.0f32 / 127.0)),
        ("codes", lines(8, &|i| format!("let q{i} = vec4<i32>(round(v{i} * r));"))),
        ("keep", format!("{}\n{sums}", lines(8, &|t| format!("xs[to * STRIDE + {t}u] = {};", word(t))))),
        ("weight", weight.into()),
        ("declare_dots", dots),
        ("multiply", multiply),
        ("add", add),
    ];
    tiling.values("").into_iter().chain(rounded_x()).chain(own).collect()
}
