//! Runs every kernel once on the device and once on the CPU: a GPU that computes something else is found before it is
//! used.
//!
//! A browser only logs a broken WGSL source, which leaves zeros behind; the self-test makes it an error.

use crate::device::{Device, DeviceKind, read_back};
use crate::error::{Error, Result};
use crate::format::TensorType;
use crate::kernel::product::ProductKind;
use crate::kernel::product::tile::{Tile, as_tile};
use crate::kernel::{self, Activation, Arithmetic, AttentionHeads, PackedWeight, RotaryHeads};
use crate::quant::{self, Code, Half, Layout, Packed};
use burn::tensor::{DType, Int, Tensor, TensorData};
use serde::Serialize;

/// The largest accepted difference, relative to the largest value.
const LIMIT: f32 = 1e-4;
/// The limit in half precision, where devices differ from each other as much as from f32 (6e-4): some fuse
/// multiply-adds, some flush subnormal numbers.
const LIMIT_F16: f32 = 1e-2;

/// A self-test under way: each step compares one kernel.
pub struct SelfTest {
    device: Device,
    /// The cases that have not run, the next one last.
    open: Vec<Case>,
    /// Number of all cases.
    total: usize,
}

/// The kernels of a device that have passed a self-test.
#[derive(Clone, Debug, Default)]
pub struct Tested {
    /// Weight layouts whose products have passed.
    layouts: Vec<Layout>,
    /// Whether the kernels that every model uses have passed.
    others: bool,
}

/// How far a self-test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SelfTestProgress {
    /// Kernels that have passed.
    pub done: usize,
    /// Kernels of the whole test.
    pub total: usize,
}

impl SelfTest {
    /// A test of the products with weights of `layouts`, and of the kernels that every model uses, without those that
    /// are `tested`. Other kernels are left out: testing a kernel compiles it.
    pub fn new(device: &Device, layouts: &[Layout], tested: &Tested) -> Self {
        let mut open = Vec::new();
        for (weights, layout) in PRODUCTS.map(|weights| (weights, weights[0].layout())) {
            if layouts.iter().any(|wanted| wanted.shares_kernels(layout)) && !tested.layouts.contains(&layout)
            {
                open.extend(PRODUCT_CASES.map(|(name, run)| Case { name, weights, run }));
            }
        }
        if !tested.others {
            open.extend(OTHER_CASES.map(|(name, run)| Case { name, weights: PRODUCTS[0], run }));
        }
        open.reverse();
        Self { device: device.clone(), total: open.len(), open }
    }

    /// Compares the next kernel; `None` when all are compared.
    ///
    /// # Errors
    /// [`Error::SelfTest`] names the kernel that differs; [`Error::Device`] if the device fails.
    pub async fn step(&mut self) -> Result<Option<SelfTestProgress>> {
        let Some(case) = self.open.pop() else {
            return Ok(None);
        };
        compare(case.name, &self.device, |device| (case.run)(device, case.weights)).await?;
        Ok(Some(SelfTestProgress { done: self.total - self.open.len(), total: self.total }))
    }
}

impl Tested {
    /// Remembers that a test of the products with weights of `layouts`, and of the other kernels, has passed.
    pub fn passed(&mut self, layouts: &[Layout]) {
        let own = PRODUCTS.iter().map(|weights| weights[0].layout());
        self.layouts.extend(own.filter(|own| layouts.iter().any(|layout| layout.shares_kernels(*own))));
        self.others = true;
    }
}

/// Runs the whole self-test at once, for all layouts.
///
/// # Errors
/// As [`SelfTest::step`].
pub async fn self_test(device: &Device) -> Result<()> {
    let layouts = PRODUCTS.map(|weights| weights[0].layout());
    let mut test = SelfTest::new(device, &layouts, &Tested::default());
    while test.step().await?.is_some() {}
    Ok(())
}

/// Tests the products of adapters, whose weights are dense whatever the model's are, unless `tested` has them. The CPU
/// needs no test.
///
/// # Errors
/// As [`SelfTest::step`].
pub async fn test_adapters(device: &Device, tested: &mut Tested) -> Result<()> {
    if device.kind == DeviceKind::Gpu {
        let mut test = SelfTest::new(device, &[Layout::Dense], tested);
        while test.step().await?.is_some() {}
        tested.passed(&[Layout::Dense]);
    }
    Ok(())
}

