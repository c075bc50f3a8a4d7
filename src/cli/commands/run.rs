//! `gran-ted embed` and `gran-ted evaluate`.

use crate::cli::cache::Cache;
use crate::cli::{CacheOptions, Options, bar, load, print};
use gran_ted::error::{Error, Result};
use gran_ted::provenance::{Provenance, Timings};
use gran_ted::ted::{Accuracy, Dataset, Report, Run, Subset};
use pollster::block_on;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a shell gives a program that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

pub fn embed(model: &Path, texts: &[String], as_json: bool, options: &Options) -> Result<ExitCode> {
    let choice = options.check()?;
    let (encoder, tested) = load(model, &options.load)?;
    let settings = choice.settings(&encoder, tested)?;
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
                "arithmetic": encoder.info.arithmetic,
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
    out: &[PathBuf],
    cache: &CacheOptions,
    options: &Options,
) -> Result<ExitCode> {
    // 1. Everything that can be wrong before the model is loaded.
    let choice = options.check()?;
    let (dataset, subset) = open_dataset(ted, subset)?;
    let formats = out.iter().map(|path| Format::of(path)).collect::<Result<Vec<_>>>()?;
    out.iter().try_for_each(|path| probe(path))?;

    // 2. The run, until it is done or Ctrl-C is pressed.
    let (encoder, tested) = load(model, &options.load)?;
    let settings = choice.settings(&encoder, tested)?;
    let mut run = Run::new(&encoder, dataset, &subset, settings)?;
    let mut cache = Cache::open(cache, &run);
    cache.restore(&mut run);
    let stop = stop_on_interrupt();
    let template = "{msg} {bar:32} {pos}/{len} tokens, {eta} left";
    let bar = bar(run.progress().total as u64, template, "evaluating");
    while !stop.load(Ordering::Relaxed)
        && let Some(progress) = block_on(run.step(&encoder))?
    {
        cache.keep(run.take_fresh());
        bar.set_position(progress.done as u64);
    }
    bar.finish_and_clear();

    // 3. The report, partial or whole.
    let report = run.report(&encoder);
    for (path, format) in out.iter().zip(formats) {
        let text = match format {
            Format::Json => to_json(path, &report)?,
            Format::Csv => report.to_csv(),
            Format::Jsonl => report.to_jsonl(),
        };
        write(path, &text)?;
    }
    print(&table(&report));
    if !report.summary.complete && cache.is_open() {
        print("the same command goes on from here\n");
    }
    Ok(if report.summary.complete { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
}

/// What a report file holds, by its name.
#[derive(Clone, Copy)]
enum Format {
    Json,
    Csv,
    Jsonl,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|end| end.to_str()) {
            Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some("jsonl") => Ok(Self::Jsonl),
            _ => Err(Error::UnknownOption {
                option: "report file",
                expected: "a name that ends with .json, .csv or .jsonl".into(),
                found: path.display().to_string(),
            }),
        }
    }
}

/// The data set, and a subset that takes something of it.
pub fn open_dataset(ted: &Path, subset: &str) -> Result<(Arc<Dataset>, Subset)> {
    let file = ted.display().to_string();
    let subset = Subset::parse(subset)?;
    let bytes = std::fs::read(ted).map_err(|e| Error::Read { file: file.clone(), reason: e.to_string() })?;
    let dataset = Arc::new(Dataset::parse(&file, &bytes)?);
    subset.select(&dataset)?;
    Ok((dataset, subset))
}

/// Indented JSON.
pub fn to_json(path: &Path, value: &impl serde::Serialize) -> Result<String> {
    let failed = |reason: String| Error::Write { file: path.display().to_string(), reason };
    Ok(serde_json::to_string_pretty(value).map_err(|e| failed(e.to_string()))? + "\n")
}

/// Writes a result.
pub fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|e| unwritable(path, &e))
}

/// Whether a result can be written when it is there; what the file holds stays until then.
pub fn probe(path: &Path) -> Result<()> {
    let is_new = !path.exists();
    std::fs::OpenOptions::new().append(true).create(true).open(path).map_err(|e| unwritable(path, &e))?;
    if is_new {
        std::fs::remove_file(path).map_err(|e| unwritable(path, &e))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::Write { file: path.display().to_string(), reason: error.to_string() }
}

/// Set by the first Ctrl-C; a second one ends the program.
pub fn stop_on_interrupt() -> Arc<AtomicBool> {
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
    let row = |name: &str, of: &Accuracy| {
        format!("{name:<22} {}  {:>5} of {}\n", percent(of), of.correct, of.total)
    };
    let statistics = &report.summary.accuracy_statistics;
    let nothing = Provenance::default();
    let provenance = report.provenance.as_ref().unwrap_or(&nothing);
    let mut text = format!(
        "{}, {}, {} pooling; subset {}\n\n",
        provenance.model_name().unwrap_or_default(),
        provenance.feature.as_deref().unwrap_or_default(),
        provenance.pooling.as_deref().unwrap_or_default(),
        provenance.subset_id().unwrap_or_default(),
    );
    for group in [&statistics.question_type_accuracy, &statistics.caption_type_accuracy] {
        group.iter().for_each(|(name, of)| text += &row(name, of));
        text += "\n";
    }
    text += &row("overall", &statistics.overall);
    text += &format!("{:<22} {:>6.2} %\n", "chance", 100.0 * statistics.overall.chance);
    if report.summary.ties > 0 {
        text += &format!("{:<22} {:>6}\n", "ties at the top", report.summary.ties);
    }
    if let Some(Timings { tokens, seconds, tokens_per_second, .. }) = provenance.timings {
        text += &format!(
            "{:<22} {tokens} tokens in {seconds:.1} s, {tokens_per_second:.0} tokens/s on {}\n",
            "encoded",
            provenance.device_name().unwrap_or_default(),
        );
    }
    if !report.summary.complete {
        text += "stopped early: the report covers the items above only\n";
    }
    text
}

/// An accuracy and its interval, 24 columns wide.
pub fn percent(of: &Accuracy) -> String {
    let [low, high] = of.interval.map(|bound| format!("{:.1}", 100.0 * bound));
    format!("{:>6.2} %  {:<13}", 100.0 * of.accuracy, format!("[{low}, {high}]"))
}
