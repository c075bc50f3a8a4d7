//! The types of GGUF: every block's values, and whole models in them.
//!
//! Fixtures: tests/fixtures/README.md, `gguf-types`.

use crate::support::device;
use crate::support::files::path;
use crate::support::load::load;
use crate::support::model::Tiny;
use crate::support::models::{header_of, memory};
use crate::support::oracle::{Oracle, difference};
use gran_ted::device::Device;
use gran_ted::encoder::TextEncoder;
use gran_ted::format::TensorType;
use gran_ted::loader::Header;
use gran_ted::quant;
use pollster::block_on;

const QUANTIZED: [TensorType; 23] = [
    TensorType::Q4_0,
    TensorType::Q4_1,
    TensorType::Q5_0,
    TensorType::Q5_1,
    TensorType::Q8_0,
    TensorType::Q2_K,
    TensorType::Q3_K,
    TensorType::Q4_K,
    TensorType::Q5_K,
    TensorType::Q6_K,
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

/// Six blocks of each type: scales of both signs, zero and subnormal; random codes.
#[test]
fn blocks_hold_the_values_of_the_gguf_package() {
    let blocks = Oracle::read("gguf-types/blocks.safetensors");
    for dtype in QUANTIZED.into_iter().chain([TensorType::BF16]) {
        let bytes = blocks.bytes(&format!("{dtype:?}.bytes"));
        let expected = blocks.floats(&format!("{dtype:?}.values"));
        assert_eq!(expected.len(), 6 * dtype.block_len());
        assert_eq!(quant::dequantize(dtype, &bytes), expected, "{dtype:?}");
    }
}

/// PyTorch's states of models whose weights the `gguf` package dequantized. `mix` has Q4_K and Q6_K, whose scales are rounded
/// to f16 on the way to the device.
#[test]
fn models_of_the_gguf_package_s_types_match_pytorch() {
    let oracle = Oracle::read("gguf-types/expected.safetensors");
    let ids: Vec<u32> = oracle.integers("input_ids").into_iter().map(|id| id as u32).collect();
    for (name, on_cpu) in [("mix", 1e-3), ("IQ1_S", 1e-4)] {
        for (device, tolerance) in [(Device::cpu(), on_cpu), (device::gpu(), 1e-3)] {
            let encoder = load(header_of(&[path(&format!("gguf-types/{name}.gguf"))]), device);
            let states = block_on(encoder.hidden_states(&[&ids])).unwrap();
            for (layer, state) in states.iter().enumerate() {
                let found = difference(state, &oracle.floats(&format!("{name}.hidden_states.{layer}")));
                println!("{name} {layer}: {found:.1e} on {}", encoder.device().adapter);
                assert!(found < tolerance, "{name}: hidden_states.{layer} differs by {found:e}");
            }
        }
    }
}

/// A model in each type has the states of the same weights as F32: within f16's rounding of scales and minima for K-quants
/// with minima or of old, exactly but for the order of roundings for all others.
#[test]
fn a_model_in_each_type_is_that_of_its_values() {
    use TensorType::{Q2_K, Q4_K, Q5_K, Q6_K};
    let ids: Vec<u32> = (0..23).map(|i| i * 37 % 250).collect();
    for dtype in QUANTIZED {
        let tiny = || Tiny { embedding: dtype, ..Tiny::new("qwen3", dtype) };
        let states = |model: Tiny| {
            let header = block_on(Header::read(memory(&[("tiny.gguf", model.write())]))).unwrap();
            let encoder: TextEncoder = load(header, Device::cpu());
            block_on(encoder.hidden_states(&[&ids])).unwrap()
        };
        let (packed, dense) = (states(tiny()), states(Tiny { dense: true, ..tiny() }));
        assert_eq!(packed[0], dense[0], "{dtype:?}: rows of the token table");
        let found =
            packed.iter().zip(&dense).map(|(packed, dense)| difference(packed, dense)).fold(0f32, f32::max);
        println!("{dtype:?}: {found:.1e}");
        let is_rounded = [Q2_K, Q4_K, Q5_K, Q6_K].contains(&dtype);
        assert!(found < if is_rounded { 3e-3 } else { 2e-5 }, "{dtype:?} differs by {found:e}");
    }
}
