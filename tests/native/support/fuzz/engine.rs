//! Runs a target on its seeds and on what mutations make of them, and collects the rules that were broken.

use super::{Outcome, Shape, Target, binary, json, watch};
use crate::support::model::Random;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, PoisonError, RwLock, mpsc};
use std::time::{Duration, Instant};

/// Memory that an input may take: this, and four times its own size.
const MEMORY: usize = 64 << 20;
/// The longest that an input of up to 100 kB may take. A build without optimization is slower.
pub const LONGEST: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });
/// An input that takes as long ends the program.
const HANG: Duration = Duration::from_secs(120);
/// The longest input.
const MAX_BYTES: usize = 100_000;
/// The most inputs that are kept.
const MAX_KEPT: usize = 2000;

/// When a run ends: after as many inputs, or after a time.
pub struct Budget {
    pub inputs: usize,
    pub time: Duration,
}

/// A rule that was broken, once for each kind of detail.
pub struct Fault {
    pub target: &'static str,
    pub rule: &'static str,
    pub detail: String,
    /// The file of the input.
    pub file: String,
}

/// What the last panic said, on whichever thread.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// The input that runs, and the number of those before it. Whoever runs it only reads it, so that the guard can too: no
/// input is copied, and no thread is woken for it.
static INPUT: RwLock<Vec<u8>> = RwLock::new(Vec::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Fuzzes `target` with inputs from `seeds`; gives the number of executions and the faults.
pub fn run(target: &Target, seeds: Vec<Vec<u8>>, seed: u64, budget: &Budget) -> (usize, Vec<Fault>) {
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut text) = PANIC.lock() {
            *text = info.to_string().replace('\n', " ");
        }
    }));
    let (end, ended) = mpsc::channel::<()>();
    let name = target.name;
    let guard = std::thread::spawn(move || watch_for_hangs(name, &ended));
    let mut fuzz = Fuzz {
        target,
        kept: vec![],
        seen: HashSet::new(),
        reported: HashSet::new(),
        faults: vec![],
        now: Instant::now(),
    };
    let (begin, mut random, mut count) = (fuzz.now, Random(seed), 0);
    for input in seeds {
        fuzz.execute(input);
        count += 1;
    }
    while count < budget.inputs && fuzz.now - begin < budget.time && !fuzz.kept.is_empty() {
        let parent = &fuzz.kept[random.below(fuzz.kept.len())];
        let input = mutated(target.shape, parent, &mut random);
        fuzz.execute(input);
        count += 1;
    }
    drop(end);
    guard.join().ok();
    drop(std::panic::take_hook());
    (count, fuzz.faults)
}

/// Ends the program where no input follows another for long, and keeps the input that hangs.
fn watch_for_hangs(target: &str, ended: &mpsc::Receiver<()>) {
    let (mut last, mut since) = (COUNT.load(Relaxed), Instant::now());
    while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(HANG / 16) {
        let count = COUNT.load(Relaxed);
        if count != last {
            (last, since) = (count, Instant::now());
        } else if since.elapsed() > HANG {
            let file = write(target, "hang", "", &INPUT.read().unwrap_or_else(PoisonError::into_inner));
            eprintln!("{target} hangs on {file}");
            std::process::abort();
        }
    }
}

struct Fuzz<'a> {
    target: &'a Target,
    kept: Vec<Vec<u8>>,
    /// The outcomes, by their [`kind`].
    seen: HashSet<u64>,
    reported: HashSet<String>,
    faults: Vec<Fault>,
    /// When the last input ended.
    now: Instant,
}

