//! The table of rotary position embedding: `angle(p, i) = p * theta^(-2 i / head_dim)`.
//!
//! Qwen3-VL's interleaved M-RoPE is exactly this on text alone.

use crate::device::Device;
use burn::tensor::{Tensor, TensorData};
use half::bf16;

/// `[positions, head_dim]`: the cosines of the `head_dim / 2` angles, then their sines, computed in f64.
pub fn table(head_dim: usize, theta: f64, positions: usize, device: &Device) -> Tensor<2> {
    let frequencies: Vec<_> =
        (0..head_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64)).collect();
    let angle = |position: usize, i: usize| position as f64 * frequencies[i];
    make(head_dim, positions, device, angle, |x| x as f32)
}

/// The same with every step rounded to bfloat16, as the reference's adapters compute it: positions above 256 fall
/// together in twos and more.
pub fn table_bf16(head_dim: usize, theta: f64, positions: usize, device: &Device) -> Tensor<2> {
    let round = |x: f64| bf16::from_f32(x as f32).to_f64();
    let frequency = |i: usize| {
        let exponent = round(round(2.0 * i as f64) / head_dim as f64);
        round(1.0 / round(theta.powf(exponent)))
    };
    let angle = |position: usize, i: usize| round(round(position as f64) * frequency(i));
    make(head_dim, positions, device, angle, |x| round(x) as f32)
}

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
