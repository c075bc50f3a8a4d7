//! Speed of the quantized product beside Burn's own quantized matmul, in one run: `./build.sh bench`.

#[path = "common/device.rs"]
mod device;
#[path = "common/noise.rs"]
mod noise;

use burn::tensor::quantization::{QuantScheme, QuantStore, QuantValue};
use burn::tensor::{Tensor, TensorData};
use gran_ted::device::Device;
use gran_ted::format::TensorType;
use gran_ted::kernel::{self, PackedWeight, quant};
use noise::Noise;
use pollster::block_on;
use std::time::Instant;

const SHAPE: [usize; 3] = [256, 576, 1536];

/// Median seconds of `runs` runs after a first one, whose seconds come along: it compiles the kernel.
fn seconds(runs: usize, run: impl Fn() -> Tensor<2>) -> (f64, f64) {
    let mut times: Vec<f64> = (0..=runs)
        .map(|_| {
            let start = Instant::now();
            let data = block_on(run().into_data_async()).unwrap();
            assert!(data.iter::<f32>().all(f32::is_finite));
            start.elapsed().as_secs_f64()
        })
        .collect();
    let first = times.remove(0);
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], first)
}

fn compare(device: &Device) -> f64 {
    let [m, k, n] = SHAPE;
    let mut noise = Noise::new(1);
    let x = Tensor::<2>::from_data(TensorData::new(noise.values(m * k), [m, k]), device.burn());
    let bytes = noise.blocks(TensorType::Q4_1, n * k);
    let weight = PackedWeight::upload(quant::pack(TensorType::Q4_1, &bytes, n, k), device);
    let dense = Tensor::<2>::from_data(
        TensorData::new(quant::dequantize(TensorType::Q4_1, &bytes), [n, k]),
        device.burn(),
    );
    let scheme = QuantScheme::default().with_value(QuantValue::Q4S).with_store(QuantStore::PackedU32(0));
    let theirs = dense.transpose().quantize_dynamic(&scheme);

    let gflop = 2e-9 * (m * k * n) as f64;
    let (ours, ours_first) = seconds(5, || kernel::quant_matmul(x.clone(), &weight));
    let (burn, burn_first) = seconds(3, || x.clone().matmul(theirs.clone()));
    println!("[{m}, {k}] x [{n}, {k}] 4-bit on {}", device.adapter);
    println!("quant_matmul      {:7.2} GFLOP/s, first call {ours_first:.2} s", gflop / ours);
    println!("Burn's quantized  {:7.2} GFLOP/s, first call {burn_first:.2} s", gflop / burn);
    println!("ratio             {:7.1}", burn / ours);
    burn / ours
}

#[test]
#[ignore = "a measurement: ./build.sh bench"]
fn quant_matmul_is_six_times_as_fast_as_burns() {
    assert!(compare(&device::gpu()) >= 6.0);
}

#[test]
#[ignore = "a measurement: ./build.sh bench"]
fn quant_matmul_on_the_cpu() {
    let [m, k, n] = SHAPE;
    let (device, mut noise) = (Device::cpu(), Noise::new(1));
    let bytes = noise.blocks(TensorType::Q4_1, n * k);
    let weight = PackedWeight::upload(quant::pack(TensorType::Q4_1, &bytes, n, k), &device);
    let x = Tensor::<2>::from_data(TensorData::new(noise.values(m * k), [m, k]), device.burn());
    let (time, _) = seconds(19, || kernel::quant_matmul(x.clone(), &weight));
    println!("quant_matmul on the CPU {:.1} GFLOP/s", 2e-9 * (m * k * n) as f64 / time);
}
