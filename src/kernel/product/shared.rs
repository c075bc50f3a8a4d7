//! The text of the product whose operands lie in the workgroup's memory; the formula and the reasons are in
//! shared.wgsl.

use super::decode;
use super::tile::Tile;
use super::tiling::Tiling;
use crate::kernel::launch::Values;
use crate::kernel::launch::text::{COMPONENTS, lines};
use crate::quant::Layout;

/// Values of k in the workgroup's memory: in f32 and with the largest tile, they take 13 of WebGPU's 16 KiB.
const DEPTH: usize = 16;

/// Fills the places of shared.wgsl and workgroup.wgsl.
pub(super) fn values(layout: Layout, tile: Tile) -> Values {
    let tiling = Tiling(tile);
    let multiply = lines(4, &|c| {
        let sums = tiling.each_row(&|i| {
            let x = format!("vec4<f32>(x{i}.{})", COMPONENTS[c]);
            format!("a{i} = fma({x}, w0, a{i}); b{i} = fma({x}, w1, b{i});")
        });
        format!(
            "{{ let row = (4u * q + {c}u) * QUADS + at.local.x;
            let w0 = ws[row]; let w1 = ws[row + QUADS / 2u];
            {sums} }}"
        )
    });
    let weight = match layout {
        Layout::Packed4 { .. } => {
            "return scaled(f32((words[k / 8u * N + n] >> (4u * (k % 8u))) & 15u), k, n);".into()
        }
        Layout::Packed8 { .. } => {
            "return scaled(f32(bitcast<i32>(words[k / 4u * N + n] << (24u - 8u * (k % 4u))) >> 24u), k, n);"
                .into()
        }
        Layout::Scaled8 { code, .. } => format!(
            "let scale = {}; return {};",
            decode::scale(code, "scales[k / (8u * info.blocks) * N + n]"),
            decode::scaled(code, "words[k / 4u * N + n] << (24u - 8u * (k % 4u))", "scale"),
        ),
        Layout::Half(half) => format!(
            "_ = scales[0]; let top = (words[k / 2u * N + n] >> (16u * (k % 2u))) << 16u; return {};",
            decode::half(half, "top", "info.factor"),
        ),
        // A declared binding that nothing reads would be missing from the automatic layout.
        Layout::Dense => "_ = scales[0]; return bitcast<f32>(words[k * N + n]);".into(),
    };
    let own = [
        ("depth", DEPTH.to_string()),
        ("x", tiling.each_row(&|i| format!("let x{i} = xs[{} * STRIDE + q];", tiling.row(i)))),
        ("multiply", multiply),
        ("weight", weight),
    ];
    tiling.values("").into_iter().chain(own).collect()
}
