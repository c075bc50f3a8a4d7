//! Wall time of what a device is given. Runs are queued one behind the other, then one number is read back; what an
//! empty read-back takes is measured and taken off.

use crate::device::Device;
use crate::error::Result;
use burn::tensor::Tensor;
use serde::Serialize;
use web_time::Instant;

/// Seconds that a sample should last at least: a browser's clock ticks in tenths of a millisecond.
const SAMPLE: f64 = 0.03;
/// A sample lasts so many read-backs at least, where these are slow.
const READ_BACKS: f64 = 5.0;
/// Samples of a median.
const SAMPLES: usize = 5;
/// Seconds after which two samples are enough.
const ENOUGH: f64 = 2.0;
/// Runs in a sample at most.
const MOST_RUNS: usize = 2000;

/// Milliseconds of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    /// The first run, which may compile a kernel.
    pub first: f64,
    pub samples: usize,
    /// Runs in each sample.
    pub runs: usize,
}

/// Measures within what is left of a budget.
pub struct Clock {
    device: Device,
    start: Instant,
    /// Seconds from `start` on.
    budget: f64,
    /// Seconds of a read-back behind nothing.
    pub read_back: f64,
}

impl Clock {
    /// Begins now, with the read-back.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device), likewise below.
    pub async fn start(device: &Device, budget: f64) -> Result<Self> {
        let start = Instant::now();
        let mut times = Vec::new();
        for _ in 0..=SAMPLES {
            let start = Instant::now();
            device.wait().await?;
            times.push(start.elapsed().as_secs_f64());
        }
        times.remove(0); // compiles
        Ok(Self { device: device.clone(), start, budget, read_back: median(&mut times) })
    }

    /// Seconds since the start.
    pub fn elapsed(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Seconds of the budget that are left.
    pub fn left(&self) -> f64 {
        self.budget - self.elapsed()
    }

    /// Times a kernel.
    pub async fn kernel(&self, run: &dyn Fn() -> Tensor<2>) -> Result<Timing> {
        let sample = async |runs: usize| {
            let start = Instant::now();
            for _ in 0..runs {
                drop(run());
            }
            self.device.wait().await?;
            Ok(start.elapsed().as_secs_f64())
        };
        self.measure(self.read_back, sample).await
    }

    /// Times what reads its result back by itself.
    pub async fn whole(&self, run: impl AsyncFn() -> Result<()>) -> Result<Timing> {
        let sample = async |runs: usize| {
            let start = Instant::now();
            for _ in 0..runs {
                run().await?;
            }
            Ok(start.elapsed().as_secs_f64())
        };
        self.measure(0.0, sample).await
    }

    /// `sample(runs)` gives the seconds of that many runs and of one read-back.
    async fn measure(&self, read_back: f64, sample: impl AsyncFn(usize) -> Result<f64>) -> Result<Timing> {
        let start = self.elapsed();
        let target = SAMPLE.max(READ_BACKS * read_back);
        let each = |seconds: f64, runs: usize| (seconds - read_back).max(1e-9) / runs as f64;

        // 1. The first run, then twice to sixteen times as many until they last: what is taken off never decides alone.
        let first = sample(1).await?;
        let mut times = Vec::new();
        let mut runs = 1;
        while times.is_empty() {
            if first > self.left() {
                times.push(first); // no time for more
                break;
            }
            let seconds = sample(runs).await?;
            if seconds - read_back >= target / 2.0 || runs >= MOST_RUNS || seconds > self.left() {
                times.push(each(seconds, runs));
            } else {
                let growth = ((target + read_back) / seconds).ceil().clamp(2.0, 16.0);
                runs = (runs * growth as usize).min(MOST_RUNS);
            }
        }

        // 2. Samples.
        while times.len() < SAMPLES && self.goes_on(start, read_back + runs as f64 * times[0], times.len()) {
            times.push(each(sample(runs).await?, runs));
        }
        let [min, max] = [f64::min, f64::max].map(|of| times.iter().copied().reduce(of).unwrap_or(first));
        let milliseconds = |seconds: f64| 1e3 * seconds;
        Ok(Timing {
            median: milliseconds(median(&mut times)),
            min: milliseconds(min),
            max: milliseconds(max),
            first: milliseconds((first - read_back).max(0.0)),
            samples: times.len(),
            runs,
        })
    }

    /// Whether another sample is worth its `seconds`.
    fn goes_on(&self, start: f64, seconds: f64, samples: usize) -> bool {
        seconds < self.left() && (samples < 2 || self.elapsed() - start < ENOUGH)
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}
