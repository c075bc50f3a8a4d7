//! What a benchmark found, as JSON: units are in the names.

use super::Timing;
use crate::encoder::TextEncoder;
use crate::model::Part;
use crate::provenance::Provenance;
use crate::trial::clock::{Clock, ClockKind};
use serde::Serialize;

/// The figures measured so far.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Model, device, versions.
    pub provenance: Provenance,
    /// Seconds that it might take, and took.
    pub budget_seconds: f64,
    pub seconds: f64,
    /// Whether all was measured that was not skipped.
    pub complete: bool,
    pub peak: Peak,
    /// Which clock times kernels and the layer, and why it is not the device's own; the model is timed by the wall clock.
    pub clock: ClockKind,
    pub clock_reason: String,
    /// What reading one number back takes; it is taken off where a kernel is timed by the wall clock.
    pub read_back_ms: f64,
    /// What the first pass through the model takes more than a later one, behind the self-test, which compiles kernels too.
    pub warm_up_ms: Option<f64>,
    /// Kernels that a layer gives the device.
    pub dispatches_per_layer: Option<usize>,
    pub rows: Vec<Row>,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
}

/// What the device can do at most: the best sample counts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Peak {
    pub gflops: Option<f64>,
    pub copy_gb_per_second: Option<f64>,
}

/// A part, a layer or the model on so many tokens.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub tokens: usize,
    /// `q_proj`, `attention`, `layer`, `model`, ...
    pub name: &'static str,
    pub kernel: &'static str,
    pub shape: String,
    /// Times in a pass through the model.
    pub calls: usize,
    pub milliseconds: Timing,
    /// Arithmetic and traffic of one call.
    pub gflop: f64,
    pub gigabytes: f64,
    pub gflops: f64,
    pub gb_per_second: f64,
    /// The time it would take at the device's peak, of arithmetic or of bandwidth, whichever is longer, as a share of its
    /// time.
    pub percent_of_peak: Option<f64>,
    /// `compute` or `memory`: which of the two.
    pub bound: Option<&'static str>,
    /// Of the whole pass, all calls; `other` is what no part accounts for. The shares of a number of tokens sum to 1.
    pub share: Option<f64>,
    pub tokens_per_second: Option<f64>,
    /// Of the model: milliseconds a token, and the same less attention.
    pub ms_per_token: Option<f64>,
    pub ms_per_token_without_attention: Option<f64>,
    /// Of the model: bytes moved a token.
    pub bytes_per_token: Option<f64>,
}

/// What would have taken too long.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    pub tokens: usize,
    pub name: &'static str,
    pub reason: String,
}

/// Name of the pass through the model.
pub const MODEL: &str = "model";
/// Name of what no part accounts for: token rows, final norm, pooling, read-back, and the device's waiting between kernels.
pub const OTHER: &str = "other";

impl BenchReport {
    pub(super) fn new(encoder: &TextEncoder, budget_seconds: f64, clock: &Clock) -> Self {
        Self {
            provenance: Provenance::of(encoder),
            budget_seconds,
            seconds: 0.0,
            complete: false,
            peak: Peak::default(),
            clock: clock.kind,
            clock_reason: clock.reason.clone(),
            read_back_ms: 1e3 * clock.read_back,
            warm_up_ms: None,
            dispatches_per_layer: None,
            rows: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Adds a part's figures.
    pub(super) fn part(&mut self, tokens: usize, part: &Part, layers: usize, timing: Timing) {
        if part.kernel == "layer" {
            self.dispatches_per_layer = Some(part.dispatches);
        }
        let tokens_per_second = (part.kernel == "layer").then(|| 1e3 * tokens as f64 / timing.median);
        let row = self.row(tokens, part.name, part.calls * layers, [part.flop, part.bytes], timing);
        self.rows.push(Row { kernel: part.kernel, shape: part.shape.clone(), tokens_per_second, ..row });
    }

    /// Adds the model's figures; `[flop, bytes]` are those of its parts.
    pub(super) fn model(&mut self, tokens: usize, work: [f64; 2], timing: Timing) {
        let (median, count) = (timing.median, tokens as f64);
        let row = self.row(tokens, MODEL, 1, work, timing);
        self.rows.push(Row {
            kernel: MODEL,
            tokens_per_second: Some(1e3 * count / median),
            ms_per_token: Some(median / count),
            bytes_per_token: Some(work[1] / count),
            ..row
        });
    }

    /// Shares of the whole, once all parts are measured: of the model's time, or of their sum where that is more.
    pub(super) fn close(&mut self, tokens: usize) {
        let is_part = |row: &&mut Row| row.tokens == tokens && row.name != MODEL && row.name != "layer";
        let time = |row: &Row| row.calls as f64 * row.milliseconds.median;
        let parts: f64 = self.rows.iter_mut().filter(is_part).map(|row| time(row)).sum();
        let of_attention = |row: &&Row| row.tokens == tokens && row.name == "attention";
        let attention = self.rows.iter().find(of_attention).map(time);
        let Some(model) = self.rows.iter_mut().find(|row| row.tokens == tokens && row.name == MODEL) else {
            return;
        };
        model.ms_per_token_without_attention =
            attention.map(|ms| (model.milliseconds.median - ms).max(0.0) / tokens as f64);
        let model = model.clone();
        let whole = model.milliseconds.median.max(parts);
        for row in self.rows.iter_mut().filter(is_part) {
            row.share = Some(time(row) / whole);
        }
        let rest = whole - parts;
        let timing = Timing {
            median: rest,
            min: rest,
            max: rest,
            first: rest,
            samples: 0,
            runs: 0,
            clock: ClockKind::Wall,
        };
        let other = Row {
            name: OTHER,
            kernel: OTHER,
            milliseconds: timing,
            share: Some(rest / whole),
            gflop: 0.0,
            gigabytes: 0.0,
            gflops: 0.0,
            gb_per_second: 0.0,
            percent_of_peak: None,
            bound: None,
            tokens_per_second: None,
            ms_per_token: None,
            ms_per_token_without_attention: None,
            bytes_per_token: None,
            ..model
        };
        self.rows.push(other);
    }

    fn row(
        &self,
        tokens: usize,
        name: &'static str,
        calls: usize,
        [flop, bytes]: [f64; 2],
        timing: Timing,
    ) -> Row {
        let seconds = 1e-3 * timing.median;
        let (gflop, gigabytes) = (1e-9 * flop, 1e-9 * bytes);
        let at_peak = self
            .peak
            .gflops
            .zip(self.peak.copy_gb_per_second)
            .map(|(gflops, bandwidth)| (gflop / gflops, gigabytes / bandwidth));
        Row {
            tokens,
            name,
            kernel: "",
            shape: String::new(),
            calls,
            gflop,
            gigabytes,
            gflops: gflop / seconds,
            gb_per_second: gigabytes / seconds,
            percent_of_peak: at_peak.map(|(compute, memory)| 100.0 * compute.max(memory) / seconds),
            bound: at_peak.map(|(compute, memory)| if compute > memory { "compute" } else { "memory" }),
            share: None,
            tokens_per_second: None,
            ms_per_token: None,
            ms_per_token_without_attention: None,
            bytes_per_token: None,
            milliseconds: timing,
        }
    }
}
