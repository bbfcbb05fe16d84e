//! How much processor time the queries of a dashboard take in process, over series in memory: `cargo run --release -p tandem-query --example
//! dashboard [SERIES]`. The store's own part (finding and reading) is not in it.

use tandem_domain::series::Labels;
use tandem_query::{Engine, Grid, Matcher, Outcome, QueryLimits, SelectedSeries, SeriesSource, SourceError, matches};

/// Moments of a series: an hour at 15 s.
const MOMENTS: i64 = 240;
const INTERVAL_MILLIS: i64 = 15_000;
const BOUNDS: [&str; 10] = ["0.005", "0.01", "0.05", "0.1", "0.5", "1", "2.5", "5", "10", "+Inf"];

struct Memory(Vec<SelectedSeries>);

impl SeriesSource for Memory {
    fn select(&self, matchers: &[Matcher], start: i64, end: i64, _: usize) -> Result<Vec<SelectedSeries>, SourceError> {
        let cut = |series: &SelectedSeries| {
            let (from, to) = (series.at.partition_point(|at| *at < start), series.at.partition_point(|at| *at <= end));
            let (at, value) = (series.at[from..to].to_vec(), series.value[from..to].to_vec());
            SelectedSeries { labels: series.labels.clone(), at, value, histograms: Vec::new() }
        };
        Ok(self.0.iter().filter(|series| matches(&series.labels, matchers)).map(cut).collect())
    }
}

fn series(name: &str, place: usize, label: (&str, String)) -> SelectedSeries {
    let labels = [
        ("__name__", name.to_owned()),
        ("instance", format!("10.0.{}.{}:9100", place / 250 % 200, place % 250)),
        ("job", format!("job-{}", place % 7)),
        ("cluster", "eu-1".to_owned()),
        label,
    ];
    let slope = (place % 13) as f64 + 1.0;
    SelectedSeries {
        labels: Labels::new(labels.map(|(name, value)| (name.to_owned(), value))),
        at: (0..MOMENTS).map(|moment| moment * INTERVAL_MILLIS + (place % 15_000) as i64).collect(),
        value: (0..MOMENTS).map(|moment| slope * moment as f64 + (place % 100) as f64).collect(),
        histograms: Vec::new(),
    }
}

/// Milliseconds of this thread on a processor, so that what else runs does not count; zero where the system does not tell.
fn busy_millis() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or_default() / 1e6
}

fn main() {
    let count: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let mut all: Vec<SelectedSeries> =
        (0..count).map(|n| series("requests_total", n, ("path", format!("/{}", n % 20)))).collect();
    all.extend(
        (0..count).map(|n| series("latency_bucket", n / BOUNDS.len(), ("le", BOUNDS[n % BOUNDS.len()].to_owned()))),
    );
    let memory = Memory(all);
    let hour = Grid { start: 300_000, end: MOMENTS * INTERVAL_MILLIS, step: 60_000 };
    let queries = [
        "requests_total",
        "rate(requests_total[5m])",
        "sum(rate(requests_total[5m]))",
        "sum by (instance) (rate(requests_total[5m]))",
        "topk(10, sum by (instance) (rate(requests_total[5m])))",
        "topk(10, rate(requests_total[5m]))",
        "histogram_quantile(0.99, sum by (le, job) (rate(latency_bucket[5m])))",
        "histogram_quantile(0.99, rate(latency_bucket[5m]))",
        "sum by (job) (rate(requests_total[5m])) / on (job) group_left () sum by (job) (requests_total)",
        "rate(requests_total[5m]) / ignoring (path) rate(requests_total[5m])",
        "avg_over_time(requests_total[30m])",
        "quantile_over_time(0.9, requests_total[30m])",
        "max_over_time(sum(rate(requests_total[5m]))[30m:1m])",
        "quantile(0.9, requests_total)",
        "count_values(\"v\", round(requests_total, 100))",
        "label_replace(requests_total, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
        "requests_total > 100 and on (instance, job) latency_bucket",
        "sort_desc(requests_total)",
    ];
    println!("{count} series of {MOMENTS} samples; at one moment, and over an hour in {} steps", hour.len());
    for query in queries {
        let engine = Engine::new(&memory, QueryLimits::default());
        let begun = busy_millis();
        let answer = engine.instant(query, hour.end);
        let instant = busy_millis() - begun;
        let begun = busy_millis();
        let ranged = engine.range(query, hour);
        let range = busy_millis() - begun;
        let told = match (&answer, &ranged) {
            (Err(error), _) | (_, Err(error)) => format!("{error}"),
            (_, Ok(answer)) => match &answer.outcome {
                Outcome::Matrix(series) => format!("{} series", series.len()),
                _ => String::new(),
            },
        };
        println!("{:>8.1} ms {:>8.1} ms  {query}  ({told})", instant, range);
    }
}
