//! The text of the product that holds its tile in registers; the formula is in registers.wgsl, the reasons are in
//! tile.rs.

use super::BLOCK_K;
use super::decode;
use super::tile::{Operands, Tile};
use crate::kernel::launch::Values;
use crate::kernel::launch::text::{COMPONENTS, lines};
use crate::quant::{Code, Layout};

/// Fills the places of registers.wgsl. Groups of all sizes share a pipeline.
pub(super) fn values(layout: Layout, tile: Tile) -> Values {
    let fused = tile.operands == Operands::Registers;
    let (lanes, half) = (tile.lanes[0] as usize, tile.columns / 2);
    let scales = match layout {
        // A declared binding that nothing reads would be missing from the automatic layout.
        Layout::Dense | Layout::Half(_) => "_ = scales[0];".into(),
        Layout::Scaled { code, .. } => lines(tile.columns, &|j| {
            format!("let s{j} = {};", decode::scale(code, &format!("scales[g * N + n{j}]")))
        }),
        Layout::Packed4 { .. } | Layout::Packed8 { .. } => {
            lines(tile.columns, &|j| format!("let s{j} = unpack2x16float(scales[g * N + n{j}]) * factor;"))
        }
    };
    let multiply = |j: usize| {
        let words = BLOCK_K / layout.per_word();
        let load = lines(words, &|c| format!("let p{c} = words[(block * {words}u + {c}u) * N + n{j}];"));
        let values = lines(BLOCK_K, &|t| format!("let w{t} = {};", value(layout, fused, j, t)));
        let sums = lines(tile.rows, &|i| {
            let sum = (0..BLOCK_K).fold(format!("a{i}_{j}"), |sum, t| {
                madd(fused, &format!("x{i}_{}.{}", t / 4, COMPONENTS[t % 4]), &format!("w{t}"), &sum)
            });
            format!("a{i}_{j} = {sum};")
        });
        format!("{{ {load}\n{values}\n{sums} }}")
    };
    let row = |i: usize| format!("let row{i} = min(first_m + {i}u, M - 1u) * (K / 4u);");
    let column = |j: usize| {
        let other = j + half;
        format!(
            "let c{j} = first_n + {}u; let n{j} = min(c{j}, N - 1u);
            let c{other} = c{j} + second; let n{other} = min(c{other}, N - 1u);",
            j * lanes
        )
    };
    let x =
        |i: usize| format!("let x{i}_0 = x[row{i} + 2u * block]; let x{i}_1 = x[row{i} + 2u * block + 1u];");
    let declare = |i: usize| lines(tile.columns, &|j| format!("var a{i}_{j} = 0.0;"));
    vec![
        ("rows", lines(tile.rows, &row)),
        ("columns", lines(half, &column)),
        ("declare", lines(tile.rows, &declare)),
        ("scales", scales),
        ("x", lines(tile.rows, &x)),
        ("multiply", lines(tile.columns, &multiply)),
        ("store", if fused { store_written_out(tile) } else { store_in_a_loop(tile) }),
    ]
}

/// The end for software adapters: the sums become an array that a loop stores.
fn store_in_a_loop(tile: Tile) -> String {
    let Tile { rows, columns, lanes: [lanes, _], .. } = tile;
    let half = columns / 2;
    let sums: Vec<_> = (0..rows).flat_map(|i| (0..columns).map(move |j| format!("a{i}_{j}"))).collect();
    format!(
        "var sums = array<f32, {}>({});
        for (var i = 0u; i < {rows}u; i++) {{
            let m = first_m + i;
            if (m >= M) {{ break; }}
            for (var j = 0u; j < {half}u; j++) {{
                let c = first_n + j * {lanes}u;
                if (c >= width) {{ break; }}
                let sum = sums[i * {columns}u + j];
                let other = sums[i * {columns}u + {half}u + j];
                if (gated) {{
                    y[m * width + c] = activate(sum) * other;
                    continue;
                }}
                y[m * width + c] = result(sum + addend[m * info.row_stride + c * info.step]);
                let d = c + second;
                if (d < width) {{ y[m * width + d] = result(other + addend[m * info.row_stride + d * info.step]); }}
            }}
        }}",
        rows * columns,
        sums.join(", ")
    )
}

