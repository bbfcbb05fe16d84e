//! Detectors: watches sharded over instances, each shard repaired by itself.
//!
//! A group goes into the shard that watches the fewest series, and a further shard comes to be when all are full. The shards of
//! one call run side by side on the workers.

mod homes;
mod live;
mod repair;
mod shard;

use crate::{
    plugin::Slot,
    runtime::{Core, Runtime},
};
use homes::Homes;
use parking_lot::Mutex;
use shard::Shard;
use std::{collections::BTreeMap, sync::Arc};
use tandem_domain::{
    Failure, FailureCode,
    frame::{Frame, Group, GroupId, GroupState, Observation},
    plugin::PluginKind,
    ports::{BoxFuture, Detectors, LivePlugin, OpenedWatch, Watch},
};

pub(crate) use live::self_check;

/// Shards that there are from the start, so that few series are watched on all processors: more of them cost memory and save
/// nothing, since a shard handles some million points a second.
const MAX_FIRST_SHARDS: usize = 8;

impl Detectors for Runtime {
    fn detectors(&self) -> Vec<LivePlugin> {
        self.core().listed(PluginKind::Detector)
    }

    fn open<'a>(
        &'a self,
        plugin: &'a str,
        restored: Vec<(Group, GroupState)>,
    ) -> BoxFuture<'a, Result<OpenedWatch, Failure>> {
        Box::pin(async move {
            let core = self.core().clone();
            let slot = core.slot(plugin)?;
            let at_work = slot.admitted(core.now())?;
            if at_work.kind != PluginKind::Detector {
                return Err(core.wrong_kind(&at_work, PluginKind::Detector));
            }
            let count = core.workers.count().clamp(1, MAX_FIRST_SHARDS);
            let mut watch = ShardedWatch { core, slot, homes: Homes::new(count), shards: BTreeMap::new() };
            restored.iter().for_each(|(group, _)| watch.homes.admit(group));
            let parts = watch.spread(restored, |(group, _)| group.id);
            let answers = watch.on_shards(parts, Shard::restore).await;
            let mut refused = Vec::new();
            for (_, answer) in answers {
                refused.extend(answer?);
            }
            refused.iter().for_each(|(group, _)| watch.homes.release(*group));
            Ok(OpenedWatch { watch: Box::new(watch), refused })
        })
    }
}

struct ShardedWatch {
    core: Arc<Core>,
    slot: Arc<Slot>,
    homes: Homes,
    /// Those that have a group, or had one not long ago.
    shards: BTreeMap<usize, Arc<Mutex<Shard>>>,
}

impl ShardedWatch {
    fn spread<T>(&self, items: Vec<T>, group: impl Fn(&T) -> GroupId) -> BTreeMap<usize, Vec<T>> {
        let mut parts = BTreeMap::<usize, Vec<T>>::new();
        for item in items {
            parts.entry(self.homes.shard_of(group(&item))).or_default().push(item);
        }
        parts
    }

    /// Runs `act` on every shard that has a part, side by side. Answers stand in the order of the shards.
    async fn on_shards<P: Send + 'static, T: Send + 'static>(
        &mut self,
        parts: BTreeMap<usize, P>,
        act: impl Fn(&mut Shard, P) -> Result<T, Failure> + Copy + Send + 'static,
    ) -> Vec<(usize, Result<T, Failure>)> {
        let mut running = Vec::with_capacity(parts.len());
        for (number, part) in parts {
            let new = || Arc::new(Mutex::new(Shard::new(self.core.clone(), self.slot.clone())));
            let shard = self.shards.entry(number).or_insert_with(new).clone();
            let core = self.core.clone();
            running.push(async move {
                let answer = core.on_worker(move || act(&mut shard.lock(), part)).await;
                (number, answer.and_then(|answer| answer))
            });
        }
        futures::future::join_all(running).await
    }

    /// Groups are no longer watched; a shard that is left without any gives its memory back.
    fn release(&mut self, groups: impl IntoIterator<Item = GroupId>) {
        groups.into_iter().for_each(|group| self.homes.release(group));
        self.shards.retain(|number, _| !self.homes.is_empty(*number));
    }
}

impl Watch for ShardedWatch {
    fn join<'a>(&'a mut self, groups: Vec<Group>, history: Vec<Frame>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let mut parts: BTreeMap<usize, (Vec<Group>, Vec<Frame>)> = BTreeMap::new();
            for group in groups {
                self.homes.admit(&group);
                parts.entry(self.homes.shard_of(group.id)).or_default().0.push(group);
            }
            for frame in history {
                parts.entry(self.homes.shard_of(frame.group)).or_default().1.push(frame);
            }
            let answers = self.on_shards(parts, |shard, (groups, history)| shard.join(groups, history)).await;
            answers.into_iter().try_for_each(|(_, answer)| answer)
        })
    }

    fn leave<'a>(&'a mut self, groups: Vec<GroupId>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let mut parts = self.spread(groups.clone(), |group| *group);
            parts.retain(|number, _| self.shards.contains_key(number));
            let answers = self.on_shards(parts, Shard::leave).await;
            self.release(groups);
            answers.into_iter().try_for_each(|(_, answer)| answer)
        })
    }

    fn observe<'a>(&'a mut self, frames: Vec<Frame>) -> BoxFuture<'a, Result<Observation, Failure>> {
        Box::pin(async move {
            let parts = self.spread(frames, |frame| frame.group);
            let shown: BTreeMap<usize, Vec<GroupId>> = parts
                .iter()
                .map(|(number, frames)| (*number, frames.iter().map(|frame| frame.group).collect()))
                .collect();
            let answers = self.on_shards(parts, Shard::observe).await;
            let (asked, mut failed) = (answers.len(), Vec::new());
            let mut seen = Observation::default();
            for (number, answer) in answers {
                match answer {
                    Ok(part) => {
                        seen.scores.extend(part.scores);
                        seen.faults.extend(part.faults);
                        seen.failed.extend(part.failed);
                    }
                    Err(failure) => failed.push((number, failure)),
                }
            }
            if failed.len() == asked
                && let Some((_, failure)) = failed.pop()
            {
                // Nothing was observed and no group was left: the whole watch waits.
                return Err(failure);
            }
            for (number, failure) in failed {
                let mut groups = shown.get(&number).cloned().unwrap_or_default();
                groups.dedup();
                seen.failed.extend(groups.into_iter().map(|group| (group, failure.clone())));
                self.shards.remove(&number);
            }
            // A group that is named has left, so that joining it again begins from a known place.
            self.release(seen.failed.iter().map(|(group, _)| *group).collect::<Vec<_>>());
            Ok(seen)
        })
    }

    fn snapshot<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<GroupState>, Failure>> {
        Box::pin(async move {
            let parts = self.shards.keys().map(|number| (*number, ())).collect();
            let answers = self.on_shards(parts, |shard, ()| shard.snapshot()).await;
            let mut states = Vec::new();
            for (_, answer) in answers {
                states.extend(answer?);
            }
            Ok(states)
        })
    }
}

/// A group was shown that never joined, or has left.
fn not_joined(plugin: &str, group: GroupId) -> Failure {
    Failure::lasting(
        FailureCode::Refused,
        format!("plugin {plugin}: group {} is not in the watch; join it first", group.0),
    )
}
