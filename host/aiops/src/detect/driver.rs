//! One detector under way: its watch, opened from what was saved, fed with samples, its answers written down.
//!
//! Exactly once over crashes: what was learned is saved with how far it had read; after a restart the samples since then are
//! observed again, with answers thrown away up to where answers were already written, and written from there on.

use super::{
    catalogue::Catalogue,
    config::DetectConfig,
    grouping::{GroupPlan, Grouping},
    metrics::DetectorMetrics,
    outputs::{self, FindingMove, Motion, Outputs},
    rules::snapshot_interval_millis,
    tables::DetectorFailure,
    watched::{Watched, WatchedGroups},
};
use crate::{
    room::{Progress, RoomError, backoff_millis},
    signal::FaultChange,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};
use tandem_domain::{
    Failure, Timestamp,
    frame::{Frame, GroupId, Observation},
    ports::{Detectors, LivePlugin, Watch},
    series::SeriesId,
};
use tandem_store::{ReadError, Store, WriteError};

/// Samples observed in one pass: half a second of a busy server's, some milliseconds of a detector's time.
const SAMPLES_PER_PASS: usize = 20_000;
/// Groups that join in one call.
const GROUPS_PER_JOIN: usize = 256;
/// Points of history given in one call, so that the call stays within a guest's memory.
const POINTS_PER_JOIN: usize = 500_000;
/// After groups joined, the first saving comes this soon: what they learned from history shall survive a crash.
const SAVE_AFTER_JOIN_MILLIS: i64 = 2_000;
/// First wait before a watch is opened again or a group is tried again.
const RETRY_BASE_MILLIS: i64 = 1_000;
/// Longest such wait.
const RETRY_CAP_MILLIS: i64 = 300_000;
/// How often findings of silent series are looked for.
const SILENCE_EVERY_MILLIS: i64 = 30_000;

