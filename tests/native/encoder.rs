//! The whole network against PyTorch (transformers 5.23, f32), on the CPU and on wgpu (Mesa's llvmpipe where there is
//! no GPU), and a batch against its texts one by one.
//!
//! Fixtures: tiny-qwen3vl is a random Qwen3-VL (text tower of 4 layers) made with transformers; expected.safetensors
//! holds its `output_hidden_states`, the layer mixes and the training-free embeddings for four texts of 11, 5, 23 and
//! 1 tokens. smollm2-expected.safetensors holds hidden states of the default model, dequantized from the same GGUF.

use crate::support::device;
use crate::support::files::{SAMPLE, default_model, fixture};
use crate::support::load::{load, load_placed};
use crate::support::models::{default_header, header_of, smollm2, tiny, tiny_files};
use crate::support::oracle::{Oracle, check_texts, difference, refs, tiny_texts, unpad};
use gran_ted::device::Device;
use gran_ted::device::class::as_class;
use gran_ted::encoder::{Placement, Settings, TextEncoder};
use gran_ted::format::Memory;
use gran_ted::kernel::{Arithmetic, launches};
use gran_ted::loader::{AdapterFile, Loading};
use gran_ted::model::{Feature, Pooling};
use gran_ted::ted::{Dataset, Run, Subset};
use gran_ted::text::batch::{PackedBatch, runs};
use pollster::block_on;
use std::rc::Rc;
use std::sync::Arc;

/// The `layer_weights` that the oracle's `mix.softmax` was made with; adapter.safetensors of the same oracle has them too.
const LAYER_WEIGHTS: &str = "layer_weights.json";

fn weighted() -> Feature {
    let weights: Vec<f32> =
        serde_json::from_slice(&fixture(&format!("tiny-qwen3vl/{LAYER_WEIGHTS}"))).unwrap();
    Feature::Weighted(weights)
}

/// Runs `test` with the kernels for software adapters, and with those for GPUs.
fn with_both_classes(test: impl Fn()) {
    [true, false].into_iter().for_each(|software| as_class(software, &test));
}

fn tiny_matches_the_oracle(device: Device, tolerance: f32) {
    let oracle = Oracle::read("tiny-qwen3vl/expected.safetensors");
    let encoder = tiny(device);
    let texts = tiny_texts(&oracle);

    let states = block_on(encoder.hidden_states(&refs(&texts))).unwrap();
    assert_eq!(states.len(), 5);
    for (layer, state) in states.iter().enumerate() {
        let expected = unpad(&oracle.floats(&format!("hidden_states.{layer}")), 64);
        let found = difference(state, &expected);
        assert!(found < tolerance, "hidden_states.{layer} differs by {found:e}");
    }
    for (name, feature) in [("mix.softmax", weighted()), ("mix.uniform", Feature::NormAvg)] {
        let found = block_on(encoder.features(&refs(&texts), &feature)).unwrap();
        let found = difference(&found, &unpad(&oracle.floats(name), 64));
        assert!(found < tolerance, "{name} differs by {found:e}");
    }
    for (name, pooling) in [("mean", Pooling::Mean), ("last_token", Pooling::LastToken)] {
        let settings = Settings::new(weighted(), pooling);
        let together = block_on(encoder.embed_ids(&refs(&texts), &settings)).unwrap();
        let expected = oracle.floats(&format!("embedding.softmax.{name}"));
        let found = difference(&together.concat(), &expected);
        assert!(found < tolerance, "embedding.softmax.{name} differs by {found:e}");
        for (text, vector) in texts.iter().zip(&together) {
            let alone = block_on(encoder.embed_ids(&[text.as_slice()], &settings)).unwrap();
            assert!(difference(&alone[0], vector) < 1e-6, "a batch is not its texts one by one");
        }
    }
}

#[test]
fn tiny_qwen3vl_on_the_cpu() {
    tiny_matches_the_oracle(Device::cpu(), 1e-4);
}

