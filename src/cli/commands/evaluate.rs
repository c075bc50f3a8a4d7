//! `gran-ted evaluate`: the encoder's score on TED-6K or a part of it.

use crate::cli::args::{CacheOptions, Options};
use crate::cli::cache::Cache;
use crate::cli::dataset::{self, open_dataset};
use crate::cli::interrupt::{INTERRUPTED, stop_on_interrupt};
use crate::cli::load::{Model, load};
use crate::cli::output::{bar, percent, print, to_json};
use crate::cli::written;
use gran_ted::error::{Error, Result, shown};
use gran_ted::provenance::{Provenance, Timings};
use gran_ted::ted::{Accuracy, LeftOut, Report, Run};
use pollster::block_on;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

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
    let mut inputs = vec![ted.into()];
    inputs.extend([&options.adapter, &options.layer_weights].into_iter().flatten().cloned());
    written::check(out, &inputs)?;
    let model = Model::open(model, &options.load)?;
    written::check(out, &model.files)?;
    choice.check(&model.header)?;
    dataset::check(&dataset, &subset, &model.header)?;

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
    let mut written = Vec::new(); // one that fails takes nothing away from the others
    for (path, format) in out.iter().zip(formats) {
        written.push(format.text(path, &report).and_then(|text| written::write(path, &text)));
    }
    print(&table(&report))?;
    if !report.summary.complete && cache.is_open() {
        print("the same command goes on from here\n")?;
    }
    written.into_iter().collect::<Result<()>>()?;
    Ok(if report.summary.complete { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
}

/// Items that are named on the terminal where the model can't score them.
const NAMED: usize = 8;

/// The content of a report file, chosen by the ending of its name.
#[derive(Clone, Copy)]
enum Format {
    Json,
    Csv,
    Jsonl,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match ending.as_str() {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::Jsonl),
            _ => Err(Error::UnknownOption {
                option: "report file",
                expected: "a name that ends with .json, .csv or .jsonl".into(),
                found: path.display().to_string(),
            }),
        }
    }

    fn text(self, path: &Path, report: &Report) -> Result<String> {
        Ok(match self {
            Self::Json => to_json(path, report)?,
            Self::Csv => report.to_csv(),
            Self::Jsonl => report.to_jsonl(),
        })
    }
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
        shown(provenance.model_name().unwrap_or_default()),
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
    let left_out = &report.summary.left_out;
    if !left_out.is_empty() {
        text += &format!("{:<22} {:>6}\n", "left out", left_out.len());
    }
    for LeftOut { caption_key, question_type, reason } in left_out.iter().take(NAMED) {
        text += &format!("  {}, {question_type}: {}\n", shown(caption_key), shown(reason));
    }
    if left_out.len() > NAMED {
        text += &format!("  and {} more, which the report names\n", left_out.len() - NAMED);
    }
    if let Some(Timings { tokens, seconds, tokens_per_second, .. }) = provenance.timings {
        text += &format!(
            "{:<22} {tokens} tokens in {seconds:.1} s, {tokens_per_second:.0} tokens/s on {}\n",
            "encoded",
            shown(provenance.device_name().unwrap_or_default()),
        );
    }
    if !report.summary.complete {
        text += "stopped early: the report covers the items above only\n";
    }
    text
}