/// The kernels that depend on the model, or that only some models run.
#[derive(Clone, Copy, Debug)]
pub struct ModelKernels {
    /// The heads of its attention.
    pub heads: AttentionHeads,
    /// Whether scores have biases by distance.
    pub relative: bool,
    /// Whether its norms are layer norms.
    pub layer_norm: bool,
    /// The activation of its MLPs.
    pub activation: Activation,
    /// Whether it gates.
    pub gated: bool,
}

/// Tests the kernels of a model that the self-test leaves out.
///
/// # Errors
/// [`Error::SelfTest`] if one differs from the CPU's, [`Error::Device`] if the device fails.
pub async fn check_model(device: &Device, model: ModelKernels) -> Result<()> {
    let ModelKernels { mut heads, activation, .. } = model;
    heads.dim = heads.dim.next_multiple_of(4); // as the network fills them up
    compare("attention with the model's heads", device, |device| attention(device, heads, true)).await?;
    if model.relative {
        compare("attention with relative biases", device, |device| relative_attention(device, heads)).await?;
    }
    if model.layer_norm {
        let run = |device: &Device| {
            kernel::layer_norm(values(device, 5, 72), row(device, 72), row(device, 72), 1e-5)
        };
        compare("layer_norm", device, run).await?;
    }
    let dense = |device: &Device| weight(device, Kind::Type(TensorType::F32));
    match model.gated {
        true if activation == Activation::Silu => Ok(()), // the self-test has it
        true => {
            let run =
                |device: &Device| kernel::quant_matmul_glu(values(device, 9, K), &dense(device), activation);
            compare("a gated product with the model's activation", device, run).await
        }
        false => {
            let run = |device: &Device| {
                kernel::quant_matmul_act(
                    values(device, 9, K),
                    &dense(device),
                    Some(row(device, N)),
                    activation,
                )
            };
            compare("a product with the model's activation", device, run).await
        }
    }
}

/// Tests a tile of a product: its plain and its gated end, over ragged edges.
///
/// # Errors
/// [`Error::SelfTest`] if it differs from the CPU's, [`Error::Device`] if the device fails.
pub(super) async fn check_tile(device: &Device, product: ProductKind, tile: Tile) -> Result<()> {
    let run = |device: &Device| {
        let weight = weight_of(device, product.layout, [N, K]).computed_in(product.arithmetic);
        let x = values(device, 21, K);
        let plain = kernel::quant_matmul(x.clone(), &weight);
        Tensor::cat(vec![plain, kernel::quant_matmul_glu(x, &weight, Activation::Silu)], 1)
    };
    let (kernel, limit) = match product.arithmetic {
        Arithmetic::F32 => ("quant_matmul in a chosen tile", LIMIT),
        Arithmetic::F16 => ("quant_matmul in f16", LIMIT_F16),
        Arithmetic::Int8 => ("quant_matmul in int8", LIMIT),
    };
    compare_within(limit, kernel, device, |device| as_tile(tile, || run(device))).await
}

/// Compares the result of `run` on `device` with its result on the CPU, within [`LIMIT`].
async fn compare(kernel: &'static str, device: &Device, run: impl Fn(&Device) -> Tensor<2>) -> Result<()> {
    compare_within(LIMIT, kernel, device, run).await
}

/// Compares the result of `run` on `device` with its result on the CPU, within `limit`.
async fn compare_within(
    limit: f32,
    kernel: &'static str,
    device: &Device,
    run: impl Fn(&Device) -> Tensor<2>,
) -> Result<()> {
    let found = read_back(run(device)).await?;
    let expected = read_back(run(&Device::cpu())).await?;
    let largest = expected.iter().fold(0f32, |all, x| all.max(x.abs()));
    let difference = found
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs() / largest)
        .fold(0f32, |all, x| if x.is_nan() { f32::INFINITY } else { all.max(x) });
    if difference > limit || found.len() != expected.len() {
        return Err(Error::SelfTest { kernel, found: difference, limit });
    }
    Ok(())
}

/// A run of one kernel.
struct Case {
    name: &'static str,
    /// The weights, if the kernel is a product.
    weights: [Kind; 2],
    run: Run,
}

type Run = fn(&Device, [Kind; 2]) -> Tensor<2>;

/// What random weights are of.
#[derive(Clone, Copy)]
enum Kind {
    Type(TensorType),
    /// Codes with scales beside them, one for each row.
    Codes(Code),
}

impl Kind {
    fn layout(self) -> Layout {
        match self {
            Self::Type(dtype) => Layout::of(dtype),
            Self::Codes(code) => Layout::Scaled { code, group: None },
        }
    }
}

