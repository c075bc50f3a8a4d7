//! Models as people have them: folders, links, pieces, and what lies beside them.

use crate::support::model::Tiny;
use crate::support::program::Folder;
use crate::support::{adapter_writer, checkpoint, files, network, oracle, torch_writer};
use gran_ted::format::TensorType;
use serde_json::json;

/// A GGUF file of metadata alone.
fn gguf(entries: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut bytes =
        [b"GGUF", &3u32.to_le_bytes()[..], &[0; 8], &(entries.len() as u64).to_le_bytes()].concat();
    for (key, value) in entries {
        bytes.extend([text(key), 8u32.to_le_bytes().to_vec(), text(value)].concat());
    }
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes
}

/// Two low-rank matrices of peft.
fn lora() -> Vec<u8> {
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_";
    let tensor =
        |end: &str, shape: [usize; 2]| (format!("{name}{end}.weight"), shape.to_vec(), vec![0.5; 128]);
    adapter_writer::safetensors(&[tensor("A", [2, 64]), tensor("B", [64, 2])])
}

#[test]
fn a_diffusion_repository_s_encoder_takes_the_tokenizer_of_its_number() {
    let folder = Folder::new("diffusion");
    folder.checkpoint("whole");
    let expected = folder.vector("whole");
    folder.weights("repo/text_encoder_2");
    folder.json_file("repo/tokenizer/tokenizer.json", &checkpoint::tokenizer(0));
    let line = folder.failure("embed repo/text_encoder_2 x --device cpu");
    assert!(line.contains("comes without a tokenizer"), "another encoder's is not taken: {line}");
    folder.vocab_and_merges("repo/tokenizer_2");
    assert_eq!(folder.vector("repo/text_encoder_2"), expected);
    assert_eq!(folder.vector("repo/text_encoder_2/model.safetensors"), expected);
    assert_eq!(folder.vector("repo"), expected);
    folder.weights("three/text_encoder_3");
    folder
        .deep_file("three/tokenizer_3/spiece.model", files::fixture("tokenizers/tiny-gemma.tokenizer.model"));
    assert!(folder.vector("three").is_array());
    folder.weights("repo/text_encoder");
    assert_ne!(folder.vector("repo/text_encoder"), expected);
    let line = folder.failure("inspect repo");
    assert!(line.contains("repo/text_encoder`") && line.contains("repo/text_encoder_2`"), "{line}");
}

#[test]
fn the_hub_s_cache_is_read() {
    let folder = Folder::new("hub");
    folder.checkpoint("whole");
    folder.checkpoint("models--o--n/snapshots/0a");
    let expected = folder.vector("whole");
    assert_eq!(folder.vector("models--o--n"), expected);
    folder.deep_file("models--o--n/snapshots/0b/README.md", "no weights");
    let line = folder.failure("inspect models--o--n");
    assert!(line.contains("snapshots/0a`") && line.contains("snapshots/0b`"), "{line}");
    folder.deep_file("models--o--n/refs/main", "0a\n");
    assert_eq!(folder.vector("models--o--n"), expected);
}

#[test]
fn leftovers_beside_a_model_are_left_out() {
    let folder = Folder::new("leftovers");
    folder.checkpoint("m");
    let expected = folder.vector("m");
    let names = oracle::tensor_names("tiny-qwen3vl/model.safetensors");
    let shards = names.into_iter().map(|name| (name, json!("model-00001-of-00002.safetensors")));
    let index = json!({ "weight_map": shards.collect::<serde_json::Map<_, _>>() });
    folder.json_file("m/model.safetensors.index.json", &index);
    folder.file("m/._model.safetensors", b"\0\x05\x16\x07\0\x02\0\0Mac OS X        ");
    folder.file("m/pooling.safetensors", adapter_writer::random_adapter(64, 32));
    folder.file("m/optimizer.bin", b"PK\x03\x04");
    assert_eq!(folder.vector("m"), expected, "index, notes, adapter, pickle");

    folder.deep_file("g/MODEL.GGUF", Tiny::new("qwen3", TensorType::F32).write());
    let expected = folder.vector("g/MODEL.GGUF");
    assert_eq!(folder.vector("g"), expected, "a capital ending");
    folder.file("g/._MODEL.GGUF", b"\0\x05\x16\x07\0\x02\0\0Mac OS X        ");
    folder.file("g/M.f16.vision.gguf", gguf(&[("general.architecture", "clip")]));
    folder.file("g/pooling.safetensors", adapter_writer::random_adapter(64, 32));
    assert_eq!(folder.vector("g"), expected, "an image half of any name");
    folder.file("g/other.gguf", Tiny::new("qwen3", TensorType::F16).write());
    let line = folder.failure("inspect g");
    assert!(line.contains("MODEL.GGUF`") && line.contains("other.gguf`"), "{line}");
}

