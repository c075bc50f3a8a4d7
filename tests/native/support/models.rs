//! The models that tests load.

use super::files::{default_model, path};
use super::load::load;
use gran_ted::device::Device;
use gran_ted::encoder::TextEncoder;
use gran_ted::format::{DiskFile, Memory, Source};
use gran_ted::loader::Header;
use pollster::block_on;
use std::path::PathBuf;
use std::rc::Rc;

/// The header of a model in files on disk.
pub fn header_of(paths: &[PathBuf]) -> Header {
    let open = |path: &PathBuf| Rc::new(DiskFile::open(path).unwrap()) as Rc<dyn Source>;
    block_on(Header::read(paths.iter().map(open).collect())).unwrap()
}

/// The header of the default model.
pub fn default_header() -> Header {
    header_of(&[default_model()])
}

/// The default model.
pub fn smollm2(device: Device) -> TextEncoder {
    load(default_header(), device)
}

/// The files of the tiny random Qwen3-VL.
pub fn tiny_files() -> [PathBuf; 2] {
    ["config.json", "model.safetensors"].map(|name| path("tiny-qwen3vl").join(name))
}

/// The tiny random Qwen3-VL.
pub fn tiny(device: Device) -> TextEncoder {
    load(header_of(&tiny_files()), device)
}

/// Files that are held in memory.
pub fn memory(files: &[(&str, Vec<u8>)]) -> Vec<Rc<dyn Source>> {
    files.iter().map(|(name, bytes)| Rc::new(Memory::new(*name, bytes.clone())) as Rc<dyn Source>).collect()
}
