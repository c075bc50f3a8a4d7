//! The table of rotary position embedding: `angle(p, i) = p * theta^(-2 i / head_dim)`.
//!
//! Qwen3-VL's interleaved M-RoPE is exactly this on text alone.

use crate::device::Device;
use burn::tensor::{Tensor, TensorData};

/// `[positions, head_dim]`: the cosines of the `head_dim / 2` angles, then their sines, computed in f64.
pub fn table(head_dim: usize, theta: f64, positions: usize, device: &Device) -> Tensor<2> {
    let half = head_dim / 2;
    let mut values = Vec::with_capacity(positions * head_dim);
    for position in 0..positions {
        let angle = |i: usize| position as f64 * theta.powf(-2.0 * i as f64 / head_dim as f64);
        values.extend((0..half).map(|i| angle(i).cos() as f32));
        values.extend((0..half).map(|i| angle(i).sin() as f32));
    }
    device
        .keep(TensorData::new(values, [positions, head_dim]), |data, device| Tensor::from_data(data, device))
}
