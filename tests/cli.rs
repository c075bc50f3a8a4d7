//! The program as people run it: its output, its report, and one clear line for everything that can be wrong.

#[path = "common/adapter_writer.rs"]
mod adapter_writer;
#[path = "common/gguf_writer.rs"]
mod gguf_writer;
#[path = "common/noise.rs"]
mod noise;
#[path = "common/oracle.rs"]
mod oracle;

use gguf_writer::Tiny;
use gran_ted::format::TensorType;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gran-ted-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file and gives its path.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Without Mesa's device-select layer, which complains on standard error where there is no display.
fn gran_ted(arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_gran-ted"));
    program.args(arguments).env("NODEVICE_SELECT", "1").output().unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = gran_ted(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The one line of a failure.
fn failure(arguments: &[&str]) -> String {
    let output = gran_ted(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_string()
}

fn tiny(family: &'static str) -> Tiny {
    Tiny::new(family, TensorType::Q8_0)
}

fn sample() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("www/data/ted-sample.json").display().to_string()
}

#[test]
fn inspect_tells_the_default_models_sizes() {
    let model = oracle::default_model().display().to_string();
    let text = stdout(&["inspect", &model]);
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
    let facts: Value = serde_json::from_str(&stdout(&["inspect", &model, "--json"])).unwrap();
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
            TensorType::F16,
        ] {
            let model = folder.file("tiny.gguf", Tiny::new(family, dtype).write());
            let vectors = |device: &str| -> Vec<Vec<f64>> {
                let arguments = [
                    "embed",
                    &model,
                    "the red cube",
                    "the blue ball is left of the cube",
                    "--json",
                    "--device",
                    device,
                ];
                let result: Value = serde_json::from_str(&stdout(&arguments)).unwrap();
                let texts = result["texts"].as_array().unwrap().iter();
                texts.map(|text| serde_json::from_value(text["vector"].clone()).unwrap()).collect()
            };
            let (cpu, gpu) = (vectors("cpu"), vectors("gpu"));
            for (cpu, gpu) in cpu.iter().zip(&gpu) {
                let cosine: f64 = cpu.iter().zip(gpu).map(|(a, b)| a * b).sum();
                assert!(cosine > 0.99999, "{family} {dtype:?}: cosine {cosine} between CPU and GPU");
            }
            let cosine: f64 = cpu[0].iter().zip(&cpu[1]).map(|(a, b)| a * b).sum();
            assert!(cosine < 0.999, "{family} {dtype:?}: two texts have one vector");
        }
    }
}

