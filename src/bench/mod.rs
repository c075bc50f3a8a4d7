//! A benchmark that explains itself: it measures the peaks of the device, then each part of a layer, the layer and the
//! model, and gives their shares of the time.
//!
//! ```text
//! peak      multiply-adds, copy                                   GFLOP/s, GB/s
//! for each number of tokens, the smallest first
//!     model token ids -> unit vector (norm_avg, mean)             tokens/s
//!     part  q_proj ... attention ... layer, layer_mix             median, GFLOP/s, percent of peak, share of the model
//! ```
//! A figure that would not fit into the budget is skipped, and the report says so. The parts are
//! `model::Decoder::parts`.

mod report;
mod timing;

pub use report::{BenchReport, MODEL, OTHER, Peak, Row, Skipped};
pub use timing::Timing;

use crate::device::{Device, DeviceKind};
use crate::encoder::{Settings, TextEncoder};
use crate::error::{Error, Result};
use crate::kernel;
use crate::model::{Feature, Part, Pooling};
use crate::trial::clock::MultiplyAdds;
use burn::tensor::Tensor;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use timing::Timer;

/// The texts to measure, and the time for it.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchOptions {
    /// The lengths of the texts, in tokens.
    pub tokens: Vec<usize>,
    /// The budget in seconds.
    pub seconds: f64,
}

impl BenchOptions {
    /// Texts of 16, 64, 256 and 1024 tokens, as far as the model takes them, within `seconds`.
    pub fn new(encoder: &TextEncoder, seconds: f64) -> Self {
        Self::usual(encoder.info.max_length, seconds)
    }

    /// The usual lengths that a model takes which cuts a text to `max_length` tokens.
    pub fn usual(max_length: usize, seconds: f64) -> Self {
        let tokens = [16, 64, 256, 1024].into_iter().filter(|tokens| *tokens <= max_length);
        Self { tokens: tokens.collect(), seconds }
    }

    /// Checks the lengths and the budget.
    ///
    /// # Errors
    /// [`Error::UnknownOption`] if the model does not take a length, or the budget is not above 0.
    pub fn check(&self, max_length: usize) -> Result<()> {
        let refused = self.tokens.iter().find(|tokens| !(1..=max_length).contains(*tokens));
        if refused.is_some() || self.tokens.is_empty() {
            return Err(Error::UnknownOption {
                option: "number of tokens",
                expected: format!("1 to {max_length}"),
                found: refused.map_or("none".into(), ToString::to_string),
            });
        }
        if !(self.seconds > 0.0 && self.seconds.is_finite()) {
            return Err(Error::UnknownOption {
                option: "budget",
                expected: "a number of seconds above 0".into(),
                found: self.seconds.to_string(),
            });
        }
        Ok(())
    }
}

/// The progress of a benchmark after a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchProgress {
    /// The number of figures that are measured or skipped.
    pub done: usize,
    /// The number of all figures.
    pub total: usize,
    /// The name of the last figure.
    pub name: &'static str,
    /// The number of tokens of the last figure; 0 if it has no text.
    pub tokens: usize,
}

/// A benchmark under way: call `step` until nothing is left, and `report` at any time.
pub struct Bench {
    timer: Timer,
    settings: Settings,
    lengths: VecDeque<usize>,
    queue: VecDeque<Task>,
    report: BenchReport,
    done: usize,
    total: usize,
    /// By name, the milliseconds of the last figure and the operations that took them.
    known: HashMap<&'static str, (f64, f64)>,
}

enum Task {
    Measure(Case),
    /// Takes a layer apart, for a text of this length.
    Parts(usize),
    /// Computes totals and shares for one text length.
    Close(usize),
}

enum Case {
    MultiplyAdds,
    Copy,
    /// The first pass through the model, with the operations of its parts. A self-test that came before is not
    /// counted, and the kernels that it compiled are not compiled again.
    WarmUp(usize, f64),
    Part(usize, Part),
    /// A pass through the model, with the `[flop, bytes]` of its parts.
    Model(usize, [f64; 2]),
}

/// Values of a row that is copied: 4 KiB.
const COPIED: usize = 1024;
/// Times that they are copied at once.
const COPIES: usize = 8;
/// Milliseconds that the multiply-adds should last at least.
const LASTING: f64 = 10.0;

