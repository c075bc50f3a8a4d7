//! Every kernel against plain loops, on the CPU and on wgpu, over ragged shapes; and the codec against values
//! computed by hand from ggml's block layouts.

use crate::support::model::Random;
use crate::support::{device, files};
use burn::tensor::{DType, Int, Tensor, TensorData};
use gran_ted::device::{Device, class::as_class};
use gran_ted::format::{DiskFile, Source, TensorType, gguf::Gguf};
use gran_ted::kernel::{
    self, Activation, Arithmetic, AttentionHeads, F16_TILES, GPU_TILES, INT8_TILES, PackedWeight,
    RotaryHeads, Tile, as_tile,
};
use gran_ted::quant::{self, Code, Layout, Packed, Packer, Quantize, Scales, Shared};
use gran_ted::trial::Tuning;
use gran_ted::trial::self_test::{ModelKernels, check_model, self_test};
use half::{bf16, f16};
use pollster::block_on;

/// Types of each layout that holds codes.
const QUANTIZED: [TensorType; 9] = [
    TensorType::Q4_0,
    TensorType::Q4_1,
    TensorType::Q5_0,
    TensorType::Q5_1,
    TensorType::Q8_0,
    TensorType::Q4_K,
    TensorType::Q5_K,
    TensorType::Q6_K,
    TensorType::Q2_K,
];

/// The others: codes of types above, or codes with a scale in f32.
const OTHERS: [TensorType; 14] = [
    TensorType::Q3_K,
    TensorType::IQ4_NL,
    TensorType::IQ4_XS,
    TensorType::IQ3_S,
    TensorType::IQ3_XXS,
    TensorType::IQ2_S,
    TensorType::IQ2_XS,
    TensorType::IQ2_XXS,
    TensorType::IQ1_M,
    TensorType::IQ1_S,
    TensorType::MXFP4,
    TensorType::NVFP4,
    TensorType::TQ1_0,
    TensorType::TQ2_0,
];

pub fn matrix(values: &[f32], columns: usize, device: &Device) -> Tensor<2> {
    let shape = [values.len() / columns, columns];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device.burn())
}

pub fn vector(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device.burn())
}

fn integers(values: &[u32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (device.burn(), DType::U32))
}

pub fn pairs(values: &[[u32; 2]], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(values.concat(), [values.len(), 2]), (device.burn(), DType::U32))
}

/// Runs `test` on the CPU, then on the tests' adapter with the kernels for software adapters and with those for GPUs.
pub fn each_variant(test: impl Fn(&Device)) {
    test(&Device::cpu());
    for software in [true, false] {
        as_class(software, || test(&device::gpu()));
    }
}

/// Compares with `expected`, relative to its largest value.
pub fn check(what: &str, found: Tensor<2>, expected: &[f64], tolerance: f64) {
    let found: Vec<f32> = block_on(found.into_data_async()).unwrap().try_into_vec().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f64, |all, x| all.max(x.abs()));
    let difference =
        found.iter().zip(expected).map(|(a, b)| (*a as f64 - b).abs()).fold(0f64, f64::max) / largest;
    assert!(difference < tolerance, "{what} differs by {difference:e}");
}

#[test]
fn quant_matmul_is_x_times_w_transposed() {
    each_variant(|device| {
        let mut noise = Random(1);
        for dtype in QUANTIZED.into_iter().chain([TensorType::F32, TensorType::F16, TensorType::BF16]) {
            // The shapes are ragged in every direction: rows around the tiles' 4, 8 and 16, columns around 64.
            for (m, k, n) in
                [(1, 256, 64), (4, 256, 3), (7, 512, 65), (16, 256, 192), (33, 768, 70), (129, 256, 100)]
            {
                let k = if dtype.block_len() == 256 { k } else { k - 96 };
                let bytes = noise.blocks(dtype, n * k);
                let w = quant::dequantize(dtype, &bytes);
                let x = noise.values(m * k);
                let mut expected = vec![0f64; m * n];
                for i in 0..m {
                    for j in 0..n {
                        expected[i * n + j] = (0..k).map(|l| x[i * k + l] as f64 * w[j * k + l] as f64).sum();
                    }
                }
                let weight = PackedWeight::upload(quant::pack(dtype, &bytes, n, k), device);
                let found = kernel::quant_matmul(matrix(&x, k, device), &weight);
                // K-quants' products of two scales are rounded to f16 on the device.
                let tolerance = if dtype.block_len() == 256 { 5e-4 } else { 5e-6 };
                check(
                    &format!("{dtype:?} [{m}, {k}] x [{n}, {k}] on {}", device.adapter),
                    found,
                    &expected,
                    tolerance,
                );
            }
        }
    });
}

/// The products are checked with each of their ends, over ragged shapes, and with weights of one input joined into one.
#[test]
fn products_end_with_a_bias_a_residual_or_swiglu() {
    each_variant(|device| {
        let mut noise = Random(12);
        for (dtype, m, k, parts) in [
            (TensorType::Q4_1, 1, 64, vec![8, 8]),
            (TensorType::Q4_1, 4, 160, vec![33, 33]),
            (TensorType::Q8_0, 9, 96, vec![96, 96]),
            (TensorType::F32, 17, 64, vec![100, 100]),
            (TensorType::Q6_K, 33, 256, vec![70, 3, 5]),
            (TensorType::Q4_0, 40, 96, vec![576, 192, 192]),
        ] {
            let n: usize = parts.iter().sum();
            let bytes: Vec<_> = parts.iter().map(|n| noise.blocks(dtype, n * k)).collect();
            let w: Vec<f32> = bytes.iter().flat_map(|bytes| quant::dequantize(dtype, bytes)).collect();
            let packed: Vec<_> =
                bytes.iter().zip(&parts).map(|(bytes, n)| quant::pack(dtype, bytes, *n, k)).collect();
            let weight = PackedWeight::upload(quant::join_outputs(&packed).unwrap(), device);
            let (x, bias, residual) = (noise.values(m * k), noise.values(n), noise.values(m * n));
            let sum =
                |i: usize, j: usize| (0..k).map(|l| x[i * k + l] as f64 * w[j * k + l] as f64).sum::<f64>();
            let each = |width: usize, value: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
                (0..m).flat_map(|i| (0..width).map(move |j| value(i, j))).collect()
            };
            let input = || matrix(&x, k, device);
            // K-quants' products of two scales are rounded to f16 on the device, and sums are large before the exponential.
            let tolerance = if dtype.block_len() == 256 { 5e-4 } else { 1e-5 };
            let check = |finish: &str, found, expected: &[f64]| {
                let what = format!("{dtype:?} [{m}, {k}] x {parts:?}, {finish}, on {}", device.adapter);
                check(&what, found, expected, tolerance);
            };
            check("plain", kernel::quant_matmul(input(), &weight), &each(n, &sum));
            let found = kernel::quant_matmul_bias(input(), &weight, vector(&bias, device));
            check("bias", found, &each(n, &|i, j| sum(i, j) + bias[j] as f64));
            let found = kernel::quant_matmul_add(input(), &weight, matrix(&residual, n, device));
            check("residual", found, &each(n, &|i, j| sum(i, j) + residual[i * n + j] as f64));
            if n.is_multiple_of(2) {
                let swiglu = |i: usize, j: usize| {
                    let gate = sum(i, j);
                    gate / (1.0 + (-gate).exp()) * sum(i, j + n / 2)
                };
                let found = kernel::quant_matmul_glu(input(), &weight, Activation::Silu);
                check("swiglu", found, &each(n / 2, &swiglu));
            }
        }
    });
}

