//! How sure a report's numbers are: against scipy; and reports read back, compared and written out.
//!
//! The numbers under "scipy" come from scipy 1.17.1 (Spearman's interval from the formula below):
//!     from math import atanh, sqrt, tanh
//!     from scipy.stats import binomtest, norm, pearsonr, spearmanr
//!     for k, n in [(0, 5), (5, 5), (1, 1), (21, 40), (230, 388), (3813, 6641)]:
//!         print(binomtest(k, n).proportion_ci(0.95, "wilson"))
//!     for b, c in [(0, 1), (1, 5), (7, 7), (3, 10), (46, 7), (120, 171), (600, 601), (0, 400)]:
//!         print(binomtest(min(b, c), b + c).pvalue)
//!     def correlate(x, y):
//!         r, s = pearsonr(x, y), spearmanr(x, y)
//!         print(r.statistic, r.pvalue, r.confidence_interval(), s.statistic, s.pvalue)
//!         h = norm.ppf(0.975) * sqrt((1 + s.statistic**2 / 2) / (len(x) - 3))
//!         print(tanh(atanh(s.statistic) - h), tanh(atanh(s.statistic) + h))

use crate::support::files::{LEADERBOARD, SAMPLE, shared};
use gran_ted::error::{Error, Result};
use gran_ted::ted::{
    Accuracy, Comparison, Correlation, Dataset, Evaluation, Group, Report, Subset, Winner, correlate,
    mcnemar, pearson, spearman, wilson,
};
use serde_json::{Value, from_value, json};
use std::sync::Arc;

// --- scipy ---

/// Asserts that two numbers are equal but for rounding, relative to `expected`, or absolutely where that is 0.
fn assert_close(found: f64, expected: f64, tolerance: f64) {
    let scale = if expected == 0.0 { 1.0 } else { expected.abs() };
    assert!((found - expected).abs() <= tolerance * scale, "found {found:e}, expected {expected:e}");
}

#[test]
fn wilson_equals_scipy() {
    let cases = [
        (0, 5, [0.0, 0.43448246478317476]),
        (5, 5, [0.5655175352168251, 1.0]),
        (1, 1, [0.20654931437723745, 1.0]),
        (21, 40, [0.37497362106692467, 0.6706452988732109]),
        (230, 388, [0.5432186609741495, 0.640529123695433]),
        (3813, 6641, [0.5622285655352337, 0.5860067243665985]),
    ];
    for (correct, total, [low, high]) in cases {
        let found = wilson(correct, total);
        assert_close(found[0], low, 1e-14);
        assert_close(found[1], high, 1e-14);
    }
    assert_eq!(wilson(0, 0), [0.0, 1.0]);
}

#[test]
fn mcnemar_equals_scipy() {
    let cases = [
        (0, 1, 1.0),
        (1, 5, 0.21875),
        (7, 7, 1.0),
        (3, 10, 0.09228515625),
        (46, 7, 4.003196174551249e-08),
        (120, 171, 0.0033087986331269033),
        (600, 601, 1.0),
        (0, 400, 7.745183829698637e-121),
    ];
    for (first, second, p) in cases {
        assert_close(mcnemar(first, second), p, 1e-11);
        assert_eq!(mcnemar(first, second), mcnemar(second, first));
    }
    assert_eq!(mcnemar(0, 0), 1.0);
}

fn assert_correlation(found: Correlation, n: usize, r: f64, p: f64, interval: [f64; 2]) {
    assert_eq!(found.n, n);
    assert_close(found.r, r, 1e-13);
    assert_close(found.p, p, 1e-9);
    assert_close(found.interval[0], interval[0], 1e-12);
    assert_close(found.interval[1], interval[1], 1e-12);
}

