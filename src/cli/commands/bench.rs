//! `gran-ted bench`: the peak of the device, and the share of it that each part of the model reaches.

use crate::cli::args::LoadOptions;
use crate::cli::interrupt::{INTERRUPTED, stop_on_interrupt};
use crate::cli::load::{Model, load};
use crate::cli::output::{STDOUT, bar, print, to_json};
use gran_ted::bench::{Bench, BenchOptions, BenchReport, MODEL, Row, Timing};
use gran_ted::error::{Result, shown};
use gran_ted::trial::clock::ClockKind;
use pollster::block_on;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

pub fn bench(
    model: &Path,
    tokens: &[usize],
    seconds: f64,
    as_json: bool,
    options: &LoadOptions,
) -> Result<ExitCode> {
    let model = Model::open(model, options)?;
    let mut bench_options = BenchOptions::usual(model.header.info.max_length, seconds);
    if !tokens.is_empty() {
        bench_options.tokens = tokens.to_vec();
    }
    bench_options.check(model.header.info.max_length)?;
    let (encoder, _) = load(model, options)?;
    let mut bench = block_on(Bench::new(&encoder, &bench_options))?;
    let stop = stop_on_interrupt();
    let bar = bar(0, "{msg} {bar:32} {pos}/{len}", "measuring");
    while !stop.load(Ordering::Relaxed)
        && let Some(progress) = block_on(bench.step(&encoder))?
    {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
    }
    bar.finish_and_clear();

    let report = bench.report();
    print(&if as_json { to_json(Path::new(STDOUT), report)? } else { table(report) })?;
    Ok(if report.complete { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
}

fn table(report: &BenchReport) -> String {
    let figure = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.1}"));
    let mut text = format!(
        "device              {}\npeak                {} GFLOP/s multiply-add, {} GB/s copy\n",
        shown(report.provenance.device_name().unwrap_or_default()),
        figure(report.peak.gflops),
        figure(report.peak.copy_gb_per_second),
    );
    text += &match report.clock {
        ClockKind::Device => {
            "clock               the device's own for kernels, the wall's for the model\n".into()
        }
        ClockKind::Wall => format!("clock               the wall's: {}\n", report.clock_reason),
    };
    text += &format!("read-back           {:.2} ms, taken off the wall clock's\n", report.read_back_ms);
    text += &format!(
        "warm-up             {} ms more in the first pass after the self-test\n",
        figure(report.warm_up_ms)
    );
    if let Some(dispatches) = report.dispatches_per_layer {
        text += &format!("kernels a layer     {dispatches}\n");
    }
    text += &format!("measured            {:.1} s of at most {} s\n", report.seconds, report.budget_seconds);

    let mut tokens = 0;
    for row in &report.rows {
        if row.tokens != tokens {
            tokens = row.tokens;
            text += &format!(
                "\n{:<24}{:<40}{:>5} {:>28} {:>6} {:>9} {:>7} {:>7} {:>7}\n",
                format!("{tokens} tokens"),
                "shape",
                "calls",
                "ms (least to most)",
                "clock",
                "GFLOP/s",
                "GB/s",
                "% peak",
                "share"
            );
        }
        text += &line(row);
    }
    for skipped in &report.skipped {
        text += &format!("left out: {} on {} tokens {}\n", skipped.name, skipped.tokens, skipped.reason);
    }
    let models: Vec<_> = report.rows.iter().filter(|row| row.name == MODEL).collect();
    if !models.is_empty() {
        text += "\ntokens   tokens/s   ms a token   less attention   MB moved a token\n";
    }
    for row in models {
        text += &format!(
            "{:>6} {:>10} {:>12.3} {:>16.3} {:>18.2}\n",
            row.tokens,
            figure(row.tokens_per_second),
            row.ms_per_token.unwrap_or_default(),
            row.ms_per_token_without_attention.unwrap_or_default(),
            1e-6 * row.bytes_per_token.unwrap_or_default(),
        );
    }
    text
}

fn line(row: &Row) -> String {
    let Timing { median, min, max, samples, clock, .. } = row.milliseconds;
    let spread = if samples > 1 { format!(" ({min:.2} to {max:.2})") } else { String::new() };
    let percent = |value: Option<f64>| value.map_or(String::new(), |percent| format!("{percent:.1}"));
    let name =
        if row.name == row.kernel { row.name.to_string() } else { format!("{} {}", row.name, row.kernel) };
    format!(
        "{name:<24}{:<40}{:>5} {:>28} {:>6} {:>9.2} {:>7.2} {:>7} {:>7}\n",
        row.shape,
        row.calls,
        format!("{median:.2}{spread}"),
        clock.name(),
        row.gflops,
        row.gb_per_second,
        percent(row.percent_of_peak),
        percent(row.share.map(|share| 100.0 * share)),
    )
}