/// Codes with a scale in f32 for each row, and for each group of a row.
#[test]
fn codes_with_scales_beside_them_are_multiplied() {
    each_variant(|device| {
        let mut noise = Random(18);
        for (dtype, code) in
            [(TensorType::F8_E4M3, Code::E4M3), (TensorType::F8_E5M2, Code::E5M2), (TensorType::I8, Code::I8)]
        {
            for (m, k, n, group) in [(1, 64, 3, 64), (7, 96, 65, 16), (9, 160, 70, 32), (21, 256, 130, 128)] {
                let bytes = noise.blocks(dtype, n * k);
                let scales = noise.values(n * k / group);
                let shared = Shared::Blocks { rows: 1, columns: group, per_row: k / group };
                let layout = Layout::Scaled { code, group: Some(group).filter(|group| *group < k) };
                let beside = Scales { values: scales.clone(), shared, ..Scales::default() };
                let mut packer = Packer::new(layout, dtype, n, k).scaled(beside);
                packer.push(&bytes);
                let weight = PackedWeight::upload(packer.finish(), device);
                let (w, x) = (quant::dequantize(dtype, &bytes), noise.values(m * k));
                let value = |j: usize, l: usize| w[j * k + l] as f64 * scales[(j * k + l) / group] as f64;
                let sum = |i: usize, j: usize| (0..k).map(|l| x[i * k + l] as f64 * value(j, l)).sum::<f64>();
                let expected: Vec<f64> = (0..m * n).map(|at| sum(at / n, at % n)).collect();
                let what = format!("{layout:?} [{m}, {k}] x [{n}, {k}] on {}", device.adapter);
                check(&what, kernel::quant_matmul(matrix(&x, k, device), &weight), &expected, 5e-6);
            }
        }
    });
}

/// Every finite number of 8 and of 16 bits is multiplied with one exactly. Those of 16 that are subnormal are so beside
/// a largest number that leaves room for them, and never where an f32 would be.
#[test]
fn numbers_of_8_and_16_bits_are_decoded_exactly() {
    let k = 256;
    let ones: Vec<f32> = (0..k * k).map(|at| f32::from(u8::from(at / k == at % k))).collect();
    let codes = |skipped: fn(u8) -> bool| -> Vec<u8> {
        (0..=u8::MAX).map(|code| if skipped(code) { 0 } else { code }).collect()
    };
    let shorts = |sizes: std::ops::Range<u16>| -> Vec<u8> {
        sizes.flat_map(|size| [size, size | 0x8000]).flat_map(u16::to_le_bytes).collect()
    };
    let cases = [
        (TensorType::F8_E4M3, codes(|code| code & 0x7f == 0x7f)),
        (TensorType::F8_E5M2, codes(|code| code & 0x7c == 0x7c)),
        (TensorType::I8, codes(|_| false)),
        (TensorType::F16, shorts(0..0x4000)),
        (TensorType::F16, shorts(0x0400..0x7c00)),
        (TensorType::BF16, shorts(0x0080..0x7f80)),
    ];
    each_variant(|device| {
        for (dtype, bytes) in &cases {
            let w = quant::dequantize(*dtype, bytes);
            let n = w.len() / k;
            let weight = PackedWeight::upload(quant::pack(*dtype, bytes, n, k), device);
            let y = kernel::quant_matmul(matrix(&ones, k, device), &weight);
            let found: Vec<f32> = block_on(y.into_data_async()).unwrap().try_into_vec().unwrap();
            for (at, found) in found.iter().enumerate() {
                assert_eq!(*found, w[at % n * k + at / n], "{dtype:?} on {}", device.adapter);
            }
        }
    });
}

/// Joined weights give their parts' own results, bit for bit.
#[test]
fn joining_changes_no_bit() {
    let (k, sizes) = (128, [48, 7, 20]);
    each_variant(|device| {
        for dtype in
            [TensorType::Q4_1, TensorType::Q8_0, TensorType::F16, TensorType::BF16, TensorType::F8_E4M3]
        {
            let mut noise = Random(13);
            let pack =
                |noise: &mut Random| sizes.map(|n| quant::pack(dtype, &noise.blocks(dtype, n * k), n, k));
            let joined = quant::join_outputs(&pack(&mut noise)).unwrap();
            let joined = PackedWeight::upload(joined, device);
            let x = matrix(&noise.values(5 * k), k, device);
            let parts = pack(&mut Random(13)).map(|part| PackedWeight::upload(part, device));
            let each = parts.iter().map(|part| kernel::quant_matmul(x.clone(), part)).collect();
            let [found, expected] = [kernel::quant_matmul(x.clone(), &joined), Tensor::cat(each, 1)]
                .map(|y| block_on(y.into_data_async()).unwrap().try_into_vec::<f32>().unwrap());
            assert_eq!(found, expected, "{dtype:?} on {}", device.adapter);
        }
    });
    let pack = |dtype| quant::pack(dtype, &Random(1).blocks(dtype, 64), 1, 64);
    assert!(quant::join_outputs(&[pack(TensorType::Q4_1), pack(TensorType::Q8_0)]).is_none());
}

#[test]
fn scales_below_the_normal_range_of_f16_survive() {
    let (n, k) = (8, 64);
    let mut bytes = Random(2).blocks(TensorType::Q8_0, n * k);
    for block in bytes.chunks_exact_mut(34) {
        block[..2].copy_from_slice(&f16::from_f32(3e-6).to_le_bytes());
    }
    let w = quant::dequantize(TensorType::Q8_0, &bytes);
    each_variant(|device| {
        let weight = PackedWeight::upload(quant::pack(TensorType::Q8_0, &bytes, n, k), device);
        let found = kernel::quant_matmul(matrix(&vec![1.0; k], k, device), &weight);
        let expected: Vec<f64> = w.chunks(k).map(|row| row.iter().map(|w| *w as f64).sum()).collect();
        check("subnormal scales", found, &expected, 1e-5);
    });
}

