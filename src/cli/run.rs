//! `gran-ted embed` and `gran-ted evaluate`.

use super::{Options, bar, load, print};
use gran_ted::error::{Error, Result};
use gran_ted::ted::{Accuracy, Dataset, Report, Run, Subset};
use pollster::block_on;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a shell gives a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

pub fn embed(model: &Path, texts: &[String], as_json: bool, options: &Options) -> Result<ExitCode> {
    let settings = options.settings()?;
    let encoder = load(model, options)?;
    let embeddings = block_on(encoder.embed(texts, &settings))?;
    for (index, _) in embeddings.truncated.iter().enumerate().filter(|(_, truncated)| **truncated) {
        eprintln!("warning: text {} was cut to {} tokens", index + 1, encoder.info.max_length);
    }
    if as_json {
        let texts = texts.iter().enumerate().map(|(i, text)| {
            json!({
                "text": text,
                "tokens": embeddings.tokens[i],
                "truncated": embeddings.truncated[i],
                "vector": embeddings.vectors[i],
            })
        });
        print(&format!(
            "{}\n",
            json!({
                "model": encoder.info.name,
                "feature": settings.feature.to_string(),
                "pooling": settings.pooling.to_string(),
                "device": encoder.device().adapter,
                "texts": texts.collect::<Vec<_>>(),
            })
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let columns: String = (1..=texts.len()).map(|column| format!("{column:>8}")).collect();
    print(&format!("cosine{}\n", &columns[columns.len().min(1)..]));
    for (row, (text, similarities)) in texts.iter().zip(embeddings.similarity()).enumerate() {
        let line: String = similarities.iter().map(|cosine| format!("{cosine:>8.4}")).collect();
        print(&format!("{:>5} {}  {} ({} tokens)\n", row + 1, &line[1..], text, embeddings.tokens[row]));
    }
    Ok(ExitCode::SUCCESS)
}

pub fn evaluate(
    model: &Path,
    ted: &Path,
    subset: &str,
    out: Option<&Path>,
    options: &Options,
) -> Result<ExitCode> {
    // 1. Everything that can be wrong before the model is loaded.
    let file = ted.display().to_string();
    let settings = options.settings()?;
    let subset = Subset::parse(subset)?;
    let bytes = std::fs::read(ted).map_err(|e| Error::Read { file: file.clone(), reason: e.to_string() })?;
    let dataset = Arc::new(Dataset::parse(&file, &bytes)?);
    subset.select(&dataset)?;

    // 2. The run, until it is done or Ctrl-C is pressed.
    let encoder = load(model, options)?;
    let mut run = Run::new(&encoder, dataset, &subset, settings)?;
    let stop = stop_on_interrupt();
    let template = "{msg} {bar:32} {pos}/{len} tokens, {eta} left";
    let bar = bar(run.progress().total as u64, template, "evaluating");
    while !stop.load(Ordering::Relaxed)
        && let Some(progress) = block_on(run.step(&encoder))?
    {
        bar.set_position(progress.done as u64);
    }
    bar.finish_and_clear();

    // 3. The report, partial or whole.
    let report = run.report(&encoder);
    if let Some(out) = out {
        let failed = |reason: String| Error::Write { file: out.display().to_string(), reason };
        let text = serde_json::to_string_pretty(&report).map_err(|e| failed(e.to_string()))?;
        std::fs::write(out, text + "\n").map_err(|e| failed(e.to_string()))?;
    }
    print(&table(&report));
    Ok(if report.summary.complete { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
}

/// Set by the first Ctrl-C; a second one ends the program.
fn stop_on_interrupt() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    let handler = move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        eprintln!("warning: Ctrl-C will not stop cleanly: {error}");
    }
    stop
}

fn table(report: &Report) -> String {
    let row = |name: &str, of: Accuracy| {
        format!("{name:<22} {:>6.2} %  {:>5} of {}\n", 100.0 * of.accuracy, of.correct, of.total)
    };
    let statistics = &report.summary.accuracy_statistics;
    let mut text = String::new();
    for group in [&statistics.question_type_accuracy, &statistics.caption_type_accuracy] {
        group.iter().for_each(|(name, of)| text += &row(name, *of));
        text += "\n";
    }
    let overall = Accuracy {
        accuracy: statistics.overall_accuracy,
        correct: statistics.total_correct,
        total: statistics.total_samples,
    };
    text += &row("overall", overall);
    let chance = report.results.iter().map(|item| 1.0 / item.statements.len() as f64).sum::<f64>();
    text += &format!("{:<22} {:>6.2} %\n", "chance", 100.0 * chance / report.results.len().max(1) as f64);
    if report.summary.ties > 0 {
        text += &format!("{:<22} {:>6}\n", "ties at the top", report.summary.ties);
    }
    let timings = &report.provenance["timings"];
    text += &format!(
        "{:<22} {} tokens in {:.1} s, {:.0} tokens/s on {}\n",
        "encoded",
        timings["tokens"],
        timings["seconds"].as_f64().unwrap_or_default(),
        timings["tokens_per_second"].as_f64().unwrap_or_default(),
        report.provenance["device"]["adapter"].as_str().unwrap_or_default(),
    );
    if !report.summary.complete {
        text += "stopped early: the report covers the items above only\n";
    }
    text
}
