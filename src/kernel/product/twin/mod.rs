//! The quantized product on the CPU: panels of columns are dequantized once and multiplied with all rows.

mod f16;
mod int8;

use super::Product;
use crate::kernel::Arithmetic;
use crate::kernel::cpu::vector::{PANEL, ROWS, exp, madd, multiply_rows, simd};
use crate::kernel::cpu::{from_host, host, rows_columns};
use crate::quant::Layout;
use crate::quant::half_float::half_to_f32;
use burn::backend::flex::FlexTensor;

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
    let width = product.width();
    let mut output = vec![0.0; m * width];
    match product.arithmetic {
        Arithmetic::F32 => {
            let rows = interleave(x.storage(), k);
            for_panels(ABREAST * PANEL, width, &mut output, |first, output| {
                multiply_panels(&rows, m, &weight, &finish, Panel { first, width }, output);
            });
        }
        Arithmetic::F16 => {
            let rows = f16::Rows::new(x.storage(), k);
            for_panels(PANEL, width, &mut output, |first, output| {
                multiply_halves(&rows, m, &weight, &finish, Panel { first, width }, output);
            });
        }
        Arithmetic::Int8 => {
            let rows = int8::Rows::new(x.storage(), k, layout.group().unwrap_or(k));
            for_panels(PANEL, width, &mut output, |first, output| {
                multiply_codes(&rows, m, &weight, &finish, Panel { first, width }, output);
            });
        }
    }
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

fn for_panels(step: usize, n: usize, output: &mut [f32], work: impl Fn(usize, &Output) + Sync) {
    let output = Output { start: output.as_mut_ptr() };
    let panels = n.div_ceil(step);
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        (0..panels).into_par_iter().for_each(|panel| work(panel * step, &output));
    }
    #[cfg(target_family = "wasm")]
    (0..panels).for_each(|panel| work(panel * step, &output));
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

/// Panels whose words are gathered at once: natively a row of two is two lines of the cache, for which its page is looked up
/// once. 1.2 times as fast on 64 tokens as one by one; four gain less.
const ABREAST: usize = 2;

simd!(fn multiply_panels(
    x: &[[f32; ROWS]],
    m: usize,
    weight: &Weight,
    finish: &Finish,
    at: Panel,
    output: &Output,
) = multiply_panels_body);

#[inline(always)]
fn multiply_panels_body<const FMA: bool>(
    x: &[[f32; ROWS]],
    m: usize,
    weight: &Weight,
    finish: &Finish,
    at: Panel,
    output: &Output,
) {
    let gated = matches!(finish, Finish::Gated);
    let columns = Columns::gather(weight, at.first);
    let up_columns = gated.then(|| Columns::gather(weight, at.width + at.first));
    let mut panel = vec![[0f32; PANEL]; weight.k];
    let mut up_panel = vec![[0f32; PANEL]; if gated { weight.k } else { 0 }];
    for place in 0..ABREAST {
        let at = Panel { first: at.first + place * PANEL, width: at.width };
        if at.first >= at.width {
            break;
        }
        columns.unpack::<FMA>(weight, place, &mut panel);
        if let Some(up_columns) = &up_columns {
            up_columns.unpack::<FMA>(weight, place, &mut up_panel);
        }
        for (block, x) in x.chunks_exact(weight.k).enumerate() {
            let mut sums = multiply_rows::<FMA>(x, &panel);
            if gated {
                gate::<FMA>(&mut sums, &multiply_rows::<FMA>(x, &up_panel));
            }
            store(&mut sums, block * ROWS..m, finish, &at, output);
        }
    }
}

simd!(fn multiply_codes(
    x: &int8::Rows,
    m: usize,
    weight: &Weight,
    finish: &Finish,
    at: Panel,
    output: &Output,
) = multiply_codes_body);

#[inline(always)]
fn multiply_codes_body<const FMA: bool>(
    x: &int8::Rows,
    m: usize,
    weight: &Weight,
    finish: &Finish,
    at: Panel,
    output: &Output,
) {
    let panel = int8::Codes::unpack(weight, at.first);
    let up_panel = matches!(finish, Finish::Gated).then(|| int8::Codes::unpack(weight, at.width + at.first));
    for block in 0..m.div_ceil(ROWS) {
        let mut sums = panel.multiply::<FMA>(x, block);
        if let Some(up_panel) = &up_panel {
            gate::<FMA>(&mut sums, &up_panel.multiply::<FMA>(x, block));
        }
        store(&mut sums, block * ROWS..m, finish, &at, output);
    }
}

