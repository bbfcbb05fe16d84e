//! When a subject is due, and what a report comes to.

use super::{
    config::{LEAST_ROWS, Windows},
    tables::{DriftSubject, FittedColumn},
};
use std::collections::BTreeMap;
use tandem_domain::{
    Failure, FailureCode,
    drift::{ColumnDrift, Drift, DriftState, MISSING_SHARE, Method, is_answer, moved},
};

/// A new version is held against the one before it where that has at least so many rows: fewer are no sample of what it gets.
pub(super) const LEAST_ROWS_BEFORE: usize = 100;
/// A comparison between two reports is not made sooner than so many milliseconds after the last: a service with thousands of
/// predictions a second is not compared for each hundred of them.
const LEAST_BETWEEN_MILLIS: i64 = 20_000;

/// And not on fewer rows than this: what is looked at often on few rows looks odd by chance.
const LEAST_ROWS_TO_LOOK: u64 = 250;

/// Share of missing values that must have come or gone for a column to have moved, and how many standard errors that must be.
const MISSING_MOVED: f64 = 0.1;
const MISSING_DEVIATIONS: f64 = 4.0;

/// The rows of a version that a new one is held against: its last ones; none where they are too few.
pub(super) fn rows_before(before: &DriftSubject, windows: Windows) -> Option<Vec<u64>> {
    let own = before.reference.iter().filter(|_| before.reference_version.is_none());
    let mut rows: Vec<u64> = own.chain(&before.current).copied().collect();
    rows.drain(..rows.len().saturating_sub(windows.reference_rows));
    (rows.len() >= LEAST_ROWS_BEFORE).then_some(rows)
}

/// Puts a row into the reference until it is full, then into the sliding window.
pub(super) fn take(subject: &mut DriftSubject, sequence: u64, windows: Windows) {
    let fills = subject.reference.len() < windows.reference_rows && subject.reference_version.is_none();
    if fills && subject.columns.is_empty() {
        subject.reference.push(sequence);
        return;
    }
    subject.current.push(sequence);
    subject.unreported += 1;
    subject.uncompared += 1;
    let over = subject.current.len().saturating_sub(windows.window_rows);
    subject.current.drain(..over);
}

/// Whether a report is due: the window is full enough and has enough that was not reported.
pub(super) fn is_due(subject: &DriftSubject, windows: Windows) -> bool {
    // The columns are described by the first report.
    let first = subject.columns.is_empty();
    let every = if first { windows.first_report_rows } else { windows.report_every_rows };
    let every = every.min(windows.window_rows as u64);
    subject.unreported >= every && subject.current.len() as u64 >= every.max(LEAST_ROWS as u64)
}

/// Whether it is time to look if there is something new to report, `since` so many milliseconds after the last comparison.
pub(super) fn is_worth_a_look(subject: &DriftSubject, windows: Windows, since_millis: Option<i64>) -> bool {
    let every = windows.look_every_rows.min(windows.report_every_rows).max(LEAST_ROWS as u64);
    let rested = since_millis.is_none_or(|since| since >= LEAST_BETWEEN_MILLIS);
    let least = LEAST_ROWS_TO_LOOK.min(windows.report_every_rows).min(windows.window_rows as u64);
    rested && subject.uncompared >= every && subject.current.len() as u64 >= every.max(least)
}

/// Whether values of a column are missing where they were not, or there where they were missing: two proportions.
pub(super) fn missing_share(reference: (u64, usize), current: (u64, usize)) -> Drift {
    let share = |(present, all): (u64, usize)| 1.0 - present as f64 / all.max(1) as f64;
    let (before, now) = (share(reference), share(current));
    let (m, n) = (reference.1.max(1) as f64, current.1.max(1) as f64);
    let both = (before * m + now * n) / (m + n);
    let error = (both * (1.0 - both) * (1.0 / m + 1.0 / n)).sqrt();
    let value = (now - before).abs();
    let method = Method {
        id: MISSING_SHARE.into(),
        version: "1".into(),
        binning: String::new(),
        log_base: String::new(),
        smoothing: String::new(),
    };
    Drift {
        column: Some(0),
        value,
        p_value: None,
        threshold: MISSING_MOVED,
        drifted: value >= MISSING_MOVED && value >= MISSING_DEVIATIONS * error,
        reference_count: reference.1 as u64,
        current_count: current.1 as u64,
        method,
        details: vec![("reference".into(), format!("{before:.4}")), ("current".into(), format!("{now:.4}"))],
    }
}