#[test]
fn rms_norm_and_layer_mix_are_their_formulas() {
    each_variant(|device| {
        let mut noise = Random(3);
        for (rows, width) in [(1, 32), (5, 96), (17, 576), (3, 1000)] {
            let (x, weight, mix) =
                (noise.values(rows * width), noise.values(width), noise.values(rows * width));
            let (mut normed, mut mixed) = (Vec::new(), Vec::new());
            for (x, mix) in x.chunks(width).zip(mix.chunks(width)) {
                let mean = x.iter().map(|x| *x as f64).sum::<f64>() / width as f64;
                let square = x.iter().map(|x| (*x as f64).powi(2)).sum::<f64>() / width as f64;
                let variance = x.iter().map(|x| (*x as f64 - mean).powi(2)).sum::<f64>() / width as f64;
                normed.extend(
                    x.iter().zip(&weight).map(|(x, w)| *x as f64 / (square + 1e-6).sqrt() * *w as f64),
                );
                mixed.extend(
                    x.iter()
                        .zip(mix)
                        .map(|(x, m)| *m as f64 + 0.3 * (*x as f64 - mean) / (variance + 1e-5).sqrt()),
                );
            }
            let tensor = |values: &[f32]| matrix(values, width, device);
            check("rms_norm", kernel::rms_norm(tensor(&x), vector(&weight, device), 1e-6), &normed, 1e-5);
            check("layer_mix", kernel::layer_mix(tensor(&mix), tensor(&x), 0.3), &mixed, 1e-5);
        }
    });
}

#[test]
fn rotary_rotates_halves_after_the_norm() {
    // The last five columns belong to no head; the first two heads have the first norm.
    let (tokens, heads, h, columns) = (9, 3, 16, 53);
    let mut noise = Random(4);
    let (x, weight) = (noise.values(tokens * columns), noise.values(2 * h));
    let positions: Vec<u32> = (0..tokens as u32).map(|t| t * 37 % 50).collect();
    let rotated = |normed: bool| -> Vec<f64> {
        let mut output = Vec::new();
        for (t, head) in (0..tokens).flat_map(|t| (0..heads).map(move |head| (t, head))) {
            let values = &x[t * columns + head * h..][..h];
            let weight = &weight[head / 2 * h..];
            let square = values.iter().map(|x| (*x as f64).powi(2)).sum::<f64>() / h as f64;
            let value = |i: usize| match normed {
                true => values[i] as f64 / (square + 1e-6).sqrt() * weight[i] as f64,
                false => values[i] as f64,
            };
            let angle = |i: usize| positions[t] as f64 * 1e4f64.powf(-2.0 * i as f64 / h as f64);
            output.extend((0..h / 2).map(|i| value(i) * angle(i).cos() - value(i + h / 2) * angle(i).sin()));
            output.extend((0..h / 2).map(|i| value(i + h / 2) * angle(i).cos() + value(i) * angle(i).sin()));
        }
        output
    };
    let all = RotaryHeads { count: heads, dim: h };
    each_variant(|device| {
        let table = || gran_ted::kernel::rotary_table(h, 1e4, 50, device);
        let input = || matrix(&x, columns, device);
        let positions = || integers(&positions, device);
        check("rotary", kernel::rotary(input(), table(), positions(), all), &rotated(false), 1e-5);
        let weight = vector(&weight, device);
        let found = kernel::norm_rotary(input(), weight, table(), positions(), all, 2, 1e-6);
        check("norm_rotary", found, &rotated(true), 1e-5);
    });
}

#[test]
fn attention_runs_over_each_query_s_keys() {
    each_variant(|device| {
        let mut noise = Random(5);
        for (lengths, heads, kv_heads, h, causal) in [
            (vec![1], 2, 1, 16, true),
            (vec![8, 1, 9], 4, 2, 16, true),
            (vec![40, 3, 17], 9, 3, 64, true),
            (vec![35], 4, 4, 128, true),
            (vec![8, 1, 9], 8, 8, 8, false),
            (vec![40, 3, 17], 8, 8, 72, false),
            (vec![19], 8, 8, 512, false),
        ] {
            let tokens: usize = lengths.iter().sum();
            let [q, k, v] = [heads, kv_heads, kv_heads].map(|heads| noise.values(tokens * heads * h));
            let mut spans = Vec::new();
            for length in &lengths {
                let start = spans.len();
                let end = |t: usize| if causal { t + 1 } else { start + length };
                spans.extend((start..start + length).map(|t| [start as u32, end(t) as u32]));
            }
            let mut expected = Vec::new();
            for (t, head) in (0..tokens).flat_map(|t| (0..heads).map(move |head| (t, head))) {
                let row = |x: &[f32], heads: usize, j: usize, head: usize| {
                    x[(j * heads + head) * h..][..h].to_vec()
                };
                let group = head / (heads / kv_heads);
                let query = row(&q, heads, t, head);
                let keys: Vec<usize> = (spans[t][0] as usize..spans[t][1] as usize).collect();
                let score = |j: &usize| {
                    let key = row(&k, kv_heads, *j, group);
                    let dot: f64 = query.iter().zip(&key).map(|(a, b)| *a as f64 * *b as f64).sum();
                    (dot / (h as f64).sqrt()).exp()
                };
                let weights: Vec<f64> = keys.iter().map(score).collect();
                let total: f64 = weights.iter().sum();
                expected.extend((0..h).map(|d| {
                    let value = |(j, weight): (&usize, &f64)| weight * row(&v, kv_heads, *j, group)[d] as f64;
                    keys.iter().zip(&weights).map(value).sum::<f64>() / total
                }));
            }
            let sizes = AttentionHeads::new(heads, kv_heads, h);
            let found = kernel::attention(
                matrix(&q, heads * h, device),
                Some(matrix(&k, kv_heads * h, device)),
                matrix(&v, kv_heads * h, device),
                pairs(&spans, device),
                sizes,
            );
            check(&format!("attention {lengths:?} on {}", device.adapter), found, &expected, 1e-5);

            // The result is the same with k after q in one tensor, and v at the end of another.
            let joined = |parts: [(&[f32], usize); 2]| -> Tensor<2> {
                let rows = |t: usize| parts.map(|(x, heads)| &x[t * heads * h..][..heads * h]).concat();
                let columns = parts.iter().map(|(_, heads)| heads * h).sum();
                matrix(&(0..tokens).flat_map(rows).collect::<Vec<_>>(), columns, device)
            };
            let qk = joined([(&q, heads), (&k, kv_heads)]);
            let qv = joined([(&q, heads), (&v, kv_heads)]);
            let found = kernel::attention(qk, None, qv, pairs(&spans, device), sizes);
            check(&format!("joined attention {lengths:?} on {}", device.adapter), found, &expected, 1e-5);
        }
    });
}

