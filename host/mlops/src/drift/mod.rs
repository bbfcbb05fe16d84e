//! Compares recent predictions of each service and version with a reference: the last predictions of the version before it, or
//! its own first ones where there is none. A metric that fails is a failed line of the report, never a made-up value.

mod columns;
mod config;
mod metrics;
mod rules;
mod tables;

pub use config::{DriftConfig, WindowsConfig};
pub(crate) use metrics::DriftCounts;

use columns::{chunk_of, describe, present};
use std::{collections::BTreeMap, sync::Arc};
use tables::{DriftSubject, FittedColumn, Suspected};
use tandem_domain::{
    Failure, Timestamp,
    drift::{ColumnDescription, ColumnDrift, Drift, DriftReport, DriftStanding, DriftState},
    ports::{DriftMetrics, LivePlugin},
    prediction::Prediction,
};
use tandem_store::{Store, WriteError, WriteTx};

/// How far the room has read the predictions.
pub(crate) const CURSOR: &str = "mlops/drift";
/// Predictions read in one pass.
const READ_AT_ONCE: usize = 5_000;
/// Subjects compared in one pass, so that one pass stays short.
const COMPARED_AT_ONCE: usize = 4;
/// Subjects (service, model, version) looked at.
const MAX_SUBJECTS: usize = 10_000;
/// Reports kept over all services, beside the latest of each, which stays as long as it is the latest: a week of a service
/// that is reported on every five minutes.
const KEPT_REPORTS: u64 = 2_000;
/// The seed given to metrics; the same rows give the same report.
const SEED: u64 = 1;

/// The room.
pub struct DriftRoom {
    store: Store,
    metrics: Arc<dyn DriftMetrics>,
    config: DriftConfig,
    counts: Arc<DriftCounts>,
    /// When each subject was last compared, by service and version.
    compared: BTreeMap<(String, String), Timestamp>,
}

/// A prediction and its place in the log.
type Row = (u64, Prediction);

impl DriftRoom {
    /// The room at rest.
    pub fn new(store: Store, metrics: Arc<dyn DriftMetrics>, config: DriftConfig) -> Self {
        Self { store, metrics, config, counts: Arc::default(), compared: BTreeMap::new() }
    }

    pub(crate) fn counts(&self) -> Arc<DriftCounts> {
        self.counts.clone()
    }

    /// Reads new predictions into their subjects' windows, then compares the subjects that are due.
    ///
    /// # Errors
    /// When the store cannot be read or written; the same work is done again at the next pass.
    pub async fn step(&mut self, now: Timestamp) -> Result<(), WriteError> {
        self.read_predictions().await?;
        let subjects = self.store.read()?.scan::<DriftSubject>(.., MAX_SUBJECTS)?;
        let due = subjects.into_iter().filter(|subject| {
            let since = self.compared.get(&tandem_domain::Record::key(subject)).map(|at| now.millis_since(*at));
            let windows = self.config.windows(&subject.service);
            rules::is_due(subject, windows) || rules::is_worth_a_look(subject, windows, since)
        });
        let due: Vec<DriftSubject> = due.take(COMPARED_AT_ONCE).collect();
        for subject in due {
            self.compared.insert(tandem_domain::Record::key(&subject), now);
            self.report(subject, now).await?;
        }
        let read = self.store.read()?;
        self.counts.unread.set(read.log_end::<Prediction>()?.saturating_sub(read.cursor(CURSOR)?));
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
                        let known = match tx.get::<DriftSubject>(&key)? {
                            Some(known) => known,
                            None => begun(tx, &touched, &prediction, &config)?.unwrap_or(fresh),
                        };
                        touched.insert(key.clone(), known);
                    }
                    if let Some(subject) = touched.get_mut(&key) {
                        let windows = config.windows(&subject.service);
                        rules::take(subject, sequence, windows);
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
        // Before the columns are described, by which the first report is told from the others.
        let is_due = rules::is_due(&subject, self.config.windows(&subject.service));
        let reference = without_places(self.rows(&subject.reference)?);
        let current = self.rows(&subject.current)?;
        if subject.columns.is_empty() {
            if reference.len() < subject.reference.len() {
                return self.begin_again(subject, &reference, current, now).await;
            }
            subject.columns = describe(&reference);
            subject.reference_present = subject.columns.iter().map(|column| present(column, &reference)).collect();
            subject.reference_span = span(&reference, now);
        }
        let current = without_places(current);
        let compared = Compared { subject: &subject, reference: &reference, current: &current };
        let sparse = compared.sparse_columns();
        let mut lines = Vec::new();
        let mut fitted_now = Vec::new();
        for plugin in &live {
            for (column, sparse) in subject.columns.iter().zip(&sparse) {
                let outcome = match sparse {
                    Some(failure) => Err(failure.clone()),
                    None => self.compare(&compared, plugin, column, &mut fitted_now).await,
                };
                lines.push(ColumnDrift { column: Some(column.name.clone()), plugin: plugin.name.clone(), outcome });
            }
        }
        lines.extend(compared.missing());
        let state = match sparse.iter().any(Option::is_none) {
            true => rules::state(&lines, self.config.drifted_share, subject.reference.len()),
            false if rules::has_gone_missing(&lines) => DriftState::Drifted,
            false => DriftState::InsufficientData,
        };
        let report = report_of(&subject, state, lines, span(&current, now), now);
        subject.uncompared = 0;
        // Between reports only what is news is told, and only when two looks in turn say the same.
        let news = self.is_news(&report)?.then(|| Suspected::of(&report));
        let is_certain = news.as_ref().zip(subject.suspected.as_ref()).is_some_and(|(now, before)| now.agrees(before));
        subject.suspected = news;
        if !is_due && !is_certain {
            return self
                .store
                .write(move |tx| {
                    fitted_now.iter().try_for_each(|fitted| tx.put(fitted))?;
                    tx.put(&subject)
                })
                .await;
        }
        (subject.unreported, subject.suspected) = (0, None);
        self.keep(subject, report, fitted_now).await
    }

