//! What people read: why a suspect is to blame, or why nobody can be told.

use crate::{answer::About, blame::Blame, heat::Sign, whole::Common};
use tandem_sdk::root_cause::{Case, Direction, columns};

/// A number of spreads for people: beyond a hundred it is only "far".
fn spreads(distance: f64) -> String {
    if distance >= 100.0 { "more than 100".into() } else { format!("{distance:.1}") }
}

fn sign_text(case: &Case, sign: &Sign) -> String {
    let name = columns(case).nth(sign.signal as usize).map_or("", |column| column.signal.name.as_str());
    let went = match sign.direction {
        Direction::Up => "rose",
        Direction::Down => "fell",
    };
    format!("its {name} {went} {} spreads away from its course", spreads(sign.distance))
}

/// A span before the onset for people.
fn before(millis: i64) -> String {
    match millis {
        ..1_000 => "at the onset".into(),
        1_000..120_000 => format!("{} s before the onset", millis / 1_000),
        _ => format!("{} min before the onset", millis / 60_000),
    }
}

/// Why this suspect is to blame, in a sentence or two.
pub(crate) fn cause(case: &Case, suspect: u32, onset: i64, about: &About<'_>, suffering: usize) -> String {
    let id = |suspect: u32| case.suspects[suspect as usize].id.as_str();
    let About { heat, known, parts, is_overloaded } = about;
    let mut reasons: Vec<String> = Vec::new();
    if heat.gone {
        reasons.push("it shows nothing any more while others do".into());
    }
    if *is_overloaded {
        reasons.push("more is asked of it than those who serve it can answer in time".into());
    }
    if let Some(fault) = known.faults.first().map(|fault| &case.faults[*fault as usize]) {
        let title = if fault.title.is_empty() { &fault.code } else { &fault.title };
        reasons.push(format!("it has a fault ({title})"));
    }
    if let Some(change) = known.changes.last().map(|change| &case.changes[*change as usize]) {
        let title = if change.title.is_empty() { &change.code } else { &change.title };
        reasons.push(format!("it was changed {} ({title})", before(onset.saturating_sub(change.at))));
    }
    if !known.drifted.is_empty() {
        let names: Vec<&str> =
            known.drifted.iter().take(3).map(|d| case.drifted[*d as usize].column.as_str()).collect();
        let more = known.drifted.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        reasons.push(format!("what it is fed with has drifted ({}{more})", names.join(", ")));
    }
    reasons.extend(heat.signs.iter().filter(|sign| sign.score >= 1.0).take(2).map(|sign| sign_text(case, sign)));
    if let Some(Common { kind, hot, seen }) = parts {
        let names: Vec<&str> = hot.iter().take(3).map(|part| id(*part)).collect();
        let more = if hot.len() > names.len() { ", …" } else { "" };
        reasons.push(format!(
            "{} of its {seen} parts of kind {kind} left their course alike ({}{more}), and it has no signals of its own",
            hot.len(),
            names.join(", ")
        ));
    }
    let mut sentence = format!("{}: ", id(suspect));
    sentence.push_str(&if reasons.is_empty() {
        "it lies below all that is odd".into()
    } else {
        reasons.join(", and ")
    });
    if suffering > 0 {
        let depend =
            if suffering == 1 { "one suspect that depends on it is" } else { "suspects that depend on it are" };
        let count = if suffering == 1 { String::new() } else { format!("{suffering} ") };
        sentence.push_str(&format!("; {count}{depend} odd as well"));
    }
    sentence.push('.');
    sentence
}

/// That one who suffers is named for want of a cause.
pub(crate) fn unexplained(case: &Case, first: u32) -> String {
    format!(
        "Nothing that {} depends on explains its trouble, and no change, drift or fault of its own inside is known.",
        case.suspects[first as usize].id
    )
}

/// Why the first cause should not be believed, which may have a rival that is about as likely.
pub(crate) fn doubt(case: &Case, blame: &Blame, first: Option<u32>, rival: Option<u32>) -> String {
    let id = |suspect: u32| case.suspects[suspect as usize].id.as_str();
    match (first, rival) {
        (None, _) => "Nothing left its course after the onset, and no fault, change or drift is known.".into(),
        (Some(first), Some(rival)) => {
            format!("{} and {} are about equally likely to be to blame.", id(first), id(rival))
        }
        (Some(first), None) => format!(
            "The evidence is weak: what is odd about {} is {:.1} times what would count as odd at all.",
            id(first),
            blame.heat_of(first as usize)
        ),
    }
}
