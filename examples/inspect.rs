//! What the header of a model's file says: nothing of its weights is read.
//!
//!     cargo run --release --example inspect -- .cache/models/SmolLM2-135M-Instruct.Q4_1.gguf

use gran_ted::error::Result;
use gran_ted::format::DiskFile;
use gran_ted::loader::{Header, Limits};
use pollster::block_on;
use std::rc::Rc;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).expect("usage: inspect MODEL.gguf");
    let header = block_on(Header::read(vec![Rc::new(DiskFile::open(path.as_ref())?)]))?;
    let (config, info) = (&header.config, &header.info);
    println!("{}: {}", info.name, config.family.name());
    println!("{} layers, {} wide", config.num_hidden_layers, config.hidden_size);
    println!("{} parameters in {} bytes", info.parameters, info.file_bytes);
    for (dtype, count) in &info.tensor_types {
        println!("{count} tensors of {dtype:?}");
    }
    let fit = header.fit(256, Limits::default());
    println!("{} bytes of device memory with a batch of 256 tokens", fit.device_bytes);
    Ok(())
}
