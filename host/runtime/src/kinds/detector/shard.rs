//! One shard of a watch: its groups, their last states, and the frames since then, from which it can be made again.

use super::live::Live;
use crate::{
    instance::CallError,
    plugin::{Plugin, Slot},
    runtime::Core,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_domain::{
    Failure,
    frame::{Frame, Group, GroupId, GroupState, Observation},
};

/// Values kept since the last states, at 8 bytes each and as much for the moments: two thirds of a megabyte per shard.
const MAX_VALUES_SINCE: usize = 40_000;

/// Calls kept since the last states, so that a repair replays few of them.
const MAX_CALLS_SINCE: usize = 64;

/// An instance is replaced after so many calls, so that a guest that leaks does not leak for ever.
const MAX_CALLS_PER_INSTANCE: u32 = 4_096;

/// Groups, states, and a guest watch that can be lost.
pub(super) struct Shard {
    pub(super) core: Arc<Core>,
    pub(super) slot: Arc<Slot>,
    pub(super) at_work: Option<(Arc<Plugin>, Option<Live>)>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// As of the last checkpoint.
    pub(super) states: BTreeMap<GroupId, Vec<u8>>,
    /// Batches observed since the checkpoint, oldest first.
    pub(super) since: Vec<Vec<Frame>>,
    values_since: usize,
    /// Observed since the checkpoint.
    changed: BTreeSet<GroupId>,
    /// Observed since the room last asked for states.
    unsaved: BTreeSet<GroupId>,
    /// Groups lost between calls, to be named in the next observation.
    pub(super) lost: Vec<(GroupId, Failure)>,
}

impl Shard {
    pub(super) fn new(core: Arc<Core>, slot: Arc<Slot>) -> Self {
        Self {
            core,
            slot,
            at_work: None,
            groups: BTreeMap::new(),
            states: BTreeMap::new(),
            since: Vec::new(),
            values_since: 0,
            changed: BTreeSet::new(),
            unsaved: BTreeSet::new(),
            lost: Vec::new(),
        }
    }

    /// Begins with groups that have states; answers those whose state was refused.
    pub(super) fn restore(&mut self, kept: Vec<(Group, GroupState)>) -> Result<Vec<(GroupId, Failure)>, Failure> {
        for (group, state) in kept {
            self.states.insert(group.id, state.state);
            self.groups.insert(group.id, group);
        }
        self.live()?;
        Ok(std::mem::take(&mut self.lost))
    }

    /// Groups that cannot join are named in the next observation; the others stand.
    pub(super) fn join(&mut self, groups: Vec<Group>, history: Vec<Frame>) -> Result<(), Failure> {
        let known: Vec<GroupId> =
            groups.iter().map(|group| group.id).filter(|group| self.groups.contains_key(group)).collect();
        if !known.is_empty() {
            // Joining again begins again.
            self.leave(known)?;
        }
        self.live()?;
        // What is at stake is saved first, so that a repair does not lose calls to a group that breaks while it learns.
        self.checkpoint()?;
        let mut waiting = vec![groups];
        let mut reported = false;
        while let Some(mut part) = waiting.pop() {
            let ids: BTreeSet<GroupId> = part.iter().map(|group| group.id).collect();
            let learned: Vec<Frame> = history.iter().filter(|frame| ids.contains(&frame.group)).cloned().collect();
            let error = match self.try_join(&part, &learned) {
                Ok(()) => continue,
                Err(error) => error,
            };
            let failure = self.after_error(&error, &mut reported)?;
            if part.len() == 1 {
                self.lost.extend(part.into_iter().map(|group| (group.id, failure.clone())));
            } else {
                waiting.push(part.split_off(part.len() / 2));
                waiting.push(part);
            }
        }
        Ok(())
    }

    /// Joins and takes the states at once, so that history need not be kept.
    fn try_join(&mut self, groups: &[Group], history: &[Frame]) -> Result<(), CallError> {
        let (plugin, live) = self.live_or_broken()?;
        live.join(&groups.iter().collect::<Vec<_>>(), history)?;
        let joined: BTreeMap<GroupId, Group> = groups.iter().map(|group| (group.id, group.clone())).collect();
        let ids: Vec<GroupId> = joined.keys().copied().collect();
        let states = if ids.is_empty() { Vec::new() } else { live.snapshot(&plugin, &ids, &joined)? };
        self.unsaved.extend(ids);
        self.groups.extend(joined);
        self.states.extend(states.into_iter().map(|state| (state.group, state.state)));
        Ok(())
    }

    /// A guest that fails at this is made again without the groups.
    pub(super) fn leave(&mut self, groups: Vec<GroupId>) -> Result<(), Failure> {
        let leaving: Vec<GroupId> = groups.into_iter().filter(|group| self.groups.contains_key(group)).collect();
        if leaving.is_empty() {
            return Ok(());
        }
        leaving.iter().for_each(|group| self.forget(*group));
        let outcome = match &mut self.at_work {
            Some((_, Some(live))) => live.leave(&leaving),
            _ => return Ok(()),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => self.after_error(&error, &mut false).map(|_| ()),
        }
    }

    pub(super) fn observe(&mut self, frames: Vec<Frame>) -> Result<Observation, Failure> {
        self.live()?;
        let mut seen = Observation::default();
        let (known, unknown): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|frame| self.groups.contains_key(&frame.group));
        seen.failed.append(&mut self.lost);
        let named: BTreeSet<GroupId> = seen.failed.iter().map(|(group, _)| *group).collect();
        let strangers: BTreeSet<GroupId> =
            unknown.iter().map(|frame| frame.group).filter(|group| !named.contains(group)).collect();
        seen.failed.extend(strangers.into_iter().map(|group| (group, super::not_joined(self.slot.name(), group))));
        if !known.is_empty() {
            self.observe_or_repair(known, &mut seen)?;
        }
        // What broke the contract has no place in the watch any more.
        let breached: Vec<GroupId> =
            seen.failed.iter().map(|(group, _)| *group).filter(|group| self.groups.contains_key(group)).collect();
        if !breached.is_empty() {
            if let Some((_, failure)) = seen.failed.last() {
                self.slot.note_failure(failure);
            }
            self.leave(breached)?;
        }
        self.keep_repairable()?;
        self.slot.went_well(self.core.now());
        Ok(seen)
    }

    /// States of what was observed or joined since the last call of this.
    pub(super) fn snapshot(&mut self) -> Result<Vec<GroupState>, Failure> {
        self.live()?;
        self.checkpoint()?;
        let unsaved = std::mem::take(&mut self.unsaved);
        Ok(unsaved
            .into_iter()
            .filter_map(|group| Some(GroupState { group, state: self.states.get(&group)?.clone() }))
            .collect())
    }

    /// Takes the states of what changed, after which the frames before are no longer needed.
    pub(super) fn checkpoint(&mut self) -> Result<(), Failure> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let wanted: Vec<GroupId> = self.changed.iter().copied().collect();
        let outcome = match &mut self.at_work {
            Some((plugin, Some(live))) => live.snapshot(plugin, &wanted, &self.groups),
            _ => return Ok(()),
        };
        match outcome {
            Ok(states) => {
                self.states.extend(states.into_iter().map(|state| (state.group, state.state)));
            }
            Err(CallError::Answered(failure)) => {
                // The frames cannot be kept for ever: what is lost on a trap is then more than it should be, and said.
                self.slot.note_failure(&failure);
            }
            Err(error) => {
                self.after_error(&error, &mut false)?;
                return Ok(());
            }
        }
        self.changed.clear();
        self.since.clear();
        self.values_since = 0;
        Ok(())
    }

    /// Remembers a batch that went well.
    pub(super) fn remember(&mut self, frames: Vec<Frame>) {
        for frame in &frames {
            self.values_since += frame.value.len();
            self.changed.insert(frame.group);
            self.unsaved.insert(frame.group);
        }
        self.since.push(frames);
    }

    /// A group that is gone is not replayed either.
    pub(super) fn forget(&mut self, group: GroupId) {
        self.groups.remove(&group);
        self.states.remove(&group);
        self.changed.remove(&group);
        self.unsaved.remove(&group);
        for batch in &mut self.since {
            batch.retain(|frame| frame.group != group);
        }
        self.since.retain(|batch| !batch.is_empty());
    }

    fn keep_repairable(&mut self) -> Result<(), Failure> {
        if self.since.len() >= MAX_CALLS_SINCE || self.values_since >= MAX_VALUES_SINCE {
            self.checkpoint()?;
        }
        let worn = matches!(&self.at_work, Some((_, Some(live))) if live.instance.is_worn(MAX_CALLS_PER_INSTANCE));
        if worn {
            self.checkpoint()?;
            self.slot.usage().count_recycled();
            self.make_again()?;
        }
        Ok(())
    }
}
