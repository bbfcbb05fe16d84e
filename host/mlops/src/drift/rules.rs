//! When a subject is due, and what a report comes to.

use super::{
    config::{LEAST_ROWS, Windows},
    tables::{DriftSubject, FittedColumn},
};
use std::collections::BTreeMap;
use tandem_domain::{
    Failure, FailureCode,
    drift::{ColumnDrift, DriftState},
};

/// Puts a row into the reference until it is full, then into the sliding window.
pub(super) fn take(subject: &mut DriftSubject, sequence: u64, windows: Windows) {
    if subject.reference.len() < windows.reference_rows && subject.columns.is_empty() {
        subject.reference.push(sequence);
        return;
    }
    subject.current.push(sequence);
    subject.unreported += 1;
    let over = subject.current.len().saturating_sub(windows.window_rows);
    subject.current.drain(..over);
}

/// Whether the window is full enough and has enough that was not reported.
pub(super) fn is_due(subject: &DriftSubject, windows: Windows) -> bool {
    // The columns are described by the first report.
    let first = subject.columns.is_empty();
    let every = if first { windows.first_report_rows } else { windows.report_every_rows };
    let every = every.min(windows.window_rows as u64);
    subject.unreported >= every && subject.current.len() as u64 >= every.max(LEAST_ROWS as u64)
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

/// Drifted when, for one of the metrics, at least the given share of its columns is. Metrics are not mixed: two that measure
/// the same thing would count it twice.
pub(super) fn state(lines: &[ColumnDrift], drifted_share: f64) -> DriftState {
    let mut by_metric: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for line in lines {
        if let Ok(drift) = &line.outcome {
            let counts = by_metric.entry(&line.plugin).or_default();
            counts.0 += usize::from(drift.drifted);
            counts.1 += 1;
        }
    }
    if by_metric.is_empty() {
        return DriftState::Failed;
    }
    let drifted = by_metric.values().any(|(drifted, all)| *drifted as f64 >= drifted_share * *all as f64);
    if drifted { DriftState::Drifted } else { DriftState::Stable }
}
