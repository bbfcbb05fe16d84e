//! Watches each series by itself: a value far outside what the series usually does is odd. See `README.md` for the method.

mod baseline;
mod config;
mod counter;
mod numbers;
mod series;
mod usual_range;
mod window;

use baseline::Tuning;
use config::Config;
use series::{StateError, WatchedSeries};
use tandem_sdk::{
    about::{Description, Interest, Scope, Selector},
    detector::{Answer, Detector, Frame, Group},
    types::{Failure, MetricType},
};

/// History asked for: fills the window and, at a point every 15 s, three blocks of the usual range.
const HISTORY_SECONDS: u32 = 7_200;

/// One group, which is one series; a series that only carries labels is not watched.
pub struct Robust {
    tuning: Tuning,
    series: Option<WatchedSeries>,
}

impl Robust {
    fn tuning(config: &Config, group: &Group) -> Result<Tuning, Failure> {
        let [member] = group.members.as_slice() else {
            let message = format!("group {} has {} members; this detector takes one", group.id, group.members.len());
            return Err(Failure::unsupported(message));
        };
        config.tuning(&member.unit).map_err(Failure::misconfigured)
    }

    fn metric_type(group: &Group) -> MetricType {
        group.members.first().map_or(MetricType::Unknown, |member| member.metric_type)
    }
}

impl Detector for Robust {
    type Config = Config;

    fn describe() -> Description {
        let everything = Selector { metrics: vec![], entity_kinds: vec![], labels: vec![], with_fault_rules: false };
        Description {
            name: "detector-robust".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Finds values far outside what each series usually does, by median and MAD of a sliding window and \
                      the range it visits again and again."
                    .into(),
            config_schema: config::SCHEMA.into(),
            interests: vec![Interest { selector: everything, scope: Scope::Series, history_seconds: HISTORY_SECONDS }],
            capabilities: vec![],
        }
    }

    fn new(config: &Config, group: &Group) -> Result<Self, Failure> {
        let tuning = Self::tuning(config, group)?;
        let series = match Self::metric_type(group) {
            MetricType::Info => None,
            kind => Some(WatchedSeries::new(&tuning, kind == MetricType::Counter)),
        };
        Ok(Self { tuning, series })
    }

    fn learn(&mut self, _: &Config, _: &Group, frame: &Frame) {
        let Some(series) = &mut self.series else { return };
        for (at, value) in frame.points(0) {
            series.judge(&self.tuning, at, value);
        }
    }

    fn observe(&mut self, _: &Config, _: &Group, frame: &Frame, answer: &mut Answer) -> Result<(), Failure> {
        let Some(series) = &mut self.series else { return Ok(()) };
        let (mut at, mut score) = (Vec::with_capacity(frame.len()), Vec::with_capacity(frame.len()));
        let (mut low, mut high) = (Vec::with_capacity(frame.len()), Vec::with_capacity(frame.len()));
        let (tuning, mut warming) = (self.tuning, 0);
        for (moment, value) in frame.points(0) {
            let Some(judged) = series.judge(&tuning, moment, value) else { continue };
            at.push(moment);
            score.push(judged.score);
            low.push(judged.low);
            high.push(judged.high);
            // Warming ends once and for all, so these are the first ones.
            warming += u32::from(judged.warming);
        }
        (answer.at, answer.score, answer.low, answer.high, answer.warming) = (at, score, low, high, warming);
        Ok(())
    }

    fn save(&self) -> Vec<u8> {
        self.series.as_ref().map(WatchedSeries::save).unwrap_or_default()
    }

    fn load(config: &Config, group: &Group, state: &[u8]) -> Result<Self, Failure> {
        if state.is_empty() {
            return Self::new(config, group);
        }
        let tuning = Self::tuning(config, group)?;
        let series = WatchedSeries::load(&tuning, state).map_err(|error| {
            let what = match error {
                StateError::Version(version) => format!("is of version {version}"),
                StateError::Broken(byte) => format!("is broken at byte {byte}"),
            };
            Failure::unsupported(format!("the state of group {} {what}; open it afresh", group.id))
        })?;
        if series.is_counter() != (Self::metric_type(group) == MetricType::Counter) {
            let message = format!("group {} has changed its metric type; open it afresh", group.id);
            return Err(Failure::unsupported(message));
        }
        Ok(Self { tuning, series: Some(series) })
    }
}

tandem_sdk::detector!(Robust);

#[cfg(test)]
mod tests;