#[test]
fn embed_prints_a_matrix() {
    let model = oracle::default_model().display().to_string();
    let text = stdout(&["embed", &model, "a red cube", "a red cube", "a stormy sea", "--device", "cpu"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[1].starts_with("    1  1.0000  1.0000  0."), "{text}");
    assert!(lines[3].ends_with("a stormy sea (3 tokens)"), "{text}");
}

#[test]
fn a_model_beyond_the_budget_gives_the_same_vectors() {
    let model = oracle::default_model().display().to_string();
    for device in ["cpu", "gpu"] {
        let embed = |options: &[&str]| {
            let arguments = ["embed", &model, "the red cube", "a blue ball", "--json", "--device", device];
            stdout(&[&arguments[..], options].concat())
        };
        assert_eq!(embed(&["--budget", "20"]), embed(&[])); // of 66 MB, with fewer tokens in a batch
    }
    let refused = failure(&["embed", &model, "a cube", "--device", "cpu", "--budget", "5"]);
    assert!(refused.contains("with 2 layers at a time, but the budget is 5.0 MB"), "{refused}");
}

#[test]
fn evaluate_writes_the_report() {
    let folder = Folder::new("evaluate");
    let model = folder.file("tiny.gguf", tiny("qwen3").write());
    let out = folder.path("report.json");
    let subset = "caption=image;n=1;seed=3";
    let text = stdout(&[
        "evaluate",
        &model,
        &sample(),
        "--subset",
        subset,
        "--out",
        &out,
        "--device",
        "cpu",
        "--no-cache",
    ]);
    assert!(text.contains("overall") && text.contains("chance"), "{text}");
    let report: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(report["summary"]["complete"], true);
    assert_eq!(report["summary"]["accuracy_statistics"]["total_samples"], 7); // no video types
    assert_eq!(report["provenance"]["subset"]["definition"], subset);
    assert_eq!(report["provenance"]["model"]["files"][0]["sha256"].as_str().unwrap().len(), 64);
    let again = folder.path("again.json");
    stdout(&[
        "evaluate",
        &model,
        &sample(),
        "--subset",
        subset,
        "--out",
        &again,
        "--device",
        "cpu",
        "--no-cache",
    ]);
    let second: Value = serde_json::from_slice(&std::fs::read(&again).unwrap()).unwrap();
    assert_eq!(report["results"], second["results"]);
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// An adapter's learned weights are used unless another feature is asked for, and the output says with what it was made.
#[test]
fn learned_layer_weights_are_the_default() {
    let folder = Folder::new("learned");
    let model = folder.file("tiny.gguf", tiny("qwen3").write());
    let learned = [("layer_weights".to_string(), vec![2], vec![2.0, -1.0])];
    let weights = folder.file("weights.safetensors", adapter_writer::safetensors(&learned));
    let adapter =
        folder.file("adapter.safetensors", adapter_writer::with_layer_weights(64, 24, &[2.0, -1.0]));
    let plain = folder.file("plain.safetensors", adapter_writer::random_adapter(64, 24));
    let (report, rows) = (folder.path("report.json"), folder.path("report.jsonl"));
    let run = |options: &[&str]| {
        let evaluate =
            ["evaluate", &model, &sample(), "--subset", "captions=2", "--no-cache", "--device", "cpu"];
        let text = stdout(&[&evaluate[..], &["--out", &report, "--out", &rows], options].concat());
        let report = json(&report);
        let id = report["provenance"]["subset"]["id"].as_str().unwrap().to_string();
        let [feature, pooling] =
            ["feature", "pooling"].map(|key| report["provenance"][key].as_str().unwrap().to_string());
        let first = format!("tiny.gguf, {feature}, {pooling} pooling; subset {id}");
        assert_eq!(text.lines().next(), Some(first.as_str()));
        for line in std::fs::read_to_string(&rows).unwrap().lines() {
            assert_eq!(serde_json::from_str::<Value>(line).unwrap()["subset"], id);
        }
        (feature, report["provenance"]["layer_weights"]["logits"].clone())
    };
    let weighted = ("weighted".to_string(), serde_json::json!([2.0, -1.0]));
    assert_eq!(run(&["--adapter", &adapter]), weighted);
    assert_eq!(run(&["--layer-weights", &weights]), weighted);
    let equal = ("norm_avg".to_string(), Value::Null);
    assert_eq!(run(&["--adapter", &adapter, "--feature", "norm_avg"]), equal);
    assert_eq!(run(&["--adapter", &plain]), equal);
    assert_eq!(run(&[]), equal);
}

/// Hours of work are not lost to a name that can't be written; what is there stays until there is something better.
#[test]
fn a_report_that_cannot_be_written_is_refused_first() {
    let folder = Folder::new("out");
    let absent = folder.path("absent.gguf"); // never looked for
    let (kept, new) = (folder.file("kept.json", "before"), folder.path("new.json"));
    let nowhere = folder.path("nowhere/report.json");
    for command in ["evaluate", "layers"] {
        let line = failure(&[command, &absent, &sample(), "--out", &nowhere]);
        assert!(line.contains(&format!("cannot write `{nowhere}`: No such file")), "{line}");
        let line = failure(&[command, &absent, &sample(), "--out", &kept]);
        assert!(line.contains("absent.gguf"), "{line}");
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "before");
        failure(&[command, &absent, &sample(), "--out", &new]);
        assert!(!Path::new(&new).exists());
    }
}

/// Packed while loading, from its parts, or by its index: `embed` takes what a path names.
#[test]
fn a_model_is_found_by_any_of_its_files() {
    let folder = Folder::new("files");
    let model = Tiny::new("qwen3", TensorType::F16);
    let whole = folder.file("whole.gguf", model.write());
    let parts: Vec<_> = (1..)
        .zip(model.split(3))
        .map(|(number, bytes)| folder.file(&format!("m-{number:05}-of-00003.gguf"), bytes))
        .collect();
    let vector = |path: &str, options: &[&str]| -> Vec<f64> {
        let embed = ["embed", path, "the red cube", "--json", "--device", "cpu"];
        let result: Value = serde_json::from_str(&stdout(&[&embed[..], options].concat())).unwrap();
        serde_json::from_value(result["texts"][0]["vector"].clone()).unwrap()
    };
    let cosine = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let dense = vector(&whole, &[]);
    for part in &parts {
        assert_eq!(vector(part, &[]), dense);
    }
    for (name, least) in [("q8", 0.9999), ("q4", 0.98)] {
        let packed = vector(&parts[1], &["--quantize", name]);
        assert!(packed != dense && cosine(&packed, &dense) > least, "{name}: {}", cosine(&packed, &dense));
        let facts: Value =
            serde_json::from_str(&stdout(&["inspect", &whole, "--json", "--quantize", name])).unwrap();
        let plain: Value = serde_json::from_str(&stdout(&["inspect", &whole, "--json"])).unwrap();
        let bytes = |facts: &Value| facts["device_bytes"].as_u64().unwrap();
        assert!(3 * bytes(&facts) < bytes(&plain), "{facts}");
    }
    let line = failure(&["inspect", &whole, "--quantize", "q2"]);
    assert!(line.contains("quantize `q2` is not known, expected q8 or q4"), "{line}");
    std::fs::remove_file(&parts[2]).unwrap();
    assert!(failure(&["inspect", &parts[0]]).contains("of which `"), "a missing part is named");

    // By the index of a sharded checkpoint, or by one shard.
    let shard = "model-00001-of-00001.safetensors";
    for (name, bytes) in [("config.json", "config.json"), (shard, "model.safetensors")] {
        folder.file(name, std::fs::read(oracle::path("tiny-qwen3vl").join(bytes)).unwrap());
    }
    let names = oracle::tensor_names("tiny-qwen3vl/model.safetensors");
    let weight_map: serde_json::Map<_, _> =
        names.into_iter().map(|name| (name, Value::from(shard))).collect();
    let index = serde_json::json!({ "weight_map": weight_map }).to_string();
    let index = folder.file("model.safetensors.index.json", index);
    let parameters = |path: &str| json_of(&["inspect", path, "--json"])["parameters"].clone();
    let expected = parameters(oracle::path("tiny-qwen3vl").to_str().unwrap());
    assert_eq!(parameters(&index), expected);
    assert_eq!(parameters(&folder.path(shard)), expected);
    std::fs::remove_file(folder.path(shard)).unwrap();
    assert!(failure(&["inspect", &index]).contains("no weights"), "an index without its shards");
}

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(arguments)).unwrap()
}

