//! The benchmark on the tiny model, on the CPU and on wgpu: its figures are numbers, its shares make a whole, it ends
//! when it should.

#[path = "common/device.rs"]
mod device;
#[path = "common/oracle.rs"]
mod oracle;

use gran_ted::bench::{Bench, BenchOptions, BenchReport, MODEL, OTHER};
use gran_ted::device::Device;
use gran_ted::error::Error;
use pollster::block_on;

const PARTS: [&str; 9] =
    ["norms", "qkv_proj", "rotary", "attention", "o_proj", "gate_up_proj", "down_proj", "layer", "layer_mix"];

fn measure(device: Device, tokens: &[usize], seconds: f64) -> BenchReport {
    let encoder = oracle::tiny(device);
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
    for (device, lengths) in [(Device::cpu(), &[7, 32][..]), (device::gpu(), &[32])] {
        let report = measure(device, lengths, 60.0);
        assert!(report.complete);
        assert!(report.skipped.is_empty(), "{:?}", report.skipped);
        assert!(report.peak.gflops.unwrap() > 0.1);
        assert!(report.peak.copy_gb_per_second.unwrap() > 0.1);
        assert!(report.warm_up_ms.unwrap() >= 0.0);
        assert_eq!(report.dispatches_per_layer, Some(8)); // norms twice
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
            }
            let shares: f64 = rows.iter().filter_map(|row| row.share).sum();
            assert!((shares - 1.0).abs() < 1e-9, "{shares}");
            let model = rows.iter().find(|row| row.name == MODEL).unwrap();
            assert!(model.ms_per_token_without_attention.unwrap() <= model.ms_per_token.unwrap());
            assert!(model.bytes_per_token.unwrap() > 0.0);
        }
    }
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
    let encoder = oracle::tiny(Device::cpu());
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
    let encoder = oracle::tiny(Device::cpu());
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