    /// Whether a comparison says anything else than the last report of its subject: another state, or other columns that moved.
    fn is_news(&self, report: &DriftReport) -> Result<bool, WriteError> {
        if report.state == DriftState::Drifted && report.moved().is_empty() {
            // One metric alone says so of its columns: looked at often, that happens by chance. The next report tells.
            return Ok(false);
        }
        let read = self.store.read()?;
        let standing = read.get::<DriftStanding>(&tandem_domain::Record::key(&DriftStanding::after(None, report)))?;
        let Some(standing) = standing.filter(|standing| standing.state == report.state) else { return Ok(true) };
        let last = read.get::<DriftReport>(&standing.report)?;
        Ok(last.is_none_or(|last| last.moved() != report.moved()))
    }

    /// Says that the reference was forgotten before it was described, and begins a new one with the rows that are there: a
    /// reference of which a part is gone is another one than was asked for.
    async fn begin_again(
        &self,
        mut subject: DriftSubject,
        reference: &[Prediction],
        current: Vec<Row>,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        let anew: Vec<u64> = {
            let rows = self.config.windows(&subject.service).reference_rows;
            current.iter().map(|(place, _)| *place).take(rows).collect()
        };
        let failure = rules::forgotten(reference.len(), subject.reference.len(), anew.len());
        tracing::warn!(service = subject.service, version = subject.version, "no drift report: {failure}");
        let line = ColumnDrift { column: None, plugin: String::new(), outcome: Err(failure) };
        subject.reference_span = span(reference, now);
        let current = span(&without_places(current), now);
        let report = report_of(&subject, DriftState::InsufficientData, vec![line], current, now);
        (subject.reference, subject.reference_version) = (anew, None);
        subject.uncompared = 0;
        subject.current = Vec::new();
        subject.unreported = 0;
        self.keep(subject, report, Vec::new()).await
    }

    /// Commits a report with what was fitted for it and where its subject stands by it.
    async fn keep(
        &self,
        subject: DriftSubject,
        report: DriftReport,
        fitted: Vec<FittedColumn>,
    ) -> Result<(), WriteError> {
        let (state, failed) = (report.state, report.columns.iter().filter(|line| line.outcome.is_err()).count());
        let dropped = self
            .store
            .write(move |tx| {
                let dropped = write_report(tx, report)?;
                fitted.iter().try_for_each(|fitted| tx.put(fitted))?;
                tx.put(&subject)?;
                Ok(dropped)
            })
            .await?;
        self.counts.reports.add(1);
        self.counts.failed_lines.add(failed as u64);
        self.counts.dropped.add(dropped);
        match state {
            DriftState::Drifted => self.counts.drifted.add(1),
            DriftState::InsufficientData => self.counts.insufficient.add(1),
            DriftState::Failed => self.counts.failed.add(1),
            DriftState::Stable => {}
        }
        Ok(())
    }