#[test]
fn tiny_qwen3vl_on_wgpu() {
    with_both_classes(|| tiny_matches_the_oracle(device::gpu(), 1e-3));
}

fn smollm2_matches_the_oracle(device: Device) {
    let oracle = Oracle::read("smollm2-expected.safetensors");
    let encoder = smollm2(device);
    check_texts(&encoder, &oracle, 3, &[0, 1, 15, 29, 30], 2e-3);
}

#[test]
fn smollm2_on_the_cpu() {
    smollm2_matches_the_oracle(Device::cpu());
}

#[test]
fn smollm2_on_wgpu() {
    with_both_classes(|| smollm2_matches_the_oracle(device::gpu()));
}

/// A streamed model leaves its layers in the file and computes the same.
#[test]
fn streamed_layers_give_the_same_vectors_bit_for_bit() {
    for device in [Device::cpu(), device::gpu()] {
        for files in [&tiny_files()[..], &[default_model()]] {
            let [resident, streamed] = [false, true]
                .map(|streamed| load_placed(header_of(files), Placement::new(streamed), device.clone()));
            assert_eq!((resident.is_streamed(), streamed.is_streamed()), (false, true));
            assert_eq!(resident.info.sha256, streamed.info.sha256);
            let texts = [&[5, 17, 300, 2, 9, 9, 41][..], &[7], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]];
            for feature in [Feature::NormAvg, Feature::Last, Feature::Layer(2)] {
                let settings = Settings::new(feature, Pooling::Mean);
                let vectors = [&resident, &streamed, &streamed]
                    .map(|encoder| block_on(encoder.embed_ids(&texts, &settings)).unwrap());
                assert_eq!(vectors[0], vectors[1], "on {}", device.adapter);
                assert_eq!(vectors[1], vectors[2], "the second time on {}", device.adapter);
            }
        }
    }
}

/// The layers of so many texts do not fit into one buffer.
#[test]
fn layers_of_many_texts_are_read_back_in_pieces() {
    let encoder = tiny(Device::cpu());
    let ids: Vec<[u32; 1]> = (0..30_000).map(|text| [text % 500]).collect();
    let texts: Vec<&[u32]> = ids.iter().map(|ids| &ids[..]).collect();
    let all = block_on(encoder.layer_vectors(&texts, &Pooling::Mean)).unwrap();
    assert_eq!(all.len(), texts.len());
    let few = block_on(encoder.layer_vectors(&texts[..3], &Pooling::Mean)).unwrap();
    assert_eq!(all[..3], few);
    assert_eq!(all[29_500..29_503], few);
}

/// A run's batches keep to the placement, however fast the device is.
#[test]
fn batches_of_a_run_keep_to_what_was_placed() {
    let placement = Placement { batch_tokens: 40, ..Placement::new(false) };
    let encoder = load_placed(default_header(), placement, Device::cpu());
    let dataset = Arc::new(Dataset::parse("ted-sample.json", SAMPLE).unwrap());
    let settings = Settings::new(Feature::NormAvg, Pooling::Mean);
    let mut run = Run::new(&encoder, dataset, &Subset::parse("captions=2").unwrap(), settings).unwrap();
    let mut before = run.progress();
    while let Some(progress) = block_on(run.step(&encoder)).unwrap() {
        let (tokens, texts) = (progress.done - before.done, progress.texts - before.texts);
        assert!(tokens <= 40 || texts == 1, "{tokens} tokens of {texts} texts in one batch");
        before = progress;
    }
}

fn batch_is_its_texts(encoder: &TextEncoder) {
    let texts = [
        "a red cube left of a blue ball",
        "a blue ball left of a red cube",
        "Caption Type: video\nCaption: The camera follows a woman in a long green raincoat at walking pace.",
        "no",
    ];
    for pooling in [Pooling::Mean, Pooling::LastToken] {
        let settings = Settings::new(Feature::NormAvg, pooling.clone());
        let together = block_on(encoder.embed(&texts, &settings)).unwrap();
        for (text, vector) in texts.iter().zip(&together.vectors) {
            let alone = block_on(encoder.embed(&[text], &settings)).unwrap();
            assert_eq!(&alone.vectors[0], vector, "`{text}` with {pooling} pooling depends on its neighbors");
        }
        let again = block_on(encoder.embed(&texts, &settings)).unwrap();
        assert_eq!(together, again, "the same texts give other vectors the second time");
    }
}

