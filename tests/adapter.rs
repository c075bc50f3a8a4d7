//! The paper's adapters against PyTorch, from both of their files, and everything that can be wrong with such a file.
//!
//! Fixtures and their recipes: tests/fixtures/README.md.

#[path = "common/adapter_writer.rs"]
mod adapter_writer;
#[path = "common/device.rs"]
mod device;
#[path = "common/noise.rs"]
mod noise;
#[path = "common/oracle.rs"]
mod oracle;

use adapter_writer::{Named, random_adapter, safetensors};
use gran_ted::device::Device;
use gran_ted::encoder::{Settings, TextEncoder};
use gran_ted::format::{DiskFile, Memory, Source};
use gran_ted::loader::AdapterFile;
use gran_ted::model::{Adapter, Feature, Pooling, Precision};
use gran_ted::ted::{Dataset, Run, Subset};
use oracle::{Oracle, default_model, difference, load, path, refs, tiny, tiny_texts};
use pollster::block_on;
use std::rc::Rc;
use std::sync::Arc;

fn file(name: &str) -> AdapterFile {
    let source = DiskFile::open(&path(&format!("tiny-qwen3vl/{name}"))).unwrap();
    block_on(AdapterFile::open(Rc::new(source))).unwrap()
}

fn adapter(name: &str, encoder: &TextEncoder, precision: Precision) -> Pooling {
    Pooling::Adapter(Rc::new(block_on(file(name).load(encoder, precision)).unwrap()))
}

fn weighted(name: &str) -> Feature {
    Feature::Weighted(file(name).layer_weights.unwrap())
}

fn embed(encoder: &TextEncoder, texts: &[Vec<u32>], feature: Feature, pooling: Pooling) -> Vec<f32> {
    let precision = pooling.adapter().map_or(Precision::Full, |adapter| adapter.precision);
    let settings = Settings { precision, ..Settings::new(feature, pooling) };
    block_on(encoder.embed_ids(&refs(texts), &settings)).unwrap().concat()
}

fn embeddings_match_pytorch(device: Device, tolerance: f32) {
    let expected = Oracle::read("tiny-qwen3vl/expected.safetensors");
    let encoder = tiny(device);
    let texts = tiny_texts(&expected);
    let check = |row: &str, expected: &Oracle, found: Vec<f32>| {
        let found = difference(&found, &expected.floats(row));
        println!("{row} differs by {found:.1e} on {}", encoder.device().adapter);
        assert!(found < tolerance, "{row} differs by {found:e} on {}", encoder.device().adapter);
    };
    for name in ["adapter.safetensors", "epoch_1.pt"] {
        let attention = adapter(name, &encoder, Precision::Full);
        for (row, feature) in [
            ("softmax", weighted(name)),
            ("uniform", Feature::NormAvg),
            ("last", Feature::Last),
            ("penultimate", Feature::Penultimate),
        ] {
            let found = embed(&encoder, &texts, feature, attention.clone());
            check(&format!("embedding.{row}.attn"), &expected, found);
        }
        let (feature, found) =
            (weighted("adapter.safetensors"), adapter("mean_adapter.safetensors", &encoder, Precision::Full));
        check("embedding.softmax.mean_adapter", &expected, embed(&encoder, &texts, feature, found));
    }
    let plain = Oracle::read("tiny-qwen3vl/plain_expected.safetensors");
    let found = adapter("plain_adapter.safetensors", &encoder, Precision::Full);
    let found = embed(&encoder, &texts, weighted("adapter.safetensors"), found);
    check("embedding.softmax.plain", &plain, found);
}

#[test]
fn embeddings_match_pytorch_on_the_cpu() {
    embeddings_match_pytorch(Device::cpu(), 1e-4);
}

#[test]
fn embeddings_match_pytorch_on_wgpu() {
    embeddings_match_pytorch(device::gpu(), 1e-3);
}

#[test]
fn both_files_give_the_same_adapter_bit_for_bit() {
    let oracle = Oracle::read("tiny-qwen3vl/expected.safetensors");
    let encoder = tiny(Device::cpu());
    let [a, b] = ["adapter.safetensors", "epoch_1.pt"].map(|name| {
        embed(&encoder, &tiny_texts(&oracle), weighted(name), adapter(name, &encoder, Precision::Full))
    });
    assert_eq!(a, b);
}

#[test]
fn equal_weights_are_norm_avg_bit_for_bit() {
    for device in [Device::cpu(), device::gpu()] {
        let oracle = Oracle::read("tiny-qwen3vl/expected.safetensors");
        let encoder = tiny(device);
        let texts = tiny_texts(&oracle);
        for pooling in [Pooling::Mean, adapter("adapter.safetensors", &encoder, Precision::Full)] {
            let equal = embed(&encoder, &texts, Feature::Weighted(vec![0.7; 4]), pooling.clone());
            assert_eq!(equal, embed(&encoder, &texts, Feature::NormAvg, pooling));
        }
    }
}

