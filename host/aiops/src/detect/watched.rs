//! A group under watch: what the host keeps beside the detector's own state, and how samples become frames.

use super::{
    align::Aligner, catalogue::MappedSeries, grouping::GroupPlan, rules::canonical_value, tables::DetectorState,
    tracker::Tracker,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tandem_domain::{
    Timestamp,
    frame::{Frame, GroupId},
    series::{SampleBatch, SeriesId},
};
use tandem_store::{ReadError, ReadTx};

/// Points of history read per series: a day at 15 s has 5,760.
const MAX_HISTORY_POINTS: usize = 10_000;
/// The last row of the history is observed rather than learned when it is no older than this, so that a fault that is there
/// already is told at once and not at the next scrape.
const OBSERVED_AT_JOIN_MILLIS: i64 = 300_000;
/// Samples further in the future than this are passed over: one of them would hide all that follow.
const MAX_AHEAD_MILLIS: i64 = 3_600_000;

/// Columns of one frame in the making.
#[derive(Debug, Default)]
struct Rows {
    at: Vec<Timestamp>,
    /// Row after row.
    value: Vec<f64>,
}

impl Rows {
    fn push(&mut self, at: Timestamp, value: &[f64]) {
        self.at.push(at);
        self.value.extend_from_slice(value);
    }

    /// Row after row becomes member after member.
    fn into_frame(self, group: GroupId, members: usize) -> Frame {
        let rows = self.at.len();
        let value = (0..members).flat_map(|m| (0..rows).map(move |r| (m, r))).map(|(m, r)| self.value[r * members + m]);
        Frame { group, value: value.collect(), at: self.at }
    }
}

/// One group.
#[derive(Debug)]
pub struct Watched {
    /// As planned.
    pub plan: GroupPlan,
    /// All samples up to this are taken in.
    pub through: u64,
    /// The last moment given to the detector.
    pub last_at: Timestamp,
    /// Where findings stand.
    pub tracker: Tracker,
    /// Rows being filled, for several members.
    pub aligner: Option<Aligner>,
    /// Whether something came since it was last saved.
    pub dirty: bool,
    /// It joined without its earlier state and has not had a value since: faults it had are settled when it has.
    pub unsettled: bool,
    rows: Rows,
}

impl Watched {
    /// Without any state.
    pub fn fresh(plan: GroupPlan, cell_millis: i64) -> Self {
        let aligner = plan.aligned.then(|| Aligner::new(plan.members.len(), cell_millis));
        Self {
            plan,
            through: 0,
            last_at: Timestamp::MIN,
            tracker: Tracker::default(),
            aligner,
            dirty: true,
            unsettled: true,
            rows: Rows::default(),
        }
    }

    /// As it was saved.
    pub fn restored(plan: GroupPlan, saved: &DetectorState) -> Self {
        Self {
            plan,
            through: saved.through,
            last_at: saved.last_at,
            tracker: saved.tracker.clone(),
            aligner: saved.aligner.clone(),
            dirty: false,
            unsettled: false,
            rows: Rows::default(),
        }
    }

    /// A member, by its place in the group.
    pub fn member(&self, index: usize) -> Option<&Arc<MappedSeries>> {
        self.plan.members.get(index)
    }

    fn row(&mut self, at: Timestamp, value: &[f64]) {
        if at > self.last_at {
            self.last_at = at;
            self.rows.push(at, value);
        }
    }

    fn push(&mut self, at: Timestamp, member: usize, value: f64) {
        self.dirty = true;
        match &mut self.aligner {
            None => self.row(at, &[value]),
            Some(aligner) => {
                aligner.push(at, member, value);
                for row in aligner.take_ready() {
                    self.row(row.at, &row.value);
                }
            }
        }
    }

    fn take_frame(&mut self, id: GroupId) -> Option<Frame> {
        let members = self.plan.members.len();
        (!self.rows.at.is_empty()).then(|| std::mem::take(&mut self.rows).into_frame(id, members))
    }

    /// Reads history: what is to be learned, and the last row, which is to be observed. Afterwards everything in this
    /// snapshot is taken in.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn read_history(
        &mut self,
        read: &ReadTx,
        id: GroupId,
        now: Timestamp,
    ) -> Result<(Option<Frame>, Option<Frame>), ReadError> {
        self.through = read.samples_end()?;
        let seconds = i64::from(self.plan.history_seconds);
        let start = now.plus_millis(-(seconds * 1_000).max(OBSERVED_AT_JOIN_MILLIS));
        let end = now.plus_millis(MAX_AHEAD_MILLIS);
        let mut all: Vec<(Timestamp, usize, f64)> = Vec::new();
        for (index, member) in self.plan.members.iter().enumerate() {
            let points = read.points(member.meaning.series, start, end)?;
            let skipped = points.at.len().saturating_sub(MAX_HISTORY_POINTS);
            let value = |sent: &f64| canonical_value(&member.meaning.body, *sent);
            all.extend(points.at.iter().zip(&points.value).skip(skipped).map(|(at, sent)| (*at, index, value(sent))));
        }
        all.sort_by_key(|(at, member, _)| (*at, *member));
        for (at, member, value) in all {
            self.push(at, member, value);
        }
        let Some(mut history) = self.take_frame(id) else { return Ok((None, None)) };
        let mut observed = None;
        if history.at.last().is_some_and(|last| now.millis_since(*last) <= OBSERVED_AT_JOIN_MILLIS) {
            observed = split_last(&mut history, self.plan.members.len());
        }
        let has_history = seconds > 0 && !history.at.is_empty();
        Ok((has_history.then_some(history), observed))
    }
}

