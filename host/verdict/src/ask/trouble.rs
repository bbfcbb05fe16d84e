//! When a service is in trouble, since when, and when it is asked why. Pure.

use serde::{Deserialize, Serialize};
use tandem_domain::{
    Severity, Timestamp,
    alert::Alert,
    drift::DriftState,
    incident::Incident,
    objective::{Indicator, ObjectiveStanding},
};

use crate::rules::Drifting;

/// A promised objective is found to burn so long after its trouble began, in milliseconds: it needs a few quarters of a minute to be sure.
const FOUND_LATE_MILLIS: i64 = 90_000;
/// One that is held against its own past is dated back to the slot in which it began; that may have begun so much earlier.
const SLOT_MILLIS: i64 = 15_000;
/// Trouble that has changed is asked about at once, but no sooner than so long after it was asked about before, in milliseconds: an answer
/// that changes what it was asked about would be chased by the next one without an end.
const CHANGED_EVERY_MILLIS: i64 = 5_000;
/// Answers change while trouble is young: it is asked again so often, in milliseconds …
const YOUNG_EVERY_MILLIS: i64 = 30_000;
/// … for so long after the onset …
const YOUNG_MILLIS: i64 = 15 * 60_000;
/// … then so often …
const LATER_EVERY_MILLIS: i64 = 5 * 60_000;
/// … and after this no more, unless something new comes.
const OLD_MILLIS: i64 = 60 * 60_000;

/// What kind of trouble something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerKind {
    /// Users wait or get errors.
    Symptom,
    /// Something below is broken or told to be.
    Incident,
    /// Answers are wrong.
    Quality,
    /// Data have moved.
    Drift,
}

/// Why a service is thought to be in trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// What kind.
    pub kind: TriggerKind,
    /// Which: the objective's name, the incident's number, the version that drifted.
    pub which: String,
    /// Since when.
    pub since: Timestamp,
}

/// All triggers of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub triggers: Vec<Trigger>,
    pub onset: Timestamp,
}

impl Trouble {
    /// The trouble of a service; none when it has none. `incidents` are the grave ones below it, each with its firing alerts.
    pub(crate) fn of(
        burning: &[ObjectiveStanding],
        incidents: &[(&Incident, Vec<&Alert>)],
        drifting: Option<&Drifting>,
        now: Timestamp,
    ) -> Option<Self> {
        let (mut triggers, mut began) = (Vec::new(), Vec::new());
        for standing in burning {
            let kind = match standing.objective.indicator {
                Indicator::Quality => TriggerKind::Quality,
                Indicator::Availability | Indicator::Latency { .. } => TriggerKind::Symptom,
            };
            triggers.push(Trigger { kind, which: standing.objective.indicator.name().into(), since: standing.since });
            let late = if standing.learned.is_some() { SLOT_MILLIS } else { FOUND_LATE_MILLIS };
            began.push((kind, standing.since.plus_millis(-late)));
        }
        for (incident, alerts) in incidents.iter().filter(|(incident, _)| incident.severity >= Severity::Warning) {
            let since = alerts.iter().map(|alert| alert.started_at).min().unwrap_or(incident.opened_at);
            triggers.push(Trigger { kind: TriggerKind::Incident, which: incident.id.to_string(), since });
            began.push((TriggerKind::Incident, since));
        }
        let drifted =
            drifting.filter(|one| one.report.state == DriftState::Drifted && now <= one.standing.holds_until());
        if let Some(drifting) = drifted {
            let which = format!("{}@{}", drifting.report.model, drifting.report.version);
            triggers.push(Trigger { kind: TriggerKind::Drift, which, since: drifting.standing.since });
            began.push((TriggerKind::Drift, drifting.standing.since));
        }
        triggers.sort_by(|a, b| (a.kind, &a.which).cmp(&(b.kind, &b.which)));
        let onset = onset(&began)?;
        Some(Self { triggers, onset })
    }

    /// What tells one trouble from another: its triggers, whenever they began.
    pub(crate) fn signature(&self) -> Vec<(TriggerKind, String)> {
        Self::signature_of(&self.triggers)
    }

    /// The same of triggers that were kept.
    pub(crate) fn signature_of(triggers: &[Trigger]) -> Vec<(TriggerKind, String)> {
        triggers.iter().map(|trigger| (trigger.kind, trigger.which.clone())).collect()
    }
}