/// What was encoded is kept, for both training-free poolings; a torn file loses its last vector alone.
#[test]
fn a_second_run_encodes_nothing_again() {
    let folder = Folder::new("cache");
    let model = folder.file("tiny.gguf", tiny("qwen3").write());
    let (cache, out) = (folder.path("cache"), folder.path("report.json"));
    let run = |options: &[&str]| {
        let mut arguments = vec!["evaluate", &model, "SAMPLE", "--out", &out, "--device", "cpu"];
        let sample = sample();
        arguments[2] = &sample;
        stdout(&[&arguments, options].concat());
        json(&out)
    };
    let texts = |report: &Value| {
        let count = |key: &str| report["provenance"]["timings"][key].as_u64().unwrap();
        [count("texts"), count("restored")]
    };
    let first = run(&["--cache", &cache]);
    let [all, restored] = texts(&first);
    assert_eq!(restored, 0);
    let second = run(&["--cache", &cache]);
    assert_eq!((texts(&second), &second["results"]), ([0, all], &first["results"]));

    let last_token = run(&["--cache", &cache, "--pooling", "last_token"]);
    assert_eq!(texts(&last_token), [0, all]);
    let alone = run(&["--no-cache", "--pooling", "last_token"]);
    assert_eq!((texts(&alone), &alone["results"]), ([all, 0], &last_token["results"]));
    assert_ne!(alone["results"], first["results"]);
    assert_eq!(texts(&run(&["--cache", &cache, "--feature", "last"])), [all, 0]);
    let int8 = run(&["--cache", &cache, "--arithmetic", "int8"]);
    assert_eq!(texts(&int8), [all, 0]);
    assert_eq!(int8["provenance"]["model"]["arithmetic"], "int8");
    assert_eq!(first["provenance"]["model"]["arithmetic"], "f32");

    for entry in std::fs::read_dir(&cache).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    }
    let torn = run(&["--cache", &cache]);
    assert_eq!((texts(&torn), &torn["results"]), ([1, all - 1], &first["results"]));
    assert_eq!(texts(&run(&["--cache", &cache])), [0, all]);
}

