//! The table of rotary position embedding (arXiv 2104.09864): `angle(p, i) = p * theta^(-2 i / head_dim)`.
//!
//! Qwen3-VL's interleaved M-RoPE is exactly this for text.

use crate::device::Device;
use burn::tensor::{Tensor, TensorData};
use half::bf16;

/// The table `[positions, head_dim]`: in each row the cosines of the position's `head_dim / 2` angles, then their
/// sines, computed in f64.
pub fn table(head_dim: usize, theta: f64, positions: usize, device: &Device) -> Tensor<2> {
    table_of(&frequencies(head_dim, theta), 1.0, positions, device)
}

/// The frequencies `theta^(-2 i / head_dim)`, i < `head_dim / 2`.
pub fn frequencies(head_dim: usize, theta: f64) -> Vec<f64> {
    (0..head_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64)).collect()
}

/// As [`table`], of any frequencies: `angle(p, i) = p * frequencies[i]`; cosines and sines are multiplied by `amplitude`.
pub fn table_of(frequencies: &[f64], amplitude: f64, positions: usize, device: &Device) -> Tensor<2> {
    let angle = |position: usize, i: usize| position as f64 * frequencies[i];
    make(2 * frequencies.len(), positions, device, angle, |x| (x * amplitude) as f32)
}

/// The table of [`table`] with every step rounded to bfloat16, as the reference's adapters compute it: of the positions
/// above 256, two or more share a row's values.
pub fn table_bf16(head_dim: usize, theta: f64, positions: usize, device: &Device) -> Tensor<2> {
    let round = |x: f64| bf16::from_f32(x as f32).to_f64();
    let frequency = |i: usize| {
        let exponent = round(round(2.0 * i as f64) / head_dim as f64);
        round(1.0 / round(theta.powf(exponent)))
    };
    let angle = |position: usize, i: usize| round(round(position as f64) * frequency(i));
    make(head_dim, positions, device, angle, |x| round(x) as f32)
}

/// Fills a table: `stored` rounds the cosines and sines of `angle(position, i)`.
fn make(
    head_dim: usize,
    positions: usize,
    device: &Device,
    angle: impl Fn(usize, usize) -> f64,
    stored: impl Fn(f64) -> f32,
) -> Tensor<2> {
    let half = head_dim / 2;
    let mut values = Vec::with_capacity(positions * head_dim);
    for position in 0..positions {
        values.extend((0..half).map(|i| stored(angle(position, i).cos())));
        values.extend((0..half).map(|i| stored(angle(position, i).sin())));
    }
    device
        .keep(TensorData::new(values, [positions, head_dim]), |data, device| Tensor::from_data(data, device))
}
