//! What a large model takes: the peak memory of the process beside the packed weights, and the time to load it beside reading
//! and hashing the same bytes. Linux tells the peak.
//!
//!     cargo bench --bench loading -- .cache/models/generated-2b.gguf

#![allow(clippy::unwrap_used, reason = "a fault ends the measurement")]

use gran_ted::device::Device;
use gran_ted::encoder::Settings;
use gran_ted::format::{DiskFile, Source};
use gran_ted::loader::{Header, Limits, Loading};
use gran_ted::model::{Feature, Pooling};
use pollster::block_on;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::rc::Rc;
use std::time::Instant;

fn main() {
    let path = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let path =
        path.expect("usage: cargo bench --bench loading -- MODEL.gguf (./build.sh generate 2b makes one)");

    let start = Instant::now();
    let (mut file, mut hash, mut piece) = (File::open(&path).unwrap(), Sha256::new(), vec![0; 4 << 20]);
    loop {
        let read = file.read(&mut piece).unwrap();
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
    }
    let hash_time = start.elapsed().as_secs_f64();

    let start = Instant::now();
    let source: Rc<dyn Source> = Rc::new(DiskFile::open(path.as_ref()).unwrap());
    let header = block_on(Header::read(vec![source])).unwrap();
    let (header_time, fit) = (start.elapsed().as_secs_f64(), header.fit(12, Limits::default()));
    let mut loading = Loading::new(header, Device::cpu()).unwrap();
    while block_on(loading.step()).unwrap().is_some() {}
    let encoder = loading.finish().unwrap();
    let load_time = start.elapsed().as_secs_f64();
    println!("header {header_time:.2} s, all {load_time:.1} s; reading and hashing alone {hash_time:.1} s");
    println!("peak {:.0} MB after loading", peak_megabytes());

    let settings = Settings::new(Feature::NormAvg, Pooling::Mean);
    for tokens in [12, 1024] {
        let ids: Vec<u32> = (0..tokens).collect();
        let start = Instant::now();
        block_on(encoder.embed_ids(&[&ids], &settings)).unwrap();
        println!("{tokens} tokens {:.2} s, peak {:.0} MB", start.elapsed().as_secs_f64(), peak_megabytes());
    }
    let [device, host] = [fit.device_bytes, fit.host_bytes].map(|bytes| bytes as f64 * 1e-6);
    println!("told before for 12 tokens: {device:.0} MB of device memory, {host:.0} MB of the host's");
}

/// The most memory that this process has held.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024e-6
}