#[test]
fn layers_scores_everything_from_one_pass() {
    let folder = Folder::new("layers");
    let model = folder.file("tiny.gguf", tiny("qwen3").write());
    let (out, weights) = (folder.path("layers.json"), folder.file("weights.json", "[0.5, -1]"));
    let subset = "n=2;seed=3";
    let layers =
        ["layers", &model, &sample(), "--subset", subset, "--layer-weights", &weights, "--device", "cpu"];
    let text = stdout(&[&layers[..], &["--out", &out]].concat());
    let study = json(&out);
    let mut tokens = 0;
    let expected: Vec<Value> =
        ["layer(0)", "layer(1)", "layer(2)", "last", "penultimate", "norm_avg", "weighted"]
            .iter()
            .map(|feature| {
                let report = folder.path("report.json");
                let evaluate =
                    ["evaluate", &model, &sample(), "--subset", subset, "--feature", feature, "--no-cache"];
                let options = ["--layer-weights", &weights, "--out", &report, "--device", "cpu"];
                stdout(&[&evaluate[..], &options].concat());
                let report = json(&report);
                tokens = report["provenance"]["timings"]["tokens"].as_u64().unwrap();
                report["summary"]["accuracy_statistics"]["overall"].clone()
            })
            .collect();
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
    let model = folder.file("tiny.gguf", tiny("qwen3").write());
    let adapter = folder.file("adapter.safetensors", adapter_writer::random_adapter(64, 24));
    let embed = |options: &[&str]| -> Value {
        let arguments = ["embed", &model, "the red cube", "a blue ball", "--json", "--adapter", &adapter];
        serde_json::from_str(&stdout(&[&arguments[..], options].concat())).unwrap()
    };
    let [cpu, gpu] = ["cpu", "gpu"].map(|device| embed(&["--device", device]));
    assert_eq!(cpu["pooling"], "attention");
    let vector = |result: &Value, text: usize| -> Vec<f64> {
        serde_json::from_value(result["texts"][text]["vector"].clone()).unwrap()
    };
    for text in 0..2 {
        let (cpu, gpu) = (vector(&cpu, text), vector(&gpu, text));
        assert_eq!(cpu.len(), 24);
        let cosine: f64 = cpu.iter().zip(&gpu).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.99999, "cosine {cosine} between CPU and GPU");
    }
    let rounded = vector(&embed(&["--device", "cpu", "--reference-precision"]), 0);
    assert!(rounded.iter().all(|value| half::bf16::from_f64(*value).to_f64() == *value), "{rounded:?}");
    assert_eq!(embed(&["--device", "cpu", "--pooling", "mean"])["pooling"], "mean");
}

#[test]
fn reports_are_compared() {
    let folder = Folder::new("compare");
    let model = folder.file("tiny.gguf", tiny("qwen3").write());
    let [first, second] = ["mean", "last_token"].map(|pooling| {
        let out = folder.path(&format!("{pooling}.json"));
        let csv = folder.path(&format!("{pooling}.csv"));
        let evaluate = ["evaluate", &model, &sample(), "--pooling", pooling, "--no-cache", "--device", "cpu"];
        stdout(&[&evaluate[..], &["--out", &out, "--out", &csv]].concat());
        let rows = std::fs::read_to_string(&csv).unwrap();
        assert!(rows.starts_with("group,name,correct,total,accuracy,low,high,chance,subset\r\n"), "{rows}");
        out
    });
    let right = |path: &str| json(path)["summary"]["accuracy_statistics"]["total_correct"].as_u64().unwrap();
    let result: Value = serde_json::from_str(&stdout(&["compare", &first, &second, "--json"])).unwrap();
    assert_eq!(result["shared"], 46);
    let all = &result["groups"][0];
    assert_eq!(all["first"]["correct"], right(&first));
    assert_eq!(all["second"]["correct"], right(&second));
    let table = stdout(&["compare", &first, &second]);
    assert!(table.contains("right in one only"), "{table}");
}