/// As in transformers 5.24, `_get_resolved_checkpoint_files` in modeling_utils.py.
#[test]
fn model_safetensors_comes_before_a_whole_index() {
    let folder = Folder::new("before-index");
    let (one, other) = (network::tensors("qwen3"), others(&network::tensors("qwen3")));
    folder.json_file("n/config.json", &network::config("qwen3"));
    folder.json_file("n/tokenizer.json", &checkpoint::tokenizer(6));
    folder.deep_file("n/model.safetensors", network::safetensors(&one, "model."));
    let alone = folder.vector("n");
    let map = |shard: &str| -> serde_json::Map<_, _> {
        other.keys().map(|name| (format!("model.{name}"), json!(shard))).collect()
    };
    for (shard, index) in [
        ("model-00001-of-00001.safetensors", "model.safetensors.index.json"),
        ("model-00001-of-00001.fp16.safetensors", "model.fp16.safetensors.index.json"),
    ] {
        folder.deep_file(&format!("n/{shard}"), network::safetensors(&other, "model."));
        folder.json_file(&format!("n/{index}"), &json!({ "weight_map": map(shard) }));
        assert_eq!(folder.vector("n"), alone, "{index}");
        // The shards are another model, which their own names give.
        assert_ne!(folder.vector(&format!("n/{index}")), alone, "{index}");
        assert_ne!(folder.vector(&format!("n/{shard}")), alone, "{shard}");
        assert_eq!(folder.vector("n/model.safetensors"), alone);
    }
    std::fs::remove_file(folder.path("n/model.fp16.safetensors.index.json")).unwrap();
    std::fs::remove_file(folder.path("n/model-00001-of-00001.fp16.safetensors")).unwrap();

    // The configuration may name the weights.
    let named = |name: &str| {
        let mut config = network::config("qwen3");
        config["transformers_weights"] = json!(name);
        folder.json_file("n/config.json", &config);
    };
    named("model.safetensors");
    assert_eq!(folder.vector("n"), alone);
    named("model.safetensors.index.json");
    let line = folder.failure("inspect n");
    assert!(line.contains("`transformers_weights` names, `model.safetensors.index.json`"), "{line}");
    assert_ne!(folder.vector("n/model.safetensors.index.json"), alone);
}

/// The same network with other weights.
fn others(all: &network::Tensors) -> network::Tensors {
    let mut all = all.clone();
    all.get_mut("norm.weight").unwrap().1.reverse();
    all
}

#[test]
fn variants_are_found_by_their_shards_and_their_index() {
    let folder = Folder::new("variants");
    folder.checkpoint("m");
    let expected = folder.vector("m");
    let shard = "model-00001-of-00001.fp16.safetensors";
    std::fs::rename(folder.path("m/model.safetensors"), folder.path(&format!("m/{shard}"))).unwrap();
    assert_eq!(folder.vector("m"), expected, "without an index");
    let names = oracle::tensor_names("tiny-qwen3vl/model.safetensors");
    let map: serde_json::Map<_, _> = names.into_iter().map(|name| (name, json!(shard))).collect();
    for index in ["model.fp16.safetensors.index.json", "model.safetensors.index.fp16.json"] {
        folder.json_file(&format!("m/{index}"), &json!({ "weight_map": map }));
        for path in ["m".into(), format!("m/{index}"), format!("m/{shard}")] {
            assert_eq!(folder.vector(&path), expected, "{path}");
        }
        std::fs::remove_file(folder.path(&format!("m/{index}"))).unwrap();
    }
    std::fs::copy(folder.path(&format!("m/{shard}")), folder.path("m/encoder.safetensors")).unwrap();
    let line = folder.failure("inspect m");
    assert!(line.contains("encoder.safetensors`") && line.contains(shard), "two readings: {line}");
}

#[test]
fn a_lora_beside_its_base_is_refused_and_one_alone_is_named() {
    let folder = Folder::new("lora");
    folder.checkpoint("m");
    let expected = folder.vector("m");
    folder.file("m/adapter_model.safetensors", lora());
    folder.json_file("m/adapter_config.json", &json!({ "peft_type": "LORA", "r": 2, "lora_alpha": 4 }));
    let line = folder.failure("embed m x --device cpu");
    assert!(line.contains("is a LoRA adapter beside its base `m/model.safetensors`"), "{line}");
    assert_eq!(folder.vector("m/model.safetensors"), expected, "the base by its name");
    std::fs::remove_file(folder.path("m/model.safetensors")).unwrap();
    let line = folder.failure("embed m x --device cpu");
    assert!(line.contains("a LoRA adapter, not a model: merge it into its base"), "{line}");
    let line = folder.failure("embed m/adapter_model.safetensors x --device cpu");
    assert!(line.contains("a LoRA adapter, not a model"), "{line}");
}

