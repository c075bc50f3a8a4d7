//! Writes a safetensors file: what another program compares its own numbers with.

use serde_json::{Map, Value, json};

/// The tensors of a file that is being made, in the order in which they are added.
#[derive(Debug, Default)]
pub struct SafetensorsWriter {
    header: Map<String, Value>,
    bytes: Vec<u8>,
}

impl SafetensorsWriter {
    /// A file without tensors, with `metadata`: texts by name.
    pub fn new(metadata: impl IntoIterator<Item = (String, String)>) -> Self {
        let metadata: Map<String, Value> =
            metadata.into_iter().map(|(key, text)| (key, text.into())).collect();
        let header = [("__metadata__".to_string(), Value::Object(metadata))].into_iter().collect();
        Self { header, bytes: Vec::new() }
    }

    /// Adds an F32 tensor.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.add(name, "F32", shape, values.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// Adds an I64 tensor.
    pub fn integers(&mut self, name: &str, shape: &[usize], values: &[i64]) {
        self.add(name, "I64", shape, values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn add(&mut self, name: &str, dtype: &str, shape: &[usize], bytes: impl Iterator<Item = u8>) {
        let start = self.bytes.len();
        self.bytes.extend(bytes);
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, self.bytes.len()]});
        self.header.insert(name.into(), entry);
    }

    /// The bytes of the file.
    pub fn finish(self) -> Vec<u8> {
        let mut header = Value::Object(self.header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' '); // tensors begin at a multiple of 8
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header);
        file.extend(self.bytes);
        file
    }
}