#[test]
fn swiglu_and_segment_mean_are_their_formulas() {
    each_variant(|device| {
        let mut noise = Random(6);
        let (gate, up) = (noise.values(7 * 33), noise.values(7 * 33));
        let expected: Vec<f64> =
            gate.iter().zip(&up).map(|(g, u)| *g as f64 / (1.0 + (-*g as f64).exp()) * *u as f64).collect();
        let tensor = |values: &[f32]| matrix(values, 33, device);
        check("swiglu", kernel::glu(tensor(&gate), tensor(&up), Activation::Silu), &expected, 1e-5);

        let segments = [[0, 3], [3, 4], [4, 7], [6, 7]];
        let mean = |[first, end]: [usize; 2], d: usize| {
            (first..end).map(|t| gate[t * 33 + d] as f64).sum::<f64>() / (end - first) as f64
        };
        let expected: Vec<f64> = segments
            .iter()
            .flat_map(|segment| (0..33).map(|d| mean(*segment, d)).collect::<Vec<_>>())
            .collect();
        let flat: Vec<u32> = segments.iter().flatten().map(|row| *row as u32).collect();
        let segments = Tensor::from_data(TensorData::new(flat, [4, 2]), (device.burn(), DType::U32));
        check("segment_mean", kernel::segment_mean(tensor(&gate), segments), &expected, 1e-5);
    });
}

#[test]
fn multiply_adds_and_copy_are_their_formulas() {
    each_variant(|device| {
        let mut noise = Random(9);
        let x: Vec<f32> = noise.values(5 * 36).iter().map(|x| 0.4 + 0.1 * x).collect();
        let chain = |x: f64, j: usize| (0..19).fold(x + j as f64 / 16.0, |a, _| a * x + x);
        let expected: Vec<f64> = x.iter().map(|x| (0..16).map(|j| chain(*x as f64, j)).sum()).collect();
        check("multiply_adds", kernel::multiply_adds(matrix(&x, 36, device), 19), &expected, 1e-5);
        let expected: Vec<f64> = x.iter().map(|x| *x as f64).collect();
        check("copy", kernel::copy(matrix(&x, 36, device), 2), &expected, 1e-9);
    });
}

#[test]
fn round_bf16_is_half_s_own_rounding() {
    let mut noise = Random(8);
    let mut x = noise.values(300);
    // There are ties, which go to the even neighbor; a carry into the exponent; zeros; the largest finite bfloat16.
    x.extend([
        1.0 + 1.0 / 256.0,
        1.0 + 3.0 / 256.0,
        -1.0 - 1.0 / 256.0,
        1.999,
        0.0,
        -0.0,
        3.38e38,
        1e-30,
        -7.0,
    ]);
    x.truncate(x.len() / 3 * 3);
    let expected: Vec<f32> = x.iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
    each_variant(|device| {
        let found = kernel::round_bf16(matrix(&x, 3, device));
        let found: Vec<f32> = block_on(found.into_data_async()).unwrap().try_into_vec().unwrap();
        assert_eq!(found, expected, "on {}", device.adapter);
    });
}

#[test]
fn the_self_test_passes_on_every_device() {
    let usual = ModelKernels {
        heads: AttentionHeads::new(16, 8, 128),
        relative: false,
        layer_norm: false,
        activation: Activation::Silu,
        gated: true,
    };
    let others = [
        ModelKernels { relative: true, activation: Activation::GeluTanh, ..usual },
        ModelKernels { layer_norm: true, activation: Activation::QuickGelu, gated: false, ..usual },
        ModelKernels { heads: AttentionHeads { cap: Some(50.0), ..AttentionHeads::new(4, 4, 18) }, ..usual },
    ];
    each_variant(|device| {
        block_on(self_test(device)).unwrap();
        for model in [&[usual][..], &others].concat() {
            block_on(check_model(device, model)).unwrap();
        }
    });
}

/// A choice among the tiles changes no bit, so that it can be measured anew.
#[test]
fn every_tile_of_a_gpu_gives_the_same_bits() {
    let (device, mut noise) = (device::gpu(), Random(13));
    let read =
        |found: Tensor<2>| -> Vec<f32> { block_on(found.into_data_async()).unwrap().try_into_vec().unwrap() };
    for (dtype, m, k, n) in [
        (TensorType::Q4_1, 3, 64, 70),
        (TensorType::Q4_1, 67, 160, 130),
        (TensorType::Q8_0, 33, 96, 66),
        (TensorType::Q6_K, 70, 256, 258),
        (TensorType::F32, 65, 32, 6),
        (TensorType::F16, 65, 96, 70),
        (TensorType::BF16, 33, 32, 130),
        (TensorType::F8_E4M3, 70, 160, 66),
        (TensorType::F8_E5M2, 3, 64, 70),
        (TensorType::I8, 35, 96, 130),
        (TensorType::Q3_K, 70, 256, 66),
        (TensorType::IQ1_S, 33, 256, 130),
        (TensorType::MXFP4, 35, 96, 70),
    ] {
        let bytes = noise.blocks(dtype, n * k);
        let w = quant::dequantize(dtype, &bytes);
        let (x, residual) = (noise.values(m * k), noise.values(m * n));
        let weight = PackedWeight::upload(quant::pack(dtype, &bytes, n, k), &device);
        let input = || matrix(&x, k, &device);
        let sum = |i: usize, j: usize| (0..k).map(|l| x[i * k + l] as f64 * w[j * k + l] as f64).sum::<f64>();
        let expected: Vec<f64> = (0..m * n).map(|at| sum(at / n, at % n) + residual[at] as f64).collect();
        let mut first = None;
        for tile in GPU_TILES {
            let (added, gated) = as_tile(tile, || {
                let added = kernel::quant_matmul_add(input(), &weight, matrix(&residual, n, &device));
                (added, kernel::quant_matmul_glu(input(), &weight, Activation::Silu))
            });
            let what = format!("{dtype:?} [{m}, {k}] x [{n}, {k}] in {tile}");
            check(&what, added.clone(), &expected, if dtype.block_len() == 256 { 5e-4 } else { 1e-5 });
            let found = [read(added), read(gated)];
            assert!(*first.get_or_insert(found.clone()) == found, "{what}: other bits");
        }
    }
}

