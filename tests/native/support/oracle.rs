//! Fixtures and oracle files, read with the project's own safetensors reader.

use super::files::fixture;
use gran_ted::encoder::TextEncoder;
use gran_ted::format::{Memory, safetensors::Safetensors};
use pollster::block_on;

/// The names in a safetensors file under tests/fixtures.
pub fn tensor_names(name: &str) -> Vec<String> {
    let file = block_on(Safetensors::read(&Memory::new(name, fixture(name)))).unwrap();
    file.tensors.into_iter().map(|tensor| tensor.name).collect()
}

/// A safetensors file of expected values; integers as PyTorch stores them.
pub struct Oracle {
    bytes: Vec<u8>,
    file: Safetensors,
    header: serde_json::Value,
}

impl Oracle {
    /// Reads tests/fixtures/`name`.
    pub fn read(name: &str) -> Self {
        Self::of(name, fixture(name))
    }

    /// Reads the file at `path`.
    pub fn at(path: &std::path::Path) -> Self {
        Self::of("oracle", std::fs::read(path).unwrap())
    }

    /// Whether it has a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.header.get(name).is_some()
    }

    fn of(name: &str, bytes: Vec<u8>) -> Self {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let file = block_on(Safetensors::read(&Memory::new(name, bytes.clone()))).unwrap();
        Self { bytes, file, header }
    }

    /// An f32 tensor.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        let tensor = self.file.tensors.iter().find(|tensor| tensor.name == name).expect(name);
        let bytes = &self.bytes[tensor.range.start as usize..tensor.range.end as usize];
        bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    /// The bytes of a tensor of any type.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let start = 8 + u64::from_le_bytes(self.bytes[..8].try_into().unwrap()) as usize;
        let offset = |i: usize| start + self.header[name]["data_offsets"][i].as_u64().unwrap() as usize;
        self.bytes[offset(0)..offset(1)].to_vec()
    }

    /// An i32 or i64 tensor.
    pub fn integers(&self, name: &str) -> Vec<i64> {
        let bytes = self.bytes(name);
        match self.header[name]["dtype"].as_str().unwrap() {
            "I32" => bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b) as i64).collect(),
            "I64" => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
            dtype => panic!("{name} is {dtype}"),
        }
    }

    /// A text of the file's metadata.
    pub fn text(&self, key: &str) -> String {
        self.header["__metadata__"][key].as_str().unwrap().into()
    }
}

/// The numbers of tokens of the tiny model's four texts.
pub const LENGTHS: [usize; 4] = [11, 5, 23, 1];

/// The token ids of the tiny model's four texts.
pub fn tiny_texts(oracle: &Oracle) -> Vec<Vec<u32>> {
    let ids = oracle.integers("input_ids");
    LENGTHS
        .iter()
        .enumerate()
        .map(|(row, length)| ids[row * 23..][..*length].iter().map(|id| *id as u32).collect())
        .collect()
}

/// The rows of the texts' own tokens of a padded `[4, 23, D]`, packed.
pub fn unpad(values: &[f32], width: usize) -> Vec<f32> {
    let rows = |(text, length): (usize, &usize)| values[text * 23 * width..][..length * width].to_vec();
    LENGTHS.iter().enumerate().flat_map(rows).collect()
}

/// Borrows the texts, as the encoder takes them.
pub fn refs(texts: &[Vec<u32>]) -> Vec<&[u32]> {
    texts.iter().map(Vec::as_slice).collect()
}

/// The largest difference, relative to the largest expected value.
pub fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f32, |all, x| all.max(x.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max) / largest
}

/// Checks the encoder with the oracle's first `texts` texts: token ids exactly, and hidden states relative to each token's
/// largest value, as the first token's is a hundred times that of the others in the middle layers.
pub fn check_texts(encoder: &TextEncoder, oracle: &Oracle, texts: usize, layers: &[usize], tolerance: f32) {
    for text in 0..texts {
        let ids: Vec<u32> = oracle.integers(&format!("{text}.ids")).iter().map(|id| *id as u32).collect();
        let encoded = encoder.tokenize(&[oracle.text(&format!("{text}.text"))]).unwrap();
        assert_eq!(encoded[0].ids, ids, "token ids of text {text}");
        let states = block_on(encoder.hidden_states(&[&ids])).unwrap();
        for &layer in layers {
            let expected = oracle.floats(&format!("{text}.hs{layer}"));
            let width = expected.len() / ids.len();
            assert_eq!(states[layer].len(), expected.len());
            let tokens = states[layer].chunks(width).zip(expected.chunks(width));
            let found = tokens.map(|(found, expected)| difference(found, expected)).fold(0f32, f32::max);
            println!("text {text}: hs{layer} differs by {found:.1e} on {}", encoder.device().adapter);
            assert!(found < tolerance, "text {text}: hs{layer} differs by {found:e}");
        }
    }
}
