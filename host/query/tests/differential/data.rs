//! The data that both answer over: small, known, and at moments that no query's edges meet.

use std::fmt::Write;
use tandem_domain::series::Labels;
use tandem_query::{Matcher, SelectedSeries, SeriesSource, SourceError, matches};

/// First moment of the data, in milliseconds: a whole hour, so that steps of subqueries fall alike.
pub const START: i64 = 1_700_002_800_000;
/// Moments of each series.
const MOMENTS: i64 = 240;
/// Between them, in milliseconds.
const INTERVAL: i64 = 15_000;
/// Moments lie this much (and a little more for each series) after whole seconds, so that no range begins on one: in
/// Prometheus 2 ranges hold their first moment, in Prometheus 3 they do not.
const OFFSET: i64 = 131;

/// Numbers that look random and are always the same (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

pub struct Memory(pub Vec<SelectedSeries>);

impl SeriesSource for Memory {
    fn select(&self, matchers: &[Matcher], start: i64, end: i64, _: usize) -> Result<Vec<SelectedSeries>, SourceError> {
        let cut = |series: &SelectedSeries| {
            let (from, to) = (series.at.partition_point(|at| *at < start), series.at.partition_point(|at| *at <= end));
            let (at, value) = (series.at[from..to.max(from)].to_vec(), series.value[from..to.max(from)].to_vec());
            SelectedSeries { labels: series.labels.clone(), at, value, histograms: Vec::new() }
        };
        let fitting = self.0.iter().filter(|series| matches(&series.labels, matchers));
        Ok(fitting.map(cut).filter(|series| !series.at.is_empty()).collect())
    }
}

impl Memory {
    fn push(&mut self, labels: &[(&str, &str)], value: impl FnMut(i64) -> Option<f64>) {
        let mut value = value;
        let offset = OFFSET + 7 * self.0.len() as i64;
        let pairs = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut series = SelectedSeries { labels: Labels::new(pairs), ..SelectedSeries::default() };
        for moment in 0..MOMENTS {
            if let Some(value) = value(moment) {
                series.at.push(START + moment * INTERVAL + offset);
                series.value.push(value);
            }
        }
        self.0.push(series);
    }

    /// Counters that restart, gauges with gaps and odd numbers, a classic histogram.
    pub fn new() -> Self {
        let mut random = Random(7);
        let mut all = Self(Vec::new());
        for job in ["api", "web"] {
            for instance in ["a", "b", "c"] {
                for code in ["200", "500"] {
                    let labels = [("__name__", "requests_total"), ("job", job), ("instance", instance), ("code", code)];
                    let mut count = 1_000_000.0 + random.share().mul_add(1_000.0, 0.0).floor();
                    all.push(&labels, |moment| {
                        count += (random.share() * 40.0).floor();
                        // A restart, and then far from zero again, so that nothing is drawn out to where zero was.
                        if moment % 97 == 50 && instance == "b" {
                            count = 500_000.0;
                        }
                        Some(count)
                    });
                }
                let labels = [("__name__", "memory_bytes"), ("job", job), ("instance", instance)];
                all.push(&labels, |moment| Some(1e6 + 1e5 * (moment as f64 / 9.0).sin() + random.share() * 1e4));
                let labels = [("__name__", "up"), ("job", job), ("instance", instance)];
                all.push(&labels, |_| Some(if random.one_in(9) { 0.0 } else { 1.0 }));
                let version = if instance == "a" { "2.0" } else { "1.9" };
                let labels = [("__name__", "build_info"), ("job", job), ("instance", instance), ("version", version)];
                all.push(&labels, |_| Some(1.0));
            }
            for bound in ["0.1", "0.5", "1", "+Inf"] {
                let share = match bound {
                    "0.1" => 3.0,
                    "0.5" => 7.0,
                    "1" => 9.0,
                    _ => 10.0,
                };
                let labels = [("__name__", "latency_seconds_bucket"), ("job", job), ("le", bound)];
                all.push(&labels, |moment| Some(50_000.0 + share * 11.0 * moment as f64));
            }
        }
        all.push(&[("__name__", "sparse"), ("job", "api")], |moment| (moment % 40 < 9).then_some(moment as f64));
        all.push(&[("__name__", "sparse"), ("job", "web")], |moment| (moment % 29 == 3).then_some(-(moment as f64)));
        for (kind, value) in
            [("nan", f64::NAN), ("inf", f64::INFINITY), ("minus", f64::NEG_INFINITY), ("zero", 0.0), ("small", 1e-3)]
        {
            let own = |moment: i64| if moment % 3 == 0 { value } else { moment as f64 / 7.0 };
            all.push(&[("__name__", "odd"), ("kind", kind)], |moment| Some(own(moment)));
        }
        all
    }

    /// The same in OpenMetrics, for Prometheus' own tool.
    pub fn open_metrics(&self) -> String {
        let mut text = String::new();
        for series in &self.0 {
            let name = series.labels.get("__name__").unwrap_or_default();
            let labels = series.labels.iter().filter(|(name, _)| *name != "__name__");
            let labels: Vec<String> = labels.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            for (at, value) in series.at.iter().zip(&series.value) {
                let value = tandem_query::number_text(*value);
                let _ = writeln!(text, "{name}{{{}}} {value} {}.{:03}", labels.join(","), at / 1000, at % 1000);
            }
        }
        text.push_str("# EOF\n");
        text
    }
}