#[test]
fn correlations_equal_scipy() {
    let (x, y) = ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 1.0, 4.0, 3.0, 7.0]);
    let interval = [-0.2129343655851342, 0.9880137261479831];
    assert_correlation(pearson(&x, &y).unwrap(), 5, 0.8241633836921339, 0.08613863131395952, interval);
    let interval = [-0.4571243888052967, 0.9908429478778042];
    assert_correlation(spearman(&x, &y).unwrap(), 5, 0.8, 0.10408803866182788, interval);

    // Both lists have ties.
    let (x, y) = ([1.0, 2.0, 2.0, 3.0, 3.0, 3.0], [6.0, 5.0, 5.0, 5.0, 1.0, 2.0]);
    let interval = [-0.9687008630102216, 0.19006264261921127];
    assert_correlation(pearson(&x, &y).unwrap(), 6, -0.7348469228349536, 0.09613828491300727, interval);
    let interval = [-0.9856253780369519, 0.15065041906497045];
    assert_correlation(spearman(&x, &y).unwrap(), 6, -0.8197822947299412, 0.04579103866111682, interval);
    let equal_zeros = spearman(&[-0.0, 0.0, 1.0, 2.0], &[1.0, 1.0, 2.0, 3.0]).unwrap();
    assert_close(equal_zeros.r, 1.0, 1e-14);

    // Three pairs leave the interval open.
    let (x, y) = ([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]);
    let interval = [-1.0, 1.0];
    assert_correlation(pearson(&x, &y).unwrap(), 3, 0.9819805060619655, 0.12103771832367739, interval);
    let falling = spearman(&[1.0, 2.0, 3.0, 4.0], &[9.0, 8.0, 7.0, -1.0]).unwrap();
    assert_close(falling.r, -1.0, 1e-14);
    assert!(falling.p < 1e-6 && falling.interval[1] < -0.999, "{falling:?}");
}

#[test]
fn values_without_a_correlation_say_why() {
    let cases: [(&[f64], &[f64], &str); 6] = [
        (&[1.0, 2.0, 3.0], &[1.0, 2.0], "expected lists of one length, found 3 and 2 values"),
        (&[1.0, 2.0], &[1.0, 2.0], "expected at least 3 pairs, found 2"),
        (&[], &[], "expected at least 3 pairs, found 0"),
        (&[0.1, 0.1, 0.1], &[1.0, 2.0, 3.0], "expected values that differ, found 0.1 only"),
        (&[1.0, 2.0, 3.0], &[1.0, f64::NAN, 3.0], "expected finite values, found NaN"),
        (&[1.0, f64::INFINITY, 3.0], &[1.0, 2.0, 3.0], "expected finite values, found inf"),
    ];
    for (x, y, expected) in cases {
        for error in [pearson(x, y).unwrap_err(), spearman(x, y).unwrap_err()] {
            assert_eq!(error.to_string(), format!("no correlation of the values: {expected}"));
        }
    }
    let error = pearson(&[1e300, -1e300, 0.0], &[1.0, 2.0, 3.0]).unwrap_err().to_string();
    assert!(error.ends_with("expected a spread within the range of 64-bit numbers, found inf"), "{error}");
}

// --- downstream scores ---

/// The published pairs, joined by hand, give (scipy)
///     T2I r 0.997250 over 7 pairs, 0.997400 without GRAN-TED's;
///     T2V r 0.975870 over 5 pairs, 0.958710 without GRAN-TED's.
/// The paper prints 0.9914 and 0.9587: its T2V is the one without GRAN-TED.
#[test]
fn published_scores_correlate() {
    let file: Value = serde_json::from_slice(LEADERBOARD).unwrap();
    let tasks = correlate("leaderboard.json", file.to_string().as_bytes()).unwrap();
    let names: Vec<&str> = tasks.iter().map(|task| task.task.as_str()).collect();
    assert_eq!(names, ["T2I", "T2V"]);
    let [t2i, t2v] = [&tasks[0], &tasks[1]];
    assert_eq!(t2i.pairs.len(), 7);
    assert_eq!(t2i.skipped, ["Qwen3-VL-8B-Instruct, two-step weighted"]);
    let interval = [0.9806376007345642, 0.999612120501065];
    assert_correlation(t2i.pearson, 7, 0.9972496689841578, 7.60809750500613e-07, interval);
    let interval = [0.9059900404350829, 0.9991775494357089];
    assert_correlation(t2i.spearman, 7, 0.9910312089651149, 1.4561252916129405e-05, interval);
    assert_eq!((t2v.pairs.len(), t2v.skipped.len()), (5, 0));
    assert_close(t2v.pearson.r, 0.9758701482624963, 1e-13);
    assert_close(t2v.spearman.r, 1.0, 1e-14);

    let without = json!({"rows": file["rows"], "downstream": {
        "T2I": file["downstream"]["T2I"].as_array().unwrap()[..7],
        "T2V": file["downstream"]["T2V"].as_array().unwrap()[..4],
    }});
    let r = correlate("x.json", without.to_string().as_bytes()).unwrap();
    assert_eq!(
        r.iter().map(|task| format!("{:.4}", task.pearson.r)).collect::<Vec<_>>(),
        ["0.9974", "0.9587"]
    );
}

