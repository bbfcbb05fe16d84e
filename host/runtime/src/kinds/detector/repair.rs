//! How a shard comes back after a trap, a timeout, a swap or wear: a new instance, the last states, and the frames since
//! then with their findings muted; and how the group that breaks it is found by halving and left out.

use super::{live::Live, shard::Shard};
use crate::{instance::CallError, plugin::Plugin};
use std::{collections::BTreeSet, sync::Arc};
use tandem_domain::{
    Failure, FailureCode,
    frame::{Frame, GroupId, Observation},
};

/// Groups looked for one by one in a batch that breaks. A plugin that breaks on more is broken itself.
const MAX_CULPRITS_PER_CALL: usize = 8;

impl Shard {
    /// The watch at work, made when there is none, moved when its plugin was swapped.
    pub(super) fn live(&mut self) -> Result<(), Failure> {
        let current = self.slot.admitted(self.core.now())?;
        let same = matches!(&self.at_work, Some((plugin, _)) if plugin.live_digest == current.live_digest);
        if !same {
            // The old version says where it stands, as long as it can.
            self.checkpoint()?;
            self.at_work = Some((current, None));
        }
        match &self.at_work {
            Some((_, Some(_))) => Ok(()),
            _ => self.make_again(),
        }
    }

    pub(super) fn live_or_broken(&mut self) -> Result<(Arc<Plugin>, &mut Live), CallError> {
        match &mut self.at_work {
            Some((plugin, Some(live))) => Ok((plugin.clone(), live)),
            _ => Err(CallError::Answered(Failure::passing(
                FailureCode::Unreachable,
                format!("plugin {}: its instance is gone and is being made again", self.slot.name()),
            ))),
        }
    }

    fn try_observe(&mut self, frames: &[Frame]) -> Result<Observation, CallError> {
        match &mut self.at_work {
            Some((plugin, Some(live))) => live.observe(plugin, frames, &self.groups),
            _ => self.live_or_broken().map(|_| Observation::default()),
        }
    }

    /// Observes; after an error the shard is made again, the batch is tried once more and then halved until the groups
    /// that break it are found, left out and named.
    pub(super) fn observe_or_repair(&mut self, frames: Vec<Frame>, seen: &mut Observation) -> Result<(), Failure> {
        let mut reported = false;
        let mut culprits = 0;
        let mut first = true;
        let mut waiting = vec![frames];
        while let Some(part) = waiting.pop() {
            let error = match self.try_observe(&part) {
                Ok(observed) => {
                    seen.scores.extend(observed.scores);
                    seen.faults.extend(observed.faults);
                    seen.failed.extend(observed.failed);
                    self.remember(part);
                    continue;
                }
                Err(error) => error,
            };
            let groups: BTreeSet<GroupId> = part.iter().map(|frame| frame.group).collect();
            let again = std::mem::take(&mut first) && matches!(error, CallError::Broke(_));
            let leave_out = !again && (groups.len() == 1 || culprits >= MAX_CULPRITS_PER_CALL);
            if leave_out {
                culprits += 1;
                groups.iter().for_each(|group| self.forget(*group));
                seen.failed.extend(groups.iter().map(|group| (*group, left_out(error.failure()))));
            }
            self.after_error(&error, &mut reported)?;
            // Groups that were lost in the repair are no longer there to be observed.
            seen.failed.append(&mut self.lost);
            if leave_out {
                continue;
            }
            let part: Vec<Frame> = part.into_iter().filter(|frame| self.groups.contains_key(&frame.group)).collect();
            if again {
                waiting.push(part);
            } else {
                let middle: Vec<GroupId> = groups.into_iter().collect();
                let (low, high): (Vec<_>, Vec<_>) =
                    part.into_iter().partition(|frame| frame.group < middle[middle.len() / 2]);
                waiting.extend([high, low].into_iter().filter(|half| !half.is_empty()));
            }
        }
        Ok(())
    }

    /// Tells the supervisor once per call, and makes the shard again. The instance may be good after an answered failure,
    /// but its state is not known, so it is made again all the same.
    pub(super) fn after_error(&mut self, error: &CallError, reported: &mut bool) -> Result<Failure, Failure> {
        let failure = error.failure().clone();
        match error {
            CallError::Answered(_) => self.slot.note_failure(&failure),
            CallError::Broke(_) if !std::mem::replace(reported, true) => {
                if let Some((plugin, _)) = &self.at_work {
                    self.slot.broke(plugin, &failure, self.core.now(), self.core.chance(), true);
                }
            }
            CallError::Broke(_) => {}
        }
        self.make_again()?;
        Ok(failure)
    }

    /// A new instance from the last states, with the frames since then replayed and their findings muted.
    pub(super) fn make_again(&mut self) -> Result<(), Failure> {
        let Some((plugin, live)) = &mut self.at_work else { return Ok(()) };
        let plugin = plugin.clone();
        // The old instance gives its memory back before the new one asks for its own.
        *live = None;
        let stateless: Vec<GroupId> =
            self.groups.keys().copied().filter(|group| !self.states.contains_key(group)).collect();
        for group in stateless {
            self.forget(group);
            self.lost.push((group, no_state(self.slot.name(), group)));
        }
        let kept: Vec<_> =
            self.groups.values().filter_map(|group| Some((group, self.states.get(&group.id)?.as_slice()))).collect();
        let (restored, refused) =
            Live::restore(&self.core, &plugin, &kept).map_err(|error| self.gone(&plugin, error))?;
        for (group, failure) in refused {
            self.forget(group);
            self.lost.push((group, failure));
        }
        self.at_work = Some((plugin.clone(), Some(restored)));
        if self.replay().is_err() {
            // What is in the frames broke it now though it did not before: go on from the states, with a gap.
            tracing::warn!(plugin = %self.slot.name(), "a detector broke on frames it had taken before; its state goes back to the last snapshot");
            self.since.clear();
            let kept: Vec<_> = self
                .groups
                .values()
                .filter_map(|group| Some((group, self.states.get(&group.id)?.as_slice())))
                .collect();
            let (restored, _) = Live::restore(&self.core, &plugin, &kept).map_err(|error| self.gone(&plugin, error))?;
            self.at_work = Some((plugin, Some(restored)));
        }
        Ok(())
    }

    fn replay(&mut self) -> Result<(), CallError> {
        let since = std::mem::take(&mut self.since);
        let outcome = since.iter().try_for_each(|batch| self.try_observe(batch).map(|_| ()));
        self.since = since;
        outcome
    }

    /// Not even a fresh instance works: the plugin waits.
    fn gone(&self, plugin: &Plugin, error: CallError) -> Failure {
        let failure = error.failure().clone();
        match error {
            CallError::Broke(_) => {
                self.slot.broke(plugin, &failure, self.core.now(), self.core.chance(), false);
            }
            CallError::Answered(_) => self.slot.note_failure(&failure),
        }
        failure
    }
}

fn left_out(failure: &Failure) -> Failure {
    Failure { message: format!("{}; this group is left out until it joins again", failure.message), ..failure.clone() }
}

fn no_state(plugin: &str, group: GroupId) -> Failure {
    Failure::passing(
        FailureCode::Internal,
        format!("plugin {plugin}: the state of group {} was lost with its instance; it must join again", group.0),
    )
}
