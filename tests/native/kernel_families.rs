//! The operations and options that only some families need, against plain loops: on the CPU and on wgpu, as kernel.rs.

use crate::kernel::{check, each_variant, matrix, pairs, vector};
use crate::support::model::Random;
use gran_ted::format::TensorType;
use gran_ted::kernel::{self, Activation, AttentionHeads, PackedWeight};
use gran_ted::quant;

#[test]
fn layer_norm_is_its_formula() {
    each_variant(|device| {
        let mut noise = Random(41);
        for (rows, width) in [(1, 4), (5, 33), (3, 768), (9, 1100)] {
            // A mean far from zero: squares around zero would lose digits.
            let x: Vec<f32> = noise.values(rows * width).iter().map(|x| x + 30.0).collect();
            let (weight, bias) = (noise.values(width), noise.values(width));
            let row = |x: &[f32]| -> Vec<f64> {
                let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / width as f64;
                let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / width as f64;
                let normed = x.iter().map(|x| (f64::from(*x) - mean) / (variance + 1e-5).sqrt());
                normed.zip(&weight).zip(&bias).map(|((x, w), b)| x * f64::from(*w) + f64::from(*b)).collect()
            };
            let expected: Vec<f64> = x.chunks(width).flat_map(row).collect();
            let (weight, bias) = (vector(&weight, device), vector(&bias, device));
            let found = kernel::layer_norm(matrix(&x, width, device), weight, bias, 1e-5);
            check(&format!("layer_norm [{rows}, {width}] on {}", device.adapter), found, &expected, 5e-5);
        }
    });
}

fn activated(activation: Activation, v: f64) -> f64 {
    match activation {
        Activation::Silu => v / (1.0 + (-v).exp()),
        Activation::QuickGelu => v / (1.0 + (-1.702 * v).exp()),
        Activation::Relu => v.max(0.0),
        Activation::GeluTanh => {
            0.5 * v * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (v + 0.044715 * v.powi(3))).tanh())
        }
        // The error function by Simpson's rule.
        Activation::Gelu => {
            let (steps, end) = (2000, v / 2f64.sqrt());
            let h = end / f64::from(steps);
            let at = |i: i32| (-(h * f64::from(i)).powi(2)).exp();
            let inner: f64 = (1..steps).map(|i| if i % 2 == 1 { 4.0 * at(i) } else { 2.0 * at(i) }).sum();
            let erf = 2.0 / std::f64::consts::PI.sqrt() * h / 3.0 * (at(0) + inner + at(steps));
            0.5 * v * (1.0 + erf)
        }
    }
}

const ACTIVATIONS: [Activation; 5] =
    [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu, Activation::Relu];

/// Products end with any activation, gated or not, with and without a bias; and gates that were computed alone.
#[test]
fn products_end_with_every_activation() {
    each_variant(|device| {
        let mut noise = Random(42);
        for (dtype, m, k, n) in
            [(TensorType::F32, 5, 64, 70), (TensorType::Q8_0, 17, 96, 66), (TensorType::Q4_1, 3, 64, 40)]
        {
            let bytes = noise.blocks(dtype, n * k);
            let w = quant::dequantize(dtype, &bytes);
            let (x, bias) = (noise.values(m * k), noise.values(n));
            let sum = |i: usize, j: usize| -> f64 {
                (0..k).map(|l| f64::from(x[i * k + l]) * f64::from(w[j * k + l])).sum()
            };
            let each = |width: usize, value: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
                (0..m).flat_map(|i| (0..width).map(move |j| value(i, j))).collect()
            };
            let weight = PackedWeight::upload(quant::pack(dtype, &bytes, n, k), device);
            for activation in ACTIVATIONS {
                let what = |end: &str| format!("{dtype:?} {activation:?} {end} on {}", device.adapter);
                let input = || matrix(&x, k, device);
                let found = kernel::quant_matmul_act(input(), &weight, None, activation);
                check(&what("plain"), found, &each(n, &|i, j| activated(activation, sum(i, j))), 2e-5);
                let found =
                    kernel::quant_matmul_act(input(), &weight, Some(vector(&bias, device)), activation);
                let expected = each(n, &|i, j| activated(activation, sum(i, j) + f64::from(bias[j])));
                check(&what("bias"), found, &expected, 2e-5);
                let found = kernel::quant_matmul_glu(input(), &weight, activation);
                let gated = |i: usize, j: usize| activated(activation, sum(i, j)) * sum(i, j + n / 2);
                check(&what("gated"), found, &each(n / 2, &gated), 2e-5);
                let (gate, up) = (&x[..m * 32], &x[m * k - m * 32..]);
                let expected: Vec<f64> = gate
                    .iter()
                    .zip(up)
                    .map(|(gate, up)| activated(activation, f64::from(*gate)) * f64::from(*up))
                    .collect();
                let found = kernel::glu(matrix(gate, 32, device), matrix(up, 32, device), activation);
                check(&what("glu"), found, &expected, 1e-5);
            }
        }
    });
}

