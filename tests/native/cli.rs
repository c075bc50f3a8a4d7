//! The program as people run it: its output, its report, and one clear line for everything that can be wrong.

use crate::support::model::Tiny;
use crate::support::program::Folder;
use crate::support::{adapter_writer, files, oracle};
use gran_ted::format::TensorType;
use serde_json::Value;
use std::process::Command;

fn tiny(family: &'static str) -> Tiny {
    Tiny::new(family, TensorType::Q8_0)
}

#[test]
fn inspect_tells_the_default_models_sizes() {
    let folder = Folder::new("inspect");
    let text = folder.run("inspect MODEL");
    for line in [
        "family               llama",
        "num_hidden_layers    30",
        "hidden_size          576",
        "vocab_size           49152",
        "max_length           2048",
        "parameters           134515008 (134.5 million)",
        "file_bytes           98362432 (98.4 MB)",
    ] {
        assert!(text.contains(line), "`{line}` is missing from\n{text}");
    }
    let facts = folder.run_json("inspect MODEL --json");
    assert_eq!(facts["num_key_value_heads"], 3);
    assert_eq!(facts["tensor_types"]["F32"], 61);
}

#[test]
fn every_family_and_type_embeds_the_same_on_both_devices() {
    let folder = Folder::new("families");
    for family in ["llama", "qwen2", "qwen3", "qwen3vl"] {
        for dtype in [
            TensorType::Q4_0,
            TensorType::Q5_1,
            TensorType::Q8_0,
            TensorType::Q4_K,
            TensorType::Q6_K,
            TensorType::Q2_K,
            TensorType::F16,
        ] {
            folder.file("tiny.gguf", Tiny::new(family, dtype).write());
            let [cpu, gpu] = ["cpu", "gpu"].map(|device| {
                let texts = "'the red cube' 'the blue ball is left of the cube'";
                let result = folder.run_json(&format!("embed tiny.gguf {texts} --json --device {device}"));
                [0, 1].map(|text| vector(&result, text))
            });
            for (cpu, gpu) in cpu.iter().zip(&gpu) {
                let cosine = cosine(cpu, gpu);
                assert!(cosine > 0.99999, "{family} {dtype:?}: cosine {cosine} between CPU and GPU");
            }
            let cosine = cosine(&cpu[0], &cpu[1]);
            assert!(cosine < 0.999, "{family} {dtype:?}: two texts have one vector");
        }
    }
}

/// The vector of a text in what `embed --json` prints.
fn vector(result: &Value, text: usize) -> Vec<f64> {
    serde_json::from_value(result["texts"][text]["vector"].clone()).unwrap()
}

/// The cosine of two vectors of unit length.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn embed_prints_a_matrix() {
    let folder = Folder::new("matrix");
    let text = folder.run("embed MODEL 'a red cube' 'a red cube' 'a stormy sea' --device cpu");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[1].starts_with("    1  1.0000  1.0000  0."), "{text}");
    assert!(lines[3].ends_with("a stormy sea (3 tokens)"), "{text}");
}

#[test]
fn a_model_beyond_the_budget_gives_the_same_vectors() {
    let folder = Folder::new("budget");
    for device in ["cpu", "gpu"] {
        let embed = format!("embed MODEL 'the red cube' 'a blue ball' --json --device {device}");
        // The model takes 66 MB, and gets batches of fewer tokens.
        assert_eq!(folder.run(&format!("{embed} --budget 20")), folder.run(&embed));
    }
    let refused = folder.failure("embed MODEL 'a cube' --device cpu --budget 5");
    assert!(refused.contains("with 2 layers at a time, but the budget is 5.0 MB"), "{refused}");
}

#[test]
fn evaluate_writes_the_report() {
    let folder = Folder::new("evaluate");
    folder.file("tiny.gguf", tiny("qwen3").write());
    let subset = "caption=image;n=1;seed=3";
    let evaluate = format!("evaluate tiny.gguf SAMPLE --subset {subset} --device cpu --no-cache");
    let text = folder.run(&format!("{evaluate} --out report.json"));
    assert!(text.contains("overall") && text.contains("chance"), "{text}");
    let report = folder.json("report.json");
    assert_eq!(report["summary"]["complete"], true);
    assert_eq!(report["summary"]["accuracy_statistics"]["total_samples"], 7); // no video types
    assert_eq!(report["provenance"]["subset"]["definition"], subset);
    assert_eq!(report["provenance"]["model"]["files"][0]["sha256"].as_str().unwrap().len(), 64);
    folder.run(&format!("{evaluate} --out again.json"));
    assert_eq!(report["results"], folder.json("again.json")["results"]);
}

