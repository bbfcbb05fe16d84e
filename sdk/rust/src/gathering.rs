//! Puts a collector's answer together, value by value, and keeps account of the parts that failed.

use crate::{
    collector::Collection,
    log,
    types::{Failure, Label, MetricType, Points, Series, Timestamp},
};

/// How a part of the machine went, under node_exporter's name for it.
const PART_SUCCESS: &str = "node_scrape_collector_success";

/// A collection of one moment.
#[derive(Debug)]
pub struct Gathering {
    now: Timestamp,
    series: Vec<Series>,
    points: Vec<Points>,
    succeeded: usize,
    first_failure: Option<Failure>,
}

impl Gathering {
    /// Nothing yet, at this moment.
    pub fn at(now: Timestamp) -> Self {
        Self { now, series: Vec::new(), points: Vec::new(), succeeded: 0, first_failure: None }
    }

    /// A value that goes up and down.
    pub fn gauge(&mut self, metric: &str, labels: &[(&str, &str)], value: f64) {
        self.push(metric, MetricType::Gauge, labels, value);
    }

    /// A value that only grows.
    pub fn counter(&mut self, metric: &str, labels: &[(&str, &str)], value: f64) {
        self.push(metric, MetricType::Counter, labels, value);
    }

    /// Labels that tell something; the value is always 1.
    pub fn info(&mut self, metric: &str, labels: &[(&str, &str)]) {
        self.push(metric, MetricType::Info, labels, 1.0);
    }

    /// Reads one part. A part that fails is told as failed, in the log and as a series, and the others go on.
    pub fn part(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Result<(), Failure>) {
        let result = read(self);
        self.gauge(PART_SUCCESS, &[("collector", name)], if result.is_ok() { 1.0 } else { 0.0 });
        match result {
            Ok(()) => self.succeeded += 1,
            Err(failure) => {
                log::warn(format!("{name}: {}", failure.message));
                self.first_failure.get_or_insert(failure);
            }
        }
    }

    /// Whether anything was gathered under this metric name.
    pub fn has(&self, metric: &str) -> bool {
        self.series.iter().any(|series| series.metric == metric)
    }

    /// The answer; a failure when parts were read and every one of them failed.
    pub fn finish(self, cursor: Vec<u8>) -> Result<Collection, Failure> {
        match self.first_failure {
            Some(failure) if self.succeeded == 0 => Err(failure),
            _ => Ok(Collection {
                series: self.series,
                points: self.points,
                entities: Vec::new(),
                relations: Vec::new(),
                events: Vec::new(),
                cursor,
            }),
        }
    }

    fn push(&mut self, metric: &str, metric_type: MetricType, labels: &[(&str, &str)], value: f64) {
        let labels =
            labels.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() }).collect();
        let series = self.series.len() as u32;
        self.series.push(Series { metric: metric.into(), metric_type, unit: String::new(), labels });
        self.points.push(Points { series, at: vec![self.now], value: vec![value] });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FailureCode;

    fn failure() -> Failure {
        Failure { code: FailureCode::Refused, message: "no grant".into(), retry: false }
    }

    #[test]
    fn one_failed_part_is_told_and_the_others_stand() {
        let mut gathering = Gathering::at(7);
        gathering.part("cpu", |g| {
            g.counter("node_cpu_seconds_total", &[("cpu", "0")], 1.5);
            Ok(())
        });
        gathering.part("memory", |_| Err(failure()));
        let collection = gathering.finish(Vec::new()).expect("one part went well");
        let told: Vec<f64> = collection
            .series
            .iter()
            .zip(&collection.points)
            .filter(|(series, _)| series.metric == PART_SUCCESS)
            .map(|(_, points)| points.value[0])
            .collect();
        assert_eq!(told, [1.0, 0.0]);
        assert!(collection.points.iter().all(|points| points.at == [7]));
    }

    #[test]
    fn when_every_part_failed_the_call_failed() {
        let mut gathering = Gathering::at(0);
        gathering.part("cpu", |_| Err(failure()));
        assert_eq!(gathering.finish(Vec::new()).expect_err("nothing was read").code, FailureCode::Refused);
    }
}
