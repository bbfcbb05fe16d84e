//! The language against expressions that were bent, cut and spliced from good ones: no panic, whatever is asked of whatever
//! series. As long as nothing is said some seconds; longer by `TANDEM_FUZZ_SECONDS`, another course by `TANDEM_FUZZ_SEED`. An
//! expression that fails is written to a file, whose name the panic tells; put into `tests/regressions/promql/` it is tried
//! first from then on.

#[path = "../../../wire/tests/fuzz/mutate.rs"]
mod mutate;

use mutate::Mutator;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tandem_domain::series::Labels;
use tandem_query::{Engine, Grid, Matcher, QueryLimits, SelectedSeries, SeriesSource, SourceError, matches, selector};

/// How long when nothing is said, in milliseconds.
const DEFAULT_MILLIS: u64 = 1_500;
/// Longest expression, in bytes.
const MAX_INPUT_BYTES: usize = 1 << 10;
/// Expressions kept because they evaluated to something.
const MAX_KEPT: usize = 2_000;
/// Moment of the latest samples, in milliseconds.
const NOW: i64 = 1_790_000_000_000;

/// Expressions of every kind.
const SEEDS: [&str; 22] = [
    "up",
    "sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / on(job) group_left() sum by (job) (up)",
    "histogram_quantile(0.99, sum by (le) (rate(latency_bucket[5m])))",
    "max_over_time(deriv(temp[10m:1m])[1h:5m] offset -5m)",
    "label_replace(up, \"x\", \"$1\", \"job\", \"(.*)\")",
    "topk(3, quantile_over_time(0.5, temp[5m])) or vector(1)",
    "-temp ^ 2 ^ 0.5 % 3 == bool 1",
    "predict_linear(temp[1h], 3600) unless on() absent(nothing)",
    "count_values(\"v\", round(temp, 0.1)) without (job)",
    "time() - timestamp(temp @ start()) + hour(vector(1e9))",
    "clamp(temp, -Inf, NaN) > 1 < bool 2 >= 3",
    "{__name__=~\".+\", job!=\"\"}",
    "sort_desc(avg(temp) by (job,)) # comment",
    "changes(temp[5m]) + resets(http_requests_total[1h]) - idelta(temp[5m])",
    "label_join(up, \"a\", \"-\", \"job\", \"instance\")",
    "holt_winters(temp[10m], 0.5, 0.5)",
    "stddev_over_time(temp[1w]) atan2 pi()",
    "(temp and ignoring(job) up) or (up * on(instance) group_right(le) temp)",
    "1e-7 + 0x1f + Inf - .5e3",
    "\"a\\u00e9\\n\"",
    "days_in_month(timestamp(up)) != 31",
    "sum(temp{job=~\"a|b\"} @ 1790000000 offset 1h30m5s1ms)",
];

struct Memory(Vec<SelectedSeries>);

impl SeriesSource for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
        limit: usize,
    ) -> Result<Vec<SelectedSeries>, SourceError> {
        let fitting = self.0.iter().filter(|series| matches(&series.labels, matchers)).take(limit.saturating_add(1));
        let cut = |series: &SelectedSeries| {
            let from = series.at.partition_point(|at| *at < start);
            let to = series.at.partition_point(|at| *at <= end).max(from);
            SelectedSeries {
                labels: series.labels.clone(),
                at: series.at[from..to].to_vec(),
                value: series.value[from..to].to_vec(),
                ..SelectedSeries::default()
            }
        };
        Ok(fitting.map(cut).filter(|series| !series.at.is_empty()).collect())
    }
}

