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
    // The word of a value, which stands in its uppermost bits.
    let top = |per_word: usize| {
        let bits = 32 / per_word;
        format!("(words[k / {per_word}u * N + n] << ({}u - {bits}u * (k % {per_word}u)))", 32 - bits)
    };
    let weight = match layout {
        Layout::Packed4 { .. } => {
            "return scaled(f32((words[k / 8u * N + n] >> (4u * (k % 8u))) & 15u), k, n);".into()
        }
        Layout::Packed8 { .. } => {
            "return scaled(f32(bitcast<i32>(words[k / 4u * N + n] << (24u - 8u * (k % 4u))) >> 24u), k, n);"
                .into()
        }
        Layout::Scaled { code, .. } => format!(
            "let scale = {}; return {};",
            decode::scale(code, "scales[k / (8u * info.blocks) * N + n]"),
            decode::scaled(code, &top(layout.per_word()), "scale"),
        ),
        // The lower half of a BF16 is none of its bits.
        Layout::Half(half) => format!(
            "_ = scales[0]; let top = {} & 0xffff0000u; return {};",
            top(2),
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