/// Why a column cannot be compared: too few rows of one of the two sides have a value.
pub(super) fn too_sparse(column: &str, reference_present: Option<u64>, current_present: u64) -> Option<Failure> {
    let least = LEAST_ROWS as u64;
    let (side, present) = match reference_present {
        Some(present) if present < least => ("reference", present),
        _ if current_present < least => ("current window", current_present),
        _ => return None,
    };
    Some(Failure::passing(
        FailureCode::Unsupported,
        format!("{present} rows of the {side} have a value for {column}, and {least} are needed to say anything"),
    ))
}

/// Why a reference cannot be described: some of its rows were forgotten first.
pub(super) fn forgotten(kept: usize, of: usize, taken_anew: usize) -> Failure {
    Failure::passing(
        FailureCode::Unsupported,
        format!(
            "{} of the {of} predictions that were to be the reference are no longer kept, so there is nothing to compare \
             with; the {taken_anew} latest predictions begin a new reference (mlops.monitor.keep_predictions keeps more)",
            of - kept
        ),
    )
}

/// Why a metric that has not fitted a reference cannot do so any more.
pub(super) fn unfittable(fitted: Option<&FittedColumn>, plugin: &str, kept: usize, of: usize) -> Failure {
    let why = if fitted.is_some() { "changed since it fitted this reference" } else { "has not fitted this reference" };
    Failure::lasting(
        FailureCode::Unsupported,
        format!(
            "{plugin} {why}, and {} of its {of} rows are no longer kept; a new version of the model gets a new reference",
            of - kept
        ),
    )
}

/// Drifted when, for one of the metrics, at least the given share of its columns is (metrics are not mixed: two that measure
/// the same thing would count it twice); when what the model says has moved by the word of most metrics, which matters
/// however many features stand beside it; and when values are missing.
pub(super) fn state(lines: &[ColumnDrift], drifted_share: f64, reference_rows: usize) -> DriftState {
    let mut by_metric: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for line in lines {
        // What the host measures itself beside them does not say that a metric works.
        if let Ok(drift) = &line.outcome
            && drift.method.id != MISSING_SHARE
        {
            let counts = by_metric.entry(&line.plugin).or_default();
            counts.0 += usize::from(drift.drifted);
            counts.1 += 1;
        }
    }
    if by_metric.is_empty() {
        return DriftState::Failed;
    }
    let drifted = by_metric.values().any(|(drifted, all)| *drifted as f64 >= drifted_share * *all as f64);
    // A handful of rows as reference shows upheavals, and no fine shift.
    let fine = reference_rows >= LEAST_ROWS_BEFORE;
    // Where the metrics agree on no column, one of them alone has come upon chance: it is asked often enough.
    let moved = moved(lines);
    let drifted =
        (drifted && !moved.is_empty()) || has_gone_missing(lines) || (fine && moved.into_iter().any(is_answer));
    if drifted { DriftState::Drifted } else { DriftState::Stable }
}

/// Whether values of any column are missing where they were not.
pub(super) fn has_gone_missing(lines: &[ColumnDrift]) -> bool {
    lines.iter().any(|line| matches!(&line.outcome, Ok(drift) if drift.drifted && drift.method.id == MISSING_SHARE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A metric's word on a column.
    fn line(plugin: &str, column: &str, drifted: bool) -> ColumnDrift {
        let method = Method {
            id: plugin.into(),
            version: "1".into(),
            binning: String::new(),
            log_base: String::new(),
            smoothing: String::new(),
        };
        let drift = Drift {
            column: Some(0),
            value: f64::from(u8::from(drifted)),
            p_value: None,
            threshold: 0.5,
            drifted,
            reference_count: 100,
            current_count: 100,
            method,
            details: Vec::new(),
        };
        ColumnDrift { column: Some(column.into()), plugin: plugin.into(), outcome: Ok(drift) }
    }

    #[test]
    fn one_metric_alone_has_come_upon_chance_and_two_that_agree_have_not() {
        let of = |second: bool| {
            let columns = ["age", "price"].into_iter();
            columns.flat_map(|column| [line("ks", column, true), line("psi", column, second)]).collect::<Vec<_>>()
        };
        assert_eq!(state(&of(false), 0.5, 500), DriftState::Stable);
        assert_eq!(state(&of(true), 0.5, 500), DriftState::Drifted);
        let alone: Vec<ColumnDrift> = ["age", "price"].map(|column| line("ks", column, true)).into();
        assert_eq!(state(&alone, 0.5, 500), DriftState::Drifted, "where there is only one metric, it is believed");
    }
}
