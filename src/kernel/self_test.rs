//! Every kernel once on the device and once on the CPU: a GPU that computes something else is found before it is used.
//!
//! A broken WGSL source is only logged by the browser and leaves zeros behind; this makes it an error.

use super::{AttentionHeads, PackedWeight, RotaryHeads, quant};
use crate::device::{Device, read_back};
use crate::error::{Error, Result};
use crate::format::TensorType;
use burn::tensor::{DType, Int, Tensor, TensorData};

/// Largest accepted difference, relative to the largest value.
const LIMIT: f32 = 1e-4;

/// Runs every kernel variant on `device` and on the CPU.
///
/// # Errors
/// [`Error::SelfTest`] names the first kernel that differs.
pub async fn self_test(device: &Device) -> Result<()> {
    let cpu = Device::cpu();
    for (kernel, run) in CASES {
        let found = read_back(run(device)).await?;
        let expected = read_back(run(&cpu)).await?;
        let largest = expected.iter().fold(0f32, |all, x| all.max(x.abs()));
        let difference = found
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs() / largest)
            .fold(0f32, |all, x| if x.is_nan() { f32::INFINITY } else { all.max(x) });
        if difference > LIMIT || found.len() != expected.len() {
            return Err(Error::SelfTest { kernel, found: difference, limit: LIMIT });
        }
    }
    Ok(())
}

type Case = fn(&Device) -> Tensor<2>;
// Row counts choose the tiles: 21, 7 and 3 rows are one each on a GPU, and the same on a software adapter.
const CASES: [(&str, Case); 19] = [
    ("quant_matmul Packed4, 21 rows", |device| product(device, TensorType::Q4_1, 21)),
    ("quant_matmul Packed4, 7 rows", |device| product(device, TensorType::Q4_0, 7)),
    ("quant_matmul Packed4, 3 rows", |device| product(device, TensorType::Q4_1, 3)),
    ("quant_matmul Packed8, 21 rows", |device| product(device, TensorType::Q8_0, 21)),
    ("quant_matmul Packed8, 7 rows", |device| product(device, TensorType::Q5_0, 7)),
    ("quant_matmul Packed8, 1 row", |device| product(device, TensorType::Q8_0, 1)),
    ("quant_matmul Dense", |device| product(device, TensorType::F32, 21)),
    ("quant_matmul with a bias", |device| {
        super::quant_matmul_bias(normal(device, 9, K), &weight(device, TensorType::Q4_1), row(device, N))
    }),
    ("quant_matmul with a residual", |device| {
        let x = normal(device, 9, K);
        super::quant_matmul_add(x, &weight(device, TensorType::Q4_1), normal(device, 9, N))
    }),
    ("quant_matmul with SwiGLU", |device| {
        super::quant_matmul_swiglu(normal(device, 9, K), &weight(device, TensorType::Q4_1))
    }),
    ("rms_norm", |device| super::rms_norm(normal(device, 5, 72), row(device, 72), 1e-6)),
    ("rotary", |device| {
        let heads = RotaryHeads { count: 2, dim: 16 };
        super::rotary(normal(device, 5, 48), table(device), positions(device), heads)
    }),
    ("norm_rotary", |device| {
        let (x, heads) = (normal(device, 5, 56), RotaryHeads { count: 3, dim: 16 });
        super::norm_rotary(x, row(device, 32), table(device), positions(device), heads, 2, 1e-6)
    }),
    ("attention", |device| attention(device, 16, false)),
    ("attention, head_dim 64", |device| attention(device, 64, false)),
    ("attention of joined heads, head_dim 64", |device| attention(device, 64, true)),
    ("swiglu and layer_mix", |device| {
        super::layer_mix(
            super::swiglu(normal(device, 5, 72), normal(device, 5, 72)),
            normal(device, 5, 72),
            0.3,
        )
    }),
    ("round_bf16", |device| super::round_bf16(normal(device, 5, 72))),
    ("segment_mean", |device| {
        super::segment_mean(normal(device, 9, 72), integers(device, &[0, 4, 4, 9], [2, 2]))
    }),
];

const K: usize = 96;
const N: usize = 70;

fn product(device: &Device, dtype: TensorType, rows: usize) -> Tensor<2> {
    super::quant_matmul(normal(device, rows, K), &weight(device, dtype))
}

fn weight(device: &Device, dtype: TensorType) -> PackedWeight {
    let bytes = match dtype {
        TensorType::F32 => noise(N * K).iter().flat_map(|x| x.to_le_bytes()).collect(),
        _ => blocks(dtype, N * K / dtype.block_len()),
    };
    PackedWeight::upload(quant::pack(dtype, &bytes, N, K), device)
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

fn attention(device: &Device, dim: usize, joined: bool) -> Tensor<2> {
    let starts = [0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 13];
    let tokens = starts.len();
    let spans: Vec<u32> = (1..).zip(starts).flat_map(|(end, start)| [start, end]).collect();
    let spans = integers(device, &spans, [tokens, 2]);
    let heads = AttentionHeads { count: 6, kv: 2, dim };
    let [q, k, v] = [6, 2, 2].map(|heads| normal(device, tokens, heads * dim));
    if joined {
        super::attention(
            normal(device, tokens, 8 * dim),
            None,
            normal(device, tokens, 10 * dim),
            spans,
            heads,
        )
    } else {
        super::attention(q, Some(k), v, spans, heads)
    }
}

fn normal(device: &Device, rows: usize, columns: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(noise(rows * columns), [rows, columns]), device.burn())
}

fn row(device: &Device, columns: usize) -> Tensor<1> {
    Tensor::from_data(TensorData::new(noise(columns), [columns]), device.burn())
}

fn table(device: &Device) -> Tensor<2> {
    crate::model::rotary::table(16, 10_000.0, 8, device)
}

fn positions(device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(vec![0u32, 1, 2, 0, 7], [5]), (device.burn(), DType::U32))
}

fn integers(device: &Device, values: &[u32], shape: [usize; 2]) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (device.burn(), DType::U32))
}

/// Reproducible values in -1..1 (the splitmix64 sequence from a fixed seed).
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
