//! Generated models: one file for one seed, which loads and embeds, whole and in parts.

use crate::support::load::load;
use crate::support::model::{Tiny, q4_k_m};
use crate::support::models::memory;
use gran_ted::device::Device;
use gran_ted::encoder::{Embeddings, Settings};
use gran_ted::format::TensorType;
use gran_ted::loader::Header;
use gran_ted::model::{Feature, Pooling};
use pollster::block_on;
use sha2::{Digest, Sha256};

/// A model of nine layers, 256 wide, with the types of a Q4_K_M file.
fn mixed() -> Tiny {
    Tiny {
        mix: q4_k_m,
        embedding: TensorType::Q6_K,
        output: Some(TensorType::Q6_K),
        num_hidden_layers: 9,
        vocab_size: 1000,
        ..Tiny::new("qwen3vl", TensorType::Q4_K)
    }
}

fn embed(files: &[(&str, Vec<u8>)]) -> Embeddings {
    let header = block_on(Header::read(memory(files))).unwrap();
    let encoder = load(header, Device::cpu());
    let texts = ["a red cube left of a blue ball", "a blue ball left of a red cube"];
    block_on(encoder.embed(&texts, &Settings::new(Feature::NormAvg, Pooling::Mean))).unwrap()
}

#[test]
fn one_seed_makes_one_file() {
    let digits: String = Sha256::digest(mixed().write()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digits, "b3e6c2cb67b3250d17eb2ddae045bf61d331e7d8e7750e869db72746183d0ab3");
    assert_ne!(mixed().write(), Tiny { seed: 43, ..mixed() }.write());
}

#[test]
fn a_generated_mixture_embeds_and_its_parts_the_same() {
    let bytes = mixed().write();
    let header = block_on(Header::read(memory(&[("m.gguf", bytes.clone())]))).unwrap();
    let types: Vec<_> = header.info.tensor_types.into_iter().collect();
    let expected = [(TensorType::F32, 4 * 9 + 1), (TensorType::Q4_K, 63 - 10), (TensorType::Q6_K, 10 + 1)];
    assert_eq!(types, expected);

    let whole = embed(&[("m.gguf", bytes)]);
    let cosine = whole.similarity()[0][1];
    assert!((0.1..0.999).contains(&cosine), "two texts have the cosine {cosine}");
    let [first, second, third]: [Vec<u8>; 3] = mixed().split(3).try_into().unwrap();
    // The parts come in any order, as a folder or a person gives them.
    let parts = [
        ("m-00003-of-00003.gguf", third),
        ("m-00001-of-00003.gguf", first),
        ("m-00002-of-00003.gguf", second),
    ];
    assert_eq!(embed(&parts), whole);
}