/// Ctrl-C after the first batches leaves a partial report and exit status 130. A slow machine gets more time to begin.
#[test]
#[cfg(unix)]
fn an_interrupt_leaves_a_partial_report_and_what_is_encoded() {
    let folder = Folder::new("interrupt");
    let dataset = folder.file("long.json", long_dataset(200));
    let cache = folder.path("cache");
    let scored = |seconds: u64| -> Option<usize> {
        let out = folder.path("report.json");
        let model = oracle::default_model().display().to_string();
        let _ = std::fs::remove_dir_all(&cache);
        // One thread, and 200 distinct captions: minutes of work.
        let mut child = Command::new(env!("CARGO_BIN_EXE_gran-ted"))
            .args(["evaluate", &model, &dataset, "--out", &out, "--device", "cpu", "--cache", &cache])
            .env("RAYON_NUM_THREADS", "1")
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_secs(seconds));
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        if child.wait().unwrap().code() != Some(130) {
            return None; // still loading
        }
        let report: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
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
    let model = oracle::default_model();
    let whole = std::fs::read(&model).unwrap();
    let good = tiny("llama").write();
    let replaced = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = good.windows(from.len()).position(|window| window == from.as_bytes()).expect(from);
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("notes.txt", b"<html>not found</html>".to_vec(), "is not a model: expected a GGUF file"),
        ("cut.gguf", whole[..4_000_000].to_vec(), "is truncated: tensor `"),
        (
            "family.gguf",
            replaced(
                "general.architecture\u{8}\0\0\0\u{5}\0\0\0\0\0\0\0llama",
                "general.architecture\u{8}\0\0\0\u{5}\0\0\0\0\0\0\0mamba",
            ),
            "model family `mamba` is not supported, expected llama, qwen2, qwen3 or qwen3vl",
        ),
        (
            "missing.gguf",
            replaced("blk.1.ffn_up.weight", "blk.1.ffn_xx.weight"),
            "has no tensor `blk.1.ffn_up.weight`",
        ),
        (
            "tokenizer.gguf",
            replaced("smollm", "whoops"),
            "tokenizer `gpt2, whoops` is not supported, expected `gpt2, qwen2` or `gpt2, smollm`",
        ),
        (
            "key.gguf",
            replaced("llama.block_count", "llama.block_xount"),
            "has no `llama.block_count`, which a `llama` model needs",
        ),
        ("empty.gguf", Vec::new(), "is not a model: expected"),
    ];
    for (name, bytes, expected) in cases {
        let path = folder.file(name, bytes);
        let line = failure(&["inspect", &path]);
        assert!(line.starts_with(&format!("error: `{path}`")) && line.contains(expected), "{name}: {line}");
    }
    assert!(failure(&["inspect", &folder.path("absent.gguf")]).contains("absent.gguf`: No such file"));
}