impl Bench {
    /// Starts the clock, and takes a layer apart for the shortest text.
    ///
    /// # Errors
    /// [`Error::UnknownOption`] if the model does not take a length, or the budget is not above 0; those of the device.
    pub async fn new(encoder: &TextEncoder, options: &BenchOptions) -> Result<Self> {
        options.check(encoder.info.max_length)?;
        let mut lengths = options.tokens.clone();
        lengths.sort_unstable();
        lengths.dedup();
        let timer = Timer::start(encoder.device(), options.seconds).await?;
        let report = BenchReport::new(encoder, options.seconds, &timer.clock);
        let parts = encoder.parts(&ids(encoder, lengths[0])).await?;
        let [flop, _] = work(encoder, &parts);
        let first = [Case::MultiplyAdds, Case::Copy, Case::WarmUp(lengths[0], flop)];
        Ok(Self {
            timer,
            settings: Settings::new(Feature::NormAvg, Pooling::Mean),
            total: first.len() + lengths.len() * (parts.len() + 1),
            queue: first.map(Task::Measure).into(),
            lengths: lengths.into(),
            report,
            done: 0,
            known: HashMap::new(),
        })
    }

    /// Measures the next figure; `None` if there is nothing left.
    ///
    /// # Errors
    /// Those of the encoder.
    pub async fn step(&mut self, encoder: &TextEncoder) -> Result<Option<BenchProgress>> {
        let Some(case) = self.next(encoder).await? else {
            self.report.complete = true;
            return Ok(None);
        };
        let (name, tokens) = match case {
            Case::MultiplyAdds => {
                self.multiply_adds(encoder).await?;
                ("multiply_adds", 0)
            }
            Case::Copy => {
                self.copy(encoder).await?;
                ("copy", 0)
            }
            Case::WarmUp(tokens, flop) => {
                let start = self.timer.elapsed();
                self.pass(encoder, tokens).await?;
                let first = 1e3 * (self.timer.elapsed() - start);
                self.report.warm_up_ms = Some(first);
                self.known.insert(MODEL, (first, flop));
                ("warm_up", tokens)
            }
            Case::Part(tokens, part) => {
                self.part(encoder, tokens, &part).await?;
                (part.name, tokens)
            }
            Case::Model(tokens, work) => {
                self.model(encoder, tokens, work).await?;
                (MODEL, tokens)
            }
        };
        self.done += 1;
        self.report.seconds = self.timer.elapsed();
        Ok(Some(BenchProgress { done: self.done, total: self.total, name, tokens }))
    }

    /// The report on the figures so far.
    pub fn report(&self) -> &BenchReport {
        &self.report
    }

    /// The next figure to measure. A layer is taken apart only after the pass through the model: if layers are
    /// streamed, the weights of both would be more than the budget of the device.
    async fn next(&mut self, encoder: &TextEncoder) -> Result<Option<Case>> {
        loop {
            match self.queue.pop_front() {
                Some(Task::Parts(tokens)) => {
                    let parts = encoder.parts(&ids(encoder, tokens)).await?;
                    let cases = parts.into_iter().map(|part| Case::Part(tokens, part));
                    self.queue.extend(cases.map(Task::Measure));
                    self.queue.push_back(Task::Close(tokens));
                }
                Some(Task::Close(tokens)) => self.report.close(tokens),
                Some(Task::Measure(case)) => return Ok(Some(case)),
                None => match self.lengths.pop_front() {
                    Some(tokens) => {
                        let work = work(encoder, &encoder.parts(&ids(encoder, tokens)).await?);
                        self.queue.push_back(Task::Measure(Case::Model(tokens, work)));
                        self.queue.push_back(Task::Parts(tokens));
                    }
                    None => return Ok(None),
                },
            }
        }
    }

    async fn multiply_adds(&mut self, encoder: &TextEncoder) -> Result<()> {
        let work = MultiplyAdds::new(encoder.device());
        let mut rounds = 16;
        let timing = loop {
            let timing = self.timer.kernel(&|| work.run(rounds)).await?;
            if timing.min >= LASTING || rounds >= MultiplyAdds::MOST_ROUNDS {
                break timing;
            }
            rounds *= 8;
        };
        self.report.peak.gflops = Some(1e-6 * MultiplyAdds::flop(rounds) / timing.min);
        Ok(())
    }