/// An adapter's learned weights are used unless another feature is asked for, and the output says which it was.
#[test]
fn learned_layer_weights_are_the_default() {
    let folder = Folder::new("learned");
    folder.file("tiny.gguf", tiny("qwen3").write());
    let learned = [("layer_weights".to_string(), vec![2], vec![2.0, -1.0])];
    folder.file("weights.safetensors", adapter_writer::safetensors(&learned));
    folder.file("adapter.safetensors", adapter_writer::with_layer_weights(64, 24, &[2.0, -1.0]));
    folder.file("plain.safetensors", adapter_writer::random_adapter(64, 24));
    let run = |options: &str| {
        let evaluate = "evaluate tiny.gguf SAMPLE --subset captions=2 --no-cache --device cpu";
        let text = folder.run(&format!("{evaluate} --out report.json --out report.jsonl {options}"));
        let report = folder.json("report.json");
        let id = report["provenance"]["subset"]["id"].as_str().unwrap().to_string();
        let [feature, pooling] =
            ["feature", "pooling"].map(|key| report["provenance"][key].as_str().unwrap().to_string());
        let first = format!("tiny.gguf, {feature}, {pooling} pooling; subset {id}");
        assert_eq!(text.lines().next(), Some(first.as_str()));
        for line in folder.text("report.jsonl").lines() {
            assert_eq!(serde_json::from_str::<Value>(line).unwrap()["subset"], id);
        }
        (feature, report["provenance"]["layer_weights"]["logits"].clone())
    };
    let weighted = ("weighted".to_string(), serde_json::json!([2.0, -1.0]));
    assert_eq!(run("--adapter adapter.safetensors"), weighted);
    assert_eq!(run("--layer-weights weights.safetensors"), weighted);
    let equal = ("norm_avg".to_string(), Value::Null);
    assert_eq!(run("--adapter adapter.safetensors --feature norm_avg"), equal);
    assert_eq!(run("--adapter plain.safetensors"), equal);
    assert_eq!(run(""), equal);
}

/// Hours of work are not lost to a name that can't be written; what is there stays until there is something better.
#[test]
fn a_report_that_cannot_be_written_is_refused_first() {
    let folder = Folder::new("out");
    folder.file("kept.json", "before");
    for command in ["evaluate", "layers"] {
        let run = |out: &str| folder.failure(&format!("{command} absent.gguf SAMPLE --out {out}"));
        let line = run("nowhere/report.json"); // the model is never looked for
        assert!(line.contains("cannot write `nowhere/report.json`: No such file"), "{line}");
        let line = run("kept.json");
        assert!(line.contains("absent.gguf"), "{line}");
        assert_eq!(folder.text("kept.json"), "before");
        run("new.json");
        assert!(!folder.path("new.json").exists());
    }
}

