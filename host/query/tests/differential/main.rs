//! Queries that a grammar makes, answered by the engine and by a real Prometheus over the same data. Prometheus 2 closes ranges
//! on the left where Prometheus 3, whose language is served, does not; so moments of queries never meet those of samples, and
//! what else changed between them is named in `explained`, with its reason.
//!
//! `TANDEM_FUZZ_QUERIES` and `TANDEM_FUZZ_SEED` say how many and which; `TANDEM_FUZZ_QUERY` asks one alone, and prints both
//! answers.

mod compare;
mod data;
mod explained;
mod generate;
mod prometheus;

use compare::{Series, difference, ours, theirs};
use data::{Memory, Random, START};
use generate::Generator;
use prometheus::Prometheus;
use std::collections::BTreeMap;
use tandem_query::{Engine, Grid, QueryLimits};

/// Queries of a plain run: enough to meet each rule of the grammar, in a few seconds.
const QUERIES: usize = 400;
/// Half a second, so that no edge of a range falls on a sample, nor on a step of a subquery.
const HALF_SECOND: i64 = 500;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Both answers to a query, at one moment or over a range.
fn both(
    query: &str,
    prometheus: &Prometheus,
    memory: &Memory,
    at: i64,
    steps: Option<(i64, i64)>,
) -> (Result<Series, String>, Result<Series, String>) {
    let engine = Engine::new(memory, QueryLimits::default());
    let seconds = |millis: i64| format!("{}.{:03}", millis / 1000, millis % 1000);
    // Renamed since.
    let renamed = query.replace("holt_winters", "double_exponential_smoothing");
    match steps {
        None => {
            let told = prometheus.ask("query", &[("query", query.to_owned()), ("time", seconds(at))]);
            (theirs(&told), ours(engine.instant(&renamed, at)))
        }
        Some((count, step)) => {
            let grid = Grid { start: at, end: at + count * step, step };
            let parameters = [
                ("query", query.to_owned()),
                ("start", seconds(grid.start)),
                ("end", seconds(grid.end)),
                ("step", seconds(grid.step)),
            ];
            (theirs(&prometheus.ask("query_range", &parameters)), ours(engine.range(&renamed, grid)))
        }
    }
}

#[test]
fn the_engine_answers_as_prometheus_does() {
    let Some(version) = prometheus::installed() else {
        println!("no prometheus is installed: the engine was not compared with it");
        return;
    };
    let memory = Memory::new();
    let prometheus = Prometheus::start(&memory.open_metrics());
    if let Ok(query) = std::env::var("TANDEM_FUZZ_QUERY") {
        let at = setting("TANDEM_FUZZ_AT", START as u64 + 1_800_500) as i64;
        let (theirs, ours) = both(&query, &prometheus, &memory, at, Some((3, 61_000)));
        println!("{query}\n   Prometheus: {theirs:?}\n   we: {ours:?}");
        return;
    }
    let (count, seed) = (setting("TANDEM_FUZZ_QUERIES", QUERIES as u64), setting("TANDEM_FUZZ_SEED", 1));
    let mut generator = Generator { random: Random(seed) };
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut refused, mut empty, mut unexplained) = (0, 0, Vec::new());
    for _ in 0..count {
        let query = generator.query();
        let at = START + 1000 * generator.random.below(3_600) as i64 + HALF_SECOND;
        let step = *generator.random.of(&[15_000, 60_000, 61_000, 300_000]);
        let steps = generator.random.one_in(2).then_some((1 + generator.random.below(12) as i64, step));
        let (theirs, ours) = both(&query, &prometheus, &memory, at, steps);
        match &theirs {
            Err(_) => refused += 1,
            Ok(series) if series.is_empty() => empty += 1,
            Ok(_) => {}
        }
        let Some(what) = difference(&theirs, &ours) else { continue };
        match explained::reason(&query, &what, &theirs, &ours) {
            Some(reason) => *reasons.entry(reason).or_default() += 1,
            None => unexplained.push(format!("{query} at {at} {steps:?}: {what}")),
        }
    }
    println!("{count} queries beside Prometheus {version}: it refuses {refused} and has nothing for {empty}");
    for (reason, count) in &reasons {
        println!("   {count} differ: {reason}");
    }
    println!("   {} differ for no known reason", unexplained.len());
    assert!(unexplained.is_empty(), "{}", unexplained[..unexplained.len().min(40)].join("\n"));
}
