//! Opening from what was saved, saving, leaving, and groups that failed.

use super::{
    catalogue::Catalogue,
    driver::{Driver, Open, PassError},
    grouping::{GroupPlan, Grouping},
    outputs::{FindingMove, Motion, Outputs},
    tables::{ActiveFault, DetectorFailure, DetectorState, OpenFinding},
    watched::{Watched, WatchedGroups},
};
use crate::{
    map::topology::beginning_with,
    room::{Progress, backoff_millis, reading},
};
use std::collections::{HashMap, HashSet, VecDeque};
use tandem_domain::{
    Failure, Timestamp,
    finding::Finding,
    frame::{GroupId, GroupState},
};

/// Most states, open findings or faults of one detector.
const MAX_RECORDS: usize = 1_000_000;
/// States written in one transaction; each says how far it has read, so that they need not all be in one.
const STATES_PER_COMMIT: usize = 2_000;
/// First wait before a group that failed is tried again.
const BENCH_BASE_MILLIS: i64 = 10_000;
/// Longest such wait.
const BENCH_CAP_MILLIS: i64 = 3_600_000;

/// What was saved of a detector.
struct Saved {
    states: HashMap<String, DetectorState>,
    open_findings: Vec<OpenFinding>,
    active_faults: Vec<ActiveFault>,
    position: u64,
    written_through: u64,
}

impl Driver {
    async fn saved(&mut self) -> Result<Saved, PassError> {
        let (name, samples, written) = (self.plugin.name.clone(), self.samples_cursor(), self.written_cursor());
        let saved = reading(&self.store, move |read| {
            let states = read.scan::<DetectorState>(beginning_with(&name), MAX_RECORDS)?;
            let position = match read.cursor(&samples)? {
                // Never read before: what came earlier is history. (Where there are states, zero is where it began.)
                0 if states.is_empty() => read.samples_end()?,
                position => position,
            };
            Ok(Saved {
                states: states.into_iter().map(|state| (state.group.clone(), state)).collect(),
                open_findings: read.scan::<OpenFinding>(beginning_with(&name), MAX_RECORDS)?,
                active_faults: read.scan::<ActiveFault>(beginning_with(&name), MAX_RECORDS)?,
                position,
                written_through: read.cursor(&written)?.max(position),
            })
        });
        Ok(saved.await?)
    }

    /// Opens the watch: groups whose state was saved go on, others queue for joining.
    pub(super) async fn reopen(&mut self, catalogue: &Catalogue, now: Timestamp) -> Result<Open, PassError> {
        let mut saved = self.saved().await?;
        let mut grouping = Grouping::new(self.plugin.interests.clone());
        catalogue.iter().for_each(|(id, series)| grouping.update(id, Some(series)));
        let (mut groups, mut joins, mut restored) = (WatchedGroups::default(), VecDeque::new(), Vec::new());
        for plan in grouping.take_changes().wanted {
            match saved.states.remove(&plan.key) {
                Some(state) if state.definition == plan.definition => {
                    let id = groups.next_id();
                    let watched = Watched::restored(plan.clone(), &state);
                    restored.push((plan.group(id), GroupState { group: id, state: state.state }));
                    groups.insert(id, watched);
                }
                _ => joins.push_back(plan),
            }
        }
        let restored_states = restored.len();
        let opened = self.detectors.open(&self.plugin.name, restored).await?;
        self.metrics.restored.add((restored_states - opened.refused.len().min(restored_states)) as u64);
        self.metrics.refused.add(opened.refused.len() as u64);
        for (id, failure) in opened.refused {
            let Some(group) = groups.remove(id) else { continue };
            tracing::info!(plugin = self.plugin.name, group = group.plan.key, "learns afresh: {failure}");
            joins.push_back(group.plan);
        }
        let (samples, plugin, position) = (self.samples_cursor(), self.plugin.name.clone(), saved.position);
        let useless: Vec<String> = saved.states.into_keys().collect();
        self.store
            .write(move |tx| {
                useless.into_iter().try_for_each(|group| tx.remove::<DetectorState>(&(plugin.clone(), group)))?;
                tx.set_cursor(&samples, position)
            })
            .await?;
        self.benched.clear();
        let mut open = Open::new(opened.watch, groups, grouping, joins);
        open.position = saved.position;
        open.written_through = saved.written_through;
        open.open_findings = saved.open_findings.into_iter().map(|record| (record.group, record.finding)).collect();
        let faults = saved.active_faults.into_iter().map(|record| (record.change.source_key(), record.change));
        open.active_faults = faults.collect();
        open.save_at = now.plus_millis(self.config.snapshot_seconds as i64 * 1_000);
        Ok(open)
    }

