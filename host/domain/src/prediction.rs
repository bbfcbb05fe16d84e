//! Predictions of models and the labels that come later.

use crate::{LogRecord, Timestamp, meaning::Range};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value of a feature or an outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FeatureValue {
    /// true or false.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// A category.
    Text(String),
    /// Missing.
    Missing,
}

/// One answer of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The model service.
    pub service: String,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// The request's id, by which a label is joined; unique within the service.
    pub id: String,
    /// When it was made.
    pub at: Timestamp,
    /// The replica that made it, as an entity name or address; empty when unknown.
    pub replica: String,
    /// What the model was given.
    pub features: BTreeMap<String, FeatureValue>,
    /// What it said.
    pub prediction: FeatureValue,
    /// How sure it was, 0 to 1.
    pub score: Option<f64>,
    /// For a number: the band that it expects the truth to lie in, both ends included.
    #[serde(default)]
    pub band: Option<Range>,
}

impl LogRecord for Prediction {
    const LOG: &'static str = "predictions";
    const VERSION: u16 = 1;
}

/// What turned out to be true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TruthLabel {
    /// The model service.
    pub service: String,
    /// The prediction's id.
    pub id: String,
    /// What was true.
    pub label: FeatureValue,
    /// When it became known.
    pub at: Timestamp,
    /// When it was sent to this server; how long it is kept counts from here.
    #[serde(default)]
    pub received_at: Timestamp,
}

impl LogRecord for TruthLabel {
    const LOG: &'static str = "truth_labels";
    const VERSION: u16 = 1;
}

/// Whole minutes that the sliding window of a service's traffic reaches back, beside the running one: long enough for a
/// service with a request every few seconds, short enough to show that the requests stopped.
pub const RECENT_MINUTES: i64 = 5;
/// One minute in milliseconds.
const MINUTE_MILLIS: i64 = 60_000;

/// What was seen in one minute, or in several together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrafficMinute {
    /// Which minute since the Unix epoch.
    pub minute: i64,
    /// Predictions made in it.
    pub predictions: u64,
    /// Labels that became known in it, of predictions that are here.
    pub labels: u64,
    /// Those that agreed with their prediction.
    pub agreed: u64,
}

/// What was seen of one version of a model service's model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTraffic {
    /// The model service.
    pub service: String,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Predictions kept.
    pub predictions: u64,
    /// Labels joined with them.
    pub labels: u64,
    /// Labels that agreed with their prediction.
    pub agreed: u64,
    /// When the first prediction was made.
    pub first_at: Timestamp,
    /// When the latest was made.
    pub last_at: Timestamp,
    /// The latest minutes, each in the slot of its number; read it through [`ServiceTraffic::recent`].
    #[serde(default)]
    pub minutes: Vec<TrafficMinute>,
}

impl ServiceTraffic {
    /// Counts a prediction.
    pub fn count_prediction(&mut self, at: Timestamp) {
        self.predictions += 1;
        self.first_at = self.first_at.min(at);
        self.last_at = self.last_at.max(at);
        if let Some(minute) = self.minute_of(at) {
            minute.predictions += 1;
        }
    }

    /// Counts a label that was joined with its prediction.
    pub fn count_label(&mut self, at: Timestamp, agreed: bool) {
        self.labels += 1;
        self.agreed += u64::from(agreed);
        if let Some(minute) = self.minute_of(at) {
            minute.labels += 1;
            minute.agreed += u64::from(agreed);
        }
    }

    /// The running minute and the [`RECENT_MINUTES`] before it, together.
    pub fn recent(&self, now: Timestamp) -> TrafficMinute {
        let running = now.0.div_euclid(MINUTE_MILLIS);
        let recent = self.minutes.iter().filter(|one| (running - RECENT_MINUTES..=running).contains(&one.minute));
        recent.fold(TrafficMinute { minute: running, ..TrafficMinute::default() }, |sum, one| TrafficMinute {
            predictions: sum.predictions + one.predictions,
            labels: sum.labels + one.labels,
            agreed: sum.agreed + one.agreed,
            ..sum
        })
    }

    /// The slot of a moment's minute; none when the slot already holds a later minute, so that what comes late does not
    /// count as recent, and one sender with a wrong clock costs no more than one slot.
    fn minute_of(&mut self, at: Timestamp) -> Option<&mut TrafficMinute> {
        let slots = RECENT_MINUTES + 1;
        let minute = at.0.div_euclid(MINUTE_MILLIS);
        self.minutes.resize(slots as usize, TrafficMinute::default());
        let slot = self.minutes.get_mut(minute.rem_euclid(slots) as usize)?;
        if slot.minute < minute {
            *slot = TrafficMinute { minute, ..TrafficMinute::default() };
        }
        (slot.minute == minute).then_some(slot)
    }
}

impl crate::Record for ServiceTraffic {
    const TABLE: &'static str = "service_traffic";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.service.clone(), format!("{}@{}", self.model, self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_traffic_is_that_of_the_last_minutes_whatever_comes_late_or_from_the_future() {
        let mut traffic = ServiceTraffic {
            service: "chat".into(),
            model: "m".into(),
            version: "1".into(),
            predictions: 0,
            labels: 0,
            agreed: 0,
            first_at: Timestamp(0),
            last_at: Timestamp(0),
            minutes: Vec::new(),
        };
        let minute = |count: i64| Timestamp(count * MINUTE_MILLIS);
        for at in [100, 101, 101, 105] {
            traffic.count_prediction(minute(at));
        }
        traffic.count_label(minute(105), true);
        traffic.count_label(minute(104), false);
        traffic.count_prediction(minute(9_997));
        traffic.count_prediction(minute(20));
        let recent = traffic.recent(minute(105));
        assert_eq!((recent.predictions, recent.labels, recent.agreed), (4, 2, 1));
        assert_eq!(traffic.recent(minute(106)).predictions, 3, "minute 100 is over");
        assert_eq!(traffic.recent(minute(200)).predictions, 0);
        assert_eq!((traffic.predictions, traffic.labels), (6, 2), "what is counted for good does not forget");
    }
}
