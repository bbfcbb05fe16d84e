//! Whether a label agrees with its prediction.

use tandem_domain::prediction::FeatureValue;

/// Predictions forgotten in one transaction.
pub(super) const MAX_FORGOTTEN_AT_ONCE: usize = 20_000;

/// Classes agree when they are the same; numbers when they are the same as written. (How far a regression is off is another
/// measure than agreement, and not made up here.)
pub(super) fn agrees(prediction: &FeatureValue, label: &FeatureValue) -> bool {
    match (prediction, label) {
        (FeatureValue::Missing, _) | (_, FeatureValue::Missing) => false,
        (FeatureValue::Bool(said), FeatureValue::Number(was))
        | (FeatureValue::Number(was), FeatureValue::Bool(said)) => *was == f64::from(u8::from(*said)),
        (said, was) => said == was,
    }
}