/// Users' trouble dates it best; else the newest thing that broke; else when the data were seen to have moved. What began long before
/// the others is not what is new.
fn onset(began: &[(TriggerKind, Timestamp)]) -> Option<Timestamp> {
    let of = |kind: TriggerKind| began.iter().filter(move |(of, _)| *of == kind).map(|(_, at)| *at);
    let data = || of(TriggerKind::Quality).chain(of(TriggerKind::Drift)).min();
    of(TriggerKind::Symptom).min().or_else(|| of(TriggerKind::Incident).max()).or_else(data)
}

/// When a trouble was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub signature: Vec<(TriggerKind, String)>,
    pub onset: Timestamp,
    pub at: Timestamp,
    /// The kept case.
    pub case: u64,
    /// Predictions that had been made when it was first seen.
    pub predictions_before: u64,
}

/// When a trouble is to be asked about next; none when it need not be.
pub(crate) fn ask_at(trouble: &Trouble, before: Option<&Asked>) -> Option<Timestamp> {
    let Some(before) = before else { return Some(Timestamp::MIN) };
    if before.signature != trouble.signature() {
        return Some(before.at.plus_millis(CHANGED_EVERY_MILLIS));
    }
    let age = before.at.millis_since(trouble.onset);
    match age {
        age if age < YOUNG_MILLIS => Some(before.at.plus_millis(YOUNG_EVERY_MILLIS)),
        age if age < OLD_MILLIS => Some(before.at.plus_millis(LATER_EVERY_MILLIS)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::objective::{Keeping, Learned, Objective};

    fn trigger(kind: TriggerKind, since: i64) -> Trigger {
        Trigger { kind, which: String::new(), since: Timestamp(since * 60_000) }
    }

    #[test]
    fn what_users_feel_dates_the_trouble_and_old_news_does_not() {
        let minutes = |began: &[(TriggerKind, i64)]| {
            let began: Vec<_> = began.iter().map(|(kind, minute)| (*kind, Timestamp(minute * 60_000))).collect();
            onset(&began).map(|onset| onset.0 / 60_000)
        };
        let (incident, drift) = ((TriggerKind::Incident, 10), (TriggerKind::Drift, 5));
        assert_eq!(minutes(&[]), None);
        assert_eq!(minutes(&[drift, incident]), Some(10));
        assert_eq!(minutes(&[drift, incident, (TriggerKind::Symptom, 30)]), Some(30));
        assert_eq!(minutes(&[drift, (TriggerKind::Quality, 30)]), Some(5));
    }

    #[test]
    fn what_is_dated_back_already_is_not_dated_back_again() {
        let standing = |learned| ObjectiveStanding {
            service: "chat".into(),
            objective: Objective { indicator: Indicator::Availability, target: 0.99 },
            at: Timestamp(600_000),
            keeping: Keeping::Burning,
            severity: None,
            since: Timestamp(300_000),
            counted: Vec::new(),
            sentence: String::new(),
            of: Vec::new(),
            learned,
        };
        let onset = |learned| Trouble::of(&[standing(learned)], &[], None, Timestamp(600_000)).expect("trouble").onset;
        assert_eq!(onset(None), Timestamp(300_000 - FOUND_LATE_MILLIS));
        assert_eq!(onset(Some(Learned::default())), Timestamp(300_000 - SLOT_MILLIS));
    }

    #[test]
    fn young_trouble_is_asked_often_old_trouble_not_and_new_trouble_at_once() {
        let mut trouble = Trouble { triggers: vec![trigger(TriggerKind::Symptom, 0)], onset: Timestamp(0) };
        let asked = |minute: i64| Asked {
            signature: vec![(TriggerKind::Symptom, String::new())],
            onset: Timestamp(0),
            at: Timestamp(minute * 60_000),
            case: 1,
            predictions_before: 0,
        };
        assert_eq!(ask_at(&trouble, None), Some(Timestamp::MIN));
        assert_eq!(ask_at(&trouble, Some(&asked(1))), Some(Timestamp(90_000)));
        assert_eq!(ask_at(&trouble, Some(&asked(20))), Some(Timestamp(25 * 60_000)));
        assert_eq!(ask_at(&trouble, Some(&asked(61))), None);
        trouble.triggers.push(trigger(TriggerKind::Drift, 0));
        let changed = Timestamp(61 * 60_000 + CHANGED_EVERY_MILLIS);
        assert_eq!(ask_at(&trouble, Some(&asked(61))), Some(changed), "it has changed, and is not chased");
    }
}
