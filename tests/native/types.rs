//! The page's declarations of what the wasm module sends, beside what the library serializes: a field on one side alone, or
//! with another primitive, fails with its path.
//!
//! src/web makes some values for JavaScript alone, and cannot be built here: `DeviceInfo`, `Embeddings`, `LayerProducts`,
//! `Count`, `Item` and what it only receives (`Settings`, `LoadOptions`) are not compared. What it adds to a value of the
//! library is listed with that value.

use crate::support::adapter_writer::with_layer_weights;
use crate::support::device;
use crate::support::files::{SAMPLE, at};
use crate::support::load::load;
use crate::support::model::Tiny;
use crate::support::models::memory;
use crate::support::typescript::Declarations;
use gran_ted::bench::{Bench, BenchOptions};
use gran_ted::device::Device;
use gran_ted::encoder::{Settings, TextEncoder};
use gran_ted::format::{Memory, TensorType};
use gran_ted::kernel::Arithmetic;
use gran_ted::loader::{AdapterFile, Header, OpenOptions, Opening, OpeningProgress};
use gran_ted::model::{Feature, Pooling, Precision};
use gran_ted::quant::Quantize;
use gran_ted::ted::{Comparison, Dataset, Report, Run, Study, Subset};
use gran_ted::text::tokenizer::SpecialTokens;
use gran_ted::trial::TuningProgress;
use pollster::block_on;
use serde::Serialize;
use serde_json::{Value, json};
use std::rc::Rc;
use std::sync::Arc;

/// The page's declarations of what wasm sends and takes.
fn declarations() -> Declarations {
    Declarations::parse(&std::fs::read_to_string(at("www/types/wasm.d.ts")).unwrap())
}