/// `embed` takes a model by its file, by any of its parts, or by its index, and packs it while loading.
#[test]
fn a_model_is_found_by_any_of_its_files() {
    let folder = Folder::new("files");
    let model = Tiny::new("qwen3", TensorType::F16);
    folder.file("whole.gguf", model.write());
    let parts = [1, 2, 3].map(|number| format!("m-{number:05}-of-00003.gguf"));
    parts.iter().zip(model.split(3)).for_each(|(name, bytes)| folder.file(name, bytes));
    let embed = |path: &str, options: &str| {
        let result = folder.run_json(&format!("embed {path} 'the red cube' --json --device cpu {options}"));
        vector(&result, 0)
    };
    let dense = embed("whole.gguf", "");
    for part in &parts {
        assert_eq!(embed(part, ""), dense);
    }
    for (name, least, bits) in [("q8", 0.9999, 9), ("q4", 0.98, 5)] {
        let packed = embed(&parts[1], &format!("--quantize {name}"));
        assert!(packed != dense && cosine(&packed, &dense) > least, "{name}: {}", cosine(&packed, &dense));
        let bytes = |options: &str| {
            let facts = folder.run_json(&format!("inspect whole.gguf --json {options}"));
            facts["device_bytes"].as_u64().unwrap()
        };
        let (packed, plain) = (bytes(&format!("--quantize {name}")), bytes(""));
        // Norms stay as they are; a dense weight takes 16 bits.
        assert!(16 * packed < (bits + 1) * plain, "{name}: {packed} bytes of {plain}");
    }
    let line = folder.failure("inspect whole.gguf --quantize q2");
    assert!(line.contains("quantize `q2` is not known, expected q8 or q4"), "{line}");
    std::fs::remove_file(folder.path(&parts[2])).unwrap();
    let line = folder.failure(&format!("inspect {}", parts[0]));
    assert!(line.contains("of which `"), "a missing part is named: {line}");

    // A sharded checkpoint is named by its index, or by one shard.
    let shard = "model-00001-of-00001.safetensors";
    for (name, bytes) in [("config.json", "config.json"), (shard, "model.safetensors")] {
        folder.file(name, files::fixture(&format!("tiny-qwen3vl/{bytes}")));
    }
    let names = oracle::tensor_names("tiny-qwen3vl/model.safetensors");
    let weight_map: serde_json::Map<_, _> =
        names.into_iter().map(|name| (name, Value::from(shard))).collect();
    let index = "model.safetensors.index.json";
    folder.file(index, serde_json::json!({ "weight_map": weight_map }).to_string());
    let parameters = |path: &str| folder.run_json(&format!("inspect {path} --json"))["parameters"].clone();
    let expected = parameters("TINY");
    assert_eq!(parameters(index), expected);
    assert_eq!(parameters(shard), expected);
    std::fs::remove_file(folder.path(shard)).unwrap();
    let line = folder.failure(&format!("inspect {index}"));
    assert!(line.contains("no weights"), "an index without its shards: {line}");
}

/// Encoded vectors are kept, for both training-free poolings; a torn file loses its last vector alone.
#[test]
fn a_second_run_encodes_nothing_again() {
    let folder = Folder::new("cache");
    folder.file("tiny.gguf", tiny("qwen3").write());
    let run = |options: &str| {
        folder.run(&format!("evaluate tiny.gguf SAMPLE --out report.json --device cpu {options}"));
        folder.json("report.json")
    };
    let texts = |report: &Value| {
        let count = |key: &str| report["provenance"]["timings"][key].as_u64().unwrap();
        [count("texts"), count("restored")]
    };
    let first = run("--cache cache");
    let [all, restored] = texts(&first);
    assert_eq!(restored, 0);
    let second = run("--cache cache");
    assert_eq!((texts(&second), &second["results"]), ([0, all], &first["results"]));

    let last_token = run("--cache cache --pooling last_token");
    assert_eq!(texts(&last_token), [0, all]);
    let alone = run("--no-cache --pooling last_token");
    assert_eq!((texts(&alone), &alone["results"]), ([all, 0], &last_token["results"]));
    assert_ne!(alone["results"], first["results"]);
    assert_eq!(texts(&run("--cache cache --feature last")), [all, 0]);
    let int8 = run("--cache cache --arithmetic int8");
    assert_eq!(texts(&int8), [all, 0]);
    assert_eq!(int8["provenance"]["model"]["arithmetic"], "int8");
    assert_eq!(first["provenance"]["model"]["arithmetic"], "f32");

    for entry in std::fs::read_dir(folder.path("cache")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    }
    let torn = run("--cache cache");
    assert_eq!((texts(&torn), &torn["results"]), ([1, all - 1], &first["results"]));
    assert_eq!(texts(&run("--cache cache")), [0, all]);
}

#[test]
fn layers_scores_everything_from_one_pass() {
    let folder = Folder::new("layers");
    folder.file("tiny.gguf", tiny("qwen3").write());
    folder.file("weights.json", "[0.5, -1]");
    let common = "tiny.gguf SAMPLE --subset n=2;seed=3 --layer-weights weights.json --device cpu";
    let text = folder.run(&format!("layers {common} --out layers.json"));
    let study = folder.json("layers.json");
    let mut tokens = 0;
    let expected =
        ["layer(0)", "layer(1)", "layer(2)", "last", "penultimate", "norm_avg", "weighted"].map(|feature| {
            folder.run(&format!("evaluate {common} --feature {feature} --no-cache --out report.json"));
            let report = folder.json("report.json");
            tokens = report["provenance"]["timings"]["tokens"].as_u64().unwrap();
            report["summary"]["accuracy_statistics"]["overall"].clone()
        });
    let found: Vec<Value> =
        study["features"].as_array().unwrap().iter().map(|row| row["accuracy"].clone()).collect();
    assert_eq!(found, expected);
    assert_eq!(study["provenance"]["timings"]["tokens"], tokens); // once, for all seven
    assert_eq!(text.lines().filter(|line| line.starts_with("layer(")).count(), 3, "{text}");
    assert!(text.contains(&format!("one pass: {tokens} tokens of")), "{text}");
}