#[test]
fn pairs_are_read_from_json_and_csv() {
    let json = json!([
        {"name": "a, \"b\"", "ted": 1.5, "downstream": 2},
        {"name": "c", "ted": 2, "downstream": 3},
        {"name": "d", "ted": 4, "downstream": -1e1},
    ]);
    let csv = "\u{feff}ted,name,downstream\r\n1.5,\"a, \"\"b\"\"\", 2\r\n2,c,3\r\n\r\n4,d,-1e1";
    let from_json = correlate("x", json.to_string().as_bytes()).unwrap();
    assert_eq!(from_json, correlate("x", csv.as_bytes()).unwrap());
    assert_eq!(
        serde_json::to_value(&from_json[0].pairs[0]).unwrap(),
        json!({"name": "a, \"b\"", "ted": 1.5, "downstream": 2.0})
    );
    assert_eq!((from_json[0].task.as_str(), from_json[0].pearson.n), ("downstream", 3));
}

#[test]
fn bad_scores_say_where_they_are() {
    let list = "the top level should be a list of {\"name\", \"ted\", \"downstream\"}";
    let header = "row 1 should be a header with name, ted and downstream";
    let cases: [(&str, String); 11] = [
        ("", format!("{header}, found ``")),
        ("name;ted\na;1", format!("{header}, found `name;ted`")),
        ("name,ted,downstream\na,1", "row 2 should be as long as the header, found 2 fields".into()),
        ("name,ted,downstream\na,1,2\nb,NaN,2", "row 3, ted should be a number, found `NaN`".into()),
        (
            "name,ted,downstream\na,1,\"2",
            "the last row should be a quoted field with an end, found none".into(),
        ),
        (
            r#"[{"name": 1}]"#,
            format!("{list}, found an error: invalid type: integer `1`, expected a string"),
        ),
        ("[NaN]", "line 1, column 2 should be a finite number, found NaN".into()),
        ("[1", "line 1, column 2 should be JSON, found an error: EOF while parsing a list".into()),
        (
            r#"{"results": []}"#,
            "the top level should be {rows, downstream}, found an error: missing field `rows`".into(),
        ),
        (
            r#"{"rows": [], "downstream": {}}"#,
            "`downstream` should be a list of scores for each task, found none".into(),
        ),
        (
            r#"{"rows": [], "downstream": {"T2I": [["a", "last"]]}}"#,
            "`downstream.T2I` should be a list of [model, feature, score], found an error: invalid length 2, \
             expected a tuple of size 3"
                .into(),
        ),
    ];
    for (text, expected) in cases {
        let error = correlate("x", text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("`x` is not a list of scores: {expected}"));
    }
    let error = correlate("x.csv", b"name,ted,downstream\na,1,2\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no correlation of downstream in `x.csv`: expected at least 3 pairs, found 1"
    );
}

// --- import ---

/// A scored item as the reference writes it; its letters follow from `all_scores` and `correct`.
fn item(caption_key: &str, question_type: &str, correct: &str, all_scores: &[f32]) -> Value {
    let statements: Vec<String> = (0..all_scores.len()).map(|i| format!("{question_type} {i}")).collect();
    let caption_type = if caption_key.starts_with("video") { "video" } else { "image" };
    let best = all_scores.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    let predicted = char::from(b'A' + best as u8).to_string();
    json!({
        "caption_key": caption_key, "caption_type": caption_type, "question_type": question_type,
        "statements": statements, "correct_answer": correct, "predicted_answer": predicted,
        "all_scores": all_scores, "is_correct": predicted == correct,
    })
}

