//! How long the device takes for what it is given. Runs are queued one behind the other, as many as last: a browser's
//! clocks tick in tenths of a millisecond. Called by `kernel::tuning` and `bench`.
//!
//! ```text
//! device   its own timestamps, from the start of the first run to the end of the last
//! wall     from the first run to a number read back, less what an empty read-back takes
//! ```

use crate::device::{Device, DeviceKind};
use crate::error::Result;
use crate::kernel;
use crate::named::named;
use burn::tensor::Tensor;
use std::cell::Cell;
use web_time::Instant;

named! {
    /// Which clock a figure comes from.
    pub enum ClockKind("clock") {
        /// The device's own.
        Device = "device",
        /// The wall's.
        Wall = "wall",
    }
}

/// A sample lasts so many read-backs at least, where these are slow.
const READ_BACKS: f64 = 5.0;
/// Empty read-backs of which the median counts.
const EMPTY: usize = 5;
/// Runs in a sample at most.
const MOST_RUNS: usize = 2000;
/// Seconds that the device's clock is tried for.
const TRIAL: f64 = 0.03;
/// Elements of the multiply-adds that it is tried with, and their rounds at most.
const ELEMENTS: [usize; 2] = [256, 1024];
const MOST_ROUNDS: usize = 1 << 18;
/// What of the time that passed a device must have counted.
const COUNTED: f64 = 0.5;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Seconds that a sample should last at least.
    pub lasting: f64,
    /// Samples: so many, but only the fewest once `enough` seconds are over.
    pub samples: usize,
    pub fewest: usize,
    pub enough: f64,
    /// Seconds after which nothing begins.
    pub left: f64,
    /// Whether the kernel has run before: its first run counts too.
    pub warm: bool,
}

/// Seconds of a run.
#[derive(Clone, Debug)]
pub struct Samples {
    /// By the wall clock, the first run, which may compile a kernel.
    pub first: f64,
    /// A run's, in each sample; never empty.
    pub times: Vec<f64>,
    /// Runs in each sample.
    pub runs: usize,
    pub clock: ClockKind,
}

/// The device's clock, where that can be trusted, and the wall's.
#[derive(Debug)]
pub struct Clock {
    device: Device,
    /// Which of them times kernels.
    pub kind: ClockKind,
    /// Why it is not the device's; empty where it is.
    pub reason: String,
    /// Seconds of a read-back behind nothing.
    pub read_back: f64,
}

impl Clock {
    /// Times the read-back, and tries the device's clock on a kernel that lasts.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device), likewise below.
    pub async fn start(device: &Device) -> Result<Self> {
        device.wait().await?; // compiles
        let mut times = Vec::new();
        for _ in 0..EMPTY {
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

    /// Why the device's clock is not to be trusted: on some adapters it stands still, or ticks in another unit than it says.
    async fn distrust(&self) -> Result<String> {
        let x = Tensor::<2>::full(ELEMENTS, 0.5, self.device.burn());
        drop(kernel::multiply_adds(x.clone(), 1));
        self.device.wait().await?; // compiles
        let mut rounds = 64;
        loop {
            let start = Instant::now();
            let counted = self.device.seconds(|| drop(kernel::multiply_adds(x.clone(), rounds))).await?;
            let passed = start.elapsed().as_secs_f64();
            if passed < self.lasting(TRIAL) + self.read_back && rounds < MOST_ROUNDS {
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

    /// Times a kernel.
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
                kind.set(ClockKind::Wall); // a window that the device lost makes the figure the wall's
            }
            Ok([passed, counted.unwrap_or(passed)])
        };
        let samples = self.measure(effort, sample).await?;
        Ok(Samples { clock: kind.get(), ..samples })
    }

    /// Times, by the wall clock, what reads its result back by itself.
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

    /// `sample(runs)` gives the seconds of that many runs, by the wall clock and by the one that counts.
    async fn measure(
        &self,
        effort: Effort,
        sample: impl AsyncFn(usize) -> Result<[f64; 2]>,
    ) -> Result<Samples> {
        let start = Instant::now();
        let elapsed = || start.elapsed().as_secs_f64();
        let target = self.lasting(effort.lasting);

        // 1. The first run, then twice to sixteen times as many until they last: what is taken off never decides alone.
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

    fn lasting(&self, seconds: f64) -> f64 {
        seconds.max(READ_BACKS * self.read_back)
    }
}

/// Whether a device that `counted` so many seconds can have meant those that `passed`, with a read-back in them.
fn agrees(counted: f64, passed: f64, read_back: f64) -> bool {
    (COUNTED * (passed - read_back)..=1.02 * passed).contains(&counted)
}

/// Of at least one value, which it sorts.
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
