//! Compares recent predictions of each service and version with a reference: the first predictions it made. A metric that
//! fails is a failed line of the report, never a made-up value.

mod columns;
mod config;
mod rules;
mod tables;

pub use config::DriftConfig;

use columns::{chunk_of, describe};
use std::{collections::BTreeMap, sync::Arc};
use tables::{DriftSubject, FittedColumn};
use tandem_domain::{
    Failure, Timestamp,
    drift::{ColumnDescription, ColumnDrift, Drift, DriftReport},
    ports::{DriftMetrics, LivePlugin},
    prediction::Prediction,
};
use tandem_store::{Store, WriteError};

/// How far the room has read the predictions.
pub(crate) const CURSOR: &str = "mlops/drift";
/// Predictions read in one pass.
const READ_AT_ONCE: usize = 5_000;
/// Subjects compared in one pass, so that one pass stays short.
const COMPARED_AT_ONCE: usize = 4;
/// Subjects (service, model, version) looked at.
const MAX_SUBJECTS: usize = 10_000;
/// The seed given to metrics; the same rows give the same report.
const SEED: u64 = 1;

/// The room.
pub struct DriftRoom {
    store: Store,
    metrics: Arc<dyn DriftMetrics>,
    config: DriftConfig,
}

impl DriftRoom {
    /// The room at rest.
    pub fn new(store: Store, metrics: Arc<dyn DriftMetrics>, config: DriftConfig) -> Self {
        Self { store, metrics, config }
    }

    /// Reads new predictions into their subjects' windows, then compares the subjects that are due.
    ///
    /// # Errors
    /// When the store cannot be read or written; the same work is done again at the next pass.
    pub async fn step(&mut self, now: Timestamp) -> Result<(), WriteError> {
        self.read_predictions().await?;
        let subjects = self.store.read()?.scan::<DriftSubject>(.., MAX_SUBJECTS)?;
        let due = subjects.into_iter().filter(|subject| rules::is_due(subject, &self.config));
        for subject in due.take(COMPARED_AT_ONCE) {
            self.report(subject, now).await?;
        }
        Ok(())
    }

    async fn read_predictions(&self) -> Result<(), WriteError> {
        let read = self.store.read()?;
        let new = read.log_after::<Prediction>(read.cursor(CURSOR)?, READ_AT_ONCE)?;
        drop(read);
        let Some((last, _)) = new.last() else { return Ok(()) };
        let (last, config) = (*last, self.config.clone());
        self.store
            .write(move |tx| {
                let mut touched: BTreeMap<(String, String), DriftSubject> = BTreeMap::new();
                for (sequence, prediction) in new {
                    let fresh = DriftSubject::of(&prediction);
                    let key = tandem_domain::Record::key(&fresh);
                    if !touched.contains_key(&key) {
                        let known = tx.get::<DriftSubject>(&key)?.unwrap_or(fresh);
                        touched.insert(key.clone(), known);
                    }
                    if let Some(subject) = touched.get_mut(&key) {
                        rules::take(subject, sequence, &config);
                    }
                }
                touched.values().try_for_each(|subject| tx.put(subject))?;
                tx.set_cursor(CURSOR, last)
            })
            .await
    }

    async fn report(&self, mut subject: DriftSubject, now: Timestamp) -> Result<(), WriteError> {
        let live = self.metrics.drift_metrics();
        if live.is_empty() {
            return Ok(());
        }
        let reference = self.rows(&subject.reference)?;
        let current = self.rows(&subject.current)?;
        if subject.columns.is_empty() {
            subject.columns = describe(&reference);
            subject.reference_span = span(&reference);
        }
        let mut lines = Vec::new();
        let mut fitted_now = Vec::new();
        for plugin in &live {
            for column in &subject.columns {
                let outcome = self.compare(&subject, plugin, column, &reference, &current, &mut fitted_now).await;
                lines.push(ColumnDrift { column: Some(column.name.clone()), plugin: plugin.name.clone(), outcome });
            }
        }
        subject.unreported = 0;
        let report = DriftReport {
            id: 0,
            service: subject.service.clone(),
            model: subject.model.clone(),
            version: subject.version.clone(),
            at: now,
            reference: subject.reference_span,
            current: span(&current),
            state: rules::state(&lines, self.config.drifted_share),
            columns: lines,
        };
        self.store
            .write(move |tx| {
                let id = tx.next_id("drift_reports")?;
                tx.put(&DriftReport { id, ..report })?;
                fitted_now.iter().try_for_each(|fitted| tx.put(fitted))?;
                tx.put(&subject)
            })
            .await
    }

    async fn compare(
        &self,
        subject: &DriftSubject,
        plugin: &LivePlugin,
        column: &ColumnDescription,
        reference: &[Prediction],
        current: &[Prediction],
        fitted_now: &mut Vec<FittedColumn>,
    ) -> Result<Drift, Failure> {
        let columns = std::slice::from_ref(column);
        let key = FittedColumn::key_of(subject, &plugin.name, &column.name);
        let internal =
            |error: tandem_store::ReadError| Failure::passing(tandem_domain::FailureCode::Internal, error.to_string());
        let kept = self.store.read().and_then(|read| read.get::<FittedColumn>(&key)).map_err(internal)?;
        let state = match kept.filter(|kept| kept.plugin_digest == plugin.digest) {
            Some(kept) => kept.state,
            None if reference.is_empty() => {
                return Err(Failure::lasting(
                    tandem_domain::FailureCode::Unsupported,
                    format!(
                        "{} changed, and the reference rows are no longer kept; a new version of the model gets a new reference",
                        plugin.name
                    ),
                ));
            }
            None => {
                let state = self.metrics.fit(&plugin.name, columns, vec![chunk_of(columns, reference)], SEED).await?;
                fitted_now.push(FittedColumn { key, plugin_digest: plugin.digest.clone(), state: state.clone() });
                state
            }
        };
        let drifts =
            self.metrics.compare(&plugin.name, columns, &state, vec![chunk_of(columns, current)], SEED).await?;
        drifts.into_iter().next().ok_or_else(|| {
            Failure::lasting(
                tandem_domain::FailureCode::Malformed,
                format!("{} answered nothing for column {}", plugin.name, column.name),
            )
        })
    }

    fn rows(&self, sequences: &[u64]) -> Result<Vec<Prediction>, WriteError> {
        let read = self.store.read()?;
        let mut rows = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            let found = read.log_after::<Prediction>(sequence.saturating_sub(1), 1)?;
            rows.extend(found.into_iter().filter(|(at, _)| at == sequence).map(|(_, row)| row));
        }
        Ok(rows)
    }
}

fn span(rows: &[Prediction]) -> (Timestamp, Timestamp) {
    let moments = || rows.iter().map(|row| row.at);
    (moments().min().unwrap_or(Timestamp(0)), moments().max().unwrap_or(Timestamp(0)))
}

#[cfg(test)]
mod tests;