fn import(json: &Value) -> Result<Report> {
    Report::import("x.json", json.to_string().as_bytes())
}

/// Three items, which are right, wrong with a tie, and right.
fn list() -> Value {
    json!([
        item("image_0", "OCR", "B", &[0.25, 0.5]),
        item("image_0", "Adverb", "B", &[0.5, 0.5, 0.25, 0.0]),
        item("video_1", "OCR", "A", &[0.75, 0.5, 0.0, -0.5]),
    ])
}

#[test]
fn a_list_of_items_is_a_report() {
    let report = import(&list()).unwrap();
    let statistics = &report.summary.accuracy_statistics;
    assert_eq!(statistics.overall, Accuracy::new(2, 3, (0.5 + 0.25 + 0.25) / 3.0));
    assert_eq!(
        (statistics.overall_accuracy, statistics.total_correct, statistics.total_samples),
        (2.0 / 3.0, 2, 3)
    );
    assert_eq!(statistics.question_type_accuracy["OCR"], Accuracy::new(2, 2, 0.375));
    assert_eq!(statistics.combined_accuracy["image_Adverb"], Accuracy::new(0, 1, 0.25));
    assert_eq!(report.summary.average_confidence, (0.5 + 0.5 + 0.75) / 3.0);
    assert_eq!((report.summary.ties, report.summary.complete), (1, true));
    assert_eq!(report.provenance, None);
    let [_, second, third] = &report.results[..] else { panic!("{}", report.results.len()) };
    assert_eq!((second.index, second.caption.as_str(), second.options.as_str()), (1, "", ""));
    assert_eq!((third.confidence_score, third.statements.len()), (0.75, 4));
}

#[test]
fn a_report_of_the_reference_is_summed_up_anew() {
    let mut results = list();
    for (i, item) in results.as_array_mut().unwrap().iter_mut().enumerate() {
        item["index"] = json!(7 + i);
        item["caption"] = json!("A cat.");
        item["confidence_score"] = json!(9.0);
        item["is_correct"] = json!(true);
    }
    let summary = json!({"accuracy_statistics": {"overall_accuracy": 1.0}, "average_confidence": 9.0});
    let report = import(&json!({"summary": summary, "results": results})).unwrap();
    assert_eq!(report.summary, import(&list()).unwrap().summary);
    assert_eq!((report.results[0].index, report.results[0].caption.as_str()), (7, "A cat."));
    assert!(!report.results[1].is_correct);

    let partial =
        json!({"summary": {"complete": false}, "results": list(), "provenance": {"feature": "last"}});
    let report = import(&partial).unwrap();
    assert_eq!((report.summary.complete, json!(report.provenance)), (false, json!({"feature": "last"})));
}

#[test]
fn our_report_is_read_back() {
    let dataset = Dataset::parse("ted-sample.json", SAMPLE).unwrap();
    let mut evaluation = Evaluation::new(Arc::new(dataset), &Subset::parse("captions=4").unwrap()).unwrap();
    for (i, text) in evaluation.texts().to_vec().iter().enumerate().skip(1) {
        let angle = text.len() as f32;
        evaluation.insert(i, vec![angle.sin(), angle.cos()]);
    }
    let report =
        evaluation.report(from_value(json!({"model": {"name": "angles"}, "feature": "last"})).unwrap());
    assert!(!report.summary.complete && report.results.len() > 9);
    let text = serde_json::to_string_pretty(&report).unwrap();
    assert_eq!(Report::import("x.json", text.as_bytes()).unwrap(), report);
    let with_mark = format!("\u{feff}[{}]", report.to_jsonl().trim_end().replace('\n', ","));
    assert_eq!(Report::import("x.json", with_mark.as_bytes()).unwrap().results, report.results);
}