/// Two kinds for each layout that has kernels of its own; their scales or minima differ.
const PRODUCTS: [[Kind; 2]; 12] = [
    [Kind::Type(TensorType::Q4_1), Kind::Type(TensorType::Q4_0)],
    [Kind::Type(TensorType::Q8_0), Kind::Type(TensorType::Q5_0)],
    [Kind::Type(TensorType::F32); 2],
    [Kind::Type(TensorType::F16); 2],
    [Kind::Type(TensorType::BF16); 2],
    [Kind::Codes(Code::E4M3); 2],
    [Kind::Codes(Code::E5M2); 2],
    [Kind::Codes(Code::I8); 2],
    [Kind::Codes(Code::I16); 2],
    [Kind::Codes(Code::I4); 2],
    [Kind::Codes(Code::Odd4); 2],
    [Kind::Codes(Code::F4); 2],
];

// Row counts choose the tiles: 21 rows have another than 7 and 1 on a GPU; a software adapter has one tile for all.
const PRODUCT_CASES: [(&str, Run); 6] = [
    ("quant_matmul, 21 rows", |device, weights| product(device, weights[0], 21)),
    ("quant_matmul, 7 rows", |device, weights| product(device, weights[1], 7)),
    ("quant_matmul, 1 row", |device, weights| product(device, weights[0], 1)),
    ("quant_matmul with a bias", |device, weights| {
        kernel::quant_matmul_bias(values(device, 9, K), &weight(device, weights[0]), row(device, N))
    }),
    ("quant_matmul with a residual", |device, weights| {
        let x = values(device, 9, K);
        kernel::quant_matmul_add(x, &weight(device, weights[0]), values(device, 9, N))
    }),
    ("quant_matmul with SwiGLU", |device, weights| {
        kernel::quant_matmul_glu(values(device, 9, K), &weight(device, weights[0]), Activation::Silu)
    }),
];

const OTHER_CASES: [(&str, Run); 7] = [
    ("rms_norm", |device, _| kernel::rms_norm(values(device, 5, 72), row(device, 72), 1e-6)),
    ("rotary", |device, _| {
        let heads = RotaryHeads { count: 2, dim: 16 };
        kernel::rotary(values(device, 5, 48), table(device), positions(device), heads)
    }),
    ("norm_rotary", |device, _| {
        let (x, heads) = (values(device, 5, 56), RotaryHeads { count: 3, dim: 16 });
        kernel::norm_rotary(x, row(device, 32), table(device), positions(device), heads, 2, 1e-6)
    }),
    ("attention", |device, _| attention(device, AttentionHeads::new(6, 2, 16), false)),
    ("glu and layer_mix", |device, _| {
        kernel::layer_mix(
            kernel::glu(values(device, 5, 72), values(device, 5, 72), Activation::Silu),
            values(device, 5, 72),
            0.3,
        )
    }),
    ("round_bf16", |device, _| kernel::round_bf16(values(device, 5, 72))),
    ("segment_mean", |device, _| {
        kernel::segment_mean(values(device, 9, 72), integers(device, &[0, 4, 4, 9], [2, 2]))
    }),
];

/// Number of inputs of the tested products.
const K: usize = 96;
/// Number of outputs of the tested products: no multiple of any tile's columns.
const N: usize = 70;

/// A random weight `[out, in]` in `layout`.
pub(super) fn weight_of(
    device: &Device,
    layout: Layout,
    [out_features, in_features]: [usize; 2],
) -> PackedWeight {
    let kind = match layout {
        Layout::Packed4 { .. } => Kind::Type(TensorType::Q4_1),
        Layout::Packed8 { .. } => Kind::Type(TensorType::Q8_0),
        Layout::Dense => Kind::Type(TensorType::F32),
        Layout::Half(Half::F16) => Kind::Type(TensorType::F16),
        Layout::Half(Half::BF16) => Kind::Type(TensorType::BF16),
        Layout::Scaled { code, .. } => Kind::Codes(code),
    };
    let mut packed = random(kind, out_features, in_features);
    if let (Layout::Packed4 { group: 16 } | Layout::Packed8 { group: 16 }, scales) =
        (layout, &mut packed.scales)
    {
        // Each group of 32 becomes two of 16.
        *scales = scales.chunks(out_features).flat_map(|row| [row, row].concat()).collect();
        packed.layout = layout;
    }
    PackedWeight::upload(packed, &device.transient())
}

fn product(device: &Device, kind: Kind, rows: usize) -> Tensor<2> {
    kernel::quant_matmul(values(device, rows, K), &weight(device, kind))
}

fn weight(device: &Device, kind: Kind) -> PackedWeight {
    PackedWeight::upload(random(kind, N, K), &device.transient())
}

