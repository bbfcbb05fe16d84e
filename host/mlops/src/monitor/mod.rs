//! Takes predictions and labels in, durably and once each, and keeps account per service and version.

mod config;
mod metrics;
mod rules;
mod tables;

pub use config::MonitorConfig;
pub(crate) use metrics::MonitorCounts;

use rules::agrees;
use std::sync::Arc;
use tables::{KeptPrediction, UnjoinedLabel};
use tandem_domain::{
    Timestamp,
    prediction::{Prediction, ServiceTraffic, TruthLabel},
};
use tandem_store::{Store, WriteError, WriteTx};

/// What became of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// Kept now.
    pub accepted: u64,
    /// There already, by service and id; nothing was changed.
    pub duplicates: u64,
}

/// Keeps predictions; a second one with the same service and id changes nothing.
///
/// # Errors
/// When the store cannot be written; nothing is kept then.
pub async fn take_predictions(store: &Store, predictions: Vec<Prediction>) -> Result<Taken, WriteError> {
    store.write(move |tx| keep_predictions(tx, predictions)).await
}

/// As [`take_predictions`], within a transaction that holds more.
pub(crate) fn keep_predictions(tx: &mut WriteTx<'_>, predictions: Vec<Prediction>) -> Result<Taken, WriteError> {
    let mut taken = Taken::default();
    for prediction in predictions {
        let key = (prediction.service.clone(), prediction.id.clone());
        if tx.get::<KeptPrediction>(&key)?.is_some() {
            taken.duplicates += 1;
            continue;
        }
        let sequence = tx.append(&prediction)?;
        let mut traffic = traffic_of(tx, &prediction)?;
        traffic.count_prediction(prediction.at);
        let early = tx.get::<UnjoinedLabel>(&key)?;
        if let Some(early) = &early {
            // Only now is it known whether the label agrees.
            let joined_at = early.at.max(prediction.at);
            traffic.count_label(joined_at, agrees(&prediction.prediction, prediction.band, &early.label));
            tx.remove::<UnjoinedLabel>(&key)?;
        }
        tx.put(&KeptPrediction::new(&prediction, sequence, early.map(|label| label.label)))?;
        tx.put(&traffic)?;
        taken.accepted += 1;
    }
    Ok(taken)
}

/// Keeps labels and joins them with their predictions, whichever came first.
///
/// # Errors
/// When the store cannot be written; nothing is kept then.
pub async fn take_labels(store: &Store, labels: Vec<TruthLabel>) -> Result<Taken, WriteError> {
    store.write(move |tx| keep_labels(tx, labels)).await
}

/// As [`take_labels`], within a transaction that holds more.
pub(crate) fn keep_labels(tx: &mut WriteTx<'_>, labels: Vec<TruthLabel>) -> Result<Taken, WriteError> {
    let mut taken = Taken::default();
    for label in labels {
        let key = (label.service.clone(), label.id.clone());
        let kept = tx.get::<KeptPrediction>(&key)?;
        let known = kept.as_ref().is_some_and(|kept| kept.label.is_some()) || tx.get::<UnjoinedLabel>(&key)?.is_some();
        if known {
            taken.duplicates += 1;
            continue;
        }
        let sequence = tx.append(&label)?;
        match kept {
            Some(mut kept) => {
                let traffic_key = (kept.service.clone(), format!("{}@{}", kept.model, kept.version));
                if let Some(mut traffic) = tx.get::<ServiceTraffic>(&traffic_key)? {
                    traffic.count_label(label.at, agrees(&kept.prediction, kept.band, &label.label));
                    tx.put(&traffic)?;
                }
                kept.label = Some(label.label);
                tx.put(&kept)?;
            }
            None => tx.put(&UnjoinedLabel {
                service: label.service,
                id: label.id,
                label: label.label,
                at: label.at,
                sequence,
            })?,
        }
        taken.accepted += 1;
    }
    Ok(taken)
}

fn traffic_of(tx: &mut WriteTx<'_>, prediction: &Prediction) -> Result<ServiceTraffic, WriteError> {
    let key = (prediction.service.clone(), format!("{}@{}", prediction.model, prediction.version));
    Ok(tx.get::<ServiceTraffic>(&key)?.unwrap_or_else(|| ServiceTraffic {
        service: prediction.service.clone(),
        model: prediction.model.clone(),
        version: prediction.version.clone(),
        predictions: 0,
        labels: 0,
        agreed: 0,
        first_at: prediction.at,
        last_at: prediction.at,
        minutes: Vec::new(),
    }))
}

