//! A real qwen2 model (biases on q, k and v; Q5_0, Q8_0, Q4_K and Q6_K tensors) against numpy.
//!
//! The model's package states no license, so nothing else needs it: `./build.sh qwen2` fetches it and runs these.
//! qwen2-expected.safetensors holds hidden states computed in f64 from the same file, dequantized by the `gguf`
//! Python package; qwen2-tensors.json holds one tensor of each quantized type by that package.

use crate::support::device;
use crate::support::files::{cached_model, fixture};
use crate::support::load::load;
use crate::support::models::header_of;
use crate::support::oracle::{Oracle, check_texts};
use gran_ted::device::Device;
use gran_ted::format::{DiskFile, Source, gguf::Gguf};
use gran_ted::quant;
use pollster::block_on;
use serde_json::Value;
use std::path::PathBuf;

/// On the device, the products of a K-quant's two scales are rounded to f16, which alone moves the last layers by
/// 1.1e-3 (numpy with the same rounding, from which both devices differ by less than 2e-5).
const TOLERANCE: f32 = 2e-3;

fn model() -> PathBuf {
    cached_model("qwen2-0.5b-instruct.gguf", "qwen2")
}

fn matches_the_oracle(device: Device) {
    let oracle = Oracle::read("qwen2-expected.safetensors");
    check_texts(&load(header_of(&[model()]), device), &oracle, 2, &[0, 1, 12, 23, 24], TOLERANCE);
}

#[test]
#[ignore = "needs .cache/models/qwen2-0.5b-instruct.gguf: ./build.sh qwen2 fetches it"]
fn qwen2_on_the_cpu() {
    matches_the_oracle(Device::cpu());
}

#[test]
#[ignore = "needs .cache/models/qwen2-0.5b-instruct.gguf: ./build.sh qwen2 fetches it"]
fn qwen2_on_wgpu() {
    matches_the_oracle(device::gpu());
}

#[test]
#[ignore = "needs .cache/models/qwen2-0.5b-instruct.gguf: ./build.sh qwen2 fetches it"]
fn tensors_are_dequantized_as_by_the_gguf_package() {
    let file = DiskFile::open(&model()).unwrap();
    let gguf = block_on(Gguf::read(&file)).unwrap();
    let expected: Vec<Value> = serde_json::from_slice(&fixture("qwen2-tensors.json")).unwrap();
    assert_eq!(expected.len(), 4);
    for expected in expected {
        let name = expected["name"].as_str().unwrap();
        let info = gguf.tensors.iter().find(|tensor| tensor.name == name).expect(name);
        assert_eq!(format!("{:?}", info.dtype), expected["type"].as_str().unwrap(), "{name}");
        let values = quant::dequantize(info.dtype, &block_on(file.read(info.range.clone())).unwrap());
        assert_eq!(values.len(), info.shape.iter().product::<usize>(), "{name}");
        let ends = [("first", &values[..8]), ("last", &values[values.len() - 8..])];
        for (end, found) in ends {
            let expected = expected[end].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32);
            assert_eq!(found, expected.collect::<Vec<_>>(), "{end} values of {name}");
        }
        let sums = [
            ("sum", values.iter().map(|x| *x as f64).sum::<f64>()),
            ("abs_sum", values.iter().map(|x| x.abs() as f64).sum()),
        ];
        // The order of the additions is numpy's, not ours.
        let slack = 1e-12 * sums[1].1;
        for (sum, found) in sums {
            let difference = (found - expected[sum].as_f64().unwrap()).abs();
            assert!(difference < slack, "{sum} of {name} differs by {difference:e}");
        }
    }
}
