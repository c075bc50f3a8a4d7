//! The quantized matrix product; contract in [`super::quant_matmul`], [`super::quant::Packed`] and quant_matmul.wgsl.

use super::launch::{self, Values, Wgsl, dense, from_host, host, rows_columns};
use super::quant::Layout;
use super::vector::{madd, simd};
use burn::backend::flex::FlexTensor;
use burn_wgpu::CubeTensor;

/// The weight of a product, and what becomes of its sums.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    pub layout: Layout,
    /// Columns of `words`.
    pub out_features: usize,
    /// Of the scales.
    pub factor: f32,
    /// The columns are a gate and an up projection, and the result is their SwiGLU.
    pub gated: bool,
}

impl Product {
    /// Columns of the result.
    fn width(&self) -> usize {
        if self.gated { self.out_features / 2 } else { self.out_features }
    }
}

/// The part of the output that one invocation owns: `rows` x `columns`, with `lanes` along N and along M.
///
/// What decides on a software adapter (SwiftShader's compiler, read in its source and measured): a load is four
/// branches and forty-odd instructions for four lanes, a shift is done lane by lane, a store to a `var` is masked, a
/// barrier switches fibers. So a tile is wide along N, where all columns share the loaded `x`; codes are masked in
/// place and scaled by a power of two instead of being shifted; a sum takes 8 values of k in one expression; there is
/// no workgroup memory. 2-core GFLOP/s by processor time, 64x576x1536, rows x columns: 16x8 with shifts 2.4 to 3.9,
/// 8x12 5.4, 4x24 5.9, 8x24 7.1, 16x24 8.2 (which takes twice as long to compile). One tile for all: few rows are soon
/// done, and each pipeline takes a second to compile.
///
/// A GPU wants fewer registers and more invocations: 16 x 8 outputs are 128 registers, 64 invocations a workgroup
/// reading 64 words side by side.
#[derive(Clone, Copy)]
struct Tile {
    rows: usize,
    columns: usize,
    lanes: [u32; 2],
    /// Whether the sums go through an array and are stored in a loop. Written out, their edges and addends are most of
    /// what a software adapter has to compile; a GPU would keep such an array in memory.
    looped: bool,
}

impl Tile {
    /// For a product of `rows` rows; few rows would leave most of a large tile idle.
    fn of(rows: usize, software: bool) -> Self {
        if software {
            return Self { rows: 8, columns: 24, lanes: [8, 1], looped: true };
        }
        let rows = match rows {
            0..=4 => 4,
            5..=8 => 8,
            _ => 16,
        };
        Self { rows, columns: 8, lanes: [8, 8], looped: false }
    }
}

/// Values of k that a block has: two vec4 of x, one to eight words.
const BLOCK: usize = 8;
const COMPONENTS: [&str; 4] = ["x", "y", "z", "w"];

pub fn launch(
    x: CubeTensor,
    words: CubeTensor,
    scales: CubeTensor,
    addend: Option<CubeTensor>,
    product: Product,
) -> CubeTensor {
    let x = dense(x);
    let (m, k, n, width) = (x.meta.shape()[0], x.meta.shape()[1], product.out_features, product.width());
    let tile = Tile::of(m, launch::is_software());
    let lanes = tile.lanes[0] as usize;
    let half = lanes * tile.columns / 2;
    // A gated product's invocation has as many columns of the one kind as of the other.
    let (columns, second) = if product.gated { (half, width) } else { (2 * half, half) };
    let (addend, row_stride, step) = match addend {
        Some(addend) if addend.meta.shape().len() == 2 => (dense(addend), n, 1),
        Some(addend) => (dense(addend), 0, 1),
        None => (launch::zero(&x), 0, 0),
    };
    let blocks = product.layout.group().unwrap_or(32) / BLOCK;
    let sizes = [blocks, columns, second, row_stride, step, product.gated as usize, width];
    let info: Vec<_> = [m as u32, k as u32, n as u32, product.factor.to_bits()]
        .into_iter()
        .chain(sizes.map(|size| size as u32))
        .collect();
    let layout = product.layout;
    let kernel = Wgsl::new("quant_matmul", include_str!("quant_matmul.wgsl"), tile.lanes)
        .set("per_word", layout.per_word())
        .set("tile_m", tile.rows)
        .set("tile_n", tile.columns)
        .unroll(move || unrolled(layout, tile));
    kernel.run(
        &[&x, &words, &scales, &addend],
        &info,
        [m, width],
        [width.div_ceil(columns), m.div_ceil(tile.rows * tile.lanes[1] as usize), 1],
    )
}

