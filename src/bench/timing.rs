//! The measurements of the benchmark, within the rest of its budget.

use crate::device::Device;
use crate::error::Result;
use crate::trial::clock::{Clock, ClockKind, Effort, Samples, median};
use burn::tensor::Tensor;
use serde::Serialize;
use web_time::Instant;

/// The effort for one figure, apart from the budget.
const EFFORT: Effort =
    Effort { lasting: 0.03, samples: 5, fewest: 2, enough: 2.0, left: f64::INFINITY, warm: false };

/// The time of one run in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// The median of the samples.
    pub median: f64,
    /// The shortest sample.
    pub min: f64,
    /// The longest sample.
    pub max: f64,
    /// The first run, by the wall clock. It may compile a kernel.
    pub first: f64,
    /// The number of samples.
    pub samples: usize,
    /// The number of runs in each sample.
    pub runs: usize,
    /// The clock that timed the samples.
    pub clock: ClockKind,
}

impl Timing {
    fn new(mut samples: Samples) -> Self {
        let median = median(&mut samples.times); // sorts
        let times = &samples.times;
        Self {
            median: 1e3 * median,
            min: 1e3 * times[0],
            max: 1e3 * times[times.len() - 1],
            first: 1e3 * samples.first,
            samples: times.len(),
            runs: samples.runs,
            clock: samples.clock,
        }
    }
}

/// A clock and a budget.
pub(crate) struct Timer {
    /// The clock.
    pub clock: Clock,
    start: Instant,
    /// The budget in seconds, from `start` on.
    budget: f64,
}

impl Timer {
    /// Starts the budget and tries the clocks of `device`.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device), as in the methods below.
    pub(crate) async fn start(device: &Device, budget: f64) -> Result<Self> {
        let start = Instant::now();
        Ok(Self { clock: Clock::start(device).await?, start, budget })
    }

    /// Seconds since the start.
    pub(crate) fn elapsed(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Seconds of the budget that are left.
    pub(crate) fn left(&self) -> f64 {
        self.budget - self.elapsed()
    }

    /// Times a kernel.
    pub(crate) async fn kernel(&self, run: &(dyn Fn() -> Tensor<2> + Sync)) -> Result<Timing> {
        Ok(Timing::new(self.clock.kernel(run, self.effort()).await?))
    }

    /// Times, by the wall clock, a run that reads its result back by itself.
    pub(crate) async fn whole(&self, run: impl AsyncFn() -> Result<()>) -> Result<Timing> {
        Ok(Timing::new(self.clock.whole(run, self.effort()).await?))
    }

    fn effort(&self) -> Effort {
        Effort { left: self.left(), ..EFFORT }
    }
}
