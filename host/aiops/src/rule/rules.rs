//! How alerts of a rule come, stay and go. Pure; Prometheus' rules, with two more: an alert does not end in the moments after a
//! start in which its data may not have come yet, and what is told again is told at most once a minute.

use super::tables::{ActiveAlert, Activity};
use std::collections::{BTreeMap, HashMap};
use tandem_domain::{
    Timestamp,
    rule::{Rule, RuleKind},
    series::Labels,
};

/// How long after a start an alert that was there before stays though its expression does not find it, in milliseconds: as
/// long as scrapers and senders need to fill the range of a usual expression.
pub(super) const START_GRACE_MILLIS: i64 = 120_000;
/// After a longer outage than this it is not known what was meanwhile, and pending alerts begin anew, in milliseconds:
/// Prometheus' `rules.alert.for-outage-tolerance`.
const OUTAGE_TOLERANCE_MILLIS: i64 = 3_600_000;
/// An alert that waits for longer than this waits at least so long after an outage, in milliseconds: Prometheus'
/// `rules.alert.for-grace-period`.
const FOR_GRACE_MILLIS: i64 = 600_000;
/// A firing alert whose annotations change is told again after so long, in milliseconds: Prometheus'
/// `rules.alert.resend-delay`.
const TELL_AGAIN_MILLIS: i64 = 60_000;

/// The series in which an alert's state is written.
const ALERTS: &str = "ALERTS";
/// The series in which it is written since when an alert is so.
const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

/// One series that the expression of an alert came to, with its templates expanded.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// `alertname` among them.
    pub labels: Labels,
    /// What people are told.
    pub annotations: Labels,
    /// The value.
    pub value: f64,
}

/// What is to be told of an alert.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It fires, or goes on firing with other annotations.
    Firing(ActiveAlert),
    /// It fired and does no longer.
    Resolved(ActiveAlert),
}

/// When it is, and when this run of the server began to evaluate.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The moment of the evaluation.
    pub at: Timestamp,
    /// When the server started.
    pub started_at: Timestamp,
}

/// How long a rule waits, and holds on.
fn spans(rule: &Rule) -> (i64, i64) {
    match &rule.kind {
        RuleKind::Alerting { for_millis, keep_firing_for_millis, .. } => (*for_millis, *keep_firing_for_millis),
        RuleKind::Recording => (0, 0),
    }
}

/// Labels of a sample without its name, with the labels a rule sets; an empty one takes a label away.
pub(super) fn with_labels(sample: &Labels, set: impl IntoIterator<Item = (String, String)>) -> Labels {
    let mut labels: BTreeMap<String, String> = sample
        .iter()
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    labels.extend(set);
    labels.into_iter().collect()
}

/// Moves the alerts of a rule on by one evaluation; answers what is to be told of them.
pub fn advance(
    rule: &Rule,
    alerts: Vec<ActiveAlert>,
    found: Vec<Found>,
    moment: Moment,
) -> (Vec<ActiveAlert>, Vec<Change>) {
    let mut known: HashMap<Labels, ActiveAlert> =
        alerts.into_iter().map(|alert| (alert.labels.clone(), alert)).collect();
    let (mut next, mut changes) = (Vec::with_capacity(found.len()), Vec::new());
    for one in found {
        let alert = match known.remove(&one.labels) {
            Some(alert) => ActiveAlert {
                annotations: one.annotations,
                value: one.value,
                seen_at: moment.at,
                kept_since: None,
                ..alert
            },
            None => began(one, moment.at),
        };
        next.push(alert);
    }
    for alert in known.into_values() {
        match missing(rule, alert, moment) {
            Ok(kept) => next.push(kept),
            Err(Some(ended)) => changes.push(Change::Resolved(*ended)),
            Err(None) => {}
        }
    }
    for alert in &mut next {
        if let Some(change) = settled(rule, alert, moment.at) {
            changes.push(change);
        }
    }
    next.sort_by(|a, b| a.labels.cmp(&b.labels));
    (next, changes)
}

