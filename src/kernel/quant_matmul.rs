//! The quantized matrix product; contract in [`super::quant_matmul`], [`super::quant::Packed`] and quant_matmul.wgsl.

use super::launch::{Wgsl, dense, from_host, host, rows_columns};
use super::quant::Layout;
use super::vector::{madd, simd};
use burn::backend::flex::FlexTensor;
use burn_wgpu::CubeTensor;

/// Lanes along N and along M.
const WORKGROUP: [u32; 2] = [8, 8];
/// Columns an invocation owns: with 8 lanes a workgroup covers 64.
const TILE_N: usize = 8;
const COMPONENTS: [&str; 4] = ["x", "y", "z", "w"];

pub fn launch(
    x: CubeTensor,
    words: CubeTensor,
    scales: CubeTensor,
    layout: Layout,
    out_features: usize,
    factor: f32,
) -> CubeTensor {
    let x = dense(x);
    let (m, k, n) = (x.meta.shape()[0], x.meta.shape()[1], out_features);
    let tile_m = tile_m(m);
    let columns = WORKGROUP[0] as usize * TILE_N;
    unrolled(layout, tile_m).run(
        &[&x, &words, &scales],
        &[m as u32, k as u32, n as u32, factor.to_bits()],
        [m, n],
        [n.div_ceil(columns), m.div_ceil(tile_m * WORKGROUP[1] as usize), 1],
    )
}

/// Rows an invocation owns: sixteen share each unpacked word; few tokens would leave most of them idle.
fn tile_m(rows: usize) -> usize {
    match rows {
        0..=4 => 4,
        5..=8 => 8,
        _ => 16,
    }
}

/// The source with the tile's registers written out.
fn unrolled(layout: Layout, tile_m: usize) -> Wgsl {
    let lines =
        |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>().join("\n");
    let tile = |line: &dyn Fn(usize, usize) -> String| lines(tile_m, &|i| lines(TILE_N, &|j| line(i, j)));
    let lanes = WORKGROUP[0];
    // Dense words have no groups; 32 values a round keep the loops alike.
    let group = layout.group().unwrap_or(32);
    // A step takes four values of k, one vec4 of x.
    let (words_per_step, steps_per_word) = match layout {
        Layout::Packed4 => (1, 2),
        Layout::Packed8 { .. } => (1, 1),
        Layout::Dense => (4, 1),
    };
    let step = |step: usize| {
        let x = lines(tile_m, &|i| format!("let x{i} = x[row{i} + word * {steps_per_word}u + {step}u];"));
        let products = lines(4, &|c| {
            let value = lines(TILE_N, &|j| format!("let w{j} = {};", value(layout, step, c, j)));
            let sums = tile(&|i, j| format!("a{i}_{j} += x{i}.{} * w{j};", COMPONENTS[c]));
            format!("{{ {value}\n{sums} }}")
        });
        format!("{{ {x}\n{products} }}")
    };
    let scales = match layout {
        // A declared binding that nothing reads would be missing from the automatic layout.
        Layout::Dense => "_ = scales[0];".into(),
        _ => lines(TILE_N, &|j| format!("let s{j} = unpack2x16float(scales[g * N + n{j}]) * factor;")),
    };
    let words = lines(TILE_N, &|j| {
        lines(words_per_step, &|c| match layout {
            Layout::Dense => format!("let p{j}_{c} = bitcast<f32>(words[(word * 4u + {c}u) * N + n{j}]);"),
            _ => format!("let p{j} = words[word * N + n{j}];"),
        })
    });
    Wgsl::new("quant_matmul", include_str!("quant_matmul.wgsl"), WORKGROUP)
        .set("layout", format!("{layout:?}"))
        .set("per_word", layout.per_word())
        .set("group", group)
        .set("words_per_group", group / 4 / steps_per_word)
        .set("tile_m", tile_m)
        .set("tile_n", TILE_N)
        .set("columns", lanes as usize * TILE_N)
        .set("rows", lines(tile_m, &|i| format!("let row{i} = min(first_m + {i}u, M - 1u) * (K / 4u);")))
        .set(
            "columns_of",
            lines(TILE_N, &|j| format!("let n{j} = min(first_n + {}u, N - 1u);", j as u32 * lanes)),
        )
        .set("declare", tile(&|i, j| format!("var a{i}_{j} = 0.0;")))
        .set("scales", scales)
        .set("words", words)
        .set("multiply", lines(steps_per_word, &step))
        .set(
            "store",
            lines(tile_m, &|i| {
                let columns = lines(TILE_N, &|j| {
                    let column = j as u32 * lanes;
                    format!("if (first_n + {column}u < N) {{ y[(first_m + {i}u) * N + n{j}] = a{i}_{j}; }}")
                });
                format!("if (first_m + {i}u < M) {{ {columns} }}")
            }),
        )
}

/// The weight at component `c` of a step's four values of k, in column `j`.
fn value(layout: Layout, step: usize, c: usize, j: usize) -> String {
    match layout {
        Layout::Packed4 => format!("f32((p{j} >> {}u) & 15u) * s{j}.x + s{j}.y", 16 * step + 4 * c),
        Layout::Packed8 { .. } => {
            format!("f32(bitcast<i32>(p{j} << {}u) >> 24u) * s{j}.x + s{j}.y", 24 - 8 * c)
        }
        Layout::Dense => format!("p{j}_{c}"),
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
    layout: Layout,
    out_features: usize,
    factor: f32,
) -> FlexTensor {
    let (x, words, scales) = (host(x), host(words), host(scales));
    let [m, k] = rows_columns(&x);
    let weight =
        Weight { layout, n: out_features, k, factor, words: words.storage(), scales: scales.storage() };
    let rows = interleave(x.storage(), k);
    let mut output = vec![0.0; m * out_features];
    for_panels(out_features, &mut output, |panel, output| multiply_panel(&rows, m, &weight, panel, output));
    from_host(output, [m, out_features])
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

simd!(fn multiply_panel(x: &[[f32; ROWS]], m: usize, weight: &Weight, first: usize, output: &Output) = multiply_panel_body);

#[inline(always)]
fn multiply_panel_body<const FMA: bool>(
    x: &[[f32; ROWS]],
    m: usize,
    weight: &Weight,
    first: usize,
    output: &Output,
) {
    let mut panel = vec![[0f32; PANEL]; weight.k];
    unpack_panel::<FMA>(weight, first, &mut panel);
    let width = PANEL.min(weight.n - first);
    for (block, x) in x.chunks_exact(weight.k).enumerate() {
        let sums = multiply_rows::<FMA>(x, &panel);
        for (row, sums) in (block * ROWS..m).zip(&sums) {
            for (column, sum) in sums[..width].iter().enumerate() {
                // SAFETY: row < m and first + column < n, inside the output; no other panel has these columns.
                unsafe { *output.start.add(row * weight.n + first + column) = *sum };
            }
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