fn random(kind: Kind, n: usize, k: usize) -> Packed {
    let values = || noise(n * k).into_iter();
    let dtype = match kind {
        Kind::Type(dtype) => dtype,
        Kind::Codes(code) => return codes(code, n, k),
    };
    let bytes = match dtype {
        TensorType::F32 => values().flat_map(f32::to_le_bytes).collect(),
        TensorType::F16 => values().flat_map(|x| half::f16::from_f32(x).to_le_bytes()).collect(),
        TensorType::BF16 => values().flat_map(|x| half::bf16::from_f32(x).to_le_bytes()).collect(),
        _ => blocks(dtype, n * k / dtype.block_len()),
    };
    quant::pack(dtype, &bytes, n, k)
}

/// Random codes, and a scale for each row.
fn codes(code: Code, n: usize, k: usize) -> Packed {
    let layout = Layout::Scaled { code, group: None };
    // Floats without this bit are no NaN.
    let mask = if matches!(code, Code::E4M3 | Code::E5M2) { 0xfbfb_fbfb } else { u32::MAX };
    let random = noise(2 * n * k / layout.per_word());
    let halves =
        random.as_chunks().0.iter().map(|[low, high]| [low, high].map(|x| (x * 32767.0) as i16 as u16));
    let words = halves.map(|[low, high]| (u32::from(low) | u32::from(high) << 16) & mask).collect();
    let scales = (0..n).map(|row| (0.5 + row as f32 % 7.0 * 0.1).to_bits()).collect();
    Packed { layout, out_features: n, in_features: k, words, scales, factor: 1.0 }
}

/// Blocks of random codes with scales and minima of both signs.
fn blocks(dtype: TensorType, count: usize) -> Vec<u8> {
    let random = noise(count * dtype.block_bytes());
    let mut bytes: Vec<u8> = random.iter().map(|x| (x.abs() * 255.0) as u8).collect();
    for (index, block) in bytes.chunks_mut(dtype.block_bytes()).enumerate() {
        let half = |value: f32| half::f16::from_f32(value).to_le_bytes();
        block[..2].copy_from_slice(&half(0.01 + index as f32 % 7.0 * 0.003));
        if dtype == TensorType::Q4_1 {
            block[2..4].copy_from_slice(&half(-0.1 - index as f32 % 5.0 * 0.01));
        }
    }
    bytes
}

fn attention(device: &Device, heads: AttentionHeads, joined: bool) -> Tensor<2> {
    let starts = [0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 13];
    let tokens = starts.len();
    let spans: Vec<u32> = (1..).zip(starts).flat_map(|(end, start)| [start, end]).collect();
    let spans = integers(device, &spans, [tokens, 2]);
    let AttentionHeads { count, kv, dim, .. } = heads;
    if joined {
        let qk = values(device, tokens, (count + kv) * dim);
        return kernel::attention(qk, None, values(device, tokens, (count + 2 * kv) * dim), spans, heads);
    }
    let [q, k, v] = [count, kv, kv].map(|heads| values(device, tokens, heads * dim));
    kernel::attention(q, Some(k), v, spans, heads)
}

/// Attention both ways over two texts, of which one is longer than the biases reach.
fn relative_attention(device: &Device, heads: AttentionHeads) -> Tensor<2> {
    const REACH: usize = 4;
    let spans: Vec<u32> = (0..14).flat_map(|token| if token < 3 { [0, 3] } else { [3, 14] }).collect();
    let AttentionHeads { count, kv, dim, .. } = heads;
    let [qk, v] = [count + kv, kv].map(|heads| values(device, 14, heads * dim));
    let bias = values(device, 2 * REACH + 1, count);
    kernel::attention_relative(qk, v, integers(device, &spans, [14, 2]), bias, heads)
}

/// Random values in -1..1, `[rows, columns]`.
pub(super) fn values(device: &Device, rows: usize, columns: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(noise(rows * columns), [rows, columns]), device.burn())
}

fn row(device: &Device, columns: usize) -> Tensor<1> {
    Tensor::from_data(TensorData::new(noise(columns), [columns]), device.burn())
}

fn table(device: &Device) -> Tensor<2> {
    kernel::rotary_table(16, 10_000.0, 8, device)
}

fn positions(device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(vec![0u32, 1, 2, 0, 7], [5]), (device.burn(), DType::U32))
}

fn integers(device: &Device, values: &[u32], shape: [usize; 2]) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (device.burn(), DType::U32))
}

/// Reproducible values in -1..1: the splitmix64 sequence from a fixed seed.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 0x6a09_e667_f3bc_c908u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