#[test]
fn reference_precision_is_bfloat16() {
    for device in [Device::cpu(), device::gpu()] {
        let oracle = Oracle::read("tiny-qwen3vl/expected.safetensors");
        let encoder = tiny(device);
        let (texts, name) = (tiny_texts(&oracle), "adapter.safetensors");
        let rounded = embed(&encoder, &texts, weighted(name), adapter(name, &encoder, Precision::Reference));
        let full = embed(&encoder, &texts, weighted(name), adapter(name, &encoder, Precision::Full));
        assert!(rounded.iter().all(|value| half::bf16::from_f32(*value).to_f32() == *value));
        let expected = oracle.floats("embedding.softmax.attn.bf16");
        for (text, (found, expected)) in rounded.chunks(32).zip(expected.chunks(32)).enumerate() {
            let cosine = |a: &[f32], b: &[f32]| {
                let dot =
                    |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum::<f64>();
                dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
            };
            let [to_reference, to_full] = [cosine(found, expected), cosine(found, &full[text * 32..][..32])];
            println!("text {text}: cosine {to_reference:.6} to PyTorch's bfloat16, {to_full:.6} to our f32");
            assert!(to_reference > 0.9995, "text {text}: {to_reference}");
        }
        // The reference runs mean + MLP in f32, whatever the precision.
        let [a, b] = [Precision::Full, Precision::Reference].map(|precision| {
            let mean = adapter("mean_adapter.safetensors", &encoder, precision);
            embed(&encoder, &texts, weighted(name), mean)
        });
        assert_eq!(a, b);
    }
}

/// What a report says of the rounding is what was done.
#[test]
fn provenance_says_whether_anything_was_rounded() {
    let encoder = load(&[default_model()], Device::cpu());
    let sample = include_bytes!("../www/ted-sample.json");
    let dataset = Arc::new(Dataset::parse("ted-sample.json", sample).unwrap());
    let d = 576;
    let mean_mlp = safetensors(&[
        ("mlp.0.weight".into(), vec![d, d], vec![0.01; d * d]),
        ("mlp.3.weight".into(), vec![d, d], vec![0.01; d * d]),
        ("out_norm.weight".into(), vec![d], vec![1.0; d]),
        ("out_norm.bias".into(), vec![d], vec![0.0; d]),
        ("proj.weight".into(), vec![8, d], vec![0.1; 8 * d]),
        ("proj.bias".into(), vec![8], vec![0.1; 8]),
    ]);
    for (bytes, rounds) in [(random_adapter(d, 32), true), (mean_mlp, false)] {
        let file = block_on(AdapterFile::open(Rc::new(Memory::new("a.safetensors", bytes)))).unwrap();
        for precision in [Precision::Reference, Precision::Full] {
            let pooling = Pooling::Adapter(Rc::new(block_on(file.load(&encoder, precision)).unwrap()));
            let settings = Settings { precision, ..Settings::new(Feature::NormAvg, pooling) };
            let run =
                Run::new(&encoder, dataset.clone(), &Subset::parse("captions=1").unwrap(), settings).unwrap();
            let stated = run.report(&encoder).provenance.unwrap().reference_precision;
            assert_eq!(stated, Some(rounds && precision == Precision::Reference));
        }
    }
}

/// On the default model: heads of 72 values, texts of many lengths.
#[test]
fn a_batch_equals_its_texts_bit_for_bit() {
    let bytes = random_adapter(576, 96);
    let texts = [
        "a red cube left of a blue ball",
        "no",
        "Caption Type: video\nCaption: The camera follows a woman in a long green raincoat at walking pace.",
        "two dogs",
    ];
    let mut all = Vec::new();
    for device in [Device::cpu(), device::gpu()] {
        let encoder = load(&[default_model()], device);
        let file =
            block_on(AdapterFile::open(Rc::new(Memory::new("random.safetensors", bytes.clone())))).unwrap();
        let adapter = Rc::new(block_on(file.load(&encoder, Precision::Full)).unwrap());
        assert_eq!((adapter.info.dimension, adapter.info.kind.name()), (96, "attention"));
        let settings = Settings::new(Feature::NormAvg, Pooling::Adapter(adapter));
        let together = block_on(encoder.embed(&texts, &settings)).unwrap().vectors;
        for (text, vector) in texts.iter().zip(&together) {
            let alone = block_on(encoder.embed(&[text], &settings)).unwrap().vectors;
            assert_eq!(
                &alone[0],
                vector,
                "`{text}` depends on its neighbours on {}",
                encoder.device().adapter
            );
        }
        all.push(together.concat());
    }
    let found = difference(&all[1], &all[0]);
    assert!(found < 1e-3, "the devices differ by {found:e}");
}

