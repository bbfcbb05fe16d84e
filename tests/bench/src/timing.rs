//! Rounds, medians and their words.

use std::time::{Duration, Instant};

/// Rounds of each measurement; odd, so that the median is one of them.
const ROUNDS: usize = 9;
/// How long a round repeats its call.
const ROUND: Duration = Duration::from_millis(60);

/// The middle one, or the upper of two.
pub fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).expect("times are numbers"));
    values[values.len() / 2]
}

/// Microseconds of one call: the median over rounds of the mean within a round, the first round being a warm-up.
pub async fn micros_of(mut call: impl AsyncFnMut()) -> f64 {
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let (began, mut calls) = (Instant::now(), 0_u32);
        while began.elapsed() < ROUND {
            call().await;
            calls += 1;
        }
        if round > 0 {
            rounds.push(began.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
        }
    }
    median(rounds)
}

/// The same of a call that does not wait.
pub async fn micros_of_native(mut call: impl FnMut()) -> f64 {
    micros_of(async || call()).await
}

/// The smallest and the largest.
pub fn bounds(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
}
