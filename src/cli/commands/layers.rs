//! `gran-ted layers`: the scores of every layer and mix, from one pass over the texts.

use crate::cli::args::LoadOptions;
use crate::cli::dataset::{self, open_dataset};
use crate::cli::interrupt::{INTERRUPTED, stop_on_interrupt};
use crate::cli::load::{Model, load, open_layer_weights};
use crate::cli::output::{bar, print, to_json};
use crate::cli::written;
use gran_ted::error::{Result, shown};
use gran_ted::model::{Feature, Pooling};
use gran_ted::provenance::Timings;
use gran_ted::ted::{LayerReport, LeftOut, Study};
use pollster::block_on;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// Characters of a bar of 100 %.
const BAR: f64 = 40.0;

/// The command's options.
pub struct LayersOptions {
    pub subset: String,
    pub pooling: String,
    pub layer_weights: Option<PathBuf>,
    pub load: LoadOptions,
    pub out: Option<PathBuf>,
}

pub fn layers(model: &Path, ted: &Path, options: &LayersOptions) -> Result<ExitCode> {
    // 1. Everything that can be wrong before the model is loaded.
    let pooling = Pooling::parse(&options.pooling, None)?;
    let weights = options.layer_weights.as_deref().map(open_layer_weights).transpose()?;
    let (dataset, subset) = open_dataset(ted, &options.subset)?;
    let inputs = [vec![ted.into()], options.layer_weights.iter().cloned().collect()].concat();
    written::check(&options.out, &inputs)?;
    let model = Model::open(model, &options.load)?;
    dataset::check(&dataset, &subset, &model.header)?;
    if let Some(weights) = &weights {
        Feature::Weighted(weights.clone()).check(&model.header.config)?;
    }
    written::check(&options.out, &model.files)?;

    // 2. The pass, until it is done or Ctrl-C is pressed.
    let (encoder, _) = load(model, &options.load)?;
    let mut study = Study::new(&encoder, dataset, &subset, pooling, weights)?;
    let stop = stop_on_interrupt();
    let bar = bar(study.progress().total as u64, "{msg} {bar:32} {pos}/{len} tokens, {eta} left", "studying");
    while !stop.load(Ordering::Relaxed)
        && let Some(progress) = block_on(study.step(&encoder))?
    {
        bar.set_position(progress.done as u64);
    }
    bar.finish_and_clear();

    // 3. The study, partial or whole.
    let report = study.report(&encoder);
    if let Some(path) = &options.out {
        written::write(path, &to_json(path, &report)?)?;
    }
    print(&table(&report))?;
    let complete = report.provenance.complete == Some(true);
    if !complete {
        print("stopped early: the items done only\n")?;
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
}

fn table(report: &LayerReport) -> String {
    let mut text = format!("{:<14}{:>8}  {:<16}{:>12}\n", "feature", "%", "95 % interval", "right");
    for row in &report.features {
        let accuracy = &row.accuracy;
        let [low, high] = accuracy.interval.map(|bound| 100.0 * bound);
        text += &format!(
            "{:<14}{:>8.2}  {:<16}{:>12}  {}\n",
            row.feature,
            100.0 * accuracy.accuracy,
            format!("[{low:.1}, {high:.1}]"),
            format!("{} of {}", accuracy.correct, accuracy.total),
            "#".repeat((BAR * accuracy.accuracy).round() as usize),
        );
    }
    let chance = report.features.first().map_or(0.0, |row| row.accuracy.chance);
    text += &format!("{:<14}{:>8.2}\n", "chance", 100.0 * chance);
    if !report.left_out.is_empty() {
        let item =
            |of: &LeftOut| format!("{}, {}: {}", shown(&of.caption_key), of.question_type, shown(&of.reason));
        let first = report.left_out.first().map_or_else(String::new, item);
        text += &format!("{:<14}{:>8}  first {first}\n", "left out", report.left_out.len());
    }
    let provenance = &report.provenance;
    if let Some(Timings { texts, tokens, seconds, .. }) = provenance.timings {
        text += &format!(
            "{} pooling; one pass: {tokens} tokens of {texts} distinct texts in {seconds:.1} s on {}; subset {}\n",
            report.pooling,
            shown(provenance.device_name().unwrap_or_default()),
            provenance.subset_id().unwrap_or_default(),
        );
    }
    text
}