/// Series of every kind, with odd values among theirs.
fn memory() -> Memory {
    let odd = [0.0, 1.5, f64::NAN, f64::INFINITY, -3.0, f64::from_bits(tandem_query::STALE_NAN), 1e300, 5e-324];
    let named = ["up", "temp", "http_requests_total", "latency_bucket", "latency_sum"];
    let series = (0..24_usize).map(|number| {
        let labels = [
            ("__name__", named[number % named.len()].to_owned()),
            ("job", ["a", "b", ""][number % 3].to_owned()),
            ("instance", format!("i{}", number % 4)),
            ("le", ["0.1", "1", "+Inf", "x"][number % 4].to_owned()),
            ("code", "503".to_owned()),
        ];
        let at = (0..60_i64).map(|step| NOW - (60 - step) * 15_000);
        let value = (0..60_usize).map(|step| match (step + number) % 11 {
            0 => odd[(step / 11 + number) % odd.len()],
            more => (step * more) as f64,
        });
        SelectedSeries {
            labels: Labels::new(labels.map(|(name, value)| (name.to_owned(), value))),
            at: at.collect(),
            value: value.collect(),
            ..SelectedSeries::default()
        }
    });
    Memory(series.collect())
}

/// Evaluates an expression at one moment and over a range; how much it came to.
fn evaluate(memory: &Memory, text: &str) -> usize {
    let limits = || QueryLimits { steps: 50, series: 1_000, samples: 100_000, ..QueryLimits::default() };
    let grid = Grid { start: NOW - 600_000, end: NOW, step: 60_000 };
    let instant = Engine::new(memory, limits()).instant(text, NOW);
    let ranged = Engine::new(memory, limits()).range(text, grid);
    usize::from(instant.is_ok()) + usize::from(ranged.is_ok()) + usize::from(selector(text).is_ok())
}

fn try_one(memory: &Memory, input: &[u8]) -> usize {
    let text = String::from_utf8_lossy(input);
    match catch_unwind(AssertUnwindSafe(|| evaluate(memory, &text))) {
        Ok(reached) => reached,
        Err(_) => {
            let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("promql-failing-input");
            std::fs::write(&path, input).expect("it can be kept");
            panic!("it panics; the expression lies in {}: {text}", path.display());
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The expressions of Prometheus' own cases, where they are at hand.
fn cases() -> Vec<Vec<u8>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned();
    let shared = std::env::var("TANDEM_SHARED").unwrap_or(beside);
    let folder = Path::new(&shared).join("data/prometheus-testdata/promql/promqltest/testdata");
    let files: Vec<PathBuf> =
        std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    if files.is_empty() {
        println!("fewer seeds: {} is absent; set TANDEM_SHARED to the folder that holds data/", folder.display());
    }
    let texts = files.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let lines: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let asked = lines.iter().filter_map(|line| line.strip_prefix("eval instant at ")?.split_once(' '));
    asked.map(|(_, expression)| expression.as_bytes().to_vec()).collect()
}

#[test]
fn promql() {
    let memory = memory();
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions/promql");
    for entry in std::fs::read_dir(known).into_iter().flatten().flatten() {
        try_one(&memory, &std::fs::read(entry.path()).expect("readable"));
    }
    let mut kept: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).chain(cases()).collect();
    let good = kept.iter().filter(|seed| try_one(&memory, seed) > 0).count();
    assert!(good > SEEDS.len() / 2, "only {good} of {} seeds evaluate", kept.len());
    let seconds = setting("TANDEM_FUZZ_SECONDS").map(Duration::from_secs);
    let end = Instant::now() + seconds.unwrap_or(Duration::from_millis(DEFAULT_MILLIS));
    let mut mutator = Mutator::new(setting("TANDEM_FUZZ_SEED").unwrap_or(1));
    let (mut runs, mut evaluated) = (0_u64, 0_u64);
    while runs == 0 || Instant::now() < end {
        let mut input = mutator.bend(&kept);
        input.truncate(MAX_INPUT_BYTES);
        if try_one(&memory, &input) > 0 {
            evaluated += 1;
            if kept.len() < MAX_KEPT {
                kept.push(input);
            }
        }
        runs += 1;
    }
    println!("promql: {runs} expressions, {evaluated} evaluated");
}