#[test]
fn items_without_statements_are_read() {
    let mut list = list();
    list.as_array_mut().unwrap().iter_mut().for_each(|item| {
        item.as_object_mut().unwrap().remove("statements");
    });
    let report = import(&list).unwrap();
    assert_eq!(report.summary, import(&self::list()).unwrap().summary);
    assert!(report.results[0].statements.is_empty());
}

#[test]
fn on_a_tie_either_letter_may_be_predicted() {
    let mut tied = item("image_0", "OCR", "B", &[0.5, 0.5, 0.25]);
    tied["predicted_answer"] = json!("B");
    assert!(import(&json!([tied])).unwrap().results[0].is_correct);
}

#[test]
fn bad_files_are_no_reports() {
    let top = "the top level should be a report, or a list of scored items";
    let cases: [(&[u8], String); 15] = [
        (b"", "line 1, column 0 should be JSON, found an error: EOF while parsing a value".into()),
        (b"{\"results\": [,]}", "line 1, column 14 should be JSON, found an error: expected value".into()),
        (b"\x89PNG", "the content should be UTF-8 text, found a picture".into()),
        (b"version https://git-lfs", "the content should be UTF-8 text, found a Git LFS pointer instead of the file it stands for: download the file itself, or run `git lfs pull`".into()),
        (b"{\"a\": \"caf\xe9\"}", "the encoding should be UTF-8, found byte 0xe9 at 10".into()),
        (b"3", format!("{top}, found another value")),
        (b"{\"image_0\": {}}", format!("{top}, found an object without `results`")),
        (b"{\"results\": {}}", "`results` should be a list of scored items, found another value".into()),
        (b"{\"results\": []}", "`results` should be at least one scored item, found none".into()),
        (b"[]", "`results` should be at least one scored item, found none".into()),
        (
            b"{\"results\": [], \"provenance\": 1}",
            "`provenance` should be an object or null, found another value".into(),
        ),
        (
            b"{\"results\": [], \"provenance\": {\"format\": 9}}",
            "`provenance.format` should be at most 1, the newest that this version reads, found 9".into(),
        ),
        (
            b"{\"results\": [], \"summary\": {\"complete\": 1}}",
            "`summary.complete` should be true or false, found another value".into(),
        ),
        (b"[1,\n -Infinity]", "line 2, column 3 should be a finite number, found -Infinity".into()),
        (b"{\"all_scores\": [0.5, NaN]}", "line 1, column 22 should be a finite number, found NaN".into()),
    ];
    for (bytes, expected) in cases {
        let error = Report::import("x.json", bytes).unwrap_err();
        assert_eq!(error.to_string(), format!("`x.json` is not a report: {expected}"));
        assert_eq!(error.code(), "NotAReport");
    }
    let error = Report::import("x.json", &vec![b' '; (64 << 20) + 1]).unwrap_err().to_string();
    assert_eq!(
        error,
        "`x.json` is not a report: its size should be at most 64 MiB, found 67108865 bytes or more"
    );
    let error = Report::import("x.json", "[".repeat(100_000).as_bytes()).unwrap_err().to_string();
    assert!(error.ends_with("recursion limit exceeded"), "{error}");
}