/// Takes the last row out of a frame.
fn split_last(frame: &mut Frame, members: usize) -> Option<Frame> {
    let rows = frame.at.len();
    let at = frame.at.pop()?;
    let last = (0..members).map(|member| frame.value[member * rows + rows - 1]).collect();
    let kept = frame.value.iter().enumerate().filter(|(place, _)| (place + 1) % rows != 0).map(|(_, value)| *value);
    frame.value = kept.collect();
    Some(Frame { group: frame.group, at: vec![at], value: last })
}

/// All groups under one watch.
#[derive(Debug, Default)]
pub struct WatchedGroups {
    groups: HashMap<GroupId, Watched>,
    by_key: HashMap<String, GroupId>,
    by_series: HashMap<SeriesId, Vec<(GroupId, usize)>>,
    last_id: u32,
}

impl WatchedGroups {
    /// A number that no group of this watch had.
    pub fn next_id(&mut self) -> GroupId {
        self.last_id += 1;
        GroupId(self.last_id)
    }

    /// Adds a group.
    pub fn insert(&mut self, id: GroupId, group: Watched) {
        for (index, member) in group.plan.members.iter().enumerate() {
            self.by_series.entry(member.meaning.series).or_default().push((id, index));
        }
        self.by_key.insert(group.plan.key.clone(), id);
        self.groups.insert(id, group);
    }

    /// Takes a group out.
    pub fn remove(&mut self, id: GroupId) -> Option<Watched> {
        let group = self.groups.remove(&id)?;
        self.by_key.remove(&group.plan.key);
        for member in &group.plan.members {
            if let Some(places) = self.by_series.get_mut(&member.meaning.series) {
                places.retain(|(other, _)| *other != id);
            }
        }
        Some(group)
    }

    /// The number of a group.
    pub fn id_of(&self, key: &str) -> Option<GroupId> {
        self.by_key.get(key).copied()
    }

    /// One group.
    pub fn get(&self, id: GroupId) -> Option<&Watched> {
        self.groups.get(&id)
    }

    /// One group, to change.
    pub fn get_mut(&mut self, id: GroupId) -> Option<&mut Watched> {
        self.groups.get_mut(&id)
    }

    /// All of them, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (GroupId, &mut Watched)> {
        self.groups.iter_mut().map(|(id, group)| (*id, group))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Samples become frames, in the order of the groups' numbers.
    pub fn frames(&mut self, batches: &[(u64, SampleBatch)], now: Timestamp) -> Vec<Frame> {
        let latest = now.plus_millis(MAX_AHEAD_MILLIS);
        let mut touched: BTreeMap<GroupId, ()> = BTreeMap::new();
        for (sequence, batch) in batches {
            for ((series, at), sent) in batch.series.iter().zip(&batch.at).zip(&batch.value) {
                if *at > latest {
                    continue;
                }
                for (id, member) in self.by_series.get(series).into_iter().flatten() {
                    let Some(group) = self.groups.get_mut(id).filter(|group| *sequence > group.through) else {
                        continue;
                    };
                    let Some(mapped) = group.plan.members.get(*member) else { continue };
                    let value = canonical_value(&mapped.meaning.body, *sent);
                    group.push(*at, *member, value);
                    touched.insert(*id, ());
                }
            }
        }
        touched.into_keys().filter_map(|id| self.groups.get_mut(&id)?.take_frame(id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns_and_the_last_row_can_be_split_off() {
        let mut rows = Rows::default();
        rows.push(Timestamp(1), &[1.0, 10.0]);
        rows.push(Timestamp(2), &[2.0, 20.0]);
        rows.push(Timestamp(3), &[3.0, 30.0]);
        let mut frame = rows.into_frame(GroupId(1), 2);
        assert_eq!(frame.value, [1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
        let last = split_last(&mut frame, 2).unwrap();
        assert_eq!((last.at, last.value), (vec![Timestamp(3)], vec![3.0, 30.0]));
        assert_eq!((frame.at.len(), frame.value), (2, vec![1.0, 2.0, 10.0, 20.0]));
    }
}