fn began(found: Found, at: Timestamp) -> ActiveAlert {
    ActiveAlert {
        labels: found.labels,
        annotations: found.annotations,
        activity: Activity::Pending,
        active_at: at,
        fired_at: None,
        kept_since: None,
        seen_at: at,
        told_at: None,
        told_annotations: Labels::default(),
        value: found.value,
    }
}

/// An alert that the expression did not find: it stays, or it is over, and is told when it fired.
fn missing(rule: &Rule, alert: ActiveAlert, moment: Moment) -> Result<ActiveAlert, Option<Box<ActiveAlert>>> {
    let unseen = alert.seen_at < moment.started_at;
    if unseen && moment.at.millis_since(moment.started_at) < START_GRACE_MILLIS {
        return Ok(alert);
    }
    if alert.activity == Activity::Pending {
        return Err(None);
    }
    let (_, keep) = spans(rule);
    let since = alert.kept_since.unwrap_or(moment.at);
    if keep > 0 && moment.at.millis_since(since) < keep {
        return Ok(ActiveAlert { kept_since: Some(since), ..alert });
    }
    Err(Some(Box::new(alert)))
}

/// Lets an alert fire that has waited long enough; answers what is to be told.
fn settled(rule: &Rule, alert: &mut ActiveAlert, at: Timestamp) -> Option<Change> {
    let (wait, _) = spans(rule);
    if alert.activity == Activity::Pending && alert.seen_at == at && at.millis_since(alert.active_at) >= wait {
        alert.activity = Activity::Firing;
        alert.fired_at = Some(at);
    }
    if alert.activity != Activity::Firing {
        return None;
    }
    let news = match alert.told_at {
        None => true,
        Some(told) => alert.told_annotations != alert.annotations && at.millis_since(told) >= TELL_AGAIN_MILLIS,
    };
    if !news {
        return None;
    }
    alert.told_at = Some(at);
    alert.told_annotations = alert.annotations.clone();
    Some(Change::Firing(alert.clone()))
}

/// Sets alerts that wait right after an outage: the time in which nothing was evaluated does not count, an alert with a long
/// wait has some of it left for people to look, and after a long outage the wait begins anew.
pub fn after_outage(rule: &Rule, alerts: &mut Vec<ActiveAlert>, last: Timestamp, now: Timestamp, interval: i64) {
    let down = now.millis_since(last).saturating_sub(interval);
    if down < interval {
        // No evaluation was missed.
        return;
    }
    let (wait, _) = spans(rule);
    if down > OUTAGE_TOLERANCE_MILLIS {
        alerts.retain(|alert| alert.activity == Activity::Firing);
        return;
    }
    for alert in alerts.iter_mut().filter(|alert| alert.activity == Activity::Pending) {
        let left = wait - last.millis_since(alert.active_at);
        alert.active_at = if wait >= FOR_GRACE_MILLIS && (1..FOR_GRACE_MILLIS).contains(&left) {
            now.plus_millis(FOR_GRACE_MILLIS - wait)
        } else {
            alert.active_at.plus_millis(down)
        };
    }
}

/// The series that tell of alerts, with their values: `ALERTS` and `ALERTS_FOR_STATE`.
pub fn series(alerts: &[ActiveAlert]) -> Vec<(Labels, f64)> {
    let named = |alert: &ActiveAlert, name: &str, state: Option<&str>| {
        let state = state.map(|state| ("alertstate".to_owned(), state.to_owned()));
        with_labels(&alert.labels, [("__name__".to_owned(), name.to_owned())].into_iter().chain(state))
    };
    let both = |alert: &ActiveAlert| {
        let word = match alert.activity {
            Activity::Pending => "pending",
            Activity::Firing => "firing",
        };
        let since = alert.active_at.0.div_euclid(1_000) as f64;
        [(named(alert, ALERTS, Some(word)), 1.0), (named(alert, ALERTS_FOR_STATE, None), since)]
    };
    alerts.iter().flat_map(both).collect()
}