#[test]
fn bad_items_are_named() {
    let typed = "`results[1]` should be a scored item, found an error";
    let letter = "of `image_0`, Adverb should be the letter of a score";
    let scores = "`results[1].all_scores` of `image_0`, Adverb should be";
    let cases = [
        ("caption_key", json!(1), format!("{typed}: invalid type: integer `1`, expected a string")),
        (
            "caption_type",
            json!("audio"),
            format!("{typed}: caption type `audio` is not known, expected image, video"),
        ),
        ("all_scores", json!([0.5, null]), format!("{typed}: invalid type: null, expected f32")),
        ("all_scores", json!([0.5]), format!("{scores} 2 to 8 scores, found 1")),
        ("all_scores", json!(vec![0.5; 9]), format!("{scores} 2 to 8 scores, found 9")),
        ("all_scores", json!([0.5, 0.5, 1e300, 0.1]), format!("{scores} finite numbers, found inf")),
        (
            "statements",
            json!(["a", "b", "c"]),
            "`results[1].statements` of `image_0`, Adverb should be as many as scores, \
             found 3 statements for 4 scores"
                .into(),
        ),
        ("correct_answer", json!("E"), format!("`results[1].correct_answer` {letter}, found `E`")),
        ("correct_answer", json!("AB"), format!("`results[1].correct_answer` {letter}, found `AB`")),
        ("predicted_answer", json!("a"), format!("`results[1].predicted_answer` {letter}, found `a`")),
        (
            "predicted_answer",
            json!("C"),
            "`results[1].predicted_answer` of `image_0`, Adverb should be the highest score's letter, \
             found C with 0.25, below A with 0.5"
                .into(),
        ),
        (
            "question_type",
            json!("OCR"),
            "`results[1]` should be an item seen once, found `image_0`, OCR a second time".into(),
        ),
    ];
    for (field, value, expected) in cases {
        let mut list = list();
        list[1][field] = value;
        assert_eq!(import(&list).unwrap_err().to_string(), format!("`x.json` is not a report: {expected}"));
    }
    for field in ["caption_key", "correct_answer", "all_scores"] {
        let mut list = list();
        list[1].as_object_mut().unwrap().remove(field);
        let error = import(&list).unwrap_err().to_string();
        assert!(error.ends_with(&format!("found an error: missing field `{field}`")), "{error}");
    }
    let mut list = list();
    list[1]["question_type"] = json!("Negation");
    let error = import(&list).unwrap_err().to_string();
    assert!(error.contains("question type `Negation` is not known, expected Action Recognition"), "{error}");
}

// --- compare ---

/// Two reports of four items, of which the first and the second get: image_0 OCR right/wrong, Adverb wrong/right, video_1 OCR
/// right/right, Temporal right/wrong.
fn two() -> [Value; 2] {
    let four = |scores: [[f32; 2]; 4]| {
        json!([
            item("image_0", "OCR", "A", &scores[0]),
            item("image_0", "Adverb", "A", &scores[1]),
            item("video_1", "OCR", "A", &scores[2]),
            item("video_1", "Temporal", "A", &scores[3]),
        ])
    };
    const RIGHT: [f32; 2] = [0.5, 0.25];
    const WRONG: [f32; 2] = [0.25, 0.5];
    [four([RIGHT, WRONG, RIGHT, RIGHT]), four([WRONG, RIGHT, RIGHT, WRONG])]
}

fn compare([first, second]: &[Value; 2]) -> Result<Comparison> {
    Comparison::new(&import(first)?, &import(second)?)
}

#[test]
fn reports_of_other_data_sets_are_compared_with_a_note() {
    let report = |file: &str, sha256: Value| {
        let dataset = json!({ "file": file, "sha256": sha256 });
        import(&json!({ "results": two()[0], "provenance": { "dataset": dataset } })).unwrap()
    };
    let [a, b] = ["a".repeat(64), "b".repeat(64)].map(|sha256| report("ted.json", json!(sha256)));
    let note = |first: &Report, second: &Report| Comparison::new(first, second).unwrap().note;
    assert_eq!(
        note(&a, &b).unwrap(),
        "The reports are of different data sets: ted.json (SHA-256 aaaaaaaaaaaa…) and ted.json (SHA-256 bbbbbbbbbbbb…)."
    );
    assert_eq!(note(&a, &report("renamed.json", json!("a".repeat(64)))), None);
    assert_eq!(note(&a, &report("unknown.json", Value::Null)), None);
    assert_eq!(note(&import(&two()[0]).unwrap(), &b), None);
}