fn check(name: &str, value: &impl Serialize, added: &[&str]) {
    let problems = declarations().problems(name, &serde_json::to_value(value).unwrap(), added);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A report of progress, as src/web sends it.
fn check_progress(name: &str, stage: &str, progress: &impl Serialize) {
    let mut value = serde_json::to_value(progress).unwrap();
    value["stage"] = stage.into();
    check(name, &value, &[]);
}

/// A model with a tokenizer.
fn encoder() -> TextEncoder {
    let model = Tiny::new("qwen3", TensorType::Q8_0).write();
    load(block_on(Header::read(memory(&[("tiny.gguf", model)]))).unwrap(), Device::cpu())
}

fn dataset() -> Arc<Dataset> {
    Arc::new(Dataset::parse("ted-sample.json", SAMPLE).unwrap())
}

fn report(encoder: &TextEncoder, pooling: Pooling) -> Report {
    let settings = Settings::new(Feature::NormAvg, pooling);
    let mut run = Run::new(encoder, dataset(), &Subset::default(), settings).unwrap();
    while let Some(progress) = block_on(run.step(encoder)).unwrap() {
        check_progress("EvaluateProgress", "evaluate", &progress);
    }
    run.report(encoder)
}

#[test]
fn reports_and_their_comparison_are_as_declared() {
    let encoder = encoder();
    let [first, second] = [Pooling::Mean, Pooling::LastToken].map(|pooling| report(&encoder, pooling));
    check("Report", &first, &[]);
    let comparison = Comparison::new(&first, &second).unwrap();
    assert!(!comparison.changed.is_empty());
    check("Comparison", &comparison, &[]);
}

#[test]
fn an_imported_report_is_as_declared() {
    let list = json!([{
        "caption_key": "image_1", "caption_type": "image", "question_type": "Adjective", "correct_answer": "A",
        "predicted_answer": "A", "all_scores": [0.5, 0.25]
    }]);
    let report = Report::import("list.json", list.to_string().as_bytes()).unwrap();
    assert_eq!(report.provenance, None);
    check("Report", &report, &[]);
}

#[test]
fn data_sets_and_subsets_are_as_declared() {
    check("Dataset", &dataset().card(), &[]);
    check("Subset", &Subset::default(), &[]);
    check("Subset", &Subset::parse("caption=image;type=Adjective|OCR;n=3;captions=9;seed=7").unwrap(), &[]);
}

#[test]
fn studies_are_as_declared() {
    let encoder = encoder();
    let weights = vec![0.5; encoder.config.num_hidden_layers];
    let subset = Subset::parse("captions=2").unwrap();
    for weights in [None, Some(weights)] {
        let mut study = Study::new(&encoder, dataset(), &subset, Pooling::Mean, weights).unwrap();
        while let Some(progress) = block_on(study.step(&encoder)).unwrap() {
            check_progress("StudyProgress", "study", &progress);
        }
        let added = ["products", "tokens", "texts", "milliseconds", "subset", "complete"];
        check("LayerStudy", &study.report(&encoder), &added);
    }
}

#[test]
fn benchmarks_are_as_declared() {
    let encoder = encoder();
    // The first budget is enough for all figures, the second for none.
    for seconds in [60.0, 1e-9] {
        let options = BenchOptions { tokens: vec![7], seconds };
        let mut bench = block_on(Bench::new(&encoder, &options)).unwrap();
        while let Some(progress) = block_on(bench.step(&encoder)).unwrap() {
            check_progress("BenchProgress", "bench", &progress);
        }
        let report = bench.report();
        assert_eq!((report.rows.is_empty(), report.skipped.is_empty()), (seconds < 1.0, seconds > 1.0));
        check("BenchReport", report, &[]);
    }
}

/// The plan and the card of a model on both devices, and each progress between them.
#[test]
fn an_opening_is_as_declared() {
    let model = Tiny::new("qwen3", TensorType::F16).write();
    for device in [Device::cpu(), device::gpu()] {
        // No way to hold the model fits into the second budget.
        for (budget_bytes, is_refused) in [(None, false), (Some(1000), true)] {
            let files = memory(&[("tiny.gguf", model.clone())]);
            let options =
                OpenOptions { budget_bytes, quantize: Some(Quantize::Q8), ..OpenOptions::default() };
            let mut opening = block_on(Opening::read(files, &device, &options)).unwrap();
            assert_eq!(opening.plan().refused.is_some(), is_refused);
            check("ModelPlan", opening.plan(), &[]);
            if is_refused {
                continue;
            }
            while let Some(progress) = block_on(opening.step()).unwrap() {
                check("LoadProgress", &progress, &[]);
            }
            check("ModelCard", &opening.finish().unwrap().encoder.card(), &["load_ms", "tiles"]);
        }
    }
    // A software adapter has nothing to measure.
    let tuning = TuningProgress { done: 1, total: 2, measured: true };
    check("LoadProgress", &OpeningProgress::Tuning(tuning), &[]);
}

#[test]
fn adapters_are_as_declared() {
    let encoder = encoder();
    let open =
        |name: &str, bytes: Vec<u8>| block_on(AdapterFile::open(Rc::new(Memory::new(name, bytes)))).unwrap();
    let attention = open("a.safetensors", with_layer_weights(64, 24, &[2.0, -1.0]));
    let loaded = block_on(attention.load(&encoder, Precision::Full)).unwrap();
    check("AdapterCard", &attention.card(Some(&loaded)), &[]);
    check("AdapterCard", &open("w.json", b"[2, -1]".to_vec()).card(None), &[]);
}

#[test]
fn options_have_the_declared_names() {
    for arithmetic in [Arithmetic::F32, Arithmetic::F16, Arithmetic::Int8] {
        check("Arithmetic", &arithmetic, &[]);
    }
    for special in [SpecialTokens::File, SpecialTokens::None] {
        check("SpecialTokens", &special, &[]);
    }
    for quantize in [Quantize::Q8, Quantize::Q4] {
        check("Quantize", &quantize, &[]);
    }
    for feature in [
        Feature::Last,
        Feature::Penultimate,
        Feature::NormAvg,
        Feature::Weighted(vec![1.0]),
        Feature::Layer(3),
    ] {
        check("Feature", &feature.to_string(), &[]);
    }
    for pooling in [Pooling::Mean, Pooling::LastToken] {
        check("Pooling", &pooling.to_string(), &[]);
    }
}

/// Each kind of drift that is planted in a report is found, with its path.
#[test]
fn drift_is_found() {
    let good = serde_json::to_value(report(&encoder(), Pooling::Mean)).unwrap();
    let problems = |change: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        declarations().problems("Report", &value, &[])
    };
    assert_eq!(problems(&|_| {}), [""; 0]);
    let added = problems(&|report| report["summary"]["median"] = 1.into());
    assert_eq!(added, ["Report.summary.median is not declared"]);
    let lost = problems(&|report| drop(report["results"][3].as_object_mut().unwrap().remove("question")));
    assert_eq!(lost, ["Report.results[3].question is declared, but is not there"]);
    let other = problems(&|report| report["results"][0]["is_correct"] = "yes".into());
    assert_eq!(other, ["Report.results[0].is_correct is \"yes\", declared as boolean"]);
    let deep = problems(&|report| {
        report["summary"]["accuracy_statistics"]["overall"]["interval"] = json!([0.5]);
    });
    assert_eq!(deep, ["Report.summary.accuracy_statistics.overall.interval is [0.5], declared as 2 values"]);
}

#[test]
fn declarations_are_read() {
    let text = "
        import type { Other } from './other'
        /** A comment: { not: 'read' }. */
        export interface Base { readonly name: string; size?: number } // and this one
        export interface File extends Base {
            kind: 'a' | `layer(${number})`;
            parts: [number, string];
            rows: Pick<Row, 'x'>[];
            facts: { known: boolean; [fact: string]: unknown };
            read(at: number): Promise<void>;
            nested: (Omit<Row, 'x'> & { z: null })[] | null;
        }
        type Row = { x: number; y: string };
        type Callback<P> = (progress: P) => boolean | Promise<boolean>;
    ";
    let declared = Declarations::parse(text);
    let good = json!({
        "name": "n", "kind": "layer(3)", "parts": [1, "s"], "rows": [{ "x": 1 }], "facts": { "known": true, "f": [] },
        "nested": [{ "y": "", "z": null }]
    });
    assert_eq!(declared.problems("File", &good, &["read"]), [""; 0]);
    let mut bad = good.clone();
    bad["kind"] = "b".into();
    bad["rows"][0]["y"] = "".into();
    bad["nested"][0]["z"] = 1.into();
    assert_eq!(
        declared.problems("File", &bad, &["read", "seek"]),
        [
            "File.seek is not declared",
            "File.kind is \"b\", declared as one of several that it is not",
            "File.rows[0].y is not declared",
            "File.nested[0].z is 1, declared as null",
        ]
    );
    assert_eq!(
        declared.problems("Missing", &json!(1), &[]),
        ["Missing is of the type Missing, which is not known"]
    );
}