#[test]
fn tiles_are_measured_once_and_remembered() {
    let device = device::gpu();
    let layouts = [Layout::Packed8 { group: 16 }, Layout::Packed8 { group: 32 }];
    let mut tuning = Tuning::new(&device, &layouts, Arithmetic::F32, None);
    assert!(block_on(tuning.step()).unwrap().is_none(), "a software adapter has one tile");
    assert_eq!(tuning.finish(), None);

    let steps = |remembered: Option<&str>| {
        as_class(false, || {
            let mut tuning = Tuning::new(&device, &layouts, Arithmetic::F32, remembered);
            let steps = std::iter::from_fn(|| block_on(tuning.step()).unwrap()).collect::<Vec<_>>();
            assert_eq!(
                steps.len(),
                8,
                "classes of rows of the layout and of adapters, each at least checked"
            );
            (steps.iter().filter(|step| step.measured).count(), tuning.finish().unwrap())
        })
    };
    let (measured, found) = steps(None);
    assert_eq!(measured, 4, "classes of rows");
    assert_eq!(steps(Some(&found)), (0, found.clone()));
    // The choices for another model are not forgotten.
    let both = as_class(false, || {
        let mut tuning =
            Tuning::new(&device, &[Layout::Packed4 { group: 32 }], Arithmetic::F32, Some(&found));
        while block_on(tuning.step()).unwrap().is_some() {}
        tuning.finish().unwrap()
    });
    assert_eq!(steps(Some(&both)), (0, both.clone()));

    // A file that is no list, and a list of an older version.
    assert_eq!(steps(Some("no JSON")).0, 4);
    let mut chosen: serde_json::Value = serde_json::from_str(&found).unwrap();
    chosen["Packed8"][2] = "a tile that was dropped".into();
    assert_eq!(steps(Some(&chosen.to_string())).0, 1);
}

/// The codes of 32 values and their scale: the largest value, rounded up to 16 bits, is 127.
fn codes(x: &[f32]) -> (f64, Vec<f64>) {
    let largest = x.iter().fold(0f32, |all, x| all.max(x.abs()));
    let bits = (largest.to_bits() + 255) & !255;
    let largest = f32::from_bits(bits) as f64;
    if largest == 0.0 {
        return (0.0, vec![0.0; x.len()]);
    }
    // The inverse is 127 over the largest, in whole multiples of a power of two.
    let unit = 2f64.powi((bits >> 23) as i32 - 127 - 15);
    let inverse = (127.0 * 2f64.powi(25) / (largest / unit)).floor() / 2f64.powi(25) / unit;
    (largest / 127.0, x.iter().map(|x| ((x * inverse as f32).round_ties_even()) as f64).collect())
}

/// The product is `sum over groups of sx * sum_k q[k] * w[k]`, where `sx` and `q` are the scale and codes of a group of x. In
/// f64 nothing is rounded.
fn product_of_codes(x: &[f32], w: &[f32], k: usize) -> Expected {
    let rows = x.chunks(k).map(|row| {
        let groups = row.chunks(32).map(codes);
        groups.flat_map(|(scale, codes)| codes.into_iter().map(move |code| code * scale)).collect::<Vec<_>>()
    });
    let dot = |x: &[f64], w: &[f32]| [x.iter().zip(w).map(|(x, w)| x * *w as f64).sum(), 0.0];
    rows.flat_map(|x| w.chunks(k).map(|w| dot(&x, w)).collect::<Vec<_>>()).collect()
}

// --- products with rounded activations ---

/// Each value that is expected, and how far it may be off.
type Expected = Vec<[f64; 2]>;

/// One product: x `[m, k]`, weights `[n, k]` of a type, and a residual `[m, n]` that is added.
struct Case {
    dtype: TensorType,
    shape: [usize; 3],
    bytes: Vec<u8>,
    x: Vec<f32>,
    residual: Vec<f32>,
}

impl Case {
    /// Random values; `spoil` writes outliers into x, whose rows have the given length.
    fn new(
        random: &mut Random,
        dtype: TensorType,
        [m, k, n]: [usize; 3],
        spoil: fn(&mut [f32], usize),
    ) -> Self {
        let k = if dtype.block_len() == 256 { k } else { k - 96 };
        let bytes = random.blocks(dtype, n * k);
        let mut x = random.values(m * k);
        spoil(&mut x, k);
        Self { dtype, shape: [m, k, n], bytes, x, residual: random.values(m * n) }
    }

    fn packed(&self) -> Packed {
        let [_, k, n] = self.shape;
        quant::pack(self.dtype, &self.bytes, n, k)
    }

    /// The plain product, with the residual, and, where n is even, through SwiGLU.
    fn results(&self, arithmetic: Arithmetic, device: &Device) -> Vec<Vec<f32>> {
        let [_, k, n] = self.shape;
        let weight = PackedWeight::upload(self.packed(), device).computed_in(arithmetic);
        let input = || matrix(&self.x, k, device);
        let mut results = vec![
            kernel::quant_matmul(input(), &weight),
            kernel::quant_matmul_add(input(), &weight, matrix(&self.residual, n, device)),
        ];
        if n % 2 == 0 {
            results.push(kernel::quant_matmul_glu(input(), &weight, Activation::Silu));
        }
        let read = |found: Tensor<2>| block_on(found.into_data_async()).unwrap().try_into_vec().unwrap();
        results.into_iter().map(read).collect()
    }

    /// What the same three have to be where the plain product is `sums`.
    fn expected(&self, sums: Expected) -> Vec<Expected> {
        let [m, _, n] = self.shape;
        let added =
            sums.iter().zip(&self.residual).map(|([sum, off], value)| [sum + *value as f64, *off]).collect();
        let silu = |x: f64| x / (1.0 + (-x).exp());
        let gated = |at: usize| {
            let at = at / (n / 2) * n + at % (n / 2);
            let ([gate, gate_off], [up, up_off]) = (sums[at], sums[at + n / 2]);
            let off = 1.1 * gate_off; // the steepest that silu is
            [silu(gate) * up, off * up.abs() + (silu(gate).abs() + off) * up_off]
        };
        let gated = (0..m * (n / 2)).map(gated).collect();
        vec![sums, added, gated]
    }
}

/// The plain product of x `[m, k]` and w `[n, k]`.
type Oracle = fn(x: &[f32], w: &[f32], k: usize) -> Expected;