    async fn compare(
        &self,
        compared: &Compared<'_>,
        plugin: &LivePlugin,
        column: &ColumnDescription,
        fitted_now: &mut Vec<FittedColumn>,
    ) -> Result<Drift, Failure> {
        let Compared { subject, reference, current } = *compared;
        let columns = std::slice::from_ref(column);
        let key = FittedColumn::key_of(subject, &plugin.name, &column.name);
        let internal =
            |error: tandem_store::ReadError| Failure::passing(tandem_domain::FailureCode::Internal, error.to_string());
        let kept = self.store.read().and_then(|read| read.get::<FittedColumn>(&key)).map_err(internal)?;
        let state = match kept {
            Some(kept) if kept.plugin_digest == plugin.digest => kept.state,
            kept if reference.len() < subject.reference.len() => {
                let (left, of) = (reference.len(), subject.reference.len());
                return Err(rules::unfittable(kept.as_ref(), &plugin.name, left, of));
            }
            _ => {
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

    /// The rows that are still kept.
    fn rows(&self, sequences: &[u64]) -> Result<Vec<Row>, WriteError> {
        let read = self.store.read()?;
        let mut rows = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            let found = read.log_after::<Prediction>(sequence.saturating_sub(1), 1)?;
            rows.extend(found.into_iter().filter(|(at, _)| at == sequence));
        }
        Ok(rows)
    }
}

/// What is compared with what.
struct Compared<'a> {
    subject: &'a DriftSubject,
    reference: &'a [Prediction],
    current: &'a [Prediction],
}

impl Compared<'_> {
    /// By column: whether values are missing that were there.
    fn missing(&self) -> Vec<ColumnDrift> {
        let of = |(column, before): (&ColumnDescription, &u64)| {
            let reference = (*before, self.subject.reference.len());
            let current = (present(column, self.current), self.current.len());
            let outcome = Ok(rules::missing_share(reference, current));
            ColumnDrift { column: Some(column.name.clone()), plugin: String::new(), outcome }
        };
        self.subject.columns.iter().zip(&self.subject.reference_present).map(of).collect()
    }

    /// By column: why it cannot be compared, where it cannot.
    fn sparse_columns(&self) -> Vec<Option<Failure>> {
        let columns = self.subject.columns.iter().enumerate();
        let sparse = columns.map(|(index, column)| {
            let of_reference = self.subject.reference_present.get(index).copied();
            rules::too_sparse(&column.name, of_reference, present(column, self.current))
        });
        sparse.collect()
    }
}

/// A version that is new to a service, as it begins: held against the version before it, where that has rows enough.
fn begun(
    tx: &mut WriteTx<'_>,
    touched: &BTreeMap<(String, String), DriftSubject>,
    first: &Prediction,
    config: &DriftConfig,
) -> Result<Option<DriftSubject>, WriteError> {
    let of_service = (first.service.clone(), String::new())..(format!("{}\0", first.service), String::new());
    let mut versions: BTreeMap<(String, String), DriftSubject> = tx
        .scan::<DriftSubject>(of_service, MAX_SUBJECTS)?
        .into_iter()
        .map(|subject| (tandem_domain::Record::key(&subject), subject))
        .collect();
    versions.extend(touched.iter().map(|(key, subject)| (key.clone(), subject.clone())));
    let others = versions.into_values().filter(|known| known.service == first.service && known.model == first.model);
    let before = others.max_by_key(DriftSubject::newest);
    let of = |before: DriftSubject| {
        Some(DriftSubject::after(first, &before, rules::rows_before(&before, config.windows(&first.service))?))
    };
    Ok(before.and_then(of))
}

fn without_places(rows: Vec<Row>) -> Vec<Prediction> {
    rows.into_iter().map(|(_, row)| row).collect()
}

fn report_of(
    subject: &DriftSubject,
    state: DriftState,
    columns: Vec<ColumnDrift>,
    current: (Timestamp, Timestamp),
    now: Timestamp,
) -> DriftReport {
    DriftReport {
        id: 0,
        service: subject.service.clone(),
        model: subject.model.clone(),
        version: subject.version.clone(),
        at: now,
        reference: subject.reference_span,
        current,
        state,
        columns,
        reference_version: subject.reference_version.clone(),
    }
}

/// Writes a report and where its subject stands now; drops those beyond the bound but for the latest of a subject. Answers
/// how many were dropped.
fn write_report(tx: &mut WriteTx<'_>, report: DriftReport) -> Result<u64, WriteError> {
    let id = tx.next_id("drift_reports")?;
    let report = DriftReport { id, ..report };
    let fresh = DriftStanding::after(None, &report);
    let before = tx.get::<DriftStanding>(&tandem_domain::Record::key(&fresh))?;
    tx.put(&DriftStanding::after(before.as_ref(), &report))?;
    tx.put(&report)?;
    let mut dropped = 0;
    if let Some(oldest) = id.checked_sub(KEPT_REPORTS)
        && let Some(old) = tx.get::<DriftReport>(&oldest)?
    {
        let standing = tx.get::<DriftStanding>(&tandem_domain::Record::key(&DriftStanding::after(None, &old)))?;
        if standing.is_none_or(|standing| standing.report != oldest) {
            tx.remove::<DriftReport>(&oldest)?;
            dropped += 1;
        }
    }
    // It was spared as the latest of its subject, and is that no longer.
    if let Some(before) = before.filter(|before| before.report.saturating_add(KEPT_REPORTS) < id) {
        tx.remove::<DriftReport>(&before.report)?;
        dropped += 1;
    }
    Ok(dropped)
}

fn span(rows: &[Prediction], now: Timestamp) -> (Timestamp, Timestamp) {
    let moments = || rows.iter().map(|row| row.at);
    (moments().min().unwrap_or(now), moments().max().unwrap_or(now))
}

#[cfg(test)]
mod tests;
