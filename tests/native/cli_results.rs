//! Results of the program: written whole, never over an input, kept with what decides them, shown without harm.

use crate::support::model::Tiny;
use crate::support::program::Folder;
use crate::support::{adapter_writer, checkpoint, network};
use gran_ted::format::TensorType;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

fn tiny(folder: &Folder) {
    folder.file("tiny.gguf", Tiny::new("qwen3", TensorType::Q8_0).write());
}

/// A data set of two items on each of three captions.
fn data() -> Value {
    let success = |text: String| json!({ "status": "success", "statement": text });
    let item = |right: &str, wrong: [&str; 2]| {
        json!({ "question": "?", "correct_statement": success(right.into()),
                "incorrect_statements": wrong.map(|wrong| success(wrong.into())) })
    };
    let caption = |color: &str| {
        json!({ "caption": format!("a {color} cube on a table"), "caption_type": "image", "statements": {
            "Adjective": item(&format!("the cube is {color}"), ["the cube is gray", "the cube is pink"]),
            "Quantity": item("there is one cube", ["there are two cubes", "there are nine cubes"]) } })
    };
    json!({ "one": caption("red"), "two": caption("blue"), "three": caption("green") })
}

#[test]
fn a_result_is_never_written_over_an_input() {
    let folder = Folder::new("over-input");
    folder.checkpoint("m");
    folder.json_file("data.json", &data());
    folder.json_file("weights.json", &json!([1, 2, 3, 4]));
    let inputs = ["data.json", "weights.json", "m/config.json", "m/tokenizer.json"];
    let before = inputs.map(|name| folder.text(name));
    std::fs::hard_link(folder.path("data.json"), folder.path("hard.json")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("data.json", folder.path("soft.json")).unwrap();
    #[cfg(not(unix))]
    std::fs::hard_link(folder.path("data.json"), folder.path("soft.json")).unwrap();
    for out in [&inputs[..], &["./m/../data.json", "hard.json", "soft.json"]].concat() {
        for command in ["evaluate", "layers"] {
            let command =
                format!("{command} m data.json --layer-weights weights.json --device cpu --out {out}");
            let line = folder.failure(&command);
            assert!(line.contains("which this command reads"), "{command}: {line}");
        }
    }
    assert_eq!(inputs.map(|name| folder.text(name)), before);
    let line = folder.failure("evaluate m data.json --no-cache --device cpu --out a.json --out ./a.json");
    assert!(line.contains("which this command writes already"), "{line}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_does_not_fit_leaves_what_was_there() {
    let folder = Folder::new("full");
    tiny(&folder);
    folder.json_file("data.json", &data());
    folder.file("report.json", "an older report");
    let program = env!("CARGO_BIN_EXE_gran-ted");
    let evaluate = format!("{program} evaluate tiny.gguf data.json --device cpu --no-cache");
    let shell = |script: String| {
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(script).current_dir(folder.path("")).output().unwrap()
    };
    let limited = shell(format!("trap '' XFSZ; ulimit -f 4; {evaluate} --out report.json --out small.csv"));
    assert_eq!(limited.status.code(), Some(1));
    assert_eq!(folder.text("report.json"), "an older report");
    assert!(folder.text("small.csv").starts_with("group,"), "the other result is there");
    let left: Vec<_> =
        std::fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{left:?}");

    let full = shell(format!("{program} embed tiny.gguf a b --json --device cpu > /dev/full"));
    assert_eq!(full.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&full.stderr).contains("cannot write `standard output`"));
    let gone =
        shell(format!("set -o pipefail; {program} embed tiny.gguf a b --json --device cpu | head -c 1"));
    assert_eq!(gone.status.code(), Some(0), "a reader that has gone away");
    let piped = shell(format!("ln -s /dev/stdout out.json; {evaluate} --out out.json | head -c 20"));
    assert!(String::from_utf8_lossy(&piped.stdout).starts_with("{\n  \"summary\""));
    assert!(folder.path("out.json").is_symlink(), "a device is not renamed over");
}

#[test]
fn what_the_header_tells_is_refused_before_the_weights_are_read() {
    let folder = Folder::new("early");
    let mut bytes = Tiny::new("qwen3", TensorType::F32).write();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    folder.file("nan.gguf", bytes);
    folder.json_file("data.json", &data());
    folder.json_file("one.json", &json!([1]));
    folder.file("wide.safetensors", adapter_writer::random_adapter(96, 32));
    folder.file("deep.safetensors", adapter_writer::with_layer_weights(64, 32, &[1.0, 2.0, 3.0]));
    let end = "holds a value that is not finite";
    assert!(folder.failure("embed nan.gguf a --device cpu").ends_with(end));
    for (options, expected) in [
        ("--feature layer(99)", "layer(i) is 99"),
        ("--layer-weights one.json", "the number of layer weights is 1"),
        ("--adapter wide.safetensors", "tensor `pool_token` has shape"),
        ("--adapter deep.safetensors", "the number of layer weights is 3"),
    ] {
        for command in ["embed nan.gguf a", "evaluate nan.gguf data.json --no-cache"] {
            let line = folder.failure(&format!("{command} --device cpu {options}"));
            assert!(line.contains(expected), "{command} {options}: {line}");
        }
    }
    let line = folder.failure("layers nan.gguf data.json --device cpu --layer-weights one.json");
    assert!(line.contains("the number of layer weights is 1"), "{line}");
    let line = folder.failure("embed nan.gguf a ' ' --device cpu");
    assert!(line.contains("prompt 2 is empty"), "{line}");
    let line = folder.failure("bench nan.gguf --device cpu --tokens 16,9999999");
    assert!(line.contains("number of tokens `9999999`"), "{line}");
    folder.weights("mute");
    for command in ["embed mute a", "evaluate mute data.json", "layers mute data.json"] {
        assert!(
            folder.failure(&format!("{command} --device cpu")).contains("without a tokenizer"),
            "{command}"
        );
    }
}

/// Bad options and inputs of each command: the message is about them, and not about the last weight, which is no number.
#[test]
fn no_bad_option_or_input_waits_for_the_weights() {
    // 1. A model with the fault, and the same with a token beyond its table.
    let folder = Folder::new("at-once");
    let mut all = network::tensors("qwen3");
    all.get_mut("norm.weight").unwrap().1[0] = f32::NAN;
    let mut tokenizer = checkpoint::tokenizer(6);
    for model in ["m", "padded"] {
        folder.json_file(&format!("{model}/config.json"), &network::config("qwen3"));
        folder.deep_file(&format!("{model}/model.safetensors"), network::safetensors(&all, "model."));
        folder.json_file(&format!("{model}/tokenizer.json"), &tokenizer);
        let pad = json!({ "id": network::VOCAB, "content": "<pad>", "special": true });
        tokenizer["added_tokens"].as_array_mut().unwrap().push(pad);
    }
    folder.json_file("data.json", &data());
    folder.file("beyond.json", data().to_string().replace("\"statement\":\"", "\"statement\":\"<pad>"));
    let (width, layers) = (network::D, network::LAYERS);
    let mut adapter = adapter_writer::random_adapter(width, 32);
    let end = adapter.len();
    adapter[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    folder.file("infinite.safetensors", adapter);
    folder.file("nan.safetensors", adapter_writer::with_layer_weights(width, 32, &vec![f32::NAN; layers]));
    folder.file("long.json", json!(vec![1.0; layers + 1]).to_string());
    folder.file("torn.json", "{");
    let (embed, evaluate, layers, bench) =
        ("embed m a", "evaluate m data.json --no-cache", "layers m data.json", "bench m --tokens 16");
    let at_last = "tensor `model.norm.weight` holds a value that is not finite";
    for command in [embed, evaluate, layers, bench] {
        let line = folder.failure(&format!("{command} --device cpu"));
        assert!(line.ends_with(at_last), "{command}: {line}");
    }

    // 2. Options of several commands.
    let of_all: &[&str] = &[embed, evaluate, layers, bench];
    let (of_vectors, of_items): (&[&str], &[&str]) = (&[embed, evaluate], &[evaluate, layers]);
    for (commands, options, expected) in [
        (of_all, "--device tpu", "device `tpu`"),
        (of_all, "--arithmetic f8", "arithmetic `f8`"),
        (of_all, "--quantize q3", "`q3`"),
        (of_all, "--special-tokens some", "special tokens `some`"),
        (of_all, "--budget 0", "the budget is 0.0 kB"),
        (of_vectors, "--feature layer(3)", "layer(i) is 3"),
        (of_vectors, "--feature middle", "feature `middle`"),
        (of_vectors, "--feature weighted", "weighted"),
        (of_vectors, "--pooling max", "pooling `max`"),
        (of_vectors, "--pooling adapter", "adapter"),
        (of_vectors, "--adapter infinite.safetensors", "`infinite.safetensors`: tensor"),
        (of_vectors, "--adapter nan.safetensors", "layer weight"),
        (of_vectors, "--adapter absent.pt", "`absent.pt`"),
        (of_vectors, "--layer-weights long.json", "the number of layer weights"),
        (of_vectors, "--layer-weights torn.json", "`torn.json`"),
        (of_items, "--subset n=0", "n `0`"),
        (of_items, "--subset n=x", "n `x`"),
        (of_items, "--out absent/run.json", "`absent/run.json`"),
        (of_items, "--out data.json", "`data.json`"),
        (of_items, "--out m/config.json", "`m/config.json`"),
        (&[evaluate], "--out run.xml", "`run.xml`"),
        (&[layers], "--pooling max", "pooling `max`"),
        (&[layers], "--layer-weights long.json", "the number of layer weights"),
        (&[layers], "--layer-weights nan.safetensors", "layer weight"),
        (&[bench], "--tokens 0", "number of tokens `0`"),
        (&[bench], "--seconds 0", "budget `0`"),
    ] {
        for command in commands {
            let device = if options.starts_with("--device") { "" } else { "--device cpu" };
            let line = folder.failure(&format!("{command} {device} {options}"));
            assert!(line.contains(expected) && !line.contains(at_last), "{command} {options}: {line}");
        }
    }

    // 3. Inputs.
    tokenizer["post_processor"] =
        json!({ "type": "BertProcessing", "cls": ["a", 97], "sep": ["<pad>", network::VOCAB] });
    folder.json_file("around/tokenizer.json", &tokenizer);
    folder.json_file("around/config.json", &network::config("qwen3"));
    folder.deep_file("around/model.safetensors", network::safetensors(&all, "model."));
    let of_padding = "the token `<pad>`, which the tokenizer adds to each text,";
    for (command, expected) in [
        ("embed around a", of_padding),
        ("evaluate around data.json --no-cache", of_padding),
        ("layers around data.json", of_padding),
        ("bench around --tokens 16", of_padding),
        ("embed around a --special-tokens none", at_last),
        ("embed m ''", "prompt 1 is empty"),
        ("embed m - -", "standard input"),
        ("embed padded a 'x<pad>'", "prompt 2 holds the token `<pad>`"),
        ("evaluate padded beyond.json --no-cache", "holds the token `<pad>` with id 300"),
        ("layers padded beyond.json", "holds the token `<pad>` with id 300"),
        ("evaluate m torn.json", "`torn.json`"),
        ("layers m torn.json", "`torn.json`"),
    ] {
        let output = folder.output(&format!("{command} --device cpu"));
        let said = String::from_utf8(output.stderr).unwrap();
        let line = said.lines().last().unwrap_or_default();
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(line.starts_with("error: ") && line.contains(expected), "{command}: {said}");
    }
}

#[test]
fn kept_vectors_are_of_one_configuration_and_one_tokenizer() {
    let folder = Folder::new("kept");
    folder.checkpoint("m");
    folder.json_file("data.json", &data());
    let run = |options: &str| {
        folder.run(&format!("evaluate m data.json --device cpu --feature last --out r.json {options}"));
        let report = folder.json("r.json");
        let restored = report["provenance"]["timings"]["restored"].as_u64().unwrap();
        (report["results"].clone(), restored, report["provenance"]["model"].clone())
    };
    let (first, _, facts) = run("--cache kept");
    assert!(run("--cache kept").1 > 0);
    let mut config = folder.json("m/config.json");
    config["text_config"]["rms_norm_eps"] = json!(0.3);
    folder.json_file("m/config.json", &config);
    let (fresh, _, changed) = run("--no-cache");
    assert_ne!(fresh, first);
    assert_eq!(run("--cache kept"), (fresh.clone(), 0, changed.clone()));
    folder.json_file("m/tokenizer.json", &checkpoint::tokenizer(1));
    let (words, _, other) = run("--no-cache");
    assert_ne!(words, fresh);
    assert_eq!(run("--cache kept"), (words, 0, other.clone()));
    assert!(facts["config_sha256"] != changed["config_sha256"], "{facts}");
    assert!(changed["tokenizer_sha256"] != other["tokenizer_sha256"], "{other}");
    assert_eq!(changed["config_sha256"], other["config_sha256"]);
}

#[test]
fn damaged_vectors_are_computed_anew_and_said() {
    let folder = Folder::new("damaged");
    tiny(&folder);
    folder.json_file("data.json", &data());
    let run = || {
        let command = "evaluate tiny.gguf data.json --device cpu --cache kept --out r.json";
        let output = folder.output(command);
        assert!(output.status.success());
        (folder.json("r.json")["results"].clone(), String::from_utf8(output.stderr).unwrap())
    };
    let (fresh, _) = run();
    let path = std::fs::read_dir(folder.path("kept")).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&path).unwrap();
    let start = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let record = 32 + 4 * (2 * 64 + 2);
    // A sign in the first vector, and the second one written over the third.
    let mut damaged = bytes.clone();
    damaged[start + 32 + 3] ^= 0x80;
    damaged.copy_within(start + record + 32..start + 2 * record, start + 2 * record + 32);
    std::fs::write(&path, damaged).unwrap();
    let (results, said) = run();
    assert_eq!(results, fresh);
    assert!(said.contains("2 vectors in `") && said.contains("are damaged, and are computed anew"), "{said}");
    let (results, said) = run();
    assert!(results == fresh && !said.contains("damaged"), "they are whole again: {said}");
}

#[test]
fn an_odd_item_is_left_out_and_named() {
    let folder = Folder::new("odd");
    folder.checkpoint("m");
    // The tokenizer has no token for the byte of "Z".
    let mut tokenizer = checkpoint::tokenizer(0);
    let vocab = tokenizer["model"]["vocab"].as_object_mut().unwrap();
    let id = vocab.remove("Z").unwrap();
    vocab.insert("unused".into(), id);
    folder.json_file("m/tokenizer.json", &tokenizer);
    let mut odd = data();
    odd["two"]["statements"]["Quantity"]["incorrect_statements"][0]["statement"] = json!("ZZ");
    odd["one"]["statements"]["Adjective"]["question"] = Value::Null;
    odd["three"]["statements"]["Adjective"].as_object_mut().unwrap().remove("question");
    folder.json_file("odd.json", &odd);
    let text = folder.run("evaluate m odd.json --device cpu --no-cache --out r.json --out r.jsonl");
    assert!(text.contains("two, Quantity: `ZZ` has no token"), "{text}");
    let report = folder.json("r.json");
    let indices: Vec<_> =
        report["results"].as_array().unwrap().iter().map(|item| item["index"].clone()).collect();
    assert_eq!(json!(indices), json!([0, 1, 2, 4, 5]), "positions in the subset are those of the data set");
    assert_eq!(report["summary"]["complete"], true);
    assert_eq!(report["summary"]["left_out"][0]["caption_key"], "two");
    let study = folder.run("layers m odd.json --device cpu --out s.json");
    assert!(study.contains("two, Quantity: `ZZ` has no token"), "{study}");
    let study = folder.json("s.json");
    assert_eq!(
        (&study["provenance"]["complete"], study["items"].as_array().unwrap().len()),
        (&json!(true), 5)
    );

    // Its own reports are read again.
    for pair in ["r.json r.jsonl", "r.jsonl r.jsonl"] {
        assert!(folder.run(&format!("compare {pair}")).contains("5 items in both"), "{pair}");
    }
    folder.run("evaluate m odd.json --device cpu --no-cache --out R.JSON --out R.CSV");
    assert_eq!(folder.json("R.JSON")["results"], report["results"]);
    let line = folder.failure("compare R.CSV r.json");
    assert!(line.contains(".jsonl") && line.contains("a CSV, which holds accuracies and no items"), "{line}");
}

#[test]
fn texts_come_from_standard_input_and_tables_are_harmless() {
    let folder = Folder::new("texts");
    tiny(&folder);
    let mut program = folder.program("embed tiny.gguf first - --json --device cpu");
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("a red cube\r\nein Würfel\nlast".as_bytes()).unwrap();
    let result: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    let texts: Vec<_> = result["texts"].as_array().unwrap().iter().map(|text| text["text"].clone()).collect();
    assert_eq!(json!(texts), json!(["first", "a red cube", "ein Würfel", "last"]));
    let line = folder.failure("embed tiny.gguf - --device cpu"); // nothing is piped in
    assert!(line.contains("standard input"), "{line}");

    let prompt = "a red \u{1b}[31m\u{9b}cube\n\u{202e}x";
    let table = folder.run(&format!("embed tiny.gguf '{prompt}' b --device cpu"));
    assert!(!table.contains(['\u{1b}', '\u{9b}', '\u{202e}']) && table.lines().count() == 3, "{table}");
    let result = folder.run_json(&format!("embed tiny.gguf '{prompt}' --json --device cpu"));
    assert_eq!(result["texts"][0]["text"], prompt);
}

/// Drivers complain on standard error where there is no display; that is no line of this program.
#[test]
fn looking_for_a_gpu_says_nothing() {
    let folder = Folder::new("quiet");
    tiny(&folder);
    let mut program = folder.program("embed tiny.gguf a");
    for name in ["XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "DISPLAY", "NODEVICE_SELECT"] {
        program.env_remove(name);
    }
    let output = program.output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