/// How far the sums and the residual in f32 may be off beside that: for a result by its place in [`Case::results`], a value of
/// it, and its largest value.
type Rounding = fn(result: usize, value: f64, largest: f64) -> f64;

/// Checks products of every quantized type in `arithmetic` over ragged shapes with `oracle`: on the CPU, on `gpu`, and there
/// in each of `tiles`, which all give the same bits. Gives the largest difference as a share of what is allowed.
fn check_products(
    (arithmetic, seed): (Arithmetic, u64),
    (gpu, tiles): (&Device, &[Tile]),
    spoil: fn(&mut [f32], usize),
    oracle: Oracle,
    rounding: Rounding,
) -> f64 {
    let mut random = Random(seed);
    let mut worst = 0f64;
    for dtype in QUANTIZED {
        for shape in [[1, 256, 64], [5, 256, 3], [7, 512, 65], [33, 768, 70], [70, 256, 130]] {
            let case = Case::new(&mut random, dtype, shape, spoil);
            let [m, k, n] = case.shape;
            let all = case.expected(oracle(&case.x, &unpacked(&case.packed()), k));
            let mut run = |device: &Device, on: &str| {
                let results = case.results(arithmetic, device);
                for (result, (found, expected)) in results.iter().zip(&all).enumerate() {
                    assert_eq!(found.len(), expected.len());
                    let largest = expected.iter().fold(0f64, |all, [value, _]| all.max(value.abs()));
                    for (at, (found, [value, off])) in found.iter().zip(expected).enumerate() {
                        let off = off + rounding(result, *value, largest);
                        let share = (*found as f64 - value).abs() / off;
                        assert!(
                            share <= 1.0,
                            "{dtype:?} [{m}, {k}] x [{n}, {k}], {on}: {found} at {at} of result {result}, \
                             expected {value} within {off:e}"
                        );
                        worst = worst.max(share);
                    }
                }
                results
            };
            run(&Device::cpu(), "the twin");
            let own = run(gpu, "on wgpu");
            for tile in tiles {
                let found = as_tile(*tile, || run(gpu, &tile.to_string()));
                assert!(found == own, "{dtype:?} [{m}, {k}] x [{n}, {k}] in {tile}: other bits");
            }
        }
    }
    worst
}

/// Activations have outliers, a group of zeros and values that stand half-way between two codes.
#[test]
fn products_in_int8_are_those_of_rounded_activations() {
    let spoil = |x: &mut [f32], _: usize| {
        x[3] = 2000.0;
        x[32..64].fill(0.0);
        let halves = (0..32).map(|i| if i == 0 { 127.0 } else { i as f32 - 0.5 });
        x[64..96].iter_mut().zip(halves).for_each(|(x, half)| *x = half);
    };
    let rounding = |result: usize, _: f64, largest: f64| [2e-6, 2e-6, 1e-5][result] * largest;
    check_products((Arithmetic::Int8, 14), (&device::gpu(), &INT8_TILES), spoil, product_of_codes, rounding);
}

/// The tests' adapter, which computes in half precision: without one these tests fail.
fn f16_gpu() -> Device {
    let device = device::gpu();
    assert!(device.has_f16, "a driver with shader-f16, e.g. Mesa's llvmpipe, not {}", device.adapter);
    device
}

/// `sum_k x[k] * w[k]`, and how far it may be off where each of x, w, eight products and their eight sums is rounded to f16's
/// 11 bits: (1 + 2^-11)^11 - 1 of the magnitudes. What f16 holds as subnormal, or a device flushes, is below 2^-14: of x that
/// is 2^-17 of the largest of 32, of products and weights no more beside the largest weight, which stands for at least 8.
fn product_of_halves(x: &[f32], w: &[f32], k: usize) -> Expected {
    let rounded = (1.0 + 2f64.powi(-11)).powi(11) - 1.0;
    let largest = |values: &[f32]| values.iter().fold(0f32, |all, value| all.max(value.abs())) as f64;
    let flushed = 3.0 * 2f64.powi(-17) * largest(w);
    let dot = |x: &[f32], w: &[f32]| {
        let products = || x.iter().zip(w).map(|(x, w)| *x as f64 * *w as f64);
        let peaks: f64 = x.chunks(32).map(|group| 32.0 * largest(group)).sum();
        [products().sum(), rounded * products().map(f64::abs).sum::<f64>() + flushed * peaks]
    };
    x.chunks(k).flat_map(|x| w.chunks(k).map(|w| dot(x, w)).collect::<Vec<_>>()).collect()
}

/// Activations have a row and single values far beyond f16, a group of zeros, and one whose values are nothing beside f16's
/// smallest.
#[test]
fn products_in_f16_are_within_their_roundings() {
    let spoil = |x: &mut [f32], k: usize| {
        x[3] = 1e5;
        x[32..64].fill(0.0);
        x[64..96].iter_mut().for_each(|x| *x *= 1e-12);
        let last_row = x.len() - k;
        x[last_row + 96..].iter_mut().for_each(|x| *x *= 3e4);
    };
    let rounding = |_: usize, value: f64, _: f64| 1e-6 * value.abs() + 1e-6;
    let worst =
        check_products((Arithmetic::F16, 16), (&f16_gpu(), &F16_TILES), spoil, product_of_halves, rounding);
    println!("{worst:.3} of the largest difference that is possible");
}

/// The weights are the largest that there can be, the activations are just below a power of two, and all have one sign.
#[test]
fn the_largest_products_in_f16_do_not_overflow() {
    let (k, one) = (64, f16::from_f32(1.0).to_le_bytes());
    let x = vec![131_071f32; k];
    for (dtype, block, w) in [
        (TensorType::Q8_0, [&one[..], &[128; 32]].concat(), -128.0),
        (TensorType::Q4_1, [&one[..], &one, &[255; 16]].concat(), 16.0),
    ] {
        let expected = k as f64 * 131_071.0 * w;
        for device in [Device::cpu(), f16_gpu()] {
            let weight = PackedWeight::upload(quant::pack(dtype, &block.repeat(k / 32), 1, k), &device);
            let y = kernel::quant_matmul(matrix(&x, k, &device), &weight.computed_in(Arithmetic::F16));
            check(&format!("{dtype:?} on {}", device.adapter), y, &[expected], 1e-3);
        }
    }
}

