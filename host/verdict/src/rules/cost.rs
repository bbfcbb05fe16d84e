//! What trouble has cost so far, from what objectives have counted.

use super::Facts;
use tandem_domain::{
    Timestamp,
    objective::{Indicator, ObjectiveStanding},
    verdict::Cost,
};

/// Milliseconds of a minute.
const MINUTE_MILLIS: i64 = 60_000;

/// What it costs; none where there is no trouble or nothing was counted.
pub(super) fn cost(facts: &Facts<'_>) -> Option<Cost> {
    let since = facts.diagnosis.map(|diagnosis| diagnosis.onset);
    let since = since.or_else(|| facts.burning.iter().map(|standing| standing.since).min())?;
    let mut cost = Cost::default();
    for standing in facts.burning {
        let bad = bad_since(standing, since);
        match standing.objective.indicator {
            Indicator::Availability => cost.failed_requests = bad,
            Indicator::Latency { .. } => cost.late_requests = bad,
            Indicator::Quality => cost.wrong_predictions = bad,
        }
    }
    let made: u64 = facts.traffic.iter().map(|one| one.predictions).sum();
    cost.predictions = facts.diagnosis.map_or(0, |diagnosis| made.saturating_sub(diagnosis.predictions_before));
    (cost != Cost::default()).then_some(cost)
}

/// Bad ones in the shortest window that reaches back to a moment. What was bad before it is counted with them: of what is kept, it
/// is the closest that was counted.
fn bad_since(standing: &ObjectiveStanding, since: Timestamp) -> f64 {
    let minutes = (standing.at.millis_since(since) + MINUTE_MILLIS - 1).div_euclid(MINUTE_MILLIS);
    let reaching = standing.counted.iter().find(|counted| counted.minutes >= minutes);
    reaching.or(standing.counted.last()).map_or(0.0, |counted| counted.bad())
}