    /// After the replay: findings that are open on one side only are closed. It happens where a state was refused, or a
    /// finding was closed for silence.
    pub(super) async fn reconcile(&mut self, now: Timestamp) -> Result<(), PassError> {
        let Some(open) = self.open.as_mut().filter(|open| !open.reconciled) else { return Ok(()) };
        open.reconciled = true;
        let mut living: HashSet<String> = HashSet::new();
        for (_, group) in open.groups.iter_mut().filter(|(_, group)| group.tracker.open().is_some()) {
            if open.open_findings.contains_key(&group.plan.key) {
                living.insert(group.plan.key.clone());
            } else {
                group.tracker.close();
            }
        }
        let orphans: Vec<String> = open.open_findings.keys().filter(|key| !living.contains(*key)).cloned().collect();
        let outputs = Outputs { findings: self.closings(orphans, now)?, faults: Vec::new() };
        self.write(outputs).await
    }

    /// Closings of open findings as they were last written.
    fn closings(&self, groups: Vec<String>, now: Timestamp) -> Result<Vec<FindingMove>, PassError> {
        let Some(open) = &self.open else { return Ok(Vec::new()) };
        let read = self.store.read()?;
        let mut closings = Vec::new();
        for group in groups {
            let Some(id) = open.open_findings.get(&group) else { continue };
            let Some(finding) = read.get::<Finding>(id)? else { continue };
            let finding = Finding { ended_at: Some(now), ..finding };
            closings.push(FindingMove { group, motion: Motion::Closed, finding });
        }
        Ok(closings)
    }

