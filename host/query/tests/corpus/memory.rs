//! Series in memory, loaded as Prometheus' own database would keep them.

use crate::notation::{Written, labelled, values};
use std::{collections::BTreeMap, sync::Arc};
use tandem_domain::{
    histogram::{Buckets, CUSTOM_SCHEMA, NativeHistogram, ResetHint},
    series::Labels,
};
use tandem_query::{Matcher, SelectedSeries, SeriesSource, SourceError, matches};

#[derive(Default)]
pub struct Memory(pub Vec<SelectedSeries>);

impl SeriesSource for Memory {
    fn select(&self, matchers: &[Matcher], start: i64, end: i64, _: usize) -> Result<Vec<SelectedSeries>, SourceError> {
        let fitting = self.0.iter().filter(|series| matches(&series.labels, matchers));
        let cut = |series: &SelectedSeries| {
            let (from, to) = (series.at.partition_point(|at| *at < start), series.at.partition_point(|at| *at <= end));
            let (at, value) = (series.at[from..to.max(from)].to_vec(), series.value[from..to.max(from)].to_vec());
            let within = |(at, _): &&(i64, Arc<NativeHistogram>)| *at >= start && *at <= end;
            let histograms = series.histograms.iter().filter(within).cloned().collect();
            SelectedSeries { labels: series.labels.clone(), at, value, histograms }
        };
        let is_there = |series: &SelectedSeries| !series.at.is_empty() || !series.histograms.is_empty();
        Ok(fitting.map(cut).filter(is_there).collect())
    }
}

/// What the database says of a histogram's restart: chunks begin where a counter restarted or where floats stood between, and
/// within a chunk there was no restart.
fn hinted(histogram: &NativeHistogram, before: Option<&NativeHistogram>) -> ResetHint {
    match (histogram.reset, before) {
        (ResetHint::Gauge, _) => ResetHint::Gauge,
        (ResetHint::Yes, _) => ResetHint::Yes,
        (_, None) => ResetHint::Unknown,
        (_, Some(before)) if before.reset == ResetHint::Gauge => ResetHint::Unknown,
        (_, Some(before)) => {
            let plain = NativeHistogram { reset: ResetHint::Unknown, ..histogram.clone() };
            // A restart that is found begins a chunk of which nothing is said.
            if plain.is_reset_since(before) { ResetHint::Unknown } else { ResetHint::No }
        }
    }
}

impl Memory {
    fn series(&mut self, labels: Labels) -> &mut SelectedSeries {
        let place = self.0.iter().position(|series| series.labels == labels).unwrap_or_else(|| {
            self.0.push(SelectedSeries { labels, ..SelectedSeries::default() });
            self.0.len() - 1
        });
        &mut self.0[place]
    }

    /// Loads a line `name{…} values`.
    pub fn load(&mut self, line: &str, step: i64) -> Option<()> {
        let (labels, rest) = labelled(line)?;
        if rest.starts_with("@st") {
            // Start timestamps of samples are not kept.
            return Some(());
        }
        let mut before: Option<NativeHistogram> = None;
        let loaded = values(rest)?;
        let series = self.series(labels);
        for (place, value) in loaded.into_iter().enumerate() {
            let at = place as i64 * step;
            match value {
                None => {}
                Some(Written::Float(value)) => {
                    series.at.push(at);
                    series.value.push(value);
                    before = None;
                }
                Some(Written::Histogram(mut histogram)) => {
                    histogram.reset = hinted(&histogram, before.as_ref());
                    before = Some(histogram.clone());
                    series.histograms.push((at, Arc::new(histogram)));
                }
            }
        }
        Some(())
    }

    /// Loads the same as native histograms with custom buckets, from lines of classic ones.
    pub fn load_custom(&mut self, lines: &[&str], step: i64) {
        /// Cumulative counts by bound, count and sum.
        #[derive(Default)]
        struct Classic {
            buckets: BTreeMap<u64, (f64, f64)>,
            count: Option<f64>,
            sum: f64,
        }
        let mut all: BTreeMap<Labels, BTreeMap<usize, Classic>> = BTreeMap::new();
        for line in lines {
            let Some((labels, rest)) = labelled(line) else { continue };
            let name = labels.get("__name__").unwrap_or_default();
            let Some((base, kind)) =
                name.rsplit_once('_').filter(|(_, kind)| ["bucket", "count", "sum"].contains(kind))
            else {
                continue;
            };
            let own = labels.iter().filter(|(name, _)| !["le", "__name__"].contains(name));
            let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let key = own.chain([("__name__".to_owned(), base.to_owned())]).collect();
            for (place, value) in values(rest).unwrap_or_default().into_iter().enumerate() {
                let Some(Written::Float(value)) = value else { continue };
                let classic = all.entry(Labels::clone(&key)).or_default().entry(place).or_default();
                match (kind, labels.get("le").and_then(|le| le.parse::<f64>().ok())) {
                    ("bucket", Some(bound)) => {
                        // Ordered as the numbers are.
                        let bits = bound.to_bits();
                        let order = if bits >> 63 == 0 { bits | (1 << 63) } else { !bits };
                        classic.buckets.insert(order, (bound, value));
                    }
                    ("count", _) => classic.count = Some(value),
                    ("sum", _) => classic.sum = value,
                    _ => {}
                }
            }
        }
        for (labels, steps) in all {
            let mut before: Option<NativeHistogram> = None;
            let series = self.series(labels);
            for (place, classic) in steps {
                let bounds: Vec<(f64, f64)> = classic.buckets.into_values().collect();
                let highest = bounds.last().map(|(_, count)| *count);
                let Some(count) = classic.count.or(highest) else { continue };
                let finite: Vec<(f64, f64)> = bounds.into_iter().filter(|(bound, _)| bound.is_finite()).collect();
                let mut below = 0.0;
                let mut counts = BTreeMap::new();
                for (index, through) in finite.iter().map(|(_, count)| *count).chain([count]).enumerate() {
                    counts.insert(index as i64, through - below);
                    below = through;
                }
                counts.retain(|_, count| *count != 0.0);
                let mut histogram = NativeHistogram {
                    schema: CUSTOM_SCHEMA,
                    zero_threshold: 0.0,
                    zero_count: 0.0,
                    count,
                    sum: classic.sum,
                    positive: Buckets::of(&counts),
                    negative: Buckets::default(),
                    custom_bounds: finite.iter().map(|(bound, _)| *bound).collect(),
                    reset: ResetHint::Unknown,
                    whole: false,
                };
                histogram.reset = hinted(&histogram, before.as_ref());
                before = Some(histogram.clone());
                series.histograms.push((place as i64 * step, Arc::new(histogram)));
            }
        }
    }
}