#[test]
fn a_tokenizer_json_stands_in_for_one_of_a_gguf_file_that_is_not_read() {
    let folder = Folder::new("beside-gguf");
    let bytes = Tiny::new("llama", TensorType::F32).write();
    let at = bytes.windows(6).position(|window| window == b"smollm").unwrap();
    folder.file("m.gguf", [&bytes[..at], b"whoops", &bytes[at + 6..]].concat());
    assert!(folder.failure("embed m.gguf x --device cpu").contains("`gpt2, whoops`"));
    // The bytes alone, which have the same ids in both.
    let mut small = crate::support::checkpoint::tokenizer(0);
    small["added_tokens"] = json!([]);
    small["model"]["vocab"].as_object_mut().unwrap().retain(|_, id| id.as_u64() < Some(256));
    folder.json_file("tokenizer.json", &small);
    folder.run("embed m.gguf x --device cpu");
}

#[test]
fn foreign_files_are_named_for_what_they_are_wherever_they_are_opened() {
    let folder = Folder::new("foreign");
    folder.checkpoint("m");
    folder.checkpoint("mark");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n";
    let page = "<!DOCTYPE html><title>Not found</title>";
    folder.file("pointer", pointer);
    folder.file("page.json", page);
    let whole = Tiny::new("qwen3", TensorType::F32).write();
    folder.file("m.gguf.part1of2", &whole[..whole.len() / 2]);
    folder.file("m.gguf-split-b", &whole[whole.len() / 2..]);
    folder.file("m.gguf.crdownload", &whole[..whole.len() / 2]);
    folder.file("vision.gguf", gguf(&[("general.architecture", "clip")]));
    folder.file("lora.gguf", gguf(&[("general.architecture", "llama"), ("general.type", "adapter")]));
    folder.file("flux.gguf", gguf(&[("general.architecture", "flux")]));
    folder.deep_file("pickled/config.json", files::fixture("tiny-qwen3vl/config.json"));
    folder.file("pickled/pytorch_model.bin", torch_writer::checkpoint(b"}"));
    for (command, expected) in [
        ("inspect pointer", "a Git LFS pointer"),
        ("inspect m.gguf.part1of2", "a piece of a file that was cut: join all pieces"),
        ("inspect m.gguf-split-b", "a piece of a file that was cut: join all pieces"),
        ("inspect m.gguf.crdownload", "a download that has not ended"),
        ("inspect vision.gguf", "the image half of a model (mmproj)"),
        ("inspect lora.gguf", "a LoRA adapter, not a model"),
        ("inspect flux.gguf", "give the file of its text encoder"),
        ("inspect pickled", "pickled/pytorch_model.bin` is not a model"),
        ("inspect https://host.example/m.gguf", "it is a link: download the file first"),
        ("evaluate m https://host.example/ted.json", "it is a link: download the file first"),
        ("evaluate m pointer", "a Git LFS pointer"),
        ("evaluate m page.json", "an HTML or XML page"),
        ("compare page.json page.json", "an HTML or XML page"),
        ("correlate page.json", "an HTML or XML page"),
        ("embed m x --adapter pointer", "a Git LFS pointer"),
        ("embed m x --layer-weights page.json", "an HTML or XML page"),
    ] {
        let line = folder.failure(command);
        assert!(line.contains(expected), "{command}: {line}");
    }
    for name in ["config.json", "tokenizer.json"] {
        let json = std::fs::read(folder.path(&format!("mark/{name}"))).unwrap();
        folder.file(&format!("mark/{name}"), [b"\xef\xbb\xbf", &json[..]].concat());
        assert_eq!(folder.vector("mark"), folder.vector("m"), "{name} with a byte order mark");
        folder.file(&format!("mark/{name}"), pointer);
        let line = folder.failure("inspect mark");
        assert!(line.contains(&format!("mark/{name}`")) && line.contains("a Git LFS pointer"), "{line}");
        folder.file(&format!("mark/{name}"), json);
    }
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_refused_and_not_waited_for() {
    let folder = Folder::new("pipe");
    folder.file("tiny.gguf", Tiny::new("llama", TensorType::Q8_0).write());
    let made = std::process::Command::new("mkfifo").arg(folder.path("pipe.gguf")).status().unwrap();
    assert!(made.success());
    for command in
        ["inspect pipe.gguf", "evaluate tiny.gguf pipe.gguf", "embed tiny.gguf x --adapter pipe.gguf"]
    {
        assert!(folder.failure(command).contains("pipe or a device"), "{command}");
    }
}