#[test]
fn wrong_shapes_and_unused_tensors_are_refused() {
    let folder = Folder::new("shapes");
    let mut wrong = tiny("llama");
    wrong.intermediate_size = 96;
    let bytes = wrong.write();
    // The same file, but its header says 160.
    let key = b"llama.feed_forward_length";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 4;
    let mut lying = bytes.clone();
    lying[at..at + 4].copy_from_slice(&160u32.to_le_bytes());
    let line = failure(&["inspect", &folder.file("shape.gguf", lying)]);
    assert!(line.ends_with("has shape [96, 64], expected [160, 64]"), "{line}");

    // qwen2 has biases that a qwen3 network would leave out.
    let mut bytes = tiny("qwen2").write();
    let swap = |bytes: &mut Vec<u8>, from: &[u8], to: &[u8]| {
        while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    };
    swap(
        &mut bytes,
        b"general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0qwen2",
        b"general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0llama",
    );
    swap(&mut bytes, b"qwen2.", b"llama.");
    let line = failure(&["inspect", &folder.file("bias.gguf", bytes)]);
    assert!(
        line.contains("has the tensor `blk.0.attn_k.bias`, which the network of family llama does not use"),
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
    let line = failure(&["embed", &folder.file("nan.gguf", bytes), "the red cube", "--device", "cpu"]);
    assert!(line.ends_with("tensor `output_norm.weight` holds a value that is not finite"), "{line}");
}

#[test]
fn bad_texts_settings_and_data_sets_are_one_clear_line() {
    let folder = Folder::new("bad-input");
    let model = folder.file("tiny.gguf", tiny("llama").write());
    let list = folder.file("list.json", "[1, 2]");
    let weights = folder.file("weights.json", "[0.5]");
    let tiny_folder = oracle::path("tiny-qwen3vl").display().to_string();
    let adapter = folder.file("adapter.safetensors", adapter_writer::random_adapter(96, 32));
    let no_weights = folder.file("no-weights.safetensors", adapter_writer::random_adapter(64, 32));
    let cases: [(&[&str], &str); 20] = [
        (
            &["embed", &model, "x", "--layer-weights", &no_weights],
            "no-weights.safetensors` has no tensor `layer_weights`",
        ),
        (
            &["layers", &model, &sample(), "--layer-weights", &no_weights],
            "no-weights.safetensors` has no tensor `layer_weights`",
        ),
        (&["embed", &model, "the cube", ""], "prompt 2 is empty: expected at least one token"),
        (
            &["embed", &model, "x", "--feature", "middle"],
            "feature `middle` is not known, expected last, penultimate",
        ),
        (&["embed", &model, "x", "--feature", "layer(9)"], "layer(i) is 9, but the model has 2 layers"),
        (
            &["embed", &model, "x", "--pooling", "max"],
            "pooling `max` is not known, expected mean, last_token, or adapter with an adapter's file",
        ),
        (
            &["embed", &model, "x", "--arithmetic", "int4"],
            "arithmetic `int4` is not known, expected f32, f16 or int8",
        ),
        (
            &["embed", &model, "x", "--device", "cpu", "--arithmetic", "f16"],
            "arithmetic `f16` needs a GPU with `shader-f16`, but this device has none: CPU; choose f32 or int8",
        ),
        (&["embed", &model, "x", "--device", "tpu"], "device `tpu` is not known, expected cpu or gpu"),
        (
            &["embed", &model, "x", "--feature", "weighted", "--layer-weights", &weights],
            "the number of layer weights is 1, but the model has 2 layers",
        ),
        (&["embed", &tiny_folder, "x"], "comes without a tokenizer: expected a tokenizer.json beside it"),
        (
            &["embed", &model, "the cube", "--adapter", &adapter],
            "tensor `pool_token` has shape [1, 1, 96], expected [1, 1, 64]",
        ),
        (&["embed", &model, "x", "--adapter", &weights], "is not an adapter"),
        (&["embed", &model, "x", "--pooling", "adapter"], "pooling `adapter` is not known"),
        (&["layers", &model, &sample(), "--pooling", "adapter"], "pooling `adapter` is not known"),
        (&["compare", &list, &list], "is not a report"),
        (
            &["evaluate", &model, &sample(), "--out", "report.txt"],
            "report file `report.txt` is not known, expected a name that ends with .json, .csv or .jsonl",
        ),
        (&["evaluate", &model, &list], "is not a TED-6K file"),
        (&["evaluate", &model, &sample(), "--subset", "type=Color"], "Color"),
        (&["evaluate", &model, &sample(), "--subset", "caption=image;type=Temporal"], "no item of `"),
    ];
    for (arguments, expected) in cases {
        let line = failure(arguments);
        assert!(line.contains(expected), "{arguments:?}: {line}");
    }
}

#[test]
fn a_folder_of_safetensors_loads() {
    let facts = stdout(&["inspect", oracle::path("tiny-qwen3vl").to_str().unwrap()]);
    assert!(facts.contains("family               qwen3vl"), "{facts}");
    assert!(facts.contains("tokenizer            none"), "{facts}");
}

#[test]
fn bench_measures_the_device_and_the_model() {
    let folder = Folder::new("bench");
    let model = folder.file("tiny.gguf", tiny("qwen2").write());
    let arguments = ["bench", &model, "--device", "cpu", "--tokens", "4,16", "--seconds", "60"];
    let text = stdout(&arguments);
    for part in ["GFLOP/s multiply-add", "16 tokens", "qkv_proj quant_matmul", "less attention"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let report: Value = serde_json::from_str(&stdout(&[&arguments[..], &["--json"]].concat())).unwrap();
    assert_eq!(report["complete"], true);
    assert_eq!(report["provenance"]["device"]["kind"], "cpu");
    assert_eq!(report["dispatches_per_layer"], 8); // three products add their bias
    let models = report["rows"].as_array().unwrap().iter().filter(|row| row["name"] == "model");
    assert_eq!(models.map(|row| row["tokens"].as_u64().unwrap()).collect::<Vec<_>>(), [4, 16]);

    let refused = |option: &str, value: &str| failure(&["bench", &model, "--device", "cpu", option, value]);
    assert!(
        refused("--tokens", "16,1000000").contains("number of tokens `1000000` is not known, expected 1 to ")
    );
    assert!(
        refused("--seconds", "0").contains("budget `0` is not known, expected a number of seconds above 0")
    );
}