#[test]
fn a_batch_equals_its_texts_bit_for_bit_on_the_cpu() {
    batch_is_its_texts(&smollm2(Device::cpu()));
}

#[test]
fn a_batch_equals_its_texts_bit_for_bit_on_wgpu() {
    with_both_classes(|| batch_is_its_texts(&smollm2(device::gpu())));
}

/// Checks that the least cosine between a token's hidden state in `arithmetic` and in f32 on the CPU is in `cosines`, which is
/// what the rounding costs; and that a batch gives the vectors of its texts.
fn is_near_f32(arithmetic: Arithmetic, device: Device, cosines: std::ops::Range<f64>) {
    let states = |encoder: &TextEncoder| block_on(encoder.hidden_states(&ROUNDED)).unwrap().into_iter();
    let dataset = Arc::new(Dataset::parse("ted-sample.json", SAMPLE).unwrap());
    let scope = |encoder: &TextEncoder| {
        let settings = Settings::new(Feature::NormAvg, Pooling::Mean);
        let run =
            Run::new(encoder, dataset.clone(), &Subset::parse("captions=1").unwrap(), settings).unwrap();
        let mut scope = run.scope().clone();
        scope["device"] = serde_json::Value::Null;
        scope
    };
    let f32 = smollm2(Device::cpu());
    let found = load(default_header().computed_in(arithmetic), device);
    assert_eq!((found.info.arithmetic, f32.info.arithmetic), (arithmetic, Arithmetic::F32));
    let width = f32.config.hidden_size;
    let rows = |(found, expected): (Vec<f32>, Vec<f32>)| {
        let cosine = |(a, b): (&[f32], &[f32])| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum::<f64>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        found.chunks(width).zip(expected.chunks(width)).map(cosine).fold(1.0, f64::min)
    };
    let least = states(&found).zip(states(&f32)).map(rows).fold(1.0, f64::min);
    assert_ne!(scope(&found), scope(&f32), "vectors of both must not be mixed");
    println!("least cosine in {arithmetic:?} on {}: {least:.7}", found.device().adapter);
    assert!(cosines.contains(&least), "{least}");
    batch_is_its_texts(&found);
}

/// The token ids of three texts.
const ROUNDED: [&[u32]; 3] = [&[504, 2690, 22044, 2330, 282, 253, 3719], &[504, 3719, 22044], &[28; 40]];

#[test]
fn f16_is_near_f32_and_a_batch_is_its_texts() {
    let gpu = device::gpu();
    assert!(gpu.has_f16, "a driver with shader-f16, e.g. Mesa's llvmpipe, not {}", gpu.adapter);
    is_near_f32(Arithmetic::F16, gpu, 0.9999..0.999_999_9);
}

#[test]
fn f16_is_refused_where_there_is_none() {
    let header = default_header().computed_in(Arithmetic::F16);
    let error = Loading::new(header, Device::cpu()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "arithmetic `f16` needs a GPU with `shader-f16`, but this device has none: CPU; choose f32 or int8"
    );
}

#[test]
fn int8_is_near_f32_and_a_batch_is_its_texts() {
    for device in [Device::cpu(), device::gpu()] {
        is_near_f32(Arithmetic::Int8, device, 0.998..0.999_999);
    }

    // Layers that are brought from the file compute in the same arithmetic.
    let [resident, streamed] = [false, true].map(|streamed| {
        let header = default_header().computed_in(Arithmetic::Int8);
        load_placed(header, Placement::new(streamed), Device::cpu())
    });
    let states = |encoder: &TextEncoder| block_on(encoder.hidden_states(&ROUNDED)).unwrap().into_iter();
    assert_eq!(states(&streamed).collect::<Vec<_>>(), states(&resident).collect::<Vec<_>>());
}