/// Why a pass of one detector stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassError {
    /// The detector could not be called.
    #[error("{0}")]
    Guest(#[from] Failure),
    /// The store.
    #[error("{0}")]
    Room(#[from] RoomError),
}

impl From<ReadError> for PassError {
    fn from(error: ReadError) -> Self {
        PassError::Room(error.into())
    }
}

impl From<WriteError> for PassError {
    fn from(error: WriteError) -> Self {
        PassError::Room(error.into())
    }
}

/// A watch that is open.
pub(super) struct Open {
    pub(super) watch: Box<dyn Watch>,
    pub(super) groups: WatchedGroups,
    pub(super) grouping: Grouping,
    pub(super) joins: VecDeque<GroupPlan>,
    /// Samples up to here are observed.
    pub(super) position: u64,
    /// Answers up to here are written.
    pub(super) written_through: u64,
    pub(super) open_findings: BTreeMap<String, u64>,
    pub(super) active_faults: BTreeMap<String, FaultChange>,
    /// Whether what was saved has been compared with what is.
    pub(super) reconciled: bool,
    pub(super) orphans_sought: bool,
    pub(super) save_at: Timestamp,
    pub(super) anything_new: bool,
    pub(super) groups_per_join: usize,
    next_silence_at: Timestamp,
}

/// One detector.
pub struct Driver {
    pub(super) store: Store,
    pub(super) detectors: Arc<dyn Detectors>,
    pub(super) plugin: LivePlugin,
    pub(super) config: DetectConfig,
    pub(super) metrics: Arc<DetectorMetrics>,
    pub(super) open: Option<Open>,
    /// Groups that failed, and what they were.
    pub(super) benched: BTreeMap<String, (Option<GroupPlan>, DetectorFailure)>,
    open_failures: u32,
    reopen_at: Timestamp,
}

impl Driver {
    /// A detector that is not open yet.
    pub fn new(
        store: Store,
        detectors: Arc<dyn Detectors>,
        plugin: LivePlugin,
        config: DetectConfig,
        metrics: Arc<DetectorMetrics>,
    ) -> Self {
        Self {
            store,
            detectors,
            plugin,
            config,
            metrics,
            open: None,
            benched: BTreeMap::new(),
            open_failures: 0,
            reopen_at: Timestamp::MIN,
        }
    }

    /// Which plugin, at which digest.
    pub fn plugin(&self) -> &LivePlugin {
        &self.plugin
    }

    /// The reader whose samples are kept from being trimmed.
    pub(super) fn samples_cursor(&self) -> String {
        format!("samples/detect/{}", self.plugin.name)
    }

    /// How far answers are written.
    pub(super) fn written_cursor(&self) -> String {
        format!("detect/written/{}", self.plugin.name)
    }

    /// One bounded pass. `changed` are the series whose meaning changed since the last.
    ///
    /// # Errors
    /// When the store fails. A failing detector is noted, and opened again later.
    pub async fn step(
        &mut self,
        catalogue: &Catalogue,
        changed: &[SeriesId],
        now: Timestamp,
    ) -> Result<Progress, RoomError> {
        match self.pass(catalogue, changed, now).await {
            Ok(progress) => Ok(progress),
            Err(PassError::Guest(failure)) => {
                self.open = None;
                self.open_failures = self.open_failures.saturating_add(1);
                self.reopen_at =
                    now.plus_millis(backoff_millis(self.open_failures, RETRY_BASE_MILLIS, RETRY_CAP_MILLIS));
                tracing::warn!(plugin = self.plugin.name, "the watch is given up and will be opened again: {failure}");
                let record = self.failure(String::new(), failure, self.open_failures, now, self.reopen_at);
                self.store.write(move |tx| tx.put(&record)).await?;
                Ok(Progress { worked: true, more: false, wake_at: Some(self.reopen_at) })
            }
            Err(PassError::Room(error)) => {
                // What was observed may not be written: it is observed again from what was saved.
                self.open = None;
                Err(error)
            }
        }
    }

    pub(super) fn failure(
        &self,
        group: String,
        failure: Failure,
        failures: u32,
        at: Timestamp,
        retry_at: Timestamp,
    ) -> DetectorFailure {
        DetectorFailure { plugin: self.plugin.name.clone(), group, failure, at, failures, retry_at }
    }

    async fn pass(
        &mut self,
        catalogue: &Catalogue,
        changed: &[SeriesId],
        now: Timestamp,
    ) -> Result<Progress, PassError> {
        let mut progress = Progress::default();
        if self.open.is_none() {
            if now < self.reopen_at {
                progress.wake(self.reopen_at);
                return Ok(progress);
            }
            let opened = self.reopen(catalogue, now).await?;
            self.open = Some(opened);
            self.metrics.opened.add(1);
            progress.worked = true;
        } else if let Some(open) = &mut self.open {
            changed.iter().for_each(|id| open.grouping.update(*id, catalogue.get(*id)));
        }
        progress = progress.and(self.observe_samples(now).await?);
        if self.is_replaying() {
            progress.more = true;
            return Ok(progress);
        }
        self.reconcile(now).await?;
        progress = progress.and(self.regroup(now).await?);
        progress = progress.and(self.join_some(now).await?);
        self.settle(now).await?;
        progress = progress.and(self.save_when_due(now).await?);
        if let Some(open) = &self.open {
            self.metrics.groups.set(open.groups.len() as u64);
            self.metrics.benched.set(self.benched.len() as u64);
        }
        if self.open_failures > 0 {
            self.open_failures = 0;
            let key = (self.plugin.name.clone(), String::new());
            self.store.write(move |tx| tx.remove::<DetectorFailure>(&key)).await?;
        }
        Ok(progress)
    }

    fn is_replaying(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.position < open.written_through)
    }

    /// Observes samples that are new, or that were observed before a restart and are observed again.
    async fn observe_samples(&mut self, now: Timestamp) -> Result<Progress, PassError> {
        let Some(open) = &mut self.open else { return Ok(Progress::default()) };
        let (mut batches, end) = {
            let read = self.store.read()?;
            (read.samples_after(open.position, SAMPLES_PER_PASS)?, read.samples_end()?)
        };
        let replaying = open.position < open.written_through;
        if replaying {
            batches.retain(|(sequence, _)| *sequence <= open.written_through);
        }
        let Some(through) = batches.last().map(|(sequence, _)| *sequence) else {
            if replaying {
                // They were trimmed: what is not there cannot be observed again.
                open.position = open.written_through;
            }
            return Ok(Progress::default());
        };
        let frames = open.groups.frames(&batches, now);
        self.metrics.samples.add(batches.iter().map(|(_, batch)| batch.len() as u64).sum());
        self.metrics.lag_batches.set(end.saturating_sub(through));
        open.anything_new = true;
        open.position = through;
        self.observe(frames, replaying, now).await?;
        Ok(Progress { worked: true, more: end > through, wake_at: None })
    }

    /// Lets the detector observe frames, and writes what it answers unless that was written before.
    pub(super) async fn observe(&mut self, frames: Vec<Frame>, muted: bool, now: Timestamp) -> Result<(), PassError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if frames.is_empty() {
            return Ok(());
        }
        let by_group: HashMap<GroupId, Frame> = frames.iter().map(|frame| (frame.group, frame.clone())).collect();
        let observation = open.watch.observe(frames).await?;
        let failed: Vec<(GroupId, Failure)> = observation.failed.clone();
        let outputs = self.outputs_of(observation, &by_group, now)?;
        if !muted {
            self.write(outputs).await?;
        }
        self.bench(failed, now).await?;
        self.unbench(by_group.keys().copied().collect()).await?;
        Ok(())
    }

    fn outputs_of(
        &mut self,
        observation: Observation,
        frames: &HashMap<GroupId, Frame>,
        now: Timestamp,
    ) -> Result<Outputs, PassError> {
        let Some(open) = &mut self.open else { return Ok(Outputs::default()) };
        let mut outputs = Outputs::default();
        for scores in &observation.scores {
            let fits = outputs::take_scores(&self.plugin, &mut open.groups, frames, scores, &self.config, &mut outputs);
            self.metrics.unusable.add(u64::from(!fits));
        }
        let read = self.store.read()?;
        let mut raised: HashSet<String> = HashSet::new();
        for fault in observation.faults {
            let Some(change) = outputs::fault_change(&self.plugin.name, &open.groups, &read, fault)? else {
                self.metrics.unusable.add(1);
                continue;
            };
            let key = change.source_key();
            let was_active = open.active_faults.contains_key(&key);
            if change.active {
                raised.insert(key.clone());
                open.active_faults.insert(key, change.clone());
            } else {
                open.active_faults.remove(&key);
            }
            if was_active != change.active {
                outputs.faults.push(change);
            }
        }
        outputs.faults.extend(settle_fresh(open, frames, &raised, now));
        Ok(outputs)
    }

    /// Writes outputs with how far they stand for.
    pub(super) async fn write(&mut self, outputs: Outputs) -> Result<(), PassError> {
        let cursor_name = self.written_cursor();
        let Some(open) = &mut self.open else { return Ok(()) };
        if outputs.is_empty() {
            return Ok(());
        }
        self.metrics.faults.add(outputs.faults.len() as u64);
        let opened = outputs.findings.iter().filter(|moved| moved.motion == Motion::Opened).count();
        self.metrics.findings.add(opened as u64);
        let cursor = (cursor_name, open.position);
        let findings = std::mem::take(&mut open.open_findings);
        open.open_findings = outputs::write(&self.store, &self.plugin.name, outputs, findings, cursor).await?;
        open.written_through = open.written_through.max(open.position);
        Ok(())
    }

    /// Groups that are no more leave, others queue for joining.
    async fn regroup(&mut self, now: Timestamp) -> Result<Progress, PassError> {
        let Some(open) = &mut self.open else { return Ok(Progress::default()) };
        let change = open.grouping.take_changes();
        let mut leaving: Vec<String> = change.gone;
        for plan in change.wanted {
            let same = open.groups.id_of(&plan.key).and_then(|id| open.groups.get_mut(id));
            match same {
                // Only whose it is can have changed.
                Some(group) if group.plan.definition == plan.definition => group.plan = plan,
                other => {
                    if other.is_some() {
                        leaving.push(plan.key.clone());
                    }
                    self.benched.remove(&plan.key);
                    open.joins.retain(|queued| queued.key != plan.key);
                    open.joins.push_back(plan);
                }
            }
        }
        if !leaving.is_empty() {
            self.leave(leaving, now).await?;
        }
        let more = self.open.as_ref().is_some_and(|open| !open.joins.is_empty());
        Ok(Progress { worked: more, more, wake_at: None })
    }

    /// The next part of the queue joins with its history; the last row is observed at once.
    async fn join_some(&mut self, now: Timestamp) -> Result<Progress, PassError> {
        let mut progress = self.queue_benched(now);
        let Some(open) = &mut self.open else { return Ok(progress) };
        let (mut joining, mut groups, mut history, mut observed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut points = 0;
        let read = self.store.read()?;
        while groups.len() < open.groups_per_join && points < POINTS_PER_JOIN {
            let Some(plan) = open.joins.pop_front() else { break };
            let id = open.groups.next_id();
            groups.push(plan.group(id));
            let mut watched = Watched::fresh(plan, self.config.align_seconds as i64 * 1_000);
            let (learned, last) = watched.read_history(&read, id, now)?;
            points += learned.as_ref().map_or(0, |frame| frame.value.len());
            history.extend(learned);
            observed.extend(last);
            joining.push((id, watched));
        }
        drop(read);
        if groups.is_empty() {
            return Ok(progress);
        }
        let ids: Vec<GroupId> = groups.iter().map(|group| group.id).collect();
        if let Err(failure) = open.watch.join(groups, history).await {
            if failure.retry {
                return Err(failure.into());
            }
            let _ = open.watch.leave(ids).await;
            self.halve_or_bench(joining, failure, now).await?;
            return Ok(Progress { worked: true, more: true, wake_at: None });
        }
        joining.into_iter().for_each(|(id, watched)| open.groups.insert(id, watched));
        open.groups_per_join = (open.groups_per_join * 2).min(GROUPS_PER_JOIN);
        open.anything_new = true;
        open.save_at = open.save_at.min(now.plus_millis(SAVE_AFTER_JOIN_MILLIS));
        open.orphans_sought = false;
        let more = !open.joins.is_empty();
        self.observe(observed, false, now).await?;
        progress.worked = true;
        progress.more |= more;
        Ok(progress)
    }

    /// Ends findings of series that say nothing any more, and faults of series that are nobody's any more.
    async fn settle(&mut self, now: Timestamp) -> Result<(), PassError> {
        let silence = self.config.silence_seconds as i64 * 1_000;
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut outputs = Outputs::default();
        if now >= open.next_silence_at {
            open.next_silence_at = now.plus_millis(SILENCE_EVERY_MILLIS);
            for key in open.open_findings.keys().cloned().collect::<Vec<_>>() {
                let Some(group) = open.groups.id_of(&key).and_then(|id| open.groups.get_mut(id)) else { continue };
                if group.tracker.last_at().is_some_and(|last| now.millis_since(last) <= silence) {
                    continue;
                }
                group.dirty = true;
                let Some(stretch) = group.tracker.close() else { continue };
                if let Some(finding) = outputs::finding_of(&self.plugin, group, &stretch, true) {
                    outputs.findings.push(FindingMove { group: key, motion: Motion::Closed, finding });
                }
            }
        }
        if !open.orphans_sought && open.joins.is_empty() {
            open.orphans_sought = true;
            let grouping = &open.grouping;
            let orphans: Vec<String> = open
                .active_faults
                .iter()
                .filter(|(_, change)| !grouping.has_series(change.series))
                .map(|(key, _)| key.clone())
                .collect();
            let ended = orphans.iter().filter_map(|key| open.active_faults.remove(key));
            outputs.faults.extend(ended.map(|begun| outputs::ended(&begun, now)));
        }
        self.write(outputs).await
    }

    /// Sets when learned state is to be saved next.
    pub(super) fn next_save_at(&self, now: Timestamp) -> Timestamp {
        let groups = self.open.as_ref().map_or(0, |open| open.groups.len());
        now.plus_millis(snapshot_interval_millis(self.config.snapshot_seconds, groups))
    }
}