/// Keeps the tables within their bounds.
pub struct MonitorRoom {
    store: Store,
    config: MonitorConfig,
    counts: Arc<MonitorCounts>,
}

impl MonitorRoom {
    /// The room at rest.
    pub fn new(store: Store, config: MonitorConfig) -> Self {
        Self { store, config, counts: Arc::default() }
    }

    pub(crate) fn counts(&self) -> Arc<MonitorCounts> {
        self.counts.clone()
    }

    /// Forgets the oldest predictions beyond the bound, but never what the drift room has not read, and labels that are too
    /// many or too old.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn step(&mut self, now: Timestamp) -> Result<(), WriteError> {
        self.forget_predictions().await?;
        self.forget_labels(now).await?;
        let read = self.store.read()?;
        self.counts.predictions.set(read.log_end::<Prediction>()?);
        self.counts.labels.set(read.log_end::<TruthLabel>()?);
        self.counts.labels_waiting.set(read.count::<UnjoinedLabel>()?);
        Ok(())
    }

    async fn forget_predictions(&self) -> Result<(), WriteError> {
        let (through, forgotten) = {
            let read = self.store.read()?;
            let end = read.log_end::<Prediction>()?;
            let through = end.saturating_sub(self.config.keep_predictions).min(read.cursor(crate::drift::CURSOR)?);
            // The log is cut in stretches, so that not every pass writes.
            let oldest = read.log_after::<Prediction>(0, 1)?.first().map_or(end, |(sequence, _)| *sequence);
            if through < oldest.saturating_add(self.config.keep_predictions / 10) {
                return Ok(());
            }
            let stretch = usize::try_from(through - oldest + 1).unwrap_or(usize::MAX).min(rules::MAX_FORGOTTEN_AT_ONCE);
            let old = read.log_after::<Prediction>(oldest.saturating_sub(1), stretch)?;
            (old.last().map_or(0, |(sequence, _)| *sequence), old)
        };
        let count = forgotten.len() as u64;
        self.store
            .write(move |tx| {
                for (_, prediction) in forgotten {
                    tx.remove::<KeptPrediction>(&(prediction.service, prediction.id))?;
                }
                tx.trim_log::<Prediction>(through)
            })
            .await?;
        self.counts.predictions_forgotten.add(count);
        Ok(())
    }

    /// A label that is forgotten no longer waits for its prediction either, so that labels of predictions that never come
    /// do not pile up. What a label has told of its prediction stays.
    async fn forget_labels(&self, now: Timestamp) -> Result<(), WriteError> {
        let forgotten = {
            let read = self.store.read()?;
            let Some((oldest, label)) = read.log_after::<TruthLabel>(0, 1)?.into_iter().next() else { return Ok(()) };
            let too_many = rules::too_many_through(oldest, read.log_end::<TruthLabel>()?, &self.config);
            if too_many.is_none() && !rules::is_worth_forgetting(&label, now, &self.config) {
                return Ok(());
            }
            let mut stretch = read.log_after::<TruthLabel>(0, rules::MAX_FORGOTTEN_AT_ONCE)?;
            let goes = |(sequence, label): &(u64, TruthLabel)| {
                too_many.is_some_and(|through| *sequence <= through) || rules::is_old(label, now, &self.config)
            };
            let stays = stretch.iter().position(|one| !goes(one)).unwrap_or(stretch.len());
            stretch.truncate(stays);
            stretch
        };
        let Some((through, _)) = forgotten.last() else { return Ok(()) };
        let through = *through;
        let dropped = self
            .store
            .write(move |tx| {
                let mut dropped = 0;
                for (sequence, label) in forgotten {
                    let key = (label.service, label.id);
                    if tx.get::<UnjoinedLabel>(&key)?.is_some_and(|waiting| waiting.sequence <= sequence) {
                        tx.remove::<UnjoinedLabel>(&key)?;
                        dropped += 1;
                    }
                }
                tx.trim_log::<TruthLabel>(through)?;
                Ok(dropped)
            })
            .await?;
        self.counts.labels_dropped.add(dropped);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
