//! Tries a target: good inputs, then what becomes of them when they are bent; no panic, and memory within a multiple of the input.
//! Stable Rust, no tool beside cargo: some seconds per target in `cargo test`, longer by `TANDEM_FUZZ_SECONDS`, another course by
//! `TANDEM_FUZZ_SEED`. An input that fails is written to a file, whose name the panic tells; put into
//! `tests/regressions/<target>/` of its crate it is tried first from then on.

use crate::{memory, mutate::Mutator};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long each target is tried when nothing is said, in milliseconds.
const DEFAULT_MILLIS: u64 = 1_500;
/// Longest input, in bytes: faults of decoders show in short ones, and short ones are fast.
const MAX_INPUT_BYTES: usize = 8 << 10;
/// Inputs kept because they decoded to more than those before.
const MAX_KEPT: usize = 500;
/// Memory that a usual decoder may take whatever the input, in bytes: tables, buffers of decompressors, first growth.
pub const FREE_BYTES: usize = 512 << 10;

/// A decoder, or something else that takes what others write, to be tried: answers how much it made of the input, so that inputs which reach further are kept.
pub struct Target {
    pub name: &'static str,
    pub seeds: Vec<Vec<u8>>,
    /// Bytes of memory that one byte of input may cost.
    pub memory_factor: usize,
    /// Bytes of memory that it may take whatever the input.
    pub free_bytes: usize,
    pub run: fn(&[u8]) -> usize,
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn try_one(target: &Target, input: &[u8]) -> usize {
    memory::begin();
    let reached = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let peak = memory::peak();
    let allowed = target.free_bytes + input.len() * target.memory_factor;
    let fault = match &reached {
        Err(_) => "it panics".to_owned(),
        Ok(_) if peak > allowed => format!("it takes {peak} bytes of memory, and {allowed} are allowed"),
        Ok(reached) => return *reached,
    };
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-failing-input", target.name));
    std::fs::write(&path, input).expect("the input can be kept");
    panic!("{}: {fault}; the input of {} bytes lies in {}", target.name, input.len(), path.display());
}

pub fn fuzz(target: &Target) {
    assert!(!target.seeds.is_empty(), "{} has no seeds", target.name);
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions").join(target.name);
    for entry in std::fs::read_dir(known).into_iter().flatten().flatten() {
        try_one(target, &std::fs::read(entry.path()).expect("readable"));
    }
    let mut reached = 0;
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for seed in &target.seeds {
        reached = reached.max(try_one(target, seed));
        kept.push(seed[..seed.len().min(MAX_INPUT_BYTES)].to_vec());
    }
    assert!(reached > 0, "{}: no seed decodes to anything", target.name);
    let seconds = setting("TANDEM_FUZZ_SECONDS").map(Duration::from_secs);
    let end = Instant::now() + seconds.unwrap_or(Duration::from_millis(DEFAULT_MILLIS));
    let mut mutator = Mutator::new(setting("TANDEM_FUZZ_SEED").unwrap_or(1));
    let mut runs = 0_u64;
    while runs == 0 || Instant::now() < end {
        let mut input = mutator.bend(&kept);
        input.truncate(MAX_INPUT_BYTES);
        let now = try_one(target, &input);
        if now > reached && kept.len() < MAX_KEPT {
            reached = now;
            kept.push(input);
        }
        runs += 1;
    }
    println!("{}: {runs} inputs", target.name);
}
