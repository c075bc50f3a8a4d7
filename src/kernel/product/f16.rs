//! The text of the product in half precision; the formula and the reasons are in f16.wgsl.

use super::BLOCK_K;
use super::tile::Tile;
use super::tiling::{Tiling, rounded_x};
use crate::kernel::launch::Values;
use crate::kernel::launch::text::{COMPONENTS, lines};
use crate::quant::Layout;

/// The number by which weights are divided, besides the factor of their scales: it brings the largest possible weight,
/// 2^14 times the largest code and a minimum, down to 2^8.
pub(super) fn raise(layout: Layout) -> f32 {
    match layout {
        Layout::Packed4 { .. } => 1024.0,
        _ => 8192.0,
    }
}

/// Fills the places of f16.wgsl and workgroup.wgsl.
pub(super) fn values(layout: Layout, tile: Tile) -> Values {
    let tiling = Tiling(tile);
    let per_word = layout.per_word();
    let words = lines(BLOCK_K / per_word, &|c| {
        let word = |e: &str| format!("words[(k / {per_word}u + {c}u) * N + n.{e}]");
        format!("let p{c} = vec4<u32>({});", COMPONENTS.map(word).join(", "))
    });
    let code = |j: usize| match layout {
        Layout::Packed4 { .. } => format!("vec4<f32>((p0 >> vec4<u32>({}u)) & vec4<u32>(15u))", 4 * j),
        _ => {
            let up = format!("p{} << vec4<u32>({}u)", j / 4, 24 - 8 * (j % 4));
            format!("vec4<f32>(bitcast<vec4<i32>>({up}) >> vec4<u32>(24u))")
        }
    };
    let weights =
        lines(BLOCK_K, &|j| format!("ws[to + {j}u * QUADS] = vec4<f16>(fma({}, scale, low));", code(j)));
    let w = lines(BLOCK_K, &|j| {
        format!("let w{j} = ws[row + {j}u * QUADS]; let u{j} = ws[row + {j}u * QUADS + QUADS / 2u];")
    });
    let multiply = tiling.each_row(&|i| {
        let sum = |w: &str| {
            (0..BLOCK_K).fold("vec4<f16>()".to_string(), |sum, j| {
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
            row = tiling.row(i),
        )
    });
    let own = [
        ("raise", format!("{:?}", raise(layout))),
        ("lower", format!("{:?}", raise(layout).recip())),
        ("keep", lines(8, &|i| format!("xs[to * STRIDE + {i}u] = vec4<f16>(v{i} * inverse);"))),
        ("words", words),
        ("weights", weights),
        ("w", w),
        ("multiply", multiply),
    ];
    tiling.values("raise * ").into_iter().chain(rounded_x()).chain(own).collect()
}