    async fn copy(&mut self, encoder: &TextEncoder) -> Result<()> {
        let rows = copied_rows(encoder.device());
        let x = Tensor::<2>::full([rows, COPIED], 0.5, encoder.device().burn());
        let timing = self.timer.kernel(&|| kernel::copy(x.clone(), COPIES)).await?;
        let bytes = (2 * COPIES * size_of::<f32>() * rows * COPIED) as f64; // read and written
        self.report.peak.copy_gb_per_second = Some(1e-6 * bytes / timing.min);
        Ok(())
    }

    async fn part(&mut self, encoder: &TextEncoder, tokens: usize, part: &Part) -> Result<()> {
        if self.skips(tokens, part.name, part.flop) {
            return Ok(());
        }
        let timing = self.timer.kernel(&*part.run).await?;
        self.known.insert(part.name, (timing.median, part.flop));
        self.report.part(tokens, part, encoder.config.num_hidden_layers, timing);
        Ok(())
    }

    async fn model(&mut self, encoder: &TextEncoder, tokens: usize, work: [f64; 2]) -> Result<()> {
        let warm_up = !self.report.rows.iter().any(|row| row.name == MODEL);
        if self.skips(tokens, MODEL, work[0]) {
            if warm_up {
                self.report.warm_up_ms = None; // nothing to compare it with
            }
            return Ok(());
        }
        let timing = self.timer.whole(async || self.pass(encoder, tokens).await).await?;
        if warm_up {
            self.report.warm_up_ms = self.report.warm_up_ms.map(|first| (first - timing.median).max(0.0));
        }
        self.known.insert(MODEL, (timing.median, work[0]));
        self.report.model(tokens, work, timing);
        Ok(())
    }

    async fn pass(&self, encoder: &TextEncoder, tokens: usize) -> Result<()> {
        encoder.embed_ids(&[&ids(encoder, tokens)], &self.settings).await.map(drop)
    }

    /// Whether a figure would take longer than the budget that is left, by an estimate from the last figure of this
    /// name. If so, the report gets the reason.
    fn skips(&mut self, tokens: usize, name: &'static str, flop: f64) -> bool {
        let estimate = self.known.get(name).map_or(0.0, |(ms, of)| 1e-3 * ms * flop / of);
        let left = self.timer.left().max(0.0);
        let skipped = left == 0.0 || 2.0 * estimate > left;
        if skipped {
            let needed = 2.0 * estimate;
            let reason = format!("needs about {needed:.1} s, {left:.1} s of the budget are left");
            self.report.skipped.push(Skipped { tokens, name, reason });
        }
        skipped
    }
}

/// The number of rows that are copied, which together exceed the caches: 128 MiB on a GPU, as far as it allows that;
/// 64 MiB on a CPU, or 32 in the memory of a page.
fn copied_rows(device: &Device) -> usize {
    const MIB: usize = (1 << 20) / (COPIED * size_of::<f32>());
    match device.kind {
        DeviceKind::Gpu if !device.software => {
            let allowed = device.max_buffer_bytes.map_or(128, |bytes| (bytes >> 20) as usize);
            allowed.clamp(1, 128) * MIB
        }
        _ if cfg!(target_family = "wasm") => 32 * MIB,
        _ => 64 * MIB,
    }
}

/// The `[flop, bytes]` of a pass through all layers.
fn work(encoder: &TextEncoder, parts: &[Part]) -> [f64; 2] {
    let sum = |of: fn(&Part) -> f64| -> f64 {
        let parts = parts.iter().filter(|part| part.kernel != "layer");
        encoder.config.num_hidden_layers as f64 * parts.map(|part| part.calls as f64 * of(part)).sum::<f64>()
    };
    [sum(|part| part.flop), sum(|part| part.bytes)]
}

/// The ids of a text of `tokens` tokens.
fn ids(encoder: &TextEncoder, tokens: usize) -> Vec<u32> {
    (0..tokens).map(|i| (i * 37 % encoder.config.vocab_size) as u32).collect()
}
