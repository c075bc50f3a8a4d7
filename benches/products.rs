//! The speed of the quantized product beside Burn's own quantized matmul, in one run.
//!
//!     cargo bench --bench products -- [FILTER]
//!
//! FILTER is a part of a measurement's name. The GPU is the one that wgpu prefers, which may be a Vulkan driver on the CPU.

#![allow(clippy::unwrap_used, reason = "a fault ends the measurement")]

// The weights need only be weights: they come from the generator of models.
#[allow(dead_code, reason = "the generator uses the rest")]
#[path = "../examples/generate_model/model/random.rs"]
mod random;

use burn::tensor::quantization::{QuantScheme, QuantStore, QuantValue};
use burn::tensor::{Tensor, TensorData};
use gran_ted::device::Device;
use gran_ted::format::TensorType;
use gran_ted::kernel::{self, Activation, PackedWeight};
use gran_ted::quant;
use pollster::block_on;
use random::Random;
use std::sync::OnceLock;
use std::time::Instant;

const MEASUREMENTS: [(&str, fn()); 4] = [
    ("quant_matmul_is_six_times_as_fast_as_burns", quant_matmul_is_six_times_as_fast_as_burns),
    ("quant_matmul_of_every_shape", quant_matmul_of_every_shape),
    ("quant_matmul_on_the_cpu", quant_matmul_on_the_cpu),
    ("quant_matmul_of_every_layout", quant_matmul_of_every_layout),
];

fn main() {
    // cargo adds `--bench`
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let chosen: Vec<_> = MEASUREMENTS.iter().filter(|(name, _)| name.contains(&filter)).collect();
    assert!(!chosen.is_empty(), "no measurement's name contains `{filter}`");
    chosen.iter().for_each(|(_, measure)| measure());
}

/// The GPU, opened once: a process has one.
fn gpu() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| block_on(Device::gpu()).expect("a Vulkan driver, e.g. mesa-vulkan-drivers")).clone()
}

const SHAPE: [usize; 3] = [256, 576, 1536];

/// x `[m, k]` of random values.
fn input(random: &mut Random, [m, k]: [usize; 2], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..m * k).map(|_| random.unit()).collect();
    Tensor::from_data(TensorData::new(values, [m, k]), device.burn())
}

/// Q4_1 blocks of w `[n, k]`.
fn blocks(random: &mut Random, [n, k]: [usize; 2]) -> Vec<u8> {
    let dtype = TensorType::Q4_1;
    let mut bytes = vec![0; n * k / dtype.block_len() * dtype.block_bytes()];
    random.fill(dtype, k, &mut bytes);
    bytes
}

/// The median seconds of `runs` runs after a first one, and the first one's, which compiles the kernel.
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

fn quant_matmul_is_six_times_as_fast_as_burns() {
    let ([m, k, n], device, mut random) = (SHAPE, gpu(), Random(1));
    let x = input(&mut random, [m, k], &device);
    let bytes = blocks(&mut random, [n, k]);
    let weight = PackedWeight::upload(quant::pack(TensorType::Q4_1, &bytes, n, k), &device);
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
    // llvmpipe compiles Burn's kernel, one product a lane, better than SwiftShader does: 4.5 to 6.6 times there.
    let least = if device.adapter.contains("SwiftShader") { 6.0 } else { 3.0 };
    assert!(burn / ours >= least, "less than {least} times as fast as Burn's");
}

/// The processor seconds of this process so far, on Linux: a software adapter takes them whatever else the machine does.
fn processor_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter_map(|task| {
            let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<f64>().ok()
        })
        .sum::<f64>()
        * 1e-9
}