/// The places where the tile's registers are written out. Groups of all sizes share a pipeline.
fn unrolled(layout: Layout, tile: Tile) -> Values {
    let lines =
        |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>().join("\n");
    let (lanes, half) = (tile.lanes[0] as usize, tile.columns / 2);
    let scales = match layout {
        // A declared binding that nothing reads would be missing from the automatic layout.
        Layout::Dense => "_ = scales[0];".into(),
        _ => lines(tile.columns, &|j| format!("let s{j} = unpack2x16float(scales[g * N + n{j}]) * factor;")),
    };
    let multiply = |j: usize| {
        let words = BLOCK / layout.per_word();
        let load = lines(words, &|c| format!("let p{c} = words[(block * {words}u + {c}u) * N + n{j}];"));
        let values = lines(BLOCK, &|t| format!("let w{t} = {};", value(layout, j, t)));
        let sums = lines(tile.rows, &|i| {
            let sum = (0..BLOCK).fold(format!("a{i}_{j}"), |sum, t| {
                format!("({sum} + x{i}_{}.{} * w{t})", t / 4, COMPONENTS[t % 4])
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
        ("store", if tile.looped { store_in_a_loop(tile) } else { store_written_out(tile) }),
    ]
}

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
                    y[m * width + c] = sum / (1.0 + exp(-sum)) * other;
                    continue;
                }}
                y[m * width + c] = sum + addend[m * info[7] + c * info[8]];
                let d = c + second;
                if (d < width) {{ y[m * width + d] = other + addend[m * info[7] + d * info[8]]; }}
            }}
        }}",
        rows * columns,
        sums.join(", ")
    )
}

fn store_written_out(tile: Tile) -> String {
    let half = tile.columns / 2;
    let grid = |columns: usize, value: &dyn Fn(usize, usize) -> String| {
        let place = |i: usize, j: usize| {
            format!("if (c{j} < width) {{ y[(first_m + {i}u) * width + c{j}] = {}; }}", value(i, j))
        };
        let row = |i: usize| {
            let places = (0..columns).map(|j| place(i, j)).collect::<Vec<_>>().join("\n");
            format!("if (first_m + {i}u < M) {{ {places} }}")
        };
        (0..tile.rows).map(row).collect::<Vec<_>>().join("\n")
    };
    let gated = |i: usize, j: usize| format!("a{i}_{j} / (1.0 + exp(-a{i}_{j})) * a{i}_{}", j + half);
    let added =
        |i: usize, j: usize| format!("a{i}_{j} + addend[(first_m + {i}u) * info[7] + c{j} * info[8]]");
    format!("if (gated) {{ {} }} else {{ {} }}", grid(half, &gated), grid(tile.columns, &added))
}

/// The weight at the block's value `t` of k, in column `j`.
///
/// A code is masked where it stands, which multiplies it by a power of two, and the scale is divided by the same: both
/// are exact. The sign bit would make the uppermost unsigned code negative, and the lower signed ones are unsigned where
/// they stand: flipping that bit moves the code by half its range, which is added back exactly.
fn value(layout: Layout, j: usize, t: usize) -> String {
    let (per_word, bits) = (layout.per_word(), 32 / layout.per_word());
    let (word, shift) = (t / per_word, t % per_word * bits);
    let uppermost = shift + bits == 32;
    let range = (1u64 << bits) - 1;
    let (mask, flipped) = (range << shift, 1u64 << (shift + bits - 1));
    let scaled = |code: String| format!("{code} * (s{j}.x * {:e}) + s{j}.y", (-(shift as f64)).exp2());
    match (layout, uppermost) {
        (Layout::Packed4, false) => scaled(format!("f32(bitcast<i32>(p{word} & {mask}u))")),
        (Layout::Packed4, true) => {
            scaled(format!("(f32(bitcast<i32>((p{word} & {mask}u) ^ {flipped}u)) + {:e})", flipped as f64))
        }
        (Layout::Packed8 { .. }, false) => {
            scaled(format!("(f32(bitcast<i32>((p{word} & {mask}u) ^ {flipped}u)) - {:e})", flipped as f64))
        }
        (Layout::Packed8 { .. }, true) => scaled(format!("f32(bitcast<i32>(p{word} & {mask}u))")),
        (Layout::Dense, _) => format!("bitcast<f32>(p{word})"),
    }
}