    /// Groups are watched no more: their states are forgotten, their findings and faults end.
    pub(super) async fn leave(&mut self, keys: Vec<String>, now: Timestamp) -> Result<(), PassError> {
        let findings = self.closings(keys.clone(), now)?;
        let Some(open) = &mut self.open else { return Ok(()) };
        let gone: HashSet<&String> = keys.iter().collect();
        open.joins.retain(|plan| !gone.contains(&plan.key) || open.groups.id_of(&plan.key).is_some());
        let ids: Vec<GroupId> = keys.iter().filter_map(|key| open.groups.id_of(key)).collect();
        ids.iter().for_each(|id| drop(open.groups.remove(*id)));
        keys.iter().for_each(|key| drop(self.benched.remove(key)));
        open.orphans_sought = false;
        if !ids.is_empty() {
            open.watch.leave(ids).await?;
        }
        self.write(Outputs { findings, faults: Vec::new() }).await?;
        let plugin = self.plugin.name.clone();
        self.store
            .write(move |tx| {
                for key in keys {
                    tx.remove::<DetectorState>(&(plugin.clone(), key.clone()))?;
                    tx.remove::<DetectorFailure>(&(plugin.clone(), key))?;
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// Saves what was learned when its time has come.
    pub(super) async fn save_when_due(&mut self, now: Timestamp) -> Result<Progress, PassError> {
        let next = self.next_save_at(now);
        let Some(open) = &mut self.open else { return Ok(Progress::default()) };
        if !open.anything_new {
            open.save_at = next;
            return Ok(Progress::default());
        }
        if now < open.save_at {
            return Ok(Progress { wake_at: Some(open.save_at), ..Progress::default() });
        }
        open.save_at = next;
        self.save().await?;
        Ok(Progress { worked: true, ..Progress::default() })
    }

    /// Saves what was learned since the last time.
    pub(super) async fn save(&mut self) -> Result<(), PassError> {
        let (samples, written) = (self.samples_cursor(), self.written_cursor());
        let Some(open) = &mut self.open else { return Ok(()) };
        let states = open.watch.snapshot().await?;
        let mut learned: HashMap<GroupId, Vec<u8>> =
            states.into_iter().map(|state| (state.group, state.state)).collect();
        let position = open.position;
        let mut records: Vec<(DetectorState, bool)> = Vec::new();
        for (id, group) in open.groups.iter_mut() {
            let state = learned.remove(&id);
            if !group.dirty && state.is_none() {
                continue;
            }
            group.dirty = false;
            let has_state = state.is_some();
            let record = DetectorState {
                plugin: self.plugin.name.clone(),
                group: group.plan.key.clone(),
                definition: group.plan.definition.clone(),
                digest: self.plugin.digest.clone(),
                state: state.unwrap_or_default(),
                through: position.max(group.through),
                last_at: group.last_at,
                tracker: group.tracker.clone(),
                aligner: group.aligner.clone(),
            };
            records.push((record, has_state));
        }
        open.anything_new = false;
        // In the order of their keys: of 90,000 states each commit rewrites its own pages then, and not nearly all of them.
        records.sort_unstable_by(|(one, _), (other, _)| one.group.cmp(&other.group));
        let saved = records.len() as u64;
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let part: Vec<_> = records.by_ref().take(STATES_PER_COMMIT).collect();
            self.store
                .write(move |tx| {
                    for (mut record, has_state) in part {
                        if !has_state {
                            // Only what the host knows changed; the detector's own state is the one saved before.
                            let key = (record.plugin.clone(), record.group.clone());
                            let Some(before) = tx.get::<DetectorState>(&key)? else { continue };
                            record.state = before.state;
                        }
                        tx.put(&record)?;
                    }
                    Ok(())
                })
                .await?;
        }
        self.store
            .write(move |tx| {
                tx.set_cursor(&samples, position)?;
                tx.set_cursor(&written, position)
            })
            .await?;
        // Only now: what is counted as saved is there after a power cut.
        self.metrics.saved.add(saved);
        if let Some(open) = &mut self.open {
            open.written_through = open.written_through.max(position);
        }
        Ok(())
    }

    /// Groups that could not be observed are left out, noted, and tried again later.
    pub(super) async fn bench(&mut self, failed: Vec<(GroupId, Failure)>, now: Timestamp) -> Result<(), PassError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut plans = Vec::new();
        for (id, failure) in failed {
            plans.extend(open.groups.remove(id).map(|group| (group.plan, failure)));
        }
        if open.reconciled && !plans.is_empty() {
            let findings = self.closings(plans.iter().map(|(plan, _)| plan.key.clone()).collect(), now)?;
            self.write(Outputs { findings, faults: Vec::new() }).await?;
        }
        self.bench_plans(plans, now).await
    }

    async fn bench_plans(&mut self, plans: Vec<(GroupPlan, Failure)>, now: Timestamp) -> Result<(), PassError> {
        if plans.is_empty() {
            return Ok(());
        }
        let mut records = Vec::new();
        for (plan, failure) in plans {
            tracing::warn!(plugin = self.plugin.name, group = plan.key, "a group is left out for a while: {failure}");
            let failures = self.benched.get(&plan.key).map_or(0, |(_, earlier)| earlier.failures).saturating_add(1);
            let retry_at = now.plus_millis(backoff_millis(failures, BENCH_BASE_MILLIS, BENCH_CAP_MILLIS));
            let record = self.failure(plan.key.clone(), failure, failures, now, retry_at);
            self.benched.insert(plan.key.clone(), (Some(plan), record.clone()));
            records.push(record);
        }
        self.store
            .write(move |tx| {
                for record in records {
                    tx.remove::<DetectorState>(&(record.plugin.clone(), record.group.clone()))?;
                    tx.put(&record)?;
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// Groups that were observed again after a failure are in order.
    pub(super) async fn unbench(&mut self, observed: Vec<GroupId>) -> Result<(), PassError> {
        if self.benched.is_empty() {
            return Ok(());
        }
        let Some(open) = &self.open else { return Ok(()) };
        let keys: Vec<String> = observed
            .into_iter()
            .filter_map(|id| open.groups.get(id))
            .map(|group| group.plan.key.clone())
            .filter(|key| self.benched.remove(key).is_some())
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let plugin = self.plugin.name.clone();
        let written = self
            .store
            .write(move |tx| keys.into_iter().try_for_each(|key| tx.remove::<DetectorFailure>(&(plugin.clone(), key))));
        Ok(written.await?)
    }

    /// Puts groups back into the queue whose wait is over.
    pub(super) fn queue_benched(&mut self, now: Timestamp) -> Progress {
        let mut progress = Progress::default();
        let Some(open) = &mut self.open else { return progress };
        for (plan, record) in self.benched.values_mut() {
            if record.retry_at <= now {
                open.joins.extend(plan.take());
            } else if plan.is_some() {
                progress.wake(record.retry_at);
            }
        }
        progress
    }

    /// A joining that failed is tried again in halves, until the group that breaks it is alone and left out.
    pub(super) async fn halve_or_bench(
        &mut self,
        joining: Vec<(GroupId, Watched)>,
        failure: Failure,
        now: Timestamp,
    ) -> Result<(), PassError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if joining.len() > 1 {
            open.groups_per_join = joining.len() / 2;
            joining.into_iter().rev().for_each(|(_, group)| open.joins.push_front(group.plan));
            return Ok(());
        }
        let plans = joining.into_iter().map(|(_, group)| (group.plan, failure.clone())).collect();
        self.bench_plans(plans, now).await
    }

    /// Saves what was learned, for a shutdown.
    pub async fn close(&mut self) {
        if self.open.as_ref().is_some_and(|open| open.reconciled && open.anything_new)
            && let Err(error) = self.save().await
        {
            tracing::warn!(plugin = self.plugin.name, "what was learned last could not be saved: {error}");
        }
    }

    /// Saves what was learned if that can be, and closes the watch.
    pub(super) async fn suspend(&mut self) {
        self.close().await;
        self.open = None;
    }

    /// Lets go of the samples that were kept for this detector, because it is gone.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(super) async fn release(&mut self) -> Result<(), PassError> {
        self.open = None;
        let cursor = self.samples_cursor();
        Ok(self.store.write(move |tx| tx.remove_cursor(&cursor)).await?)
    }
}
