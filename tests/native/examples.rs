//! The examples run and print numbers that are known from elsewhere. cargo builds them with the tests, save where it is asked
//! for some tests alone: then `--examples` asks for them too.

use crate::support::files::{default_model, fixture, sample};
use crate::support::models::smollm2;
use gran_ted::device::Device;
use gran_ted::encoder::Settings;
use gran_ted::model::{Feature, Pooling};
use pollster::block_on;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::process::Command;

/// What an example prints. This program lies in `deps`, and the examples in `examples` beside it.
fn run<I: AsRef<OsStr>>(name: &str, arguments: &[I]) -> String {
    let deps = std::env::current_exe().unwrap();
    let folder = deps.parent().and_then(|deps| deps.parent()).unwrap().join("examples");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is missing: cargo test --examples", program.display());
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn inspect_tells_what_the_header_says() {
    let text = run("inspect", &[default_model()]);
    for line in [
        "SmolLM2-135M-Instruct.Q4_1.gguf: llama",
        "30 layers, 576 wide",
        "134515008 parameters in 98362432 bytes",
        "61 tensors of F32",
    ] {
        assert!(text.lines().any(|found| found.ends_with(line)), "`{line}` is missing from\n{text}");
    }
}

#[test]
fn embed_prints_the_cosines_of_the_encoder() {
    let texts = ["a red cube", "a blue ball", "a stormy sea"];
    let mut arguments = vec![default_model().into_os_string()];
    arguments.extend(texts.map(Into::into));
    let text = run("embed", &arguments);
    let settings = Settings::new(Feature::NormAvg, Pooling::Mean);
    let cosines = block_on(smollm2(Device::cpu()).embed(&texts, &settings)).unwrap().similarity();
    let rows = cosines.iter().zip(texts).map(|(row, text)| {
        let row: Vec<String> = row.iter().map(|cosine| format!("{cosine:7.4}")).collect();
        format!("{}  {text}", row.join(" "))
    });
    let expected: Vec<String> = std::iter::once("576 values a text".into()).chain(rows).collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert!(cosines[0][1] > cosines[0][2], "a ball is nearer to a cube than a sea: {cosines:?}");
}

/// The expected scores are those of an independent program, tests/fixtures/README.md, with the right statement's first.
#[test]
fn score_counts_what_was_computed_independently() {
    let expected: Value = serde_json::from_slice(&fixture("sample-scores.json")).unwrap();
    let items = expected["norm_avg.mean"].as_array().unwrap();
    let is_right = |item: &&Value| {
        let scores: Vec<f64> = serde_json::from_value(item["scores_correct_first"].clone()).unwrap();
        scores[1..].iter().all(|score| *score < scores[0])
    };
    let right = items.iter().filter(is_right).count();
    let text = run("score", &[default_model().as_os_str(), sample().as_os_str(), "captions=3".as_ref()]);
    let accuracy = right as f64 / items.len() as f64;
    assert!(
        text.starts_with(&format!("{right} of {} items right\naccuracy {accuracy:.4} (", items.len())),
        "{text}"
    );
}

#[test]
fn generate_model_writes_the_same_file_each_time() {
    let folder = std::env::temp_dir().join(format!("gran-ted-generate-{}", std::process::id()));
    let text = run("generate_model", &["small".as_ref(), folder.as_os_str()]);
    let bytes = std::fs::read(folder.join("generated-small.gguf")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(text.contains(&format!("generated-small.gguf: {} bytes", bytes.len())), "{text}");
    let digits: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digits, "057e05e0da2c982a553855160f2fb9be20f856ea3b8869a7c99bd908f7b4d2fb");
}