/// Columns a panel of the CPU twin: one dequantized panel of `[K, PANEL]` stays in the second-level cache.
const PANEL: usize = 16;
/// Rows its inner loop holds in registers: 6 x 16 sums are twelve of AVX2's sixteen, 4 x 16 are all of wasm's. Measured
/// beside 4 x 8 to 24 x 16 and 6 x 64: within 15 % of the best on AVX-512, AVX2 and SIMD128.
const ROWS: usize = if cfg!(target_family = "wasm") { 4 } else { 6 };

pub fn twin(
    x: FlexTensor,
    words: FlexTensor,
    scales: FlexTensor,
    addend: Option<FlexTensor>,
    product: Product,
) -> FlexTensor {
    let (x, words, scales) = (host(x), host(words), host(scales));
    let addend = addend.map(host);
    let [m, k] = rows_columns(&x);
    let Product { layout, out_features: n, factor, .. } = product;
    let weight = Weight { layout, n, k, factor, words: words.storage(), scales: scales.storage() };
    let finish = match &addend {
        _ if product.gated => Finish::Gated,
        Some(addend) if addend.layout().shape().len() == 2 => {
            Finish::Add { values: addend.storage(), stride: n }
        }
        Some(addend) => Finish::Add { values: addend.storage(), stride: 0 },
        None => Finish::Store,
    };
    let rows = interleave(x.storage(), k);
    let width = product.width();
    let mut output = vec![0.0; m * width];
    for_panels(width, &mut output, |first, output| {
        multiply_panel(&rows, m, &weight, &finish, Panel { first, width }, output);
    });
    from_host(output, [m, width])
}

/// What becomes of the sums.
enum Finish<'a> {
    Store,
    /// `values[row * stride + column]` is added.
    Add {
        values: &'a [f32],
        stride: usize,
    },
    /// With those of the columns half the weight further on: SwiGLU.
    Gated,
}

/// Columns of the output, of `width`, from `first` on.
struct Panel {
    first: usize,
    width: usize,
}

/// A packed weight on the host.
struct Weight<'a> {
    layout: Layout,
    n: usize,
    k: usize,
    factor: f32,
    words: &'a [u32],
    scales: &'a [u32],
}

/// The output matrix, of which every panel writes columns of its own.
struct Output {
    start: *mut f32,
}

// SAFETY: panels write disjoint columns.
unsafe impl Sync for Output {}

fn for_panels(n: usize, output: &mut [f32], work: impl Fn(usize, &Output) + Sync) {
    let output = Output { start: output.as_mut_ptr() };
    let panels = n.div_ceil(PANEL);
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        (0..panels).into_par_iter().for_each(|panel| work(panel * PANEL, &output));
    }
    #[cfg(target_family = "wasm")]
    (0..panels).for_each(|panel| work(panel * PANEL, &output));
}

/// `x [M, K]` in blocks of `ROWS` rows, each block `[K, ROWS]`; rows past the end are zero.
fn interleave(x: &[f32], k: usize) -> Vec<[f32; ROWS]> {
    let mut blocks = vec![[0f32; ROWS]; (x.len() / k).div_ceil(ROWS) * k];
    for (row, values) in x.chunks_exact(k).enumerate() {
        for (block, value) in blocks[row / ROWS * k..][..k].iter_mut().zip(values) {
            block[row % ROWS] = *value;
        }
    }
    blocks
}

simd!(fn multiply_panel(
    x: &[[f32; ROWS]],
    m: usize,
    weight: &Weight,
    finish: &Finish,
    at: Panel,
    output: &Output,
) = multiply_panel_body);

#[inline(always)]
fn multiply_panel_body<const FMA: bool>(
    x: &[[f32; ROWS]],
    m: usize,
    weight: &Weight,
    finish: &Finish,
    at: Panel,
    output: &Output,
) {
    let gated = matches!(finish, Finish::Gated);
    let mut panel = vec![[0f32; PANEL]; weight.k];
    unpack_panel::<FMA>(weight, at.first, &mut panel);
    let mut up_panel = Vec::new();
    if gated {
        up_panel.resize(weight.k, [0f32; PANEL]);
        unpack_panel::<FMA>(weight, at.width + at.first, &mut up_panel);
    }
    let width = PANEL.min(at.width - at.first);
    for (block, x) in x.chunks_exact(weight.k).enumerate() {
        let mut sums = multiply_rows::<FMA>(x, &panel);
        if gated {
            gate(&mut sums, &multiply_rows::<FMA>(x, &up_panel));
        }
        for (row, sums) in (block * ROWS..m).zip(&mut sums) {
            if let Finish::Add { values, stride } = finish {
                let addend = &values[row * stride + at.first..][..width];
                sums.iter_mut().zip(addend).for_each(|(sum, value)| *sum += value);
            }
            for (column, sum) in sums[..width].iter().enumerate() {
                // SAFETY: row < m and first + column < width, inside the output; no other panel has these columns.
                unsafe { *output.start.add(row * at.width + at.first + column) = *sum };
            }
        }
    }
}