#[test]
fn comparison_counts_what_changed() {
    let mut two = two();
    two[0].as_array_mut().unwrap().push(item("image_9", "OCR", "A", &[0.5, 0.25]));
    two[1][0]["caption"] = json!("A cat.");
    two[1].as_array_mut().unwrap().reverse();
    let found = serde_json::to_value(compare(&two).unwrap()).unwrap();
    let accuracy =
        |correct: usize, total: usize| serde_json::to_value(Accuracy::new(correct, total, 0.5)).unwrap();
    let group = |group: &str,
                 name: &str,
                 total,
                 [first, second, first_only, second_only]: [usize; 4],
                 p: f64| {
        json!({
            "group": group, "name": name, "total": total, "first": accuracy(first, total),
            "second": accuracy(second, total), "first_only": first_only, "second_only": second_only, "p": p,
        })
    };
    let changed =
        |caption_key: &str, caption_type: &str, question_type: &str, caption: &str, winner: &str| {
            json!({
                "caption_key": caption_key, "caption_type": caption_type, "question_type": question_type,
                "caption": caption, "winner": winner,
            })
        };
    // 2 P(X <= 1) of 3 is 1, as is 2 P(X <= 0) of 1.
    let expected = json!({
        "note": null, "shared": 4, "only_first": 1, "only_second": 0, "differing": 0,
        "groups": [
            group("all", "", 4, [3, 2, 2, 1], 1.0),
            group("caption_type", "image", 2, [1, 1, 1, 1], 1.0),
            group("caption_type", "video", 2, [2, 1, 1, 0], 1.0),
            group("question_type", "Adverb", 1, [0, 1, 0, 1], 1.0),
            group("question_type", "OCR", 2, [2, 1, 1, 0], 1.0),
            group("question_type", "Temporal", 1, [1, 0, 1, 0], 1.0),
        ],
        "changed": [
            changed("image_0", "image", "OCR", "A cat.", "first"),
            changed("image_0", "image", "Adverb", "", "second"),
            changed("video_1", "video", "Temporal", "", "first"),
        ],
    });
    assert_eq!(found.to_string(), expected.to_string());
}

#[test]
fn comparison_finds_a_difference() {
    let image = |i: usize, scores: &[f32]| item(&format!("image_{i}"), "OCR", "A", scores);
    let first: Vec<Value> =
        (0..13).map(|i| image(i, if i < 10 { &[0.5, 0.25] } else { &[0.25, 0.5] })).collect();
    let second: Vec<Value> =
        (0..13).map(|i| image(i, if i < 10 { &[0.25, 0.5] } else { &[0.5, 0.25] })).collect();
    let comparison = compare(&[first.into(), second.into()]).unwrap();
    let all = &comparison.groups[0];
    assert_eq!((all.group, all.first_only, all.second_only), (Group::All, 10, 3));
    assert_close(all.p, 0.09228515625, 1e-12);
    assert_eq!(comparison.changed.iter().filter(|item| item.winner == Winner::First).count(), 10);
}

#[test]
fn items_with_other_statements_are_left_out() {
    // The statements are the same in another order, with the letters that go with it.
    let mut shuffled = two();
    shuffled[1][0] = json!({
        "caption_key": "image_0", "caption_type": "image", "question_type": "OCR",
        "statements": ["OCR 1", "OCR 0"],
        "correct_answer": "B", "predicted_answer": "A", "all_scores": [0.5, 0.25],
    });
    assert_eq!(compare(&shuffled).unwrap(), compare(&two()).unwrap());

    // One statement differs; or another one is right.
    for (field, value) in [("statements", json!(["OCR 0", "OCR 2"])), ("correct_answer", json!("B"))] {
        let mut other = two();
        other[1][0][field] = value;
        let comparison = compare(&other).unwrap();
        assert_eq!((comparison.shared, comparison.differing, comparison.groups[0].total), (4, 1, 3));
        assert_eq!(comparison.changed.len(), 2);
    }

    // A report without statements is compared by its keys.
    let mut bare = two();
    bare[1].as_array_mut().unwrap().iter_mut().for_each(|item| {
        item.as_object_mut().unwrap().remove("statements");
    });
    assert_eq!(compare(&bare).unwrap(), compare(&two()).unwrap());
}

