//! The smallest useful detector: how far a value lies from the running mean, in units of three running standard deviations.

mod rules;

use rules::Mean;
use tandem_sdk::{
    about::{Description, Interest, Scope, Selector},
    detector::{Answer, Detector, Frame, Group},
    types::Failure,
};

/// The plugin takes no configuration.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// One watched series.
pub struct DetectorMean(Mean);

impl Detector for DetectorMean {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "detector-mean-rust".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Scores each point by its distance to the running mean.".into(),
            config_schema: String::new(),
            interests: vec![Interest {
                selector: Selector {
                    metrics: vec!["model.*".into()],
                    entity_kinds: Vec::new(),
                    labels: Vec::new(),
                    with_fault_rules: false,
                },
                scope: Scope::Series,
                history_seconds: 3600,
            }],
            capabilities: Vec::new(),
        }
    }

    fn new(_: &Config, _: &Group) -> Result<Self, Failure> {
        Ok(Self(Mean::default()))
    }

    fn learn(&mut self, _: &Config, _: &Group, frame: &Frame) {
        for (_, value) in frame.points(0) {
            self.0.learn(value);
        }
    }

    fn observe(&mut self, _: &Config, _: &Group, frame: &Frame, answer: &mut Answer) -> Result<(), Failure> {
        answer.reserve(frame.len());
        for (at, value) in frame.points(0).filter(|(_, value)| value.is_finite()) {
            if self.0.is_warming() {
                answer.warming += 1;
                answer.push(at, 0.0, f64::NAN, f64::NAN);
            } else {
                let judged = self.0.judge(value);
                answer.push(at, judged.score, judged.low, judged.high);
            }
            self.0.learn(value);
        }
        Ok(())
    }

    fn save(&self) -> Vec<u8> {
        self.0.save()
    }

    fn load(_: &Config, group: &Group, state: &[u8]) -> Result<Self, Failure> {
        Mean::load(state)
            .map(Self)
            .ok_or_else(|| Failure::unsupported(format!("the state of group {} is of another version", group.id)))
    }
}

tandem_sdk::detector!(DetectorMean);

#[cfg(test)]
mod tests;
