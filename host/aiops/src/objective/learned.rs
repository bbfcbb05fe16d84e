//! What was usual, as standings: for services whose operator promised nothing of the kind.

use super::{
    rules,
    sources::Sources,
    tables::SLOT_MILLIS,
    usual::{
        Judged, Standing, Usual,
        labels::{Agreement, Answers},
    },
};
use tandem_domain::{
    Severity, Timestamp,
    entity::EntityId,
    objective::{Counted, Indicator, Keeping, Objective, ObjectiveStanding},
};

/// Milliseconds of a minute.
const MINUTE_MILLIS: i64 = 60_000;
/// Windows that are shown of what was learned, in minutes: as far as slots are told apart.
const SHOWN_MINUTES: [i64; 2] = [2, 5];
/// Minutes of labels that are shown.
const LABELS_MINUTES: i64 = 10;
/// The share of requests that shall be as fast as usual: what [`super::usual`] calls a symptom is the rest.
const TARGET: f64 = 0.95;
/// From this share of late requests on somebody is needed at once …
const CRITICAL_LATE: f64 = 0.5;
/// … and from this share of failing ones.
const CRITICAL_FAILING: f64 = 0.25;
/// Replicas named in a sentence.
const MAX_NAMED: usize = 3;

/// A span of time in words.
fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1_000.0) } else { format!("{seconds:.1} s") }
}

fn named(of: &[EntityId], sources: &Sources) -> String {
    let mut names: Vec<&str> = of.iter().take(MAX_NAMED).map(|id| sources.name_of(id)).collect();
    if of.len() > MAX_NAMED {
        names.push("…");
    }
    names.join(", ")
}

fn since(standing: &Standing, at: Timestamp) -> Timestamp {
    standing.since.map_or(at, |slot| Timestamp(slot * SLOT_MILLIS).min(at))
}

fn severity(standing: &Standing, is_grave: bool) -> Option<Severity> {
    standing.since.map(|_| if is_grave { Severity::Critical } else { Severity::Warning })
}

/// What was counted since lateness began, where that is longer ago than what is shown of all times.
fn since_it_began(late: &Standing, at: Timestamp) -> Option<Counted> {
    let began = late.since.map(|slot| Timestamp(slot * SLOT_MILLIS))?;
    // One more, so that it reaches back to the slot before, from which trouble is dated.
    let minutes = at.millis_since(began).div_euclid(MINUTE_MILLIS) + 2;
    let good = (late.tally.asked - late.tally.bad).max(0.0);
    let longest = SHOWN_MINUTES.into_iter().max().unwrap_or_default();
    (minutes > longest).then_some(Counted { minutes, covered: 1.0, good, total: late.tally.asked })
}

/// How the requests of a service stand beside the time that was usual.
pub(super) fn latency(
    service: &str,
    judged: &Judged,
    usual: &Usual,
    sources: &Sources,
    at: Timestamp,
) -> ObjectiveStanding {
    let late = &judged.late;
    let mut counted: Vec<_> = SHOWN_MINUTES.iter().map(|minutes| usual.counted(service, *minutes)).collect();
    let requests: f64 = counted.first().map_or(0.0, |two| two.total);
    counted.extend(since_it_began(late, at));
    let learned = &late.learned;
    let keeping = match late.since {
        Some(_) => Keeping::Burning,
        None if late.knows && requests > 0.0 => Keeping::Kept,
        None => Keeping::Unknown,
    };
    let took = format!("{} where {} was usual", seconds(learned.now), seconds(learned.usual));
    let sentence = match (keeping, late.of.as_slice()) {
        (Keeping::Burning, []) => format!("requests take {took}"),
        (Keeping::Burning, of) => format!(
            "{:.0} % of requests are later than usual: those of {} take {took}",
            100.0 * learned.share,
            named(of, sources)
        ),
        (Keeping::Kept, _) => match &late.held {
            Some(why) => format!("requests are later than usual, and nobody is told: {why}"),
            None => "requests take as long as usual".to_owned(),
        },
        (Keeping::Unknown, _) if requests > 0.0 => "too little is known to say what is usual".to_owned(),
        (Keeping::Unknown, _) => "no request was counted lately".to_owned(),
    };
    let indicator = Indicator::Latency { within_seconds: late.bound.unwrap_or_default() };
    ObjectiveStanding {
        service: service.to_owned(),
        objective: Objective { indicator, target: TARGET },
        at,
        keeping,
        severity: severity(late, learned.share >= CRITICAL_LATE),
        since: since(late, at),
        counted,
        sentence,
        of: late.of.clone(),
        learned: Some(learned.clone()),
    }
}

