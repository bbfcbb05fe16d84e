//! When a subject is due, and what a report comes to.

use super::{DriftConfig, tables::DriftSubject};
use std::collections::BTreeMap;
use tandem_domain::drift::{ColumnDrift, DriftState};

/// Puts a row into the reference until it is full, then into the sliding window.
pub(super) fn take(subject: &mut DriftSubject, sequence: u64, config: &DriftConfig) {
    if subject.reference.len() < config.reference_rows && subject.columns.is_empty() {
        subject.reference.push(sequence);
        return;
    }
    subject.current.push(sequence);
    subject.unreported += 1;
    let over = subject.current.len().saturating_sub(config.window_rows);
    subject.current.drain(..over);
}

/// Whether the window is full enough and has enough that was not reported.
pub(super) fn is_due(subject: &DriftSubject, config: &DriftConfig) -> bool {
    let enough = config.report_every_rows.min(config.window_rows as u64);
    subject.unreported >= enough && subject.current.len() as u64 >= enough
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