/// A layer runs norm, joined product, rotation, attention, product, norm, joined product and product; the norm and the means
/// follow at the end.
#[test]
fn a_layer_is_eight_kernels() {
    let encoder = smollm2(device::gpu());
    let before = launches();
    block_on(encoder.embed_ids(&[&[1, 2, 3]], &Settings::new(Feature::Last, Pooling::Mean))).unwrap();
    assert_eq!(launches() - before, 8 * encoder.config.num_hidden_layers + 2);
}

#[test]
fn equal_weights_are_norm_avg_and_long_texts_are_cut() {
    let encoder = smollm2(Device::cpu());
    let text = ["a red cube left of a blue ball"];
    let embed = |feature| block_on(encoder.embed(&text, &Settings::new(feature, Pooling::Mean))).unwrap();
    assert_eq!(embed(Feature::NormAvg), embed(Feature::Weighted(vec![0.7; 30])));

    let long = "word ".repeat(2100);
    let encoded = encoder.tokenize(&[long.as_str(), "short"]).unwrap();
    assert_eq!((encoded[0].ids.len(), encoded[0].truncated, encoded[1].truncated), (2048, true, false));
}

#[test]
fn a_model_larger_than_the_devices_buffers_is_refused_before_it_is_read() {
    let mut small = Device::cpu();
    small.max_buffer_bytes = Some(400_000);
    let error = Loading::new(default_header(), small).err().unwrap().to_string();
    let expected = "needs 442.4 kB in one buffer, but this device allows 400.0 kB";
    assert!(error.starts_with("`blk.0.ffn_") && error.ends_with(expected), "{error}");
}

#[test]
fn layer_weights_come_from_a_list_or_an_adapter() {
    let read = |name: &str, bytes: Vec<u8>| {
        let file = block_on(AdapterFile::open(Rc::new(Memory::new(name, bytes))));
        file.map(|file| file.layer_weights.unwrap()).map_err(|error| error.to_string())
    };
    assert_eq!(read("w.json", b"[0.5, -1, 2]".to_vec()), Ok(vec![0.5, -1.0, 2.0]));
    let error = read("w.json", b"{}".to_vec()).unwrap_err();
    assert!(
        error.starts_with("`w.json`: the layer weights is malformed: expected a JSON list of numbers"),
        "{error}"
    );

    let adapter = |name: &str| {
        let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#);
        let values: Vec<u8> = [0.25f32, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &values].concat()
    };
    assert_eq!(read("a.safetensors", adapter("layer_weights")), Ok(vec![0.25, 4.0]));
    assert_eq!(
        read("a.safetensors", adapter("other")),
        Err("`a.safetensors` is not an adapter: expected the tensors of attention pooling (`pool_token`, \
             `encoder.0…`), of mean + MLP (`mlp.0.weight`…) or `layer_weights`, found the tensor `other`"
            .into())
    );
}

#[test]
fn batches_are_packed_without_padding_and_within_the_budget() {
    let batch = PackedBatch::new([&[5, 6, 7][..], &[8], &[9, 10]]);
    assert_eq!(batch.input_ids, [5, 6, 7, 8, 9, 10]);
    assert_eq!(batch.positions, [0, 1, 2, 0, 0, 1]);
    assert_eq!(batch.spans(true, None), [[0, 1], [0, 2], [0, 3], [3, 4], [4, 5], [4, 6]]);
    assert_eq!(batch.segments().collect::<Vec<_>>(), [[0, 3], [3, 4], [4, 6]]);

    assert_eq!(runs(&[3, 4, 2, 20, 1, 1], 8), [0..2, 2..3, 3..4, 4..6]);
    assert!(runs(&[], 8).is_empty());
}
