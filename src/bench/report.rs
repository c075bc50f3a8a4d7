//! The report of a benchmark, as JSON. Units are in the names.

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
    /// The budget in seconds.
    pub budget_seconds: f64,
    /// The duration so far in seconds.
    pub seconds: f64,
    /// Whether every figure was measured or skipped.
    pub complete: bool,
    /// The peaks of the device.
    pub peak: Peak,
    /// The clock that times kernels and the layer; the model is timed by the wall clock.
    pub clock: ClockKind,
    /// The reason why that is not the device's own clock; empty if it is.
    pub clock_reason: String,
    /// The time to read one number back; it is subtracted if a kernel is timed by the wall clock.
    pub read_back_ms: f64,
    /// The extra time of the first pass through the model, measured after the self-test (which compiles kernels too).
    pub warm_up_ms: Option<f64>,
    /// The number of kernels that the device gets for a layer.
    pub dispatches_per_layer: Option<usize>,
    /// The figures: by number of tokens, the model, the parts of a layer, the layer, and the rest.
    pub rows: Vec<Row>,
    /// The figures that were left out, and why.
    pub skipped: Vec<Skipped>,
}

/// The peaks of the device, each from its best sample.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Peak {
    /// 10^9 operations per second, with a multiply-add as two of them.
    pub gflops: Option<f64>,
    /// 10^9 bytes per second, read and written.
    pub copy_gb_per_second: Option<f64>,
}

/// The figures of a part, of a layer or of the model, for one text length.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The length of the text in tokens.
    pub tokens: usize,
    /// The name: `q_proj`, `attention`, `layer`, `model`, ...
    pub name: &'static str,
    /// The kernel that runs, such as `quant_matmul`.
    pub kernel: &'static str,
    /// The shapes of its tensors, in words.
    pub shape: String,
    /// The number of calls in a pass through the model.
    pub calls: usize,
    /// The time of one call.
    pub milliseconds: Timing,
    /// The operations of one call, in 10^9.
    pub gflop: f64,
    /// The bytes that one call moves, in 10^9.
    pub gigabytes: f64,
    /// 10^9 operations per second.
    pub gflops: f64,
    /// 10^9 bytes per second.
    pub gb_per_second: f64,
    /// The time of a call at the peak of the device, of arithmetic or of bandwidth, whichever is longer, as a
    /// percentage of its time.
    pub percent_of_peak: Option<f64>,
    /// `compute` or `memory`: the longer of those two times.
    pub bound: Option<&'static str>,
    /// The share of all its calls in the time of a whole pass. The shares of one text length sum to 1 with that of
    /// [`OTHER`].
    pub share: Option<f64>,
    /// The tokens that the model, or one layer, processes per second.
    pub tokens_per_second: Option<f64>,
    /// The time of the model per token.
    pub ms_per_token: Option<f64>,
    /// The time of the model per token, less that of attention.
    pub ms_per_token_without_attention: Option<f64>,
    /// The bytes that the model moves per token.
    pub bytes_per_token: Option<f64>,
}

/// A figure that was left out, as it would have taken too long.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// The length of the text in tokens.
    pub tokens: usize,
    /// The name of the figure.
    pub name: &'static str,
    /// The estimate, and the budget that was left.
    pub reason: String,
}

/// The name of the pass through the model.
pub const MODEL: &str = "model";
/// The name of the time that no part accounts for: token rows, final norm, pooling, read-back, and the waits of the
/// device between kernels.
pub const OTHER: &str = "other";

impl BenchReport {
    /// A report without figures.
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

    /// Adds the figures of a part.
    pub(super) fn part(&mut self, tokens: usize, part: &Part, layers: usize, timing: Timing) {
        if part.kernel == "layer" {
            self.dispatches_per_layer = Some(part.dispatches);
        }
        let tokens_per_second = (part.kernel == "layer").then(|| 1e3 * tokens as f64 / timing.median);
        let row = self.row(tokens, part.name, part.calls * layers, [part.flop, part.bytes], timing);
        self.rows.push(Row { kernel: part.kernel, shape: part.shape.clone(), tokens_per_second, ..row });
    }

    /// Adds the figures of the model; `[flop, bytes]` are those of its parts.
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

    /// Computes the shares for one text length, once all its parts are measured. The whole is the time of the model,
    /// or the sum of the parts if that is longer.
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