/// Faults that a group had before it joined afresh, and that its first value does not raise again, are over.
fn settle_fresh(
    open: &mut Open,
    frames: &HashMap<GroupId, Frame>,
    raised: &HashSet<String>,
    now: Timestamp,
) -> Vec<FaultChange> {
    let mut ended = Vec::new();
    for (id, frame) in frames {
        let Some(group) = open.groups.get_mut(*id).filter(|group| group.unsettled) else { continue };
        if frame.value.iter().all(|value| value.is_nan()) {
            continue;
        }
        group.unsettled = false;
        if open.active_faults.is_empty() {
            continue;
        }
        let members: HashSet<SeriesId> = group.plan.members.iter().map(|member| member.meaning.series).collect();
        let over: Vec<String> = open
            .active_faults
            .iter()
            .filter(|(key, change)| members.contains(&change.series) && !raised.contains(*key))
            .map(|(key, _)| key.clone())
            .collect();
        ended.extend(
            over.iter().filter_map(|key| open.active_faults.remove(key)).map(|begun| outputs::ended(&begun, now)),
        );
    }
    ended
}

impl Open {
    /// A watch as it was just opened.
    pub(super) fn new(
        watch: Box<dyn Watch>,
        groups: WatchedGroups,
        grouping: Grouping,
        joins: VecDeque<GroupPlan>,
    ) -> Self {
        Self {
            watch,
            groups,
            grouping,
            joins,
            position: 0,
            written_through: 0,
            open_findings: BTreeMap::new(),
            active_faults: BTreeMap::new(),
            reconciled: false,
            orphans_sought: false,
            save_at: Timestamp::MAX,
            anything_new: false,
            groups_per_join: GROUPS_PER_JOIN,
            next_silence_at: Timestamp::MIN,
        }
    }
}