impl Fuzz<'_> {
    fn execute(&mut self, input: Vec<u8>) {
        *INPUT.write().unwrap_or_else(PoisonError::into_inner) = input;
        COUNT.fetch_add(1, Relaxed);
        let input = INPUT.read().unwrap_or_else(PoisonError::into_inner);
        let live = watch::start();
        let outcome = attempt(self.target, &input);
        let taken = watch::peak().saturating_sub(live);
        // The making of the input is counted too: the clock is asked once for each.
        let now = Instant::now();
        let mut time = now - std::mem::replace(&mut self.now, now);
        // A busy machine is slow too: where it can be had, the processor's time of a second run counts.
        if time > LONGEST {
            let begin = processor_time();
            attempt(self.target, &input).ok();
            time = time.min(processor_time().saturating_sub(begin));
            self.now = Instant::now();
        }
        if taken > MEMORY + 4 * input.len() {
            self.report("memory", &format!("{} MB for {} bytes", taken >> 20, input.len()), &input);
        }
        if time > LONGEST && input.len() <= MAX_BYTES {
            self.report("slow", &format!("{:.1} s for {} bytes", time.as_secs_f32(), input.len()), &input);
        }
        match outcome {
            Err(broken) => self.report(broken.rule, &broken.detail, &input),
            Ok(text) => {
                if self.kept.len() < MAX_KEPT && self.seen.insert(kind(&text)) {
                    self.kept.push(input.clone());
                }
            }
        }
    }

    fn report(&mut self, rule: &'static str, detail: &str, input: &[u8]) {
        let kind = without_digits(&format!("{rule}: {detail}"));
        if self.reported.insert(kind.clone()) {
            let file = write(self.target.name, rule, &kind, input);
            let (target, detail) = (self.target.name, detail.into());
            self.faults.push(Fault { target, rule, detail, file });
        }
    }
}

fn attempt(target: &Target, input: &[u8]) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        Ok(outcome) => outcome,
        Err(_) => {
            let detail = PANIC.lock().map_or(String::new(), |text| text.clone());
            Err(super::Broken { rule: "panic", detail })
        }
    }
}

/// The processor's time that this process took, in steps of 10 ms; the clock's, where the system does not tell it.
pub fn processor_time() -> Duration {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let ticks = std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| {
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
    });
    ticks.map_or_else(|| BEGIN.elapsed(), |ticks| Duration::from_millis(10 * ticks))
}

/// A text by which two outcomes are told apart: its beginning, without numbers and what stands in backticks.
fn without_digits(text: &str) -> String {
    telling(text).collect()
}

/// A number by which two outcomes are told apart as by [`without_digits`].
fn kind(text: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    telling(text).for_each(|c| hash.write_u32(c.into()));
    hash.finish()
}

/// The characters that tell two outcomes apart: a run of digits is one sign, and so is what stands in backticks.
fn telling(text: &str) -> impl Iterator<Item = char> {
    let mut quoted = false;
    let outside = text.chars().filter(move |c| {
        let closes = quoted && *c == '`';
        quoted ^= *c == '`';
        closes || !quoted
    });
    let mut last = ' ';
    outside.take(200).filter_map(move |c| {
        let c = if c.is_ascii_digit() { '#' } else { c };
        let again = c == '#' && last == '#';
        last = c;
        (!again).then_some(c)
    })
}

/// Writes an input to target/fuzz, and gives its file.
fn write(target: &str, rule: &str, kind: &str, input: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
    let hash = gran_ted::format::sha256_hex(if kind.is_empty() { input } else { kind.as_bytes() });
    let file = folder.join(format!("{target}-{rule}-{}", &hash[..12]));
    std::fs::create_dir_all(&folder).ok();
    match std::fs::write(&file, input) {
        Ok(()) => file.display().to_string(),
        Err(error) => format!("no file: {error}"),
    }
}

fn mutated(shape: Shape, parent: &[u8], random: &mut Random) -> Vec<u8> {
    let known = match shape {
        _ if random.below(10) < 3 => None,
        Shape::Gguf => binary::gguf(parent, random),
        Shape::Safetensors => binary::safetensors(parent, random),
        Shape::Json => json::document(parent, random),
        Shape::Parts => json::parts(parent, random),
        Shape::Bytes => None,
    };
    let mut input = known.unwrap_or_else(|| binary::bytes(parent, random));
    input.truncate(MAX_BYTES);
    input
}
