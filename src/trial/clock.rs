//! Times work on the device. A sample repeats the work until it is long enough for a browser's clocks, which tick in
//! 0.1 ms. Called by `trial::tuning` and `bench`.
//!
//! ```text
//! device   the device's own timestamps, from the start of the first run to the end of the last
//! wall     from the start of the first run to a number read back, less the time of an empty read-back
//! ```

use crate::device::{Device, DeviceKind};
use crate::error::Result;
use crate::kernel;
use crate::named::named;
use burn::tensor::Tensor;
use std::cell::Cell;
use web_time::Instant;

named! {
    /// The clock that a figure comes from.
    pub enum ClockKind("clock") {
        /// The device's own timestamps.
        Device = "device",
        /// The wall clock, around a read-back.
        Wall = "wall",
    }
}

/// Where read-backs are slow, a sample lasts at least this many of them.
const READ_BACKS: f64 = 5.0;
/// Read-backs timed to find the cost of one (median).
const EMPTY_READ_BACKS: usize = 5;
/// The most runs in a sample.
const MOST_RUNS: usize = 2000;
/// Length of the trial of the device's clock, in seconds.
const TRIAL: f64 = 0.03;
/// A trusted clock reports at least this share of the wall time.
const COUNTED: f64 = 0.5;

/// How long a measurement lasts.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The least length of a sample, in seconds.
    pub lasting: f64,
    /// Number of samples that are taken.
    pub samples: usize,
    /// Number of samples that are taken if `enough` seconds have passed.
    pub fewest: usize,
    /// Seconds after which `fewest` samples are enough.
    pub enough: f64,
    /// Seconds after which no sample begins.
    pub left: f64,
    /// Whether the kernel has run before; then its first run counts too.
    pub warm: bool,
}

/// The times of a kernel's runs.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Seconds of the first run by the wall clock; it may compile a kernel.
    pub first: f64,
    /// Seconds of one run, the mean of each sample; never empty.
    pub times: Vec<f64>,
    /// Runs in each sample.
    pub runs: usize,
    /// The clock of `times`.
    pub clock: ClockKind,
}

/// Multiply-adds that last as long as they are asked to: work of a known size, whatever the device.
pub(crate) struct MultiplyAdds {
    x: Tensor<2>,
}

impl MultiplyAdds {
    /// Rows and columns: more elements than any device has lanes.
    const ELEMENTS: [usize; 2] = [256, 1024];
    /// The most rounds of a run.
    pub(crate) const MOST_ROUNDS: usize = 1 << 18;

    /// The operands, on the device.
    pub(crate) fn new(device: &Device) -> Self {
        Self { x: Tensor::full(Self::ELEMENTS, 0.5, device.burn()) }
    }

    /// One run of `rounds` rounds.
    pub(crate) fn run(&self, rounds: usize) -> Tensor<2> {
        kernel::multiply_adds(self.x.clone(), rounds)
    }

    /// Operations of a run of `rounds` rounds.
    pub(crate) fn flop(rounds: usize) -> f64 {
        (kernel::MULTIPLY_ADD_FLOP * rounds * Self::ELEMENTS[0] * Self::ELEMENTS[1]) as f64
    }
}

/// The device's clock, if it can be trusted, and the wall clock.
#[derive(Debug)]
pub struct Clock {
    device: Device,
    /// The clock that times kernels.
    pub kind: ClockKind,
    /// Why the device's clock does not; empty if it does.
    pub reason: String,
    /// Seconds of a read-back that waits for no work.
    pub read_back: f64,
}

impl Clock {
    /// Times the read-back, and tries the device's clock on a long kernel.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) if the device fails; likewise in the other methods.
    pub async fn start(device: &Device) -> Result<Self> {
        device.wait().await?; // compiles
        let mut times = Vec::new();
        for _ in 0..EMPTY_READ_BACKS {
            let start = Instant::now();
            device.wait().await?;
            times.push(start.elapsed().as_secs_f64());
        }
        let read_back = median(&mut times);
        let mut clock =
            Self { device: device.clone(), kind: ClockKind::Wall, reason: String::new(), read_back };
        clock.reason = match device.kind {
            DeviceKind::Cpu => "the CPU has no other".into(),
            DeviceKind::Gpu => clock.distrust().await?,
        };
        if clock.reason.is_empty() {
            clock.kind = ClockKind::Device;
        }
        Ok(clock)
    }

