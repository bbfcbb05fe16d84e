//! Takes predictions and labels in, durably and once each, and keeps account per service and version.

mod config;
mod rules;
mod tables;

pub use config::MonitorConfig;

use rules::agrees;
use tables::{KeptPrediction, UnjoinedLabel};
use tandem_domain::{
    Timestamp,
    prediction::{FeatureValue, Prediction, ServiceTraffic, TruthLabel},
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
    store
        .write(move |tx| {
            let mut taken = Taken::default();
            for prediction in predictions {
                let key = (prediction.service.clone(), prediction.id.clone());
                if tx.get::<KeptPrediction>(&key)?.is_some() {
                    taken.duplicates += 1;
                    continue;
                }
                let sequence = tx.append(&prediction)?;
                let mut traffic = traffic_of(tx, &prediction)?;
                traffic.predictions += 1;
                traffic.first_at = traffic.first_at.min(prediction.at);
                traffic.last_at = traffic.last_at.max(prediction.at);
                let early = tx.get::<UnjoinedLabel>(&key)?;
                if let Some(early) = &early {
                    count_label(&mut traffic, &prediction.prediction, &early.label);
                    tx.remove::<UnjoinedLabel>(&key)?;
                }
                tx.put(&KeptPrediction::new(&prediction, sequence, early.map(|label| label.label)))?;
                tx.put(&traffic)?;
                taken.accepted += 1;
            }
            Ok(taken)
        })
        .await
}

/// Keeps labels and joins them with their predictions, whichever came first.
///
/// # Errors
/// When the store cannot be written; nothing is kept then.
pub async fn take_labels(store: &Store, labels: Vec<TruthLabel>) -> Result<Taken, WriteError> {
    store
        .write(move |tx| {
            let mut taken = Taken::default();
            for label in labels {
                let key = (label.service.clone(), label.id.clone());
                let kept = tx.get::<KeptPrediction>(&key)?;
                let known =
                    kept.as_ref().is_some_and(|kept| kept.label.is_some()) || tx.get::<UnjoinedLabel>(&key)?.is_some();
                if known {
                    taken.duplicates += 1;
                    continue;
                }
                tx.append(&label)?;
                match kept {
                    Some(mut kept) => {
                        let traffic_key = (kept.service.clone(), format!("{}@{}", kept.model, kept.version));
                        if let Some(mut traffic) = tx.get::<ServiceTraffic>(&traffic_key)? {
                            count_label(&mut traffic, &kept.prediction, &label.label);
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
                    })?,
                }
                taken.accepted += 1;
            }
            Ok(taken)
        })
        .await
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
    }))
}

fn count_label(traffic: &mut ServiceTraffic, prediction: &FeatureValue, label: &FeatureValue) {
    traffic.labels += 1;
    traffic.agreed += u64::from(agrees(prediction, label));
}

/// Keeps the tables within their bounds.
pub struct MonitorRoom {
    store: Store,
    config: MonitorConfig,
}

impl MonitorRoom {
    /// The room at rest.
    pub fn new(store: Store, config: MonitorConfig) -> Self {
        Self { store, config }
    }

    /// Forgets the oldest predictions beyond the bound, but never what the drift room has not read.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn step(&mut self, _now: Timestamp) -> Result<(), WriteError> {
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
        self.store
            .write(move |tx| {
                for (_, prediction) in forgotten {
                    tx.remove::<KeptPrediction>(&(prediction.service, prediction.id))?;
                }
                tx.trim_log::<Prediction>(through)
            })
            .await
    }
}

#[cfg(test)]
mod tests;