/// Differences are relative to the largest value. llvmpipe rounds as the twin does, bit for bit; a GPU may fuse.
#[test]
fn f16_is_its_twin_and_near_f32() {
    let gpu = f16_gpu();
    let mut noise = Random(17);
    let (m, k, n) = (33, 768, 70);
    let x = noise.values(m * k);
    for dtype in QUANTIZED {
        let bytes = noise.blocks(dtype, n * k);
        let run = |device: &Device, arithmetic| {
            let weight = PackedWeight::upload(quant::pack(dtype, &bytes, n, k), device);
            let y = kernel::quant_matmul(matrix(&x, k, device), &weight.computed_in(arithmetic));
            block_on(y.into_data_async()).unwrap().try_into_vec::<f32>().unwrap()
        };
        let found = run(&gpu, Arithmetic::F16);
        let largest = found.iter().fold(0f32, |all, y| all.max(y.abs()));
        let apart = |other: Vec<f32>| {
            found.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max) / largest
        };
        let [twin, f32] =
            [Arithmetic::F16, Arithmetic::F32].map(|arithmetic| apart(run(&Device::cpu(), arithmetic)));
        println!("{dtype:?}: {twin:.1e} from the twin, {f32:.1e} from f32");
        let fused = if gpu.adapter.contains("llvmpipe") { 0.0 } else { 1e-3 };
        assert!(twin <= fused && f32 < 2e-3 && f32 > 1e-5, "{dtype:?}: {twin:e}, {f32:e}");
    }
}

#[test]
fn dense_weights_stay_in_f32() {
    let mut noise = Random(15);
    let (x, bytes) = (noise.values(5 * 64), noise.blocks(TensorType::F32, 7 * 64));
    each_variant(|device| {
        let [f16, int8, expected] = [Arithmetic::F16, Arithmetic::Int8, Arithmetic::F32].map(|arithmetic| {
            let weight = PackedWeight::upload(quant::pack(TensorType::F32, &bytes, 7, 64), device);
            let y = kernel::quant_matmul(matrix(&x, 64, device), &weight.computed_in(arithmetic));
            block_on(y.into_data_async()).unwrap().try_into_vec::<f32>().unwrap()
        });
        assert_eq!([&f16, &int8], [&expected; 2]);
    });
}

/// Each tile is checked before it is taken, also where there is nothing to choose.
#[test]
fn tiles_of_f16_and_int8_are_measured_or_checked() {
    let device = f16_gpu();
    let layouts = [
        Layout::Packed4 { group: 32 },
        Layout::Packed4 { group: 16 },
        Layout::Packed8 { group: 16 },
        Layout::Packed8 { group: 32 },
    ];
    // Groups of both sizes share the kernels of f16.
    for (arithmetic, classes) in [(Arithmetic::F16, 8), (Arithmetic::Int8, 16)] {
        let steps = |remembered: Option<&str>| {
            let mut tuning = Tuning::new(&device, &layouts, arithmetic, remembered);
            let steps = std::iter::from_fn(|| block_on(tuning.step()).unwrap()).collect::<Vec<_>>();
            (steps.len(), steps.iter().filter(|step| step.measured).count(), tuning.finish())
        };
        assert_eq!(steps(None), (16, 0, None), "a software adapter");
        as_class(false, || {
            let (all, measured, found) = steps(None);
            assert_eq!((all, measured), (classes + 4, classes), "classes of rows, and of adapters");
            assert_eq!(steps(found.as_deref()), (classes + 4, 0, found.clone()));
        });
    }
}

/// The values that the device reads from a packed weight, row by row.
fn unpacked(packed: &Packed) -> Vec<f32> {
    let (per_word, group) = (packed.layout.per_word(), packed.layout.group(packed.in_features).unwrap());
    let n = packed.out_features;
    let value = |row: usize, l: usize| {
        let word = packed.words[l / per_word * n + row] >> (l % per_word * 32 / per_word);
        let code = match packed.layout {
            Layout::Packed4 { .. } => (word & 15) as f32,
            Layout::Scaled { code: Code::I4, .. } => (word & 15) as f32 - 8.0,
            Layout::Scaled { code: Code::Odd4, .. } => (word & 15) as f32 - 7.5,
            Layout::Scaled { code: Code::F4, .. } => {
                let size = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0][word as usize & 7];
                if word & 8 == 0 { size } else { -size }
            }
            _ => word as u8 as i8 as f32,
        };
        let [scale, min] = scale_and_min(packed, row, l / group);
        code * scale + min
    };
    (0..n).flat_map(|row| (0..packed.in_features).map(move |l| value(row, l))).collect()
}

fn scale_and_min(packed: &Packed, row: usize, group: usize) -> [f32; 2] {
    let pair = packed.scales[group * packed.out_features + row];
    if let Layout::Scaled { .. } = packed.layout {
        return [f32::from_bits(pair), 0.0];
    }
    [pair, pair >> 16].map(|bits| f16::from_bits(bits as u16).to_f32() * packed.factor)
}

/// Dequantizing the packed layout gives the codec's own values: exactly, or, for K-quants, within f16's rounding of the scale
/// and of the minimum.
#[test]
fn packing_loses_no_code() {
    use TensorType::{Q2_K, Q4_K, Q5_K, Q6_K};
    let mut noise = Random(7);
    for dtype in QUANTIZED.into_iter().chain(OTHERS) {
        // 21 is not a multiple of the 16 rows that are turned into columns together.
        let (n, k) = (21, 512);
        let bytes = noise.blocks(dtype, n * k);
        let values = quant::dequantize(dtype, &bytes);
        let packed = quant::pack(dtype, &bytes, n, k);
        let group = packed.layout.group(k).unwrap();
        for (at, (found, value)) in unpacked(&packed).iter().zip(&values).enumerate() {
            let [_, min] = scale_and_min(&packed, at / k, at % k / group);
            let exact = ![Q2_K, Q4_K, Q5_K, Q6_K].contains(&dtype);
            let scaled = (value - min).abs() + min.abs();
            let limit = if exact { 0.0 } else { scaled / 2048.0 * 1.01 };
            assert!((found - value).abs() <= limit, "{dtype:?} {at}: {found} is not {value}");
        }
    }
}

const DENSE: [TensorType; 3] = [TensorType::F32, TensorType::F16, TensorType::BF16];