/// An x that is narrower than the weight counts as filled up with zeros.
#[test]
fn a_product_takes_an_x_of_its_own_width() {
    each_variant(|device| {
        let mut noise = Random(43);
        let (m, own, full, n) = (7, 60, 64, 20);
        let w = noise.values(n * full);
        let x = noise.values(m * own);
        let bytes: Vec<u8> = w.iter().flat_map(|w| w.to_le_bytes()).collect();
        let weight = PackedWeight::upload(quant::pack(TensorType::F32, &bytes, n, full), device);
        let sum = |i: usize, j: usize| -> f64 {
            (0..own).map(|l| f64::from(x[i * own + l]) * f64::from(w[j * full + l])).sum()
        };
        let expected: Vec<f64> =
            (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| sum(i, j)).collect();
        check("a narrow x", kernel::quant_matmul(matrix(&x, own, device), &weight), &expected, 1e-5);
    });
}

/// Scores have a scale and a cap of their own, and biases by distance, over windows and whole texts.
#[test]
fn scores_are_scaled_capped_and_biased() {
    const REACH: usize = 6;
    each_variant(|device| {
        let mut noise = Random(44);
        let lengths = [3usize, 21, 1];
        let tokens: usize = lengths.iter().sum();
        for (count, kv, dim, cap, biased, window) in [
            (4, 4, 24, None, true, usize::MAX),
            (6, 2, 8, Some(2.0f32), false, 5),
            (8, 8, 64, Some(0.7), true, usize::MAX),
            (2, 1, 16, None, true, 4),
        ] {
            let qk = noise.values(tokens * (count + kv) * dim);
            let v = noise.values(tokens * kv * dim);
            let bias = noise.values((2 * REACH + 1) * count);
            let mut spans = Vec::new();
            let mut start = 0;
            for length in lengths {
                for token in start..start + length {
                    let first = start.max(token.saturating_sub(window));
                    spans.push([first as u32, (start + length).min(token.saturating_add(window)) as u32]);
                    // No span is empty, and each has its own token.
                    let last = spans.last_mut().unwrap();
                    last[1] = last[1].max(token as u32 + 1);
                }
                start += length;
            }
            let heads = AttentionHeads { scale: 0.31, cap, ..AttentionHeads::new(count, kv, dim) };
            let row = (count + kv) * dim;
            let mut expected = Vec::new();
            for token in 0..tokens {
                for head in 0..count {
                    let group = head / (count / kv);
                    let keys: Vec<usize> = (spans[token][0] as usize..spans[token][1] as usize).collect();
                    let score = |key: &usize| {
                        let q = &qk[token * row + head * dim..][..dim];
                        let k = &qk[key * row + (count + group) * dim..][..dim];
                        let dot: f64 = q.iter().zip(k).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                        let mut score = dot * f64::from(heads.scale);
                        if let Some(cap) = cap {
                            score = f64::from(cap) * (score / f64::from(cap)).tanh();
                        }
                        if biased {
                            let reach = REACH as isize;
                            let distance = (*key as isize - token as isize).clamp(-reach, reach) + reach;
                            score += f64::from(bias[distance as usize * count + head]);
                        }
                        score.exp()
                    };
                    let weights: Vec<f64> = keys.iter().map(score).collect();
                    let total: f64 = weights.iter().sum();
                    expected.extend((0..dim).map(|d| {
                        let value = |(key, weight): (&usize, &f64)| {
                            weight * f64::from(v[key * kv * dim + group * dim + d])
                        };
                        keys.iter().zip(&weights).map(value).sum::<f64>() / total
                    }));
                }
            }
            let (qk, v, spans) =
                (matrix(&qk, row, device), matrix(&v, kv * dim, device), pairs(&spans, device));
            let found = match biased {
                true => kernel::attention_relative(qk, v, spans, matrix(&bias, count, device), heads),
                false => kernel::attention(qk, None, v, spans, heads),
            };
            let what = format!("{count} heads of {dim}, cap {cap:?}, biased {biased} on {}", device.adapter);
            check(&what, found, &expected, 1e-5);
        }
    });
}