    /// Why the device's clock cannot be trusted; empty if it can. On some adapters it stands still, or ticks in another
    /// unit than it says.
    async fn distrust(&self) -> Result<String> {
        let work = MultiplyAdds::new(&self.device);
        drop(work.run(1));
        self.device.wait().await?; // compiles
        let mut rounds = 64;
        loop {
            let start = Instant::now();
            let counted = self.device.seconds(|| drop(work.run(rounds))).await?;
            let passed = start.elapsed().as_secs_f64();
            if passed < self.lasting(TRIAL) + self.read_back && rounds < MultiplyAdds::MOST_ROUNDS {
                rounds *= 4;
                continue;
            }
            return Ok(match counted {
                None => "the device has no clock of its own".into(),
                Some(counted) if agrees(counted, passed, self.read_back) => String::new(),
                Some(counted) => format!(
                    "the device's own counted {:.3} ms while {:.3} ms passed",
                    1e3 * counted,
                    1e3 * passed
                ),
            });
        }
    }

    /// Times the kernels that `run` launches.
    pub async fn kernel(&self, run: &(dyn Fn() -> Tensor<2> + Sync), effort: Effort) -> Result<Samples> {
        let kind = Cell::new(self.kind);
        let sample = async |runs: usize| {
            let start = Instant::now();
            let all = || (0..runs).for_each(|_| drop(run()));
            let counted = match self.kind {
                ClockKind::Device => self.device.seconds(all).await?,
                ClockKind::Wall => {
                    all();
                    self.device.wait().await?;
                    None
                }
            };
            let passed = (start.elapsed().as_secs_f64() - self.read_back).max(1e-9);
            if counted.is_none() {
                kind.set(ClockKind::Wall); // a lost window of the device's clock makes the figure the wall clock's
            }
            Ok([passed, counted.unwrap_or(passed)])
        };
        let samples = self.measure(effort, sample).await?;
        Ok(Samples { clock: kind.get(), ..samples })
    }

    /// Times work that reads its result back itself, by the wall clock.
    pub async fn whole(&self, run: impl AsyncFn() -> Result<()>, effort: Effort) -> Result<Samples> {
        let sample = async |runs: usize| {
            let start = Instant::now();
            for _ in 0..runs {
                run().await?;
            }
            Ok([start.elapsed().as_secs_f64(); 2])
        };
        self.measure(effort, sample).await
    }

    /// Takes the samples; `sample(runs)` gives the seconds of that many runs, by the wall clock and by the clock that
    /// counts.
    async fn measure(
        &self,
        effort: Effort,
        sample: impl AsyncFn(usize) -> Result<[f64; 2]>,
    ) -> Result<Samples> {
        let start = Instant::now();
        let elapsed = || start.elapsed().as_secs_f64();
        let target = self.lasting(effort.lasting);

        // 1. The first run, then twice to sixteen times as many, until the sample is long, so that the subtracted
        //    read-back never dominates.
        let [first, counted] = sample(1).await?;
        let mut times = Vec::new();
        let mut runs = 1;
        if elapsed() > effort.left || effort.warm && counted >= target / 2.0 {
            times.push(counted);
        }
        while times.is_empty() {
            let [_, seconds] = sample(runs).await?;
            if seconds >= target / 2.0 || runs >= MOST_RUNS || elapsed() > effort.left {
                times.push(seconds / runs as f64);
            } else {
                let growth = (target / seconds).ceil().clamp(2.0, 16.0);
                runs = (runs * growth as usize).min(MOST_RUNS);
            }
        }

        // 2. Samples.
        while times.len() < effort.samples
            && elapsed() + self.read_back + runs as f64 * times[0] < effort.left
            && (times.len() < effort.fewest || elapsed() < effort.enough)
        {
            let [_, seconds] = sample(runs).await?;
            times.push(seconds / runs as f64);
        }
        Ok(Samples { first, times, runs, clock: ClockKind::Wall })
    }

    /// The least length of a sample that should last `seconds`.
    fn lasting(&self, seconds: f64) -> f64 {
        seconds.max(READ_BACKS * self.read_back)
    }
}

/// Whether the `counted` seconds of a device's clock can be the `passed` ones of the wall clock, which include a
/// read-back.
fn agrees(counted: f64, passed: f64, read_back: f64) -> bool {
    (COUNTED * (passed - read_back)..=1.02 * passed).contains(&counted)
}

/// The median of at least one value; sorts them.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::agrees;

    #[test]
    fn a_clock_that_stands_or_ticks_otherwise_is_not_trusted() {
        assert!(agrees(0.030, 0.031, 0.0005));
        assert!(agrees(0.030, 0.040, 0.01));
        for nonsense in [0.0, 30e-6, 30.0, 0.010, 0.045] {
            assert!(!agrees(nonsense, 0.031, 0.0005), "{nonsense}");
        }
    }
}