fn pack_dense(dtype: TensorType, quantize: Quantize, bytes: &[u8], n: usize, k: usize) -> Packed {
    quant::pack_as(Layout::packed(dtype, Some(quantize)), dtype, bytes, n, k)
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn dense_weights_are_packed_within_half_a_step() {
    let mut noise = Random(9);
    for dtype in DENSE {
        let (n, k) = (37, 96);
        let bytes = noise.blocks(dtype, n * k);
        let values = quant::dequantize(dtype, &bytes);
        let q8 = unpacked(&pack_dense(dtype, Quantize::Q8, &bytes, n, k));
        let q4 = unpacked(&pack_dense(dtype, Quantize::Q4, &bytes, n, k));
        for ((group, q8), q4) in values.chunks(32).zip(q8.chunks(32)).zip(q4.chunks(32)) {
            let largest = |found: &[f32]| {
                found.iter().zip(group).map(|(found, value)| (found - value).abs()).fold(0f32, f32::max)
            };
            let (min, max) = group.iter().fold((f32::MAX, f32::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
            // The factor 1.002 is for scales, which are rounded to eleven bits.
            let half_step = max.abs().max(min.abs()) / 127.0 / 2.0 * 1.002;
            assert!(largest(q8) <= half_step, "{dtype:?}: {:e} above {half_step:e}", largest(q8));
            // Least squares moves the ends by up to half a step more, where that is better for the others.
            let step = (max - min) / 15.0 * 1.002;
            assert!(largest(q4) <= step, "{dtype:?}: {:e} above {step:e}", largest(q4));
            let (squares, formula) = (squares(group, q4), squares(group, &formula4(group)));
            assert!(squares <= formula, "{dtype:?}: {squares:e} is worse than the formula's {formula:e}");
        }
    }
}

fn squares(values: &[f32], found: &[f32]) -> f64 {
    values.iter().zip(found).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

/// The values of Q4_1 by its formula alone: d = (max - min) / 15, m = min, both as f16.
fn formula4(group: &[f32]) -> Vec<f32> {
    let (min, max) = group.iter().fold((f32::MAX, f32::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
    let [d, m] = [(max - min) / 15.0, min].map(|value| f16::from_f32(value).to_f32());
    group.iter().map(|x| ((x - m) / d).round().clamp(0.0, 15.0) * d + m).collect()
}

#[test]
fn what_a_group_can_hold_comes_back_exactly() {
    let mut noise = Random(10);
    let (mut eights, mut fours) = (Vec::new(), Vec::new());
    for _ in 0..64 {
        let [d, m] = [noise.unit() * 0.01, noise.unit()].map(|value| f16::from_f32(value).to_f32());
        let codes: Vec<f32> = noise.values(31).iter().map(|value| (value * 127.0).round()).collect();
        eights.push(127.0 * d.abs());
        eights.extend(codes.iter().map(|code| code * d.abs()));
        fours.extend([m, 15.0 * d.abs() + m]);
        fours.extend(codes[..30].iter().map(|code| (code.abs() / 127.0 * 15.0).round() * d.abs() + m));
    }
    for (values, quantize) in [(&eights, Quantize::Q8), (&fours, Quantize::Q4)] {
        // A group of zeros and a group of one value are added.
        let values = [&values[..], &[0.0; 32], &[-0.25; 32]].concat();
        let values = if quantize == Quantize::Q8 { &values[..values.len() - 32] } else { &values };
        let packed = pack_dense(TensorType::F32, quantize, &f32_bytes(values), values.len() / 32, 32);
        assert_eq!(unpacked(&packed), values, "{quantize:?}");
    }
}

/// The figures beside `ROUNDS` in src/quant/encode.rs come from here: from normal values, and from the default model's token
/// table, which is Q8_0, so that no 4-bit rounding has touched it.
#[test]
fn least_squares_takes_six_hundredths_off_the_error() {
    let mut noise = Random(11);
    let normal: Vec<f32> = (0..1 << 20).map(|_| noise.values(12).iter().sum::<f32>() / 2.0).collect();
    let file = DiskFile::open(&files::default_model()).unwrap();
    let gguf = block_on(Gguf::read(&file)).unwrap();
    let table = gguf.tensors.iter().find(|tensor| tensor.name == "token_embd.weight").unwrap();
    let bytes = block_on(file.read(table.range.start..table.range.start + 34 * 18 * 2048)).unwrap();
    let table = quant::dequantize(TensorType::Q8_0, &bytes);
    for (name, values) in [("normal values", normal), ("token table", table)] {
        let rows = values.len() / 64;
        let root = |squares: f64| {
            (squares / values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>()).sqrt()
        };
        let pack = |quantize| pack_dense(TensorType::F32, quantize, &f32_bytes(&values), rows, 64);
        let [q8, q4] =
            [Quantize::Q8, Quantize::Q4].map(|quantize| root(squares(&values, &unpacked(&pack(quantize)))));
        let formula: Vec<f32> = values.chunks(32).flat_map(formula4).collect();
        let formula = root(squares(&values, &formula));
        println!("{name}: q8 {q8:.4}, q4 {q4:.4}, {:.3} of the formula's {formula:.4}", q4 / formula);
        assert!(q4 < 0.94 * formula, "{name}: {q4} beside {formula}");
        assert!(q4 < 0.09 && q8 < 0.006, "{name}: q4 {q4}, q8 {q8}");
    }
}

#[test]
fn a_packed_value_that_is_not_a_number_is_seen() {
    for quantize in [Quantize::Q8, Quantize::Q4] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![0.5; 64];
            assert!(pack_dense(TensorType::F32, quantize, &f32_bytes(&values), 1, 64).is_finite());
            values[40] = bad;
            assert!(!pack_dense(TensorType::F32, quantize, &f32_bytes(&values), 1, 64).is_finite(), "{bad}");
        }
    }
}

#[test]
fn a_scale_or_a_minimum_that_is_not_finite_is_seen_wherever_it_stands() {
    // 600 rows of two blocks: more scales than are looked at together.
    let block = [&[0, 0x3c, 0, 0xbc][..], &[0x5a; 16]].concat();
    let good = block.repeat(1200);
    assert!(quant::pack(TensorType::Q4_1, &good, 600, 64).is_finite());
    for bad in [0x7c00_u16, 0xfc00, 0x7e00] {
        for (block, at) in [(0, 0), (0, 2), (599, 2), (1023, 0), (1199, 0), (1199, 2)] {
            let mut bytes = good.clone();
            bytes[block * 20 + at..][..2].copy_from_slice(&bad.to_le_bytes());
            assert!(
                !quant::pack(TensorType::Q4_1, &bytes, 600, 64).is_finite(),
                "{bad:#x} at {at} of block {block}"
            );
        }
    }
    let mut values = vec![0.5; 32 * 64];
    assert!(quant::pack(TensorType::F32, &f32_bytes(&values), 32, 64).is_finite());
    values[32 * 64 - 1] = f32::NAN;
    assert!(!quant::pack(TensorType::F32, &f32_bytes(&values), 32, 64).is_finite());
}