/// What is said of `bytes` for the tiny model.
fn fault(name: &str, bytes: Vec<u8>) -> String {
    let load = async {
        let file = AdapterFile::open(Rc::new(Memory::new(name, bytes)) as Rc<dyn Source>).await?;
        file.load(&tiny(Device::cpu()), Precision::Full).await
    };
    block_on(load).map(|adapter: Adapter| adapter.info.name).unwrap_err().to_string()
}

#[test]
fn a_wrong_file_is_named() {
    // 1. Not an adapter, or none for this model.
    let start = "`x.safetensors` is not an adapter: expected the tensors of attention pooling";
    let other = [("foo".to_string(), vec![2], vec![1.0, 2.0])];
    let found = fault("x.safetensors", safetensors(&other));
    assert!(found.starts_with(start) && found.ends_with("found the tensor `foo`"), "{found}");
    let weights = [("layer_weights".to_string(), vec![4], vec![0.0; 4])];
    let found = fault("x.safetensors", safetensors(&weights));
    assert!(found.ends_with("found layer weights alone"), "{found}");
    let found = fault("x.safetensors", random_adapter(96, 32));
    assert_eq!(found, "`x.safetensors`: tensor `pool_token` has shape [1, 1, 96], expected [1, 1, 64]");

    // 2. Tensors missing, extra, misshapen, not finite.
    let good = || -> Vec<Named> {
        let d = 64;
        vec![
            ("mlp.0.weight".into(), vec![4 * d, d], vec![0.1; 4 * d * d]),
            ("mlp.3.weight".into(), vec![d, 4 * d], vec![0.1; 4 * d * d]),
            ("out_norm.weight".into(), vec![d], vec![1.0; d]),
            ("out_norm.bias".into(), vec![d], vec![0.0; d]),
            ("proj.weight".into(), vec![8, d], vec![0.1; 8 * d]),
            ("proj.bias".into(), vec![8], vec![0.1; 8]),
        ]
    };
    let changed = |change: &dyn Fn(&mut Vec<Named>)| {
        let mut tensors = good();
        change(&mut tensors);
        fault("x.safetensors", safetensors(&tensors))
    };
    assert_eq!(changed(&|all| drop(all.remove(3))), "`x.safetensors` has no tensor `out_norm.bias`");
    assert_eq!(changed(&|all| drop(all.remove(4))), "`x.safetensors` has no tensor `proj.weight`");
    assert_eq!(
        changed(&|all| all.push(("mlp.0.bias".into(), vec![1], vec![0.0]))),
        "`x.safetensors` has the tensor `mlp.0.bias`, which the network of family mean_mlp does not use"
    );
    assert_eq!(
        changed(&|all| all[5] = ("proj.bias".into(), vec![4], vec![0.0; 4])),
        "`x.safetensors`: tensor `proj.bias` has shape [4], expected [8]"
    );
    assert_eq!(
        changed(&|all| all[2].2[7] = f32::NAN),
        "`x.safetensors`: tensor `out_norm.weight` holds a value that is not finite"
    );
    assert_eq!(
        changed(&|all| all[0] = ("mlp.0.weight".into(), vec![33, 64], vec![0.0; 33 * 64])),
        "`x.safetensors`: tensor `mlp.0.weight` is malformed: expected a multiple of 32 rows, found 33"
    );

    let integers = |name: &str, fault_in: &dyn Fn(Vec<Named>) -> Vec<Named>| {
        let bytes = safetensors(&fault_in(good()));
        let entry = format!(r#""{name}":{{"dtype":"F32""#);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let at = text.find(&entry).unwrap_or_else(|| panic!("{entry}"));
        let at = at + text[at..].find("F32").unwrap();
        let mut bytes = bytes;
        bytes[at..at + 3].copy_from_slice(b"I32");
        fault("x.safetensors", bytes)
    };
    let with = |name: &'static str, len: usize| {
        move |mut all: Vec<Named>| {
            all.push((name.into(), vec![len], vec![0.0; len]));
            all
        }
    };
    assert_eq!(
        integers("mlp.0.zero_point", &with("mlp.0.zero_point", 2)),
        "`x.safetensors` has the tensor `mlp.0.zero_point`, which the network of family mean_mlp does not use"
    );
    let found = integers("layer_weights", &with("layer_weights", 4));
    assert!(
        found.starts_with("`x.safetensors`: tensor `layer_weights` has type I32, expected one of F32"),
        "{found}"
    );

    // 3. Layer weights of another depth, or none that can be used.
    assert_eq!(
        changed(&|all| all.push(("layer_weights".into(), vec![5], vec![0.0; 5]))),
        "the number of layer weights is 5, but the model has 4 layers"
    );
    assert_eq!(
        changed(&|all| all.push(("layer_weights".into(), vec![4], vec![0.0, f32::INFINITY, 0.0, 0.0]))),
        "layer weight 1 is inf, expected a finite number"
    );
}
