//! Times work on the device. A sample repeats the work until it is long enough for the clock: a browser's ticks in
//! 0.1 ms or 1 ms, and in up to 100 ms where it protects from being recognized. Called by `trial::tuning` and `bench`.
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
/// A sample by the wall clock lasts at least this many of its ticks: its error is below a twentieth.
const TICKS: f64 = 20.0;
/// Looks at the wall clock for its next tick, and the seconds of a tick that does not come meanwhile.
const LOOKS: usize = 4_000_000;
const COARSEST: f64 = 0.1;
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
    /// Seconds of a tick of the wall clock.
    tick: f64,
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
        let (kind, tick) = (ClockKind::Wall, tick(Instant::now));
        let mut clock = Self { device: device.clone(), kind, reason: String::new(), read_back, tick };
        clock.reason = match device.kind {
            DeviceKind::Cpu => "the CPU has no other".into(),
            DeviceKind::Gpu if !device.has_clock => "the device has no clock of its own".into(),
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
                None => "the device's own was not read".into(),
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
        let ticks = if self.kind == ClockKind::Wall { TICKS * self.tick } else { 0.0 };
        seconds.max(READ_BACKS * self.read_back).max(ticks)
    }
}

/// Seconds of a tick of the wall clock that `now` reads: the shortest of some, as a process may be held up in one.
fn tick(now: impl Fn() -> Instant) -> f64 {
    let next = |from: Instant| (0..LOOKS).map(|_| now()).find(|at| *at > from);
    let Some(mut edge) = next(now()) else { return COARSEST };
    let mut shortest = f64::INFINITY;
    for _ in 0..3 {
        let Some(at) = next(edge) else { return COARSEST };
        shortest = shortest.min((at - edge).as_secs_f64());
        edge = at;
    }
    shortest
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
    use super::{COARSEST, Clock, ClockKind, TICKS, agrees, tick};
    use crate::device::Device;
    use std::cell::Cell;
    use std::time::Duration;
    use web_time::Instant;

    #[test]
    fn a_sample_lasts_some_ticks_of_a_coarse_clock() {
        let (start, looks) = (Instant::now(), Cell::new(0));
        // a clock that is looked at each microsecond and ticks each millisecond
        let coarse = || {
            looks.set(looks.get() + 1);
            start + Duration::from_millis(looks.get() / 1000)
        };
        let ticks = tick(coarse);
        assert!((ticks - 1e-3).abs() < 1e-9, "{ticks}");
        assert_eq!(tick(|| start), COARSEST, "a clock that stands");
        let clock =
            |kind| Clock { device: Device::cpu(), kind, reason: String::new(), read_back: 0.0, tick: ticks };
        assert_eq!(clock(ClockKind::Wall).lasting(0.001), TICKS * ticks);
        assert_eq!(clock(ClockKind::Wall).lasting(0.3), 0.3);
        assert_eq!(clock(ClockKind::Device).lasting(0.001), 0.001);
    }

    #[test]
    fn a_clock_that_stands_or_ticks_otherwise_is_not_trusted() {
        assert!(agrees(0.030, 0.031, 0.0005));
        assert!(agrees(0.030, 0.040, 0.01));
        for nonsense in [0.0, 30e-6, 30.0, 0.010, 0.045] {
            assert!(!agrees(nonsense, 0.031, 0.0005), "{nonsense}");
        }
    }
}