/// The products of SmolLM2-135M's layer: q k v, the output projection, gate and up with SwiGLU, down.
fn quant_matmul_of_every_shape() {
    let (device, mut random) = (gpu(), Random(1));
    println!("GFLOP/s by the clock, and by the processor's time for two cores, on {}", device.adapter);
    for [k, n] in [[576, 960], [576, 576], [576, 192], [576, 1536], [576, 3072], [1536, 576]] {
        let bytes = blocks(&mut random, [n, k]);
        let weight = PackedWeight::upload(quant::pack(TensorType::Q4_1, &bytes, n, k), &device);
        for m in [256, 16, 1] {
            let x = input(&mut random, [m, k], &device);
            let run = || match n {
                3072 => kernel::quant_matmul_glu(x.clone(), &weight, Activation::Silu),
                _ => kernel::quant_matmul(x.clone(), &weight),
            };
            seconds(1, run); // compiles the kernel
            let runs = 5;
            let before = processor_seconds();
            let (time, _) = seconds(runs - 1, run);
            let processor = (processor_seconds() - before) / runs as f64;
            let gflop = 2e-9 * (m * k * n) as f64;
            println!("[{m}, {k}] x [{n}, {k}]  {:6.2}  {:6.2}", gflop / time, 2.0 * gflop / processor);
        }
    }
}

fn quant_matmul_on_the_cpu() {
    let ([m, k, n], device, mut random) = (SHAPE, Device::cpu(), Random(1));
    let bytes = blocks(&mut random, [n, k]);
    let weight = PackedWeight::upload(quant::pack(TensorType::Q4_1, &bytes, n, k), &device);
    let x = input(&mut random, [m, k], &device);
    let (time, _) = seconds(19, || kernel::quant_matmul(x.clone(), &weight));
    println!("quant_matmul on the CPU {:.1} GFLOP/s", 2e-9 * (m * k * n) as f64 / time);
}

/// The layouts of weights beside that of 8-bit codes, in turn, on both devices.
fn quant_matmul_of_every_layout() {
    use TensorType::*;
    let mut random = Random(1);
    let [_, k, n] = SHAPE;
    for device in [gpu(), Device::cpu()] {
        println!(
            "GFLOP/s by the processor's time for two cores, and the share of Q8_0's, on {}",
            device.adapter
        );
        for m in [256, 16, 1] {
            let x = input(&mut random, [m, k], &device);
            let products: Vec<_> = [Q8_0, Q4_1, F32, F16, BF16, F8_E4M3, F8_E5M2, I8, MXFP4]
                .into_iter()
                .map(|dtype| {
                    let bytes = match dtype {
                        // Floats and integers of 8 bits, none of them NaN.
                        F8_E4M3 | F8_E5M2 | I8 => random.bytes(n * k).map(|byte| byte & 0xbb).collect(),
                        _ => {
                            let mut bytes = vec![0; n * k / dtype.block_len() * dtype.block_bytes()];
                            random.fill(dtype, k, &mut bytes);
                            bytes
                        }
                    };
                    (dtype, PackedWeight::upload(quant::pack(dtype, &bytes, n, k), &device))
                })
                .collect();
            // A round takes each once, so that what else the machine does falls on all of them.
            let (rounds, each) = (7, 2 + 256 / m / 8);
            let mut times = vec![Vec::new(); products.len()];
            for round in 0..=rounds {
                for ((_, weight), times) in products.iter().zip(&mut times) {
                    let before = processor_seconds();
                    seconds(each - 1, || kernel::quant_matmul(x.clone(), weight));
                    if round > 0 {
                        times.push((processor_seconds() - before) / each as f64);
                    }
                }
            }
            let median = |times: &mut Vec<f64>| {
                times.sort_by(f64::total_cmp);
                times[times.len() / 2]
            };
            let times: Vec<f64> = times.iter_mut().map(median).collect();
            for ((dtype, _), time) in products.iter().zip(&times) {
                let gflops = 4e-9 * (m * k * n) as f64 / time;
                println!("[{m}, {k}] x [{n}, {k}] {dtype:?}: {gflops:7.2}  {:5.2}", times[0] / time);
            }
        }
    }
}
