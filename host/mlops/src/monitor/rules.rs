//! Whether a label agrees with its prediction, and which labels are to be forgotten.

use super::MonitorConfig;
use tandem_domain::{
    Timestamp,
    meaning::Range,
    prediction::{FeatureValue, TruthLabel},
};

/// Predictions or labels forgotten in one transaction, so that writers do not wait for long.
pub(super) const MAX_FORGOTTEN_AT_ONCE: usize = 20_000;
/// Labels are forgotten by age in stretches of so many milliseconds, so that not every pass writes.
const AGE_STRETCH_MILLIS: i64 = 3_600_000;

/// How old a label is: since it was sent, not since it became known, so that an old truth still finds its prediction.
fn age_millis(label: &TruthLabel, now: Timestamp) -> i64 {
    now.millis_since(label.at.max(label.received_at))
}

/// Up to which place in the log labels are too many; none as long as it is not worth a transaction.
pub(super) fn too_many_through(oldest: u64, end: u64, config: &MonitorConfig) -> Option<u64> {
    let through = end.saturating_sub(config.keep_predictions);
    (through >= oldest.saturating_add(config.keep_predictions / 10)).then_some(through)
}

/// Whether the oldest label is so old that it is worth a transaction to forget the old ones.
pub(super) fn is_worth_forgetting(oldest: &TruthLabel, now: Timestamp, config: &MonitorConfig) -> bool {
    age_millis(oldest, now) > config.keep_labels_millis() + AGE_STRETCH_MILLIS
}

/// Whether a label is older than labels are kept.
pub(super) fn is_old(label: &TruthLabel, now: Timestamp, config: &MonitorConfig) -> bool {
    age_millis(label, now) > config.keep_labels_millis()
}

/// Classes agree when they are the same. A number agrees when the truth lies in the band that its model gave with it, both
/// ends included; without a band, when it is the same as written. (How far a regression without a band is off is another
/// measure than agreement, and not made up here.)
pub(super) fn agrees(prediction: &FeatureValue, band: Option<Range>, label: &FeatureValue) -> bool {
    match (prediction, label) {
        (FeatureValue::Number(_), FeatureValue::Number(was)) if band.is_some() => {
            band.is_some_and(|band| band.contains(*was))
        }
        (FeatureValue::Missing, _) | (_, FeatureValue::Missing) => false,
        (FeatureValue::Bool(said), FeatureValue::Number(was))
        | (FeatureValue::Number(was), FeatureValue::Bool(said)) => *was == f64::from(u8::from(*said)),
        (said, was) => said == was,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_agrees_in_its_band_and_a_class_by_its_name() {
        let (number, text) = (FeatureValue::Number, |class: &str| FeatureValue::Text(class.into()));
        let band = Some(Range { low: 4.0, high: 6.0 });
        let agreed = [
            (number(5.0), band, number(6.0), true),
            (number(5.0), band, number(6.1), false),
            (number(5.0), band, FeatureValue::Missing, false),
            (number(5.0), None, number(5.0), true),
            (number(5.0), None, number(5.1), false),
            (text("cat"), None, text("cat"), true),
            (FeatureValue::Bool(true), None, number(1.0), true),
        ];
        for (said, band, was, same) in agreed {
            assert_eq!(agrees(&said, band, &was), same, "{said:?} {band:?} {was:?}");
        }
    }
}