#[test]
fn reports_without_shared_items_are_named() {
    let named = |key: &str, provenance: Value| {
        import(&json!({"results": [item(key, "OCR", "A", &[0.5, 0.25])], "provenance": provenance})).unwrap()
    };
    let first = named("image_0", json!({"model": {"name": "SmolLM2"}, "feature": "norm_avg"}));
    let error = Comparison::new(&first, &named("image_1", Value::Null)).unwrap_err();
    let expected =
        "`SmolLM2, norm_avg` and `a report without provenance` can't be compared: no item is in both";
    assert_eq!(error.to_string(), expected);
    let mut other = named("image_0", Value::Null);
    other.results[0].statements[0] = "Something else.".into();
    let error = Comparison::new(&first, &other).unwrap_err();
    assert!(matches!(error, Error::NoSharedItems { .. }));
    assert!(error.to_string().ends_with("none of the 1 items in both has the same statements"), "{error}");
}

// --- export ---

#[test]
fn csv_has_a_row_for_each_group() {
    let mut report = import(&list()).unwrap();
    // No type has such a name; a report that didn't come through `import` might.
    let strange = &mut report.summary.accuracy_statistics.combined_accuracy;
    strange.insert("a \"b\", c".into(), Accuracy::new(0, 0, 0.0));
    report.provenance = from_value(json!({ "subset": { "id": "0123abcd" } })).unwrap();
    let csv = report.to_csv();
    let [third, two] = [wilson(0, 1), wilson(2, 2)].map(|[low, high]| format!("{low},{high}"));
    let [low, high] = wilson(2, 3);
    let [one_low, one_high] = wilson(1, 1);
    let [half_low, half_high] = wilson(1, 2);
    let expected = [
        "group,name,correct,total,accuracy,low,high,chance,subset".to_string(),
        format!("overall,,2,3,{},{low},{high},{}", 2.0 / 3.0, 1.0 / 3.0),
        format!("caption_type,image,1,2,0.5,{half_low},{half_high},0.375"),
        format!("caption_type,video,1,1,1,{one_low},{one_high},0.25"),
        format!("question_type,Adverb,0,1,0,{third},0.25"),
        format!("question_type,OCR,2,2,1,{two},0.375"),
        "combined,\"a \"\"b\"\", c\",0,0,0,0,1,0".into(),
        format!("combined,image_Adverb,0,1,0,{third},0.25"),
        format!("combined,image_OCR,1,1,1,{one_low},{one_high},0.5"),
        format!("combined,video_OCR,1,1,1,{one_low},{one_high},0.25"),
        String::new(),
    ];
    let id = |(i, row): (usize, String)| if i == 0 || row.is_empty() { row } else { row + ",0123abcd" };
    let expected: Vec<_> = expected.into_iter().enumerate().map(id).collect();
    assert_eq!(csv.split("\r\n").collect::<Vec<_>>(), expected);
}

#[test]
fn json_lines_have_the_reference_keys() {
    let mut report = import(&list()).unwrap();
    report.provenance = from_value(json!({ "subset": { "id": "0123abcd" } })).unwrap();
    let lines = report.to_jsonl();
    let expected = concat!(
        r#"{"index":0,"caption_key":"image_0","caption_type":"image","question_type":"OCR","caption":"","#,
        r#""question":"","options":"","statements":["OCR 0","OCR 1"],"correct_answer":"B","#,
        r#""predicted_answer":"B","confidence_score":0.5,"all_scores":[0.25,0.5],"is_correct":true,"subset":"0123abcd"}"#,
    );
    assert_eq!(
        (lines.lines().next(), lines.lines().count(), lines.ends_with("}\n")),
        (Some(expected), 3, true)
    );
}

// --- the reference's own scores ---

#[test]
#[ignore = "needs ../shared/ted6k, which has no license"]
fn the_reference_is_read() {
    let report = Report::import("reference-scores.json", &shared("ted6k/reference-scores.json")).unwrap();
    assert_eq!(report.summary.accuracy_statistics.overall, Accuracy::new(230, 388, 0.25));
    assert_eq!(report.summary.ties, 23);
    let itself = Comparison::new(&report, &report).unwrap();
    assert_eq!((itself.shared, itself.differing, itself.changed.len(), itself.groups[0].p), (388, 0, 0, 1.0));
}
