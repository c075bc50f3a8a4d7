//! Fixtures and oracle files, read with the project's own safetensors reader.

use gran_ted::device::Device;
use gran_ted::encoder::TextEncoder;
use gran_ted::format::{DiskFile, Memory, Source, safetensors::Safetensors};
use gran_ted::loader::{Header, Loading};
use pollster::block_on;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A file under tests/fixtures.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Its bytes.
pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|e| panic!("tests/fixtures/{name}: {e}"))
}

/// The default model, which `./build.sh test` fetches.
pub fn default_model() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    assert!(path.exists(), "{} is missing: ./build.sh test fetches it", path.display());
    path
}

/// A model from files on disk.
pub fn load(files: &[PathBuf], device: Device) -> TextEncoder {
    let sources = files.iter().map(|path| Rc::new(DiskFile::open(path).unwrap()) as Rc<dyn Source>).collect();
    let header = block_on(Header::read(sources)).unwrap();
    let mut loading = Loading::new(header, device).unwrap();
    while block_on(loading.step()).unwrap().is_some() {}
    loading.finish().unwrap()
}

/// The tiny random Qwen3-VL.
pub fn tiny(device: Device) -> TextEncoder {
    load(&[path("tiny-qwen3vl/config.json"), path("tiny-qwen3vl/model.safetensors")], device)
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
        let bytes = fixture(name);
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

    /// An i32 or i64 tensor.
    pub fn integers(&self, name: &str) -> Vec<i64> {
        let start = 8 + u64::from_le_bytes(self.bytes[..8].try_into().unwrap()) as usize;
        let offset = |i: usize| start + self.header[name]["data_offsets"][i].as_u64().unwrap() as usize;
        let bytes = &self.bytes[offset(0)..offset(1)];
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
