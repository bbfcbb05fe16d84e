//! Is the model working?

use super::{Drifting, Facts};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    drift::{DriftReport, DriftState},
    prediction::{RECENT_MINUTES, TrafficMinute},
    verdict::{Health, ModelAnswer},
};

/// Columns named in a sentence.
const MAX_NAMED_COLUMNS: usize = 3;
/// Milliseconds of an hour.
const HOUR_MILLIS: i64 = 3_600_000;

pub(super) fn model(facts: &Facts<'_>) -> ModelAnswer {
    let mut answer = match facts.drifting {
        None => ModelAnswer { state: Health::Unknown, since: None, evidence: vec![unreported(facts)] },
        Some(drifting) => by_report(drifting, facts.at),
    };
    if let Some(wrong) = facts.wrong() {
        let since = answer.since.filter(|_| answer.state == Health::Degraded);
        answer.since = Some(since.map_or(wrong.since, |since| since.min(wrong.since)));
        answer.state = Health::Degraded;
        answer.evidence.insert(0, wrong.sentence.clone());
    }
    answer.evidence.extend(seen_lately(facts));
    answer
}

/// Why there is no report.
fn unreported(facts: &Facts<'_>) -> String {
    match facts.traffic.iter().map(|traffic| traffic.predictions).sum() {
        0u64 => "no predictions were sent: nothing says whether the model works".into(),
        seen => format!("{seen} predictions are not enough for a drift report yet"),
    }
}

/// What the latest report says, as long as it speaks of now.
fn by_report(Drifting { standing, report }: &Drifting, at: Timestamp) -> ModelAnswer {
    let holds_until = standing.holds_until();
    if at > holds_until {
        let hours = at.millis_since(standing.at) / HOUR_MILLIS;
        let old = format!(
            "the latest drift report is {hours} hours old and says nothing of now: too few predictions came since for another"
        );
        return ModelAnswer { state: Health::Unknown, since: Some(holds_until), evidence: vec![old] };
    }
    let why = report.columns.iter().find_map(|line| Some(line.outcome.as_ref().err()?.message.as_str()));
    let (state, said) = match report.state {
        DriftState::Stable => (Health::Ok, measured(report)),
        DriftState::Drifted => (Health::Degraded, measured(report)),
        DriftState::InsufficientData => {
            (Health::Unknown, format!("there are not enough rows to say: {}", why.unwrap_or("the rows hold no values")))
        }
        DriftState::Failed => {
            (Health::Unknown, format!("every drift metric failed, the first: {}", why.unwrap_or("see the report")))
        }
    };
    ModelAnswer { state, since: Some(standing.since), evidence: vec![said] }
}

/// What was seen of the service's answers, for good and lately.
fn seen_lately(facts: &Facts<'_>) -> Vec<String> {
    if facts.traffic.is_empty() {
        return Vec::new();
    }
    let share = |labels: u64, agreed: u64| 100.0 * agreed as f64 / labels as f64;
    let recent =
        facts.traffic.iter().map(|traffic| traffic.recent(facts.at)).fold(TrafficMinute::default(), |sum, one| {
            TrafficMinute {
                minute: one.minute,
                predictions: sum.predictions + one.predictions,
                labels: sum.labels + one.labels,
                agreed: sum.agreed + one.agreed,
            }
        });
    let mut seen = vec![match recent.predictions {
        0 => format!("no prediction was made in the last {RECENT_MINUTES} minutes"),
        count => format!("{count} predictions were made in the last {RECENT_MINUTES} minutes"),
    }];
    let (labels, agreed) =
        facts.traffic.iter().fold((0, 0), |(l, a), traffic| (l + traffic.labels, a + traffic.agreed));
    if labels > 0 {
        let mut all = format!("{:.1} % of {labels} labelled predictions agree with their label", share(labels, agreed));
        if recent.labels > 0 {
            let lately = share(recent.labels, recent.agreed);
            all.push_str(&format!(", {lately:.1} % of {} in the last {RECENT_MINUTES} minutes", recent.labels));
        }
        if recent.labels == 0 && recent.predictions > 0 {
            all.push_str(&format!(", and none of the last {RECENT_MINUTES} minutes has one yet"));
        }
        seen.push(all);
    } else if facts.traffic.iter().any(|traffic| traffic.predictions > 0) {
        seen.push("no label came for any of them: whether they are right is not known".into());
    }
    seen
}

fn measured(report: &DriftReport) -> String {
    let drifted = report.moved();
    let mut columns: Vec<&str> = report.columns.iter().filter_map(|line| line.column.as_deref()).collect();
    columns.sort_unstable();
    columns.dedup();
    // A metric that does not take columns of a kind, and never will, has not failed at it.
    let fails = |failure: &Failure| failure.retry || failure.code != FailureCode::Unsupported;
    let failed = report.columns.iter().filter(|line| line.outcome.as_ref().is_err_and(fails)).count();
    let mut named = drifted.iter().take(MAX_NAMED_COLUMNS).copied().collect::<Vec<_>>().join(", ");
    if drifted.len() > MAX_NAMED_COLUMNS {
        named.push_str(", …");
    }
    let tail = if failed > 0 { format!("; {failed} measurements could not be made") } else { String::new() };
    match drifted.len() {
        0 => format!(
            "none of {} columns of {} version {} has drifted{tail}",
            columns.len(),
            report.model,
            report.version
        ),
        count => {
            let has = if count == 1 { "has" } else { "have" };
            let (columns, model, version) = (columns.len(), &report.model, &report.version);
            let too_few = match report.state {
                DriftState::Stable => ", which is too few to call it drift",
                _ => "",
            };
            format!("{count} of {columns} columns of {model} version {version} {has} drifted: {named}{too_few}{tail}")
        }
    }
}

/// Whether the latest report says that something drifted, and still speaks of now.
pub(super) fn is_drifted(Drifting { standing, report }: &Drifting, at: Timestamp) -> bool {
    report.state == DriftState::Drifted && at <= standing.holds_until()
}