#[test]
fn an_adapter_makes_the_embeddings() {
    let folder = Folder::new("adapter");
    folder.file("tiny.gguf", tiny("qwen3").write());
    folder.file("adapter.safetensors", adapter_writer::random_adapter(64, 24));
    let embed = |options: &str| {
        let embed = "embed tiny.gguf 'the red cube' 'a blue ball' --json --adapter adapter.safetensors";
        folder.run_json(&format!("{embed} {options}"))
    };
    let [cpu, gpu] = ["--device cpu", "--device gpu"].map(embed);
    assert_eq!(cpu["pooling"], "attention");
    for text in 0..2 {
        let (cpu, gpu) = (vector(&cpu, text), vector(&gpu, text));
        assert_eq!(cpu.len(), 24);
        let cosine = cosine(&cpu, &gpu);
        assert!(cosine > 0.99999, "cosine {cosine} between CPU and GPU");
    }
    let rounded = vector(&embed("--device cpu --reference-precision"), 0);
    assert!(rounded.iter().all(|value| half::bf16::from_f64(*value).to_f64() == *value), "{rounded:?}");
    assert_eq!(embed("--device cpu --pooling mean")["pooling"], "mean");
}

#[test]
fn reports_are_compared() {
    let folder = Folder::new("compare");
    folder.file("tiny.gguf", tiny("qwen3").write());
    for pooling in ["mean", "last_token"] {
        let out = format!("--out {pooling}.json --out {pooling}.csv");
        folder.run(&format!("evaluate tiny.gguf SAMPLE --pooling {pooling} --no-cache --device cpu {out}"));
        let rows = folder.text(&format!("{pooling}.csv"));
        assert!(rows.starts_with("group,name,correct,total,accuracy,low,high,chance,subset\r\n"), "{rows}");
    }
    let right =
        |name: &str| folder.json(name)["summary"]["accuracy_statistics"]["total_correct"].as_u64().unwrap();
    let result = folder.run_json("compare mean.json last_token.json --json");
    assert_eq!(result["shared"], 46);
    let all = &result["groups"][0];
    assert_eq!(all["first"]["correct"], right("mean.json"));
    assert_eq!(all["second"]["correct"], right("last_token.json"));
    let table = folder.run("compare mean.json last_token.json");
    assert!(table.contains("right in one only"), "{table}");
}

/// Ctrl-C after the first batches leaves a partial report and exit status 130. A slow machine gets more time to begin.
#[test]
#[cfg(unix)]
fn an_interrupt_leaves_a_partial_report_and_what_is_encoded() {
    let folder = Folder::new("interrupt");
    folder.file("long.json", long_dataset(200));
    let cache = folder.path("cache");
    let scored = |seconds: u64| -> Option<usize> {
        let _ = std::fs::remove_dir_all(&cache);
        // 200 distinct captions are minutes of work for one thread.
        let mut child = folder
            .program("evaluate MODEL long.json --out report.json --device cpu --cache cache")
            .env("RAYON_NUM_THREADS", "1")
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_secs(seconds));
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        if child.wait().unwrap().code() != Some(130) {
            return None; // still loading
        }
        let report = folder.json("report.json");
        assert_eq!(report["summary"]["complete"], false);
        Some(report["results"].as_array().unwrap().len())
    };
    let scored = [4, 10, 30].into_iter().find_map(|seconds| scored(seconds).filter(|scored| *scored > 0));
    assert!(scored.is_some_and(|scored| scored < 200), "{scored:?} items");
    let file = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let kept = std::fs::metadata(file).unwrap().len();
    assert!(kept > 4 * 2 * 576 * 200 / 100, "{kept} bytes of vectors are kept");
}

fn long_dataset(captions: usize) -> String {
    let entry = |index: usize| {
        let caption = format!("scene {index} shows a small harbour with boats and gulls; ").repeat(8);
        let wrong =
            |text: &str| format!(r#"{{"status": "success", "statement": "{text} in scene {index}."}}"#);
        format!(
            r#""image_{index}": {{"caption": "{caption}", "caption_type": "image", "statements": {{"Adjective": {{"question": "?",
            "correct_statement": {}, "incorrect_statements": [{}]}}}}}}"#,
            wrong("The harbour is small"),
            wrong("The harbour is huge")
        )
    };
    format!("{{{}}}", (0..captions).map(entry).collect::<Vec<_>>().join(","))
}