/// Lets a found service's availability burn where it fails more than usual, though its budget does not say so yet.
pub(super) fn availability(standing: ObjectiveStanding, judged: &Judged, sources: &Sources) -> ObjectiveStanding {
    let failing = &judged.failing;
    if failing.since.is_none() {
        return standing;
    }
    let learned = failing.learned.clone();
    let now = format!("{:.2} % of requests failed where {:.2} % was usual", 100.0 * learned.now, 100.0 * learned.usual);
    let whose = if failing.of.is_empty() { String::new() } else { format!(" on {}", named(&failing.of, sources)) };
    let burns_already = standing.keeping == Keeping::Burning;
    ObjectiveStanding {
        keeping: Keeping::Burning,
        severity: standing.severity.max(severity(failing, learned.share * learned.now >= CRITICAL_FAILING)),
        since: since(failing, standing.at),
        sentence: if burns_already { standing.sentence } else { format!("{now}{whose}") },
        of: failing.of.clone(),
        learned: Some(learned),
        ..standing
    }
}

/// How the answers of a service stand beside what was usual of their labels.
pub(super) fn quality(service: &str, answers: &Answers, at: Timestamp) -> ObjectiveStanding {
    let learned = &answers.learned;
    let keeping = match answers.since {
        Some(_) => Keeping::Burning,
        None if answers.knows && answers.lately.labels > 0.0 => Keeping::Kept,
        None => Keeping::Unknown,
    };
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let sentence = match keeping {
        Keeping::Burning => {
            let version = learned.version.as_deref().unwrap_or("the model");
            let beside = learned.against.as_ref().map_or(String::new(), |against| format!(" of {against}"));
            let (now, usual) = (percent(learned.now), percent(learned.usual));
            format!("{now} of the latest labels agree with what {version} said, where {usual}{beside} was usual")
        }
        Keeping::Kept => "predictions agree with their labels as often as usual".to_owned(),
        Keeping::Unknown => "too few labels came to say what is usual".to_owned(),
    };
    let since = answers.since.map_or(at, |slot| Timestamp(slot * SLOT_MILLIS).min(at));
    let Agreement { labels, agreed } = answers.lately;
    ObjectiveStanding {
        service: service.to_owned(),
        objective: Objective { indicator: Indicator::Quality, target: learned.usual },
        at,
        keeping,
        severity: answers.since.map(|_| Severity::Warning),
        since,
        counted: vec![Counted { minutes: LABELS_MINUTES, covered: 1.0, good: agreed, total: labels }],
        sentence,
        of: Vec::new(),
        learned: Some(learned.clone()),
    }
}

/// What the budget of an objective comes to.
pub(super) fn of_budget(
    service: &str,
    objective: &Objective,
    counted: Vec<Counted>,
    least_bad: f64,
    at: Timestamp,
) -> ObjectiveStanding {
    let rules::Judged { keeping, severity, sentence } = rules::judge(objective, &counted, least_bad);
    let (service, objective, of, learned) = (service.to_owned(), *objective, Vec::new(), None);
    ObjectiveStanding { service, objective, at, keeping, severity, since: at, counted, sentence, of, learned }
}
