//! Damaged and hostile files, made from good ones by mutations that know the formats.
//!
//! The test is alone in its program: its allocator counts what the whole process holds, so one target runs at a time.
//! `./build.sh fuzz` runs the same targets for an hour, from a seed that it prints.

#![allow(clippy::unwrap_used, reason = "a fault ends the test")]
#![allow(dead_code, unused_imports, reason = "the writers are shared with tests that use more of them")]

mod support {
    pub mod adapter_writer;
    pub mod files;
    pub mod fuzz;
    mod noise;
    pub mod sentencepiece;
    pub mod torch_writer;

    #[path = "../../../examples/generate_model/model/mod.rs"]
    pub mod model;
}

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::fuzz::{Budget, Fault, LONGEST, Shape, TARGETS, Target, processor_time, run, seeds};

/// Faults that are known and not mended yet, each with its kind: the beginning of the targets' names, the rule, and a
/// part of what is seen.
const KNOWN: [(&str, &str, &str); 0] = [];

/// One target runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs a target; gives its faults that are not known, a line each.
fn fuzz(target: &Target, seed: u64, budget: &Budget) -> Vec<String> {
    let begin = Instant::now();
    let (count, faults) = run(target, seeds(target.name), seed, budget);
    let seconds = begin.elapsed().as_secs_f64();
    println!("{:18} seed {seed}: {count} inputs, {:.0} a second", target.name, count as f64 / seconds);
    let is_known = |fault: &Fault| {
        KNOWN.iter().any(|(target, rule, detail)| {
            fault.target.starts_with(target) && fault.rule == *rule && fault.detail.contains(detail)
        })
    };
    let (known, new): (Vec<_>, Vec<_>) = faults.iter().partition(|fault| is_known(fault));
    let line = |fault: &Fault| format!("{} {}: {} ({})", fault.target, fault.rule, fault.detail, fault.file);
    known.iter().for_each(|fault| println!("known: {}", line(fault)));
    new.iter().for_each(|fault| println!("FAULT {}", line(fault)));
    new.into_iter().map(line).collect()
}

#[test]
fn no_input_panics_hangs_takes_too_much_or_makes_a_wrong_vector() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut faults = Vec::new();
    for target in &TARGETS {
        let budget = Budget { inputs: target.short, time: Duration::from_secs(3) };
        faults.extend(fuzz(target, 1, &budget));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_rule_that_is_broken_is_found() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let target = Target {
        name: "broken",
        shape: Shape::Bytes,
        short: 0,
        run: |data| {
            match data {
                [0, ..] => panic!("a panic"),
                [1, ..] => drop(std::hint::black_box(vec![1u8; 80 << 20])),
                [2, ..] => {
                    let begin = processor_time();
                    while processor_time() - begin <= LONGEST {
                        std::hint::spin_loop();
                    }
                }
                _ => {}
            }
            Ok("read".into())
        },
    };
    let budget = Budget { inputs: 0, time: Duration::ZERO };
    let (count, faults) = run(&target, (0..4).map(|first| vec![first; 10]).collect(), 1, &budget);
    assert_eq!(
        (count, faults.iter().map(|fault| fault.rule).collect::<Vec<_>>()),
        (4, vec!["panic", "memory", "slow"])
    );
    assert!(faults[0].detail.ends_with("a panic"), "{}", faults[0].detail);
    for fault in &faults {
        assert_eq!(std::fs::read(&fault.file).unwrap().len(), 10);
        std::fs::remove_file(&fault.file).unwrap();
    }
}

/// `FUZZ_SECONDS` for all targets together, or for the one that `FUZZ_TARGET` names; `FUZZ_SEED` repeats a run.
#[test]
#[ignore = "it takes an hour: ./build.sh fuzz"]
fn for_an_hour() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let only = set("FUZZ_TARGET");
    let targets: Vec<&Target> =
        TARGETS.iter().filter(|target| only.as_ref().is_none_or(|only| only == target.name)).collect();
    let names = TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    assert!(!targets.is_empty(), "no target {}, expected one of {names}", only.unwrap_or_default());
    let seconds: u64 = set("FUZZ_SECONDS").map_or(3600, |seconds| seconds.parse().unwrap());
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = set("FUZZ_SEED").map_or(clock, |seed| seed.parse().unwrap());
    let time = Duration::from_secs(seconds) / targets.len() as u32;
    let faults: Vec<String> = targets
        .into_iter()
        .flat_map(|target| fuzz(target, seed, &Budget { inputs: usize::MAX, time }))
        .collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