#[test]
fn a_bad_model_file_is_one_clear_line() {
    let folder = Folder::new("bad-model");
    let whole = std::fs::read(files::default_model()).unwrap();
    let good = tiny("llama").write();
    let replaced = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = good.windows(from.len()).position(|window| window == from.as_bytes()).expect(from);
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let cases: [(&str, Vec<u8>, &str); 7] = [
        (
            "notes.txt",
            b"<html>not found</html>".to_vec(),
            "is not a model: expected a GGUF file, found an HTML or XML page",
        ),
        ("cut.gguf", whole[..4_000_000].to_vec(), "is truncated: tensor `"),
        (
            "family.gguf",
            replaced(
                "general.architecture\u{8}\0\0\0\u{5}\0\0\0\0\0\0\0llama",
                "general.architecture\u{8}\0\0\0\u{5}\0\0\0\0\0\0\0mamba",
            ),
            "model family `mamba` is not supported, expected llama, mistral, smollm3, qwen2, qwen2vl, qwen3, qwen3vl",
        ),
        (
            "missing.gguf",
            replaced("blk.1.ffn_up.weight", "blk.1.ffn_xx.weight"),
            "has no tensor `blk.1.ffn_up.weight`",
        ),
        (
            "tokenizer.gguf",
            replaced("smollm", "whoops"),
            "tokenizer `gpt2, whoops` is not supported, expected `t5`, `llama`, or `gpt2` with the split qwen2, qwen35,",
        ),
        (
            "key.gguf",
            replaced("llama.block_count", "llama.block_xount"),
            "has no `llama.block_count`, which a `llama` model needs",
        ),
        ("empty.gguf", Vec::new(), "is not a model: expected"),
    ];
    for (name, bytes, expected) in cases {
        folder.file(name, bytes);
        let line = folder.failure(&format!("inspect {name}"));
        assert!(line.starts_with(&format!("error: `{name}`")) && line.contains(expected), "{name}: {line}");
    }
    assert!(folder.failure("inspect absent.gguf").contains("absent.gguf`: No such file"));
}

#[test]
fn wrong_shapes_and_unused_tensors_are_refused() {
    let folder = Folder::new("shapes");
    let mut wrong = tiny("llama");
    wrong.intermediate_size = 96;
    let bytes = wrong.write();
    // The header of this file says 160.
    let key = b"llama.feed_forward_length";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 4;
    let mut lying = bytes.clone();
    lying[at..at + 4].copy_from_slice(&160u32.to_le_bytes());
    folder.file("shape.gguf", lying);
    let line = folder.failure("inspect shape.gguf");
    assert!(line.ends_with("has shape [96, 64], expected [160, 64]"), "{line}");

    // A tensor of a layer that the network does not use would be left out: llama has no norms over heads.
    let mut bytes = tiny("qwen3").write();
    let swap = |bytes: &mut Vec<u8>, from: &[u8], to: &[u8]| {
        while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    };
    swap(
        &mut bytes,
        b"general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0qwen3",
        b"general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0llama",
    );
    swap(&mut bytes, b"qwen3.", b"llama.");
    folder.file("norm.gguf", bytes);
    let line = folder.failure("inspect norm.gguf");
    assert!(
        line.contains(
            "has the tensor `blk.0.attn_k_norm.weight`, which the network of family llama does not use"
        ),
        "{line}"
    );
}

#[test]
fn a_weight_that_is_not_a_number_is_refused() {
    let folder = Folder::new("nan");
    let mut model = Tiny::new("llama", TensorType::F32);
    model.seed = 1;
    let mut bytes = model.write();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    folder.file("nan.gguf", bytes);
    let line = folder.failure("embed nan.gguf 'the red cube' --device cpu");
    assert!(line.ends_with("tensor `output_norm.weight` holds a value that is not finite"), "{line}");
}