/// `sums = silu(sums) * up`
#[inline(always)]
fn gate(sums: &mut [[f32; PANEL]; ROWS], up: &[[f32; PANEL]; ROWS]) {
    for i in 0..ROWS {
        for j in 0..PANEL {
            sums[i][j] = sums[i][j] / (1.0 + (-sums[i][j]).exp()) * up[i][j];
        }
    }
}

/// `sums[i][j] = sum_k x[k][i] * panel[k][j]`, in the order of k.
#[inline(always)]
fn multiply_rows<const FMA: bool>(x: &[[f32; ROWS]], panel: &[[f32; PANEL]]) -> [[f32; PANEL]; ROWS] {
    let mut sums = [[0f32; PANEL]; ROWS];
    for (x, weights) in x.iter().zip(panel) {
        for i in 0..ROWS {
            for j in 0..PANEL {
                sums[i][j] = madd::<FMA>(x[i], weights[j], sums[i][j]);
            }
        }
    }
    sums
}

/// Columns `first..first + PANEL` of the weight as f32; columns past the edge stay zero.
#[inline(always)]
fn unpack_panel<const FMA: bool>(weight: &Weight, first: usize, panel: &mut [[f32; PANEL]]) {
    match weight.layout {
        Layout::Packed4 => {
            unpack_words::<FMA, 8>(weight, first, panel, |word, i| ((word >> (4 * i)) & 15) as i32 as f32);
        }
        Layout::Packed8 { .. } => {
            unpack_words::<FMA, 4>(weight, first, panel, |word, i| {
                ((word << (24 - 8 * i)) as i32 >> 24) as f32
            });
        }
        Layout::Dense => unpack_words::<FMA, 1>(weight, first, panel, |word, _| f32::from_bits(word)),
    }
}

/// `code(word, i)` is the i-th of a word's `PER_WORD` codes.
#[inline(always)]
fn unpack_words<const FMA: bool, const PER_WORD: usize>(
    weight: &Weight,
    first: usize,
    panel: &mut [[f32; PANEL]],
    code: impl Fn(u32, usize) -> f32,
) {
    let width = PANEL.min(weight.n - first);
    let mut row = [0u32; PANEL];
    let (mut scale, mut min) = ([1f32; PANEL], [0f32; PANEL]);
    for (index, values) in panel.as_chunks_mut::<PER_WORD>().0.iter_mut().enumerate() {
        if let Some(group) = weight.layout.group()
            && (index * PER_WORD).is_multiple_of(group)
        {
            row[..width]
                .copy_from_slice(&weight.scales[index * PER_WORD / group * weight.n + first..][..width]);
            for j in 0..PANEL {
                scale[j] = half_to_f32(row[j] & 0xffff) * weight.factor;
                min[j] = half_to_f32(row[j] >> 16) * weight.factor;
            }
        }
        row[..width].copy_from_slice(&weight.words[index * weight.n + first..][..width]);
        for (i, values) in values.iter_mut().enumerate() {
            for j in 0..PANEL {
                values[j] = madd::<FMA>(code(row[j], i), scale[j], min[j]);
            }
        }
    }
}

/// A finite f16 as f32, without the branches that keep a loop from being vectorized: its exponent and fraction fit
/// f32's fields, 112 too low.
#[inline(always)]
fn half_to_f32(bits: u32) -> f32 {
    const SHIFT: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * SHIFT;
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_finite_half_is_decoded() {
        for bits in (0..=u16::MAX).filter(|bits| half::f16::from_bits(*bits).is_finite()) {
            let expected = half::f16::from_bits(bits).to_f32();
            assert_eq!(super::half_to_f32(bits.into()).to_bits(), expected.to_bits(), "{bits:#06x}");
        }
    }
}
