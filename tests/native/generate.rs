//! Generated models: one file for one seed, which loads and embeds, whole and in parts. `./build.sh generate 2b|4b|8b`
//! writes those of Qwen3-VL's sizes.

use crate::support::gguf_writer::{Tiny, q4_k_m};
use crate::support::oracle::{load_header, memory};
use gran_ted::device::Device;
use gran_ted::encoder::{Embeddings, Settings};
use gran_ted::format::{DiskFile, Source, TensorType};
use gran_ted::loader::{Header, Limits};
use gran_ted::model::{Feature, Pooling};
use pollster::block_on;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

/// Nine layers of 256 wide with the types of a Q4_K_M file.
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
    let encoder = load_header(header, Device::cpu());
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
    // In any order: a folder or a person gives them so.
    let parts = [
        ("m-00003-of-00003.gguf", third),
        ("m-00001-of-00003.gguf", first),
        ("m-00002-of-00003.gguf", second),
    ];
    assert_eq!(embed(&parts), whole);
}

#[test]
#[ignore = "writes up to 5 GB: ./build.sh generate small|2b|4b|8b"]
fn write_the_shape() {
    let path = generated();
    let unfinished = path.with_extension("part");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let start = Instant::now();
    let mut file = BufWriter::new(File::create(&unfinished).unwrap());
    Tiny::qwen3vl(&shape()).expect(SHAPES).write_to(&mut file).unwrap();
    file.flush().unwrap();
    std::fs::rename(&unfinished, &path).unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!("{}: {bytes} bytes in {:.0} s", path.display(), start.elapsed().as_secs_f64());
}

/// Peak memory beside the packed weights, and loading beside reading and hashing the same bytes:
/// `GRAN_TED_SHAPE=2b cargo test --release --test generate -- --ignored --nocapture measure`
#[test]
#[ignore = "a measurement of the file that ./build.sh generate writes"]
fn measure() {
    let path = generated();
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
    let source: Rc<dyn Source> = Rc::new(DiskFile::open(&path).unwrap());
    let header = block_on(Header::read(vec![source])).unwrap();
    let (header_time, fit) = (start.elapsed().as_secs_f64(), header.fit(12, Limits::default()));
    let encoder = load_header(header, Device::cpu());
    let load_time = start.elapsed().as_secs_f64();
    println!("header {header_time:.2} s, all {load_time:.1} s; reading and hashing alone {hash_time:.1} s");
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024e-6
    };
    println!("peak {:.0} MB after loading", peak());

    let settings = Settings::new(Feature::NormAvg, Pooling::Mean);
    for tokens in [12, 1024] {
        let ids: Vec<u32> = (0..tokens).collect();
        let start = Instant::now();
        block_on(encoder.embed_ids(&[&ids], &settings)).unwrap();
        println!("{tokens} tokens {:.2} s, peak {:.0} MB", start.elapsed().as_secs_f64(), peak());
    }
    let [device, host] = [fit.device_bytes, fit.host_bytes].map(|bytes| bytes as f64 * 1e-6);
    println!("told before for 12 tokens: {device:.0} MB of device memory, {host:.0} MB of the host's");
}

const SHAPES: &str = "GRAN_TED_SHAPE is small, 2b, 4b or 8b";

fn shape() -> String {
    std::env::var("GRAN_TED_SHAPE").expect(SHAPES)
}

fn generated() -> PathBuf {
    let name = format!(".cache/models/generated-{}.gguf", shape());
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