#[test]
fn bad_texts_settings_and_data_sets_are_one_clear_line() {
    let folder = Folder::new("bad-input");
    folder.file("tiny.gguf", tiny("llama").write());
    folder.file("list.json", "[1, 2]");
    folder.file("weights.json", "[0.5]");
    folder.file("adapter.safetensors", adapter_writer::random_adapter(96, 32));
    folder.file("no-weights.safetensors", adapter_writer::random_adapter(64, 32));
    let cases: [(&str, &str); 20] = [
        (
            "embed tiny.gguf x --layer-weights no-weights.safetensors",
            "no-weights.safetensors` has no tensor `layer_weights`",
        ),
        (
            "layers tiny.gguf SAMPLE --layer-weights no-weights.safetensors",
            "no-weights.safetensors` has no tensor `layer_weights`",
        ),
        ("embed tiny.gguf 'the cube' ''", "prompt 2 is empty: expected at least one token"),
        (
            "embed tiny.gguf x --feature middle",
            "feature `middle` is not known, expected last, last_prenorm, penultimate",
        ),
        ("embed tiny.gguf x --feature layer(9)", "layer(i) is 9, but the model has 2 layers"),
        (
            "embed tiny.gguf x --pooling max",
            "pooling `max` is not known, expected mean, last_token, or adapter with an adapter's file",
        ),
        ("embed tiny.gguf x --arithmetic int4", "arithmetic `int4` is not known, expected f32, f16 or int8"),
        (
            "embed tiny.gguf x --device cpu --arithmetic f16",
            "arithmetic `f16` needs a GPU with `shader-f16`, but this device has none: CPU; choose f32 or int8",
        ),
        ("embed tiny.gguf x --device tpu", "device `tpu` is not known, expected cpu or gpu"),
        (
            "embed tiny.gguf x --feature weighted --layer-weights weights.json",
            "the number of layer weights is 1, but the model has 2 layers",
        ),
        ("embed TINY x", "comes without a tokenizer: expected a tokenizer.json beside it"),
        (
            "embed tiny.gguf 'the cube' --adapter adapter.safetensors",
            "tensor `pool_token` has shape [1, 1, 96], expected [1, 1, 64]",
        ),
        ("embed tiny.gguf x --adapter weights.json", "is not an adapter"),
        ("embed tiny.gguf x --pooling adapter", "pooling `adapter` is not known"),
        ("layers tiny.gguf SAMPLE --pooling adapter", "pooling `adapter` is not known"),
        ("compare list.json list.json", "is not a report"),
        (
            "evaluate tiny.gguf SAMPLE --out report.txt",
            "report file `report.txt` is not known, expected a name that ends with .json, .csv or .jsonl",
        ),
        ("evaluate tiny.gguf list.json", "is not a TED-6K file"),
        ("evaluate tiny.gguf SAMPLE --subset type=Color", "Color"),
        ("evaluate tiny.gguf SAMPLE --subset caption=image;type=Temporal", "no item of `"),
    ];
    for (command, expected) in cases {
        let line = folder.failure(command);
        assert!(line.contains(expected), "{command}: {line}");
    }
}

#[test]
fn a_folder_of_safetensors_loads() {
    let facts = Folder::new("safetensors").run("inspect TINY");
    assert!(facts.contains("family               qwen3vl"), "{facts}");
    assert!(facts.contains("tokenizer            none"), "{facts}");
}

#[test]
fn bench_measures_the_device_and_the_model() {
    let folder = Folder::new("bench");
    folder.file("tiny.gguf", tiny("qwen2").write());
    let bench = "bench tiny.gguf --device cpu --tokens 4,16 --seconds 60";
    let text = folder.run(bench);
    for part in ["GFLOP/s multiply-add", "16 tokens", "qkv_proj quant_matmul", "less attention"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let report = folder.run_json(&format!("{bench} --json"));
    assert_eq!(report["complete"], true);
    assert_eq!(report["provenance"]["device"]["kind"], "cpu");
    assert_eq!(report["dispatches_per_layer"], 8); // three products add their bias
    let models = report["rows"].as_array().unwrap().iter().filter(|row| row["name"] == "model");
    assert_eq!(models.map(|row| row["tokens"].as_u64().unwrap()).collect::<Vec<_>>(), [4, 16]);

    let refused = |options: &str| folder.failure(&format!("bench tiny.gguf --device cpu {options}"));
    let line = refused("--tokens 16,1000000");
    assert!(line.contains("number of tokens `1000000` is not known, expected 1 to "), "{line}");
    let line = refused("--seconds 0");
    assert!(line.contains("budget `0` is not known, expected a number of seconds above 0"), "{line}");
}
