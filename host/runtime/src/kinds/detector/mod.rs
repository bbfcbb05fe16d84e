//! Detectors: watches sharded over instances, each shard repaired by itself.
//!
//! Groups are spread over shards by their number; a shard comes to be with its first group. The shards of one call run side
//! by side on the workers.

mod live;
mod repair;
mod shard;

use crate::{
    plugin::Slot,
    runtime::{Core, Runtime},
};
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

/// More shards than this cost memory and save nothing: a shard handles some million points a second.
const MAX_SHARDS: usize = 8;

/// 2^32 divided by the golden ratio (Knuth, TAOCP vol. 3, section 6.4): spreads numbers that follow one another.
const FIBONACCI_MULTIPLIER: u32 = 2_654_435_769;

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
            let count = core.workers.count().clamp(1, MAX_SHARDS);
            let mut watch = ShardedWatch { core, slot, shards: vec![None; count] };
            let parts = watch.spread(restored, |(group, _)| group.id);
            let answers = watch.on_shards(parts, Shard::restore).await;
            let mut refused = Vec::new();
            for (_, answer) in answers {
                refused.extend(answer?);
            }
            Ok(OpenedWatch { watch: Box::new(watch), refused })
        })
    }
}

struct ShardedWatch {
    core: Arc<Core>,
    slot: Arc<Slot>,
    shards: Vec<Option<Arc<Mutex<Shard>>>>,
}

impl ShardedWatch {
    fn shard_of(&self, group: GroupId) -> usize {
        let spread = u64::from(group.0.wrapping_mul(FIBONACCI_MULTIPLIER));
        // Multiply and shift maps the 32 bits evenly onto any number of shards.
        usize::try_from((spread * self.shards.len() as u64) >> 32).unwrap_or(0)
    }

    fn spread<T>(&self, items: Vec<T>, group: impl Fn(&T) -> GroupId) -> BTreeMap<usize, Vec<T>> {
        let mut parts = BTreeMap::<usize, Vec<T>>::new();
        for item in items {
            parts.entry(self.shard_of(group(&item))).or_default().push(item);
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
            let shard = self.shards[number]
                .get_or_insert_with(|| Arc::new(Mutex::new(Shard::new(self.core.clone(), self.slot.clone()))))
                .clone();
            let core = self.core.clone();
            running.push(async move {
                let answer = core.on_worker(move || act(&mut shard.lock(), part)).await;
                (number, answer.and_then(|answer| answer))
            });
        }
        futures::future::join_all(running).await
    }

    /// A part for every shard there is.
    fn for_all<P: Default>(&self) -> BTreeMap<usize, P> {
        self.shards
            .iter()
            .enumerate()
            .filter(|(_, shard)| shard.is_some())
            .map(|(number, _)| (number, P::default()))
            .collect()
    }
}

impl Watch for ShardedWatch {
    fn join<'a>(&'a mut self, groups: Vec<Group>, history: Vec<Frame>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let mut parts: BTreeMap<usize, (Vec<Group>, Vec<Frame>)> = BTreeMap::new();
            for group in groups {
                parts.entry(self.shard_of(group.id)).or_default().0.push(group);
            }
            for frame in history {
                parts.entry(self.shard_of(frame.group)).or_default().1.push(frame);
            }
            let answers = self.on_shards(parts, |shard, (groups, history)| shard.join(groups, history)).await;
            answers.into_iter().try_for_each(|(_, answer)| answer)
        })
    }

    fn leave<'a>(&'a mut self, groups: Vec<GroupId>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let mut parts = self.spread(groups, |group| *group);
            parts.retain(|number, _| self.shards[*number].is_some());
            let answers = self.on_shards(parts, Shard::leave).await;
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
                // A group that is named has left, so that joining it again begins from a known place.
                self.shards[number] = None;
            }
            Ok(seen)
        })
    }

    fn snapshot<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<GroupState>, Failure>> {
        Box::pin(async move {
            let parts = self.for_all::<()>();
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
