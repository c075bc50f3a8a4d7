//! Texts become vectors of unit length, and their cosines say how near they are.
//!
//!     cargo run --release --example embed -- MODEL.gguf 'a red cube' 'a blue ball' 'a stormy sea'

use gran_ted::device::Device;
use gran_ted::encoder::Settings;
use gran_ted::error::Result;
use gran_ted::format::DiskFile;
use gran_ted::loader::{Header, Loading};
use gran_ted::model::{Feature, Pooling};
use pollster::block_on;
use std::rc::Rc;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("usage: embed MODEL.gguf TEXT...");
    let texts: Vec<String> = arguments.collect();

    // 1. The header, which tells all that can be wrong; then the weights, some rows at a time.
    let header = block_on(Header::read(vec![Rc::new(DiskFile::open(path.as_ref())?)]))?;
    let mut loading = Loading::new(header, Device::cpu())?;
    while block_on(loading.step())?.is_some() {}
    let encoder = loading.finish()?;

    // 2. The mean of all normalized layers, and of all tokens.
    let settings = Settings::new(Feature::NormAvg, Pooling::Mean);
    let embeddings = block_on(encoder.embed(&texts, &settings))?;

    println!("{} values a text", embeddings.vectors.first().map_or(0, Vec::len));
    for (text, cosines) in texts.iter().zip(embeddings.similarity()) {
        let cosines: Vec<String> = cosines.iter().map(|cosine| format!("{cosine:7.4}")).collect();
        println!("{}  {text}", cosines.join(" "));
    }
    Ok(())
}
