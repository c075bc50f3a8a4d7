//! The default model takes of its device what its header says, as the runtime counts it.
//!
//! The test is alone in its program, as the runtime counts what the whole process holds.

#![allow(clippy::unwrap_used, reason = "a fault ends the test")]

mod support {
    pub mod device;
}

use crate::support::device;
use gran_ted::device::Device;
use gran_ted::encoder::Settings;
use gran_ted::format::{DiskFile, Source};
use gran_ted::loader::{Fit, Header, Limits, Loading};
use gran_ted::model::{Feature, Pooling};
use pollster::block_on;
use std::rc::Rc;

/// The runtime carves small tensors from pages of their own. The first page comes with the first of them, whatever the model.
const SMALL_PAGE: u64 = 8 << 20;

#[test]
fn a_model_takes_the_memory_that_its_header_says() {
    let device = device::gpu();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    let file = DiskFile::open(model.as_ref()).expect("./build.sh test fetches the default model");
    let file: Rc<dyn Source> = Rc::new(file);
    let header = block_on(Header::read(vec![file])).unwrap();
    let fits = [16, 256, 1024].map(|tokens| header.fit(tokens, Limits::default()));
    // The frontends wait before the load's end, which gives unused pages back.
    let mut loading = Loading::new(header, device.clone()).unwrap();
    while block_on(loading.step()).unwrap().is_some() {}
    block_on(device.wait()).unwrap();
    let encoder = loading.finish().unwrap();

    // The weights are what the header says they are, and nothing else is there.
    let memory = device.memory().unwrap();
    let weights = fits[0].layers_bytes + fits[0].fixed_bytes;
    assert!((weights..weights + 1000).contains(&memory.in_use), "{memory:?}, {weights} bytes of weights");
    assert!(memory.reserved < weights + weights / 100, "{memory:?}, {weights} bytes of weights");

    // A batch stays within 15 % of weights and activations, with the page of small tensors beside.
    let settings = Settings::new(Feature::NormAvg, Pooling::Mean);
    for Fit { tokens, device_bytes, .. } in fits {
        let ids: Vec<u32> = (0..tokens as u32).map(|i| i * 37 % 49_152).collect();
        block_on(encoder.embed_ids(&[&ids], &settings)).unwrap();
        let memory = device.memory().unwrap(); // pages stay: this is the peak
        let taken = memory.reserved - SMALL_PAGE;
        eprintln!("{tokens} tokens: {memory:?} of {device_bytes}");
        assert!(
            taken > weights && taken <= device_bytes + 15 * device_bytes / 100,
            "{tokens} tokens: {memory:?}, {device_bytes} expected"
        );
        assert!(memory.in_use < weights + 10_000, "{tokens} tokens left {memory:?}");
    }
    assert_eq!(Device::cpu().memory(), None);
}