fn multiply_halves(x: &f16::Rows, m: usize, weight: &Weight, finish: &Finish, at: Panel, output: &Output) {
    let panel = f16::Halves::unpack(weight, at.first);
    let up_panel = matches!(finish, Finish::Gated).then(|| f16::Halves::unpack(weight, at.width + at.first));
    for block in 0..m.div_ceil(ROWS) {
        let mut sums = panel.multiply(x, block);
        if let Some(up_panel) = &up_panel {
            gate::<false>(&mut sums, &up_panel.multiply(x, block));
        }
        store(&mut sums, block * ROWS..m, finish, &at, output);
    }
}

/// Writes the sums of `rows`, as many as there are.
#[inline(always)]
fn store(
    sums: &mut [[f32; PANEL]; ROWS],
    rows: std::ops::Range<usize>,
    finish: &Finish,
    at: &Panel,
    output: &Output,
) {
    let width = PANEL.min(at.width - at.first);
    for (row, sums) in rows.zip(sums) {
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

/// `sums = silu(sums) * up`
#[inline(always)]
fn gate<const FMA: bool>(sums: &mut [[f32; PANEL]; ROWS], up: &[[f32; PANEL]; ROWS]) {
    for i in 0..ROWS {
        for j in 0..PANEL {
            sums[i][j] = sums[i][j] / (1.0 + exp::<FMA>(-sums[i][j])) * up[i][j];
        }
    }
}

/// The packed columns of [`ABREAST`] panels.
struct Columns {
    words: Vec<[u32; ABREAST * PANEL]>,
    scales: Vec<[u32; ABREAST * PANEL]>,
}

impl Columns {
    #[inline(always)]
    fn gather(weight: &Weight, first: usize) -> Self {
        let scales = match weight.layout {
            Layout::Dense => Vec::new(),
            _ => gather(weight.scales, weight.n, first),
        };
        Self { words: gather(weight.words, weight.n, first), scales }
    }

    /// The panel at `place` as f32; columns past the weight's edge are zero.
    #[inline(always)]
    fn unpack<const FMA: bool>(&self, weight: &Weight, place: usize, panel: &mut [[f32; PANEL]]) {
        match weight.layout {
            Layout::Packed4 => self.unpack_words::<FMA, 8>(weight, place, panel, |word, i| {
                ((word >> (4 * i)) & 15) as i32 as f32
            }),
            Layout::Packed8 { .. } => self.unpack_words::<FMA, 4>(weight, place, panel, |word, i| {
                ((word << (24 - 8 * i)) as i32 >> 24) as f32
            }),
            Layout::Dense => {
                self.unpack_words::<FMA, 1>(weight, place, panel, |word, _| f32::from_bits(word));
            }
        }
    }

    /// `code(word, i)` is the i-th of a word's `PER_WORD` codes.
    #[inline(always)]
    fn unpack_words<const FMA: bool, const PER_WORD: usize>(
        &self,
        weight: &Weight,
        place: usize,
        panel: &mut [[f32; PANEL]],
        code: impl Fn(u32, usize) -> f32,
    ) {
        let part = |row: &[u32; ABREAST * PANEL]| row.as_chunks::<PANEL>().0[place];
        let (mut scale, mut min) = ([1f32; PANEL], [0f32; PANEL]);
        for (index, (values, row)) in
            panel.as_chunks_mut::<PER_WORD>().0.iter_mut().zip(&self.words).enumerate()
        {
            if let Some(group) = weight.layout.group()
                && (index * PER_WORD).is_multiple_of(group)
            {
                let pairs = part(&self.scales[index * PER_WORD / group]);
                for j in 0..PANEL {
                    scale[j] = half_to_f32(pairs[j] & 0xffff) * weight.factor;
                    min[j] = half_to_f32(pairs[j] >> 16) * weight.factor;
                }
            }
            let row = part(row);
            for (i, values) in values.iter_mut().enumerate() {
                for j in 0..PANEL {
                    values[j] = madd::<FMA>(code(row[j], i), scale[j], min[j]);
                }
            }
        }
    }
}

/// `W` columns from `first` on of `values [rows, n]`; those past the edge are zero. A pass of its own: the rows lie in
/// other pages, and a loop that does nothing but load has many of them on their way at once.
#[inline(always)]
fn gather<const W: usize>(values: &[u32], n: usize, first: usize) -> Vec<[u32; W]> {
    let width = W.min(n.saturating_sub(first));
    let part = |row: &[u32]| {
        let mut part = [0; W];
        part[..width].copy_from_slice(&row[first..first + width]);
        part
    };
    if width == W {
        return values.chunks_exact(n).map(|row| *row[first..].first_chunk().unwrap_or(&[0; W])).collect();
    }
    values.chunks_exact(n).map(part).collect()
}
