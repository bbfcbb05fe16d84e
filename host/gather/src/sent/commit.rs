//! A body into the store, in one change: its newcomers, its samples, and that its targets send.

use super::{
    SentError, SentReceiver,
    body::{Body, Kept, Newcomer},
    known::Sender,
    series::{self, Settled},
};
use crate::{declared, intake, limits::reason_of};
use std::{collections::BTreeMap, sync::Arc};
use tandem_domain::{
    Timestamp,
    metadata::MetricMetadata,
    series::{Labels, SeriesId},
    target::{Door, TargetInfo, TargetKey, TargetStatus},
};
use tandem_store::{Appended, ExemplarsAppended, SeriesRefusal, WriteError, WriteTx};
use tandem_wire::{
    rejected::{Reason, Rejections},
    series_key::SeriesKey,
};

/// What became of a newcomer.
pub(super) struct Met {
    pub key: SeriesKey,
    /// Its number, or why it is refused; neither where it has exemplars only and is not registered.
    pub id: Result<SeriesId, Option<SeriesRefusal>>,
    pub sender: Arc<Sender>,
}

/// Items lost for each reason why a series was refused.
#[derive(Default)]
struct Refused(BTreeMap<Option<SeriesRefusal>, Kept>);

impl Refused {
    fn of(&mut self, refusal: Option<SeriesRefusal>) -> &mut Kept {
        self.0.entry(refusal).or_default()
    }

    /// Notes the refusals, and answers how much was kept of `kept` then.
    fn told(self, mut kept: Kept, rejections: &mut Rejections) -> Kept {
        for (refusal, lost) in self.0 {
            let Some(refusal) = refusal else { continue };
            rejections.note(reason_of(refusal), lost.samples + lost.histograms, || {
                format!("a new series is refused: {refusal}")
            });
            kept.samples -= lost.samples;
            kept.histograms -= lost.histograms;
        }
        kept
    }
}

/// The status of a target that sends, on top of what was known of it.
fn told(
    tx: &mut WriteTx<'_>,
    target: TargetKey,
    labels: Labels,
    door: Door,
    now: Timestamp,
) -> Result<Option<TargetStatus>, WriteError> {
    let key = (target.job.clone(), target.instance.clone());
    let earlier = tx.get::<TargetStatus>(&key)?;
    // A target that is scraped or collected tells of itself.
    if earlier.as_ref().is_some_and(|status| matches!(status.door, Door::Scrape | Door::Collect)) {
        return Ok(None);
    }
    let known = earlier.as_ref().map(|status| status.info.labels.clone()).unwrap_or_default();
    let info = TargetInfo { key: target, labels: if labels.is_empty() { known } else { labels } };
    let mut status = intake::unvisited(info, door, None);
    (status.last_attempt_at, status.last_success_at) = (Some(now), Some(now));
    Ok(Some(status))
}

/// A body as it is written.
struct Writing {
    door: Door,
    now: Timestamp,
    /// Targets that are told again.
    tell: Vec<(TargetKey, Labels)>,
    declared: Vec<MetricMetadata>,
    newcomers: Vec<Newcomer>,
    /// Their targets.
    senders: Vec<Arc<Sender>>,
    settled: Settled,
}

/// What was written.
struct Written {
    met: Vec<Met>,
    refused: Refused,
    appended: Appended,
    exemplars: ExemplarsAppended,
}

impl Writing {
    fn write(self, tx: &mut WriteTx<'_>) -> Result<Written, WriteError> {
        // Targets first, so that whoever sees a new series finds what is known of its target.
        for (target, labels) in self.tell {
            if let Some(status) = told(tx, target, labels, self.door, self.now)? {
                tx.put(&status)?;
            }
        }
        declared::keep(tx, &self.declared)?;
        let mut met = Vec::with_capacity(self.newcomers.len());
        for (newcomer, sender) in self.newcomers.iter().zip(self.senders) {
            let Newcomer { key, target, series, registers, .. } = newcomer;
            let id = if *registers {
                tx.admit_series(target, series)?.map_err(Some)
            } else {
                tx.known_series(target, series).ok_or(None)
            };
            met.push(Met { key: *key, id, sender });
        }
        let Settled { mut batch, mut histograms, mut exemplars, .. } = self.settled;
        let mut refused = Refused::default();
        for (place, at, value) in self.settled.of_newcomers {
            match met[place].id {
                Ok(id) => batch.push(id, at, value),
                Err(refusal) => refused.of(refusal).samples += 1,
            }
        }
        for (place, at, histogram) in self.settled.histograms_of_newcomers {
            match met[place].id {
                Ok(id) => histograms.push(id, at, histogram),
                Err(refusal) => refused.of(refusal).histograms += 1,
            }
        }
        let mut without_series = 0;
        for (place, exemplar) in self.settled.exemplars_of_newcomers {
            match met[place].id {
                Ok(id) => exemplars.push((id, exemplar)),
                Err(_) => without_series += 1,
            }
        }
        let appended = tx.append_samples(&batch)?;
        tx.append_histograms(&histograms)?;
        // After the samples: they may bring a series back that was removed.
        let mut exemplars = tx.append_exemplars(exemplars)?;
        exemplars.without_series += without_series;
        Ok(Written { met, refused, appended, exemplars })
    }
}

impl SentReceiver {
    /// Commits a body: its newcomers, its samples, and that its targets send. Answers how much was kept.
    ///
    /// # Errors
    /// When the store cannot be written, or what was known of a series was forgotten while the body was read.
    pub(super) async fn commit(
        &self,
        door: Door,
        mut body: Body,
        rejections: &mut Rejections,
    ) -> Result<Kept, SentError> {
        let now = self.clock.now();
        body.newcomers.iter_mut().for_each(|newcomer| self.known.typed(newcomer));
        let senders = self.known.senders_of(&body.newcomers);
        let mut settled = series::settle(&self.known, &mut body, now, rejections);
        if settled.forgotten > 0 {
            return Err(SentError::Busy(format!(
                "{} samples are of series that were forgotten while the body was read, since very many new ones came; send it again",
                settled.forgotten
            )));
        }
        let sending = body.newcomers.iter().zip(&senders).filter(|(newcomer, _)| newcomer.registers);
        settled.senders.extend(sending.map(|(_, sender)| sender.clone()));
        let (kept, untimely) = (settled.kept(), settled.untimely_exemplars);
        if kept == Kept::default() && untimely == 0 && body.newcomers.is_empty() && body.metadata.is_empty() {
            return Ok(kept);
        }
        // A sender that stands there twice is told once.
        let tell = settled.senders.iter().filter_map(|sender| sender.to_tell(now)).collect();
        let (declared, newcomers) = (body.metadata.clone(), body.newcomers);
        let writing = Writing { door, now, tell, declared, newcomers, senders, settled };
        let Written { met, refused, appended, exemplars } = self.store.write(move |tx| writing.write(tx)).await?;
        self.known.remember(met.into_iter().filter_map(|met| Some((met.key, met.id.ok()?, met.sender))));
        self.metadata.remember(body.metadata, now);
        self.metrics.exemplars.note(&exemplars, untimely);
        let kept = refused.told(kept, rejections);
        if appended.too_late > 0 {
            let told = || "a sample lies too far behind the newest one of its series".to_owned();
            rejections.note(Reason::TooLate, appended.too_late, told);
        }
        let samples = kept.samples - appended.too_late;
        let kept = Kept { samples, exemplars: exemplars.kept + exemplars.duplicates, ..kept };
        self.metrics.taken(door, kept.samples + kept.histograms, appended.duplicates, rejections);
        Ok(kept)
    }
}
