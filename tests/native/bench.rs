//! The benchmark on the tiny model, on the CPU and on wgpu: its figures are numbers, its shares make a whole, it ends
//! when it should.
//!
//! These tests have a program of their own, as the device's clock counts all that its process gives the device.

#![allow(clippy::unwrap_used, reason = "a fault ends the test")]

mod support {
    pub mod device;
    pub mod load;
}

use crate::support::{device, load::load};
use burn::tensor::Tensor;
use gran_ted::bench::{Bench, BenchOptions, BenchReport, MODEL, OTHER};
use gran_ted::device::Device;
use gran_ted::encoder::TextEncoder;
use gran_ted::error::Error;
use gran_ted::format::{DiskFile, Source};
use gran_ted::kernel;
use gran_ted::loader::Header;
use gran_ted::trial::clock::{Clock, ClockKind, Effort};
use pollster::block_on;
use std::path::Path;
use std::rc::Rc;
use std::sync::Mutex;

const PARTS: [&str; 9] =
    ["norms", "qkv_proj", "rotary", "attention", "o_proj", "gate_up_proj", "down_proj", "layer", "layer_mix"];

/// Held by the test that uses the device: work of another test would fall into the window of its clock.
static GPU: Mutex<()> = Mutex::new(());

/// The tiny random Qwen3-VL.
fn tiny(device: Device) -> TextEncoder {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-qwen3vl");
    let files = ["config.json", "model.safetensors"]
        .map(|name| Rc::new(DiskFile::open(&folder.join(name)).unwrap()) as Rc<dyn Source>);
    load(block_on(Header::read(files.into())).unwrap(), device)
}

fn measure(device: Device, tokens: &[usize], seconds: f64) -> BenchReport {
    let encoder = tiny(device);
    let options = BenchOptions { tokens: tokens.to_vec(), seconds };
    let mut bench = block_on(Bench::new(&encoder, &options)).unwrap();
    let mut steps = 0;
    while let Some(progress) = block_on(bench.step(&encoder)).unwrap() {
        steps += 1;
        assert_eq!(progress.done, steps);
        assert!(progress.done <= progress.total);
    }
    assert_eq!(steps, 3 + tokens.len() * (PARTS.len() + 1));
    bench.report().clone()
}

#[test]
fn figures_are_numbers_and_shares_make_a_whole() {
    let _alone = GPU.lock().unwrap();
    for (device, lengths) in [(Device::cpu(), &[7, 32][..]), (device::gpu(), &[32])] {
        let report = measure(device, lengths, 60.0);
        assert!(report.complete);
        assert!(report.skipped.is_empty(), "{:?}", report.skipped);
        assert!(report.peak.gflops.unwrap() > 0.1);
        assert!(report.peak.copy_gb_per_second.unwrap() > 0.1);
        assert!(report.warm_up_ms.unwrap() >= 0.0);
        assert_eq!(report.dispatches_per_layer, Some(8)); // norms twice
        assert_eq!(report.clock == ClockKind::Device, report.clock_reason.is_empty());
        for tokens in lengths {
            let rows: Vec<_> = report.rows.iter().filter(|row| row.tokens == *tokens).collect();
            let names: Vec<_> = rows.iter().map(|row| row.name).collect();
            assert_eq!(names, [&[MODEL], &PARTS[..], &[OTHER]].concat());
            for row in &rows[..rows.len() - 1] {
                let timing = &row.milliseconds;
                let numbers =
                    [timing.median, timing.min, row.gflops, row.gb_per_second, row.percent_of_peak.unwrap()];
                assert!(numbers.iter().all(|x| x.is_finite() && *x > 0.0), "{row:?}");
                assert!(timing.min <= timing.median && timing.median <= timing.max, "{row:?}");
                assert_eq!(timing.clock, if row.name == MODEL { ClockKind::Wall } else { report.clock });
            }
            let shares: f64 = rows.iter().filter_map(|row| row.share).sum();
            assert!((shares - 1.0).abs() < 1e-9, "{shares}");
            let model = rows.iter().find(|row| row.name == MODEL).unwrap();
            assert!(model.ms_per_token_without_attention.unwrap() <= model.ms_per_token.unwrap());
            assert!(model.bytes_per_token.unwrap() > 0.0);
        }
    }
}

/// llvmpipe runs on the CPU, so both clocks see the same time pass.
#[test]
fn the_devices_own_clock_agrees_with_the_walls() {
    let _alone = GPU.lock().unwrap();
    let device = device::gpu();
    let own = block_on(Clock::start(&device)).unwrap();
    assert_eq!((own.kind, own.reason.as_str()), (ClockKind::Device, ""));
    let mut wall = block_on(Clock::start(&device)).unwrap();
    wall.kind = ClockKind::Wall;
    let x = Tensor::<2>::full([256, 1024], 0.5, device.burn());
    let effort =
        Effort { lasting: 0.05, samples: 1, fewest: 1, enough: 0.0, left: f64::INFINITY, warm: true };
    let time = |clock: &Clock| {
        let samples = block_on(clock.kernel(&|| kernel::multiply_adds(x.clone(), 256), effort)).unwrap();
        assert_eq!(samples.clock, clock.kind);
        samples.times[0]
    };
    // They are timed in turn, and the least of each counts: other work on the machine comes and goes.
    let mut least = [f64::INFINITY; 2];
    for _ in 0..10 {
        least = [least[0].min(time(&own)), least[1].min(time(&wall))];
    }
    let [own, wall] = least;
    assert!((0.6..1.5).contains(&(own / wall)), "{own} s by the device's clock, {wall} s by the wall's");
}

#[test]
fn what_does_not_fit_the_budget_is_left_out() {
    let report = measure(Device::cpu(), &[7], 1e-9);
    assert!(report.complete);
    assert!(report.rows.is_empty());
    let names: Vec<_> = report.skipped.iter().map(|skipped| skipped.name).collect();
    assert_eq!(names, [&[MODEL], &PARTS[..]].concat());
    assert!(
        report.skipped[0].reason.ends_with("0.0 s of the budget are left"),
        "{}",
        report.skipped[0].reason
    );
    assert_eq!(report.warm_up_ms, None);
}

#[test]
fn a_stopped_benchmark_reports_what_it_has() {
    let encoder = tiny(Device::cpu());
    let options = BenchOptions { tokens: vec![7], seconds: 60.0 };
    let mut bench = block_on(Bench::new(&encoder, &options)).unwrap();
    for _ in 0..6 {
        block_on(bench.step(&encoder)).unwrap().unwrap();
    }
    let report = bench.report();
    assert!(!report.complete);
    assert_eq!(report.rows.iter().map(|row| row.name).collect::<Vec<_>>(), [MODEL, PARTS[0], PARTS[1]]);
}

#[test]
fn lengths_and_budgets_that_cannot_be_are_refused() {
    let encoder = tiny(Device::cpu());
    for (tokens, seconds) in
        [(vec![], 1.0), (vec![0], 1.0), (vec![8, 1_000_000], 1.0), (vec![8], 0.0), (vec![8], f64::NAN)]
    {
        let options = BenchOptions { tokens, seconds };
        assert!(
            matches!(block_on(Bench::new(&encoder, &options)), Err(Error::UnknownOption { .. })),
            "{options:?}"
        );
    }
}