/// The end for GPUs: one statement per sum, so that all sums stay in registers.
fn store_written_out(tile: Tile) -> String {
    let half = tile.columns / 2;
    let grid = |columns: usize, value: &dyn Fn(usize, usize) -> String| {
        let place = |i: usize, j: usize| {
            format!("if (c{j} < width) {{ y[(first_m + {i}u) * width + c{j}] = {}; }}", value(i, j))
        };
        let row = |i: usize| format!("if (first_m + {i}u < M) {{ {} }}", lines(columns, &|j| place(i, j)));
        lines(tile.rows, &row)
    };
    let gated = |i: usize, j: usize| format!("activate(a{i}_{j}) * a{i}_{}", j + half);
    let added = |i: usize, j: usize| {
        format!("result(a{i}_{j} + addend[(first_m + {i}u) * info.row_stride + c{j} * info.step])")
    };
    format!("if (gated) {{ {} }} else {{ {} }}", grid(half, &gated), grid(tile.columns, &added))
}

/// The expression of the weight at value `t` of a block's k, in column `j`.
///
/// A code is masked where it stands, which multiplies it by a power of two, and the scale is divided by that power:
/// both are exact. The sign bit would make the uppermost unsigned code negative, and the lower signed ones are unsigned
/// where they stand: flipping that bit moves the code by half its range, which is added back exactly.
fn value(layout: Layout, fused: bool, j: usize, t: usize) -> String {
    let (per_word, bits) = (layout.per_word(), 32 / layout.per_word());
    let (word, shift) = (t / per_word, t % per_word * bits);
    let uppermost = shift + bits == 32;
    let range = (1u64 << bits) - 1;
    let (mask, flipped) = (range << shift, 1u64 << (shift + bits - 1));
    let power = (-(shift as f64)).exp2();
    let (scale, unit) = (format!("(s{j}.x * {power:e})"), format!("(s{j} * {power:e})"));
    let top = match (layout, uppermost) {
        (Layout::Half(_), true) => format!("p{word} & {mask}u"),
        (_, true) => format!("p{word}"),
        (_, false) => format!("p{word} << {}u", 32 - bits - shift),
    };
    let scaled = |code: String| madd(fused, &code, &scale, &format!("s{j}.y"));
    match (layout, uppermost) {
        (Layout::Packed4 { .. }, false) => scaled(format!("f32(bitcast<i32>(p{word} & {mask}u))")),
        (Layout::Packed4 { .. }, true) => {
            scaled(format!("(f32(bitcast<i32>((p{word} & {mask}u) ^ {flipped}u)) + {:e})", flipped as f64))
        }
        (Layout::Packed8 { .. }, false) => {
            scaled(format!("(f32(bitcast<i32>((p{word} & {mask}u) ^ {flipped}u)) - {:e})", flipped as f64))
        }
        (Layout::Packed8 { .. }, true) => scaled(format!("f32(bitcast<i32>(p{word} & {mask}u))")),
        (Layout::Scaled { code: Code::I8, .. }, false) => {
            format!("(f32(bitcast<i32>((p{word} & {mask}u) ^ {flipped}u)) - {:e}) * {unit}", flipped as f64)
        }
        (Layout::Scaled { code: Code::I8 | Code::I16, .. }, true) => {
            format!("f32(bitcast<i32>(p{word} & {mask}u)) * {unit}")
        }
        (Layout::Scaled { code: Code::I16, .. }, false) => {
            format!("f32(bitcast<i32>({top})) * (s{j} * {:e})", (-16f64).exp2())
        }
        (Layout::Scaled { code: code @ (Code::I4 | Code::Odd4), .. }, _) => {
            // The uppermost code is 8 less where its sign bit is flipped.
            let taken = if code == Code::I4 { 8.0 } else { 7.5 };
            let (flip, taken) =
                if uppermost { (format!(" ^ {flipped}u"), taken - 8.0) } else { (String::new(), taken) };
            let taken = taken * (shift as f64).exp2();
            format!("(f32(bitcast<i32>((p{word} & {mask}u){flip})) - {taken:e}) * {unit}")
        }
        (Layout::Scaled { code, .. }, _) => decode::scaled(code, &top, &format!("s{j}")),
        (Layout::Half(half), _) => decode::half(half, &top, "factor"),
        (Layout::Dense, _) => format!("bitcast<f32>(p{word})"),
    }
}

/// The expression `a * b + c`, in one rounding if `fused`: a software adapter has no instruction for that.
fn madd(fused: bool, a: &str, b: &str, c: &str) -> String {
    if fused { format!("fma({a}, {b}, {c})") } else { format!("({c} + {a} * {b})") }
}
