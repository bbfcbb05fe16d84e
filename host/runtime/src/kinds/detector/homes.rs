//! Which shard watches which group: a shard has a bounded number of series, because an instance has a bounded memory, and there
//! are as many shards as the series need.

use std::collections::HashMap;
use tandem_domain::frame::{Group, GroupId};

/// Series in one shard. An instance has 64 MiB unless its plugin is given another share, and while it is restored it holds the
/// states beside what it makes of them: 7.5 KiB for each series, where the bundled detector takes 1.6 beside their states.
const SERIES_PER_SHARD: usize = 8_192;

/// A group's place.
#[derive(Debug, Clone, Copy)]
struct Home {
    shard: usize,
    series: usize,
}

/// The places of all groups of a watch.
#[derive(Debug)]
pub(super) struct Homes {
    of: HashMap<GroupId, Home>,
    /// Series in each shard.
    series: Vec<usize>,
}

impl Homes {
    /// Nobody yet, in so many shards.
    pub(super) fn new(shards: usize) -> Self {
        Self { of: HashMap::new(), series: vec![0; shards.max(1)] }
    }

    /// A group moves in where there are the fewest series; one that is there stays.
    pub(super) fn admit(&mut self, group: &Group) {
        let (series, shards) = (group.members.len().max(1), self.series.len());
        if self.of.contains_key(&group.id) {
            return;
        }
        let fewest = (0..shards).min_by_key(|shard| self.series[*shard]).unwrap_or(0);
        let has_room = self.series[fewest] == 0 || self.series[fewest] + series <= SERIES_PER_SHARD;
        let shard = if has_room { fewest } else { shards };
        self.series.resize(shards.max(shard + 1), 0);
        self.series[shard] += series;
        self.of.insert(group.id, Home { shard, series });
    }

    /// A group moves out.
    pub(super) fn release(&mut self, group: GroupId) {
        if let Some(home) = self.of.remove(&group) {
            self.series[home.shard] -= home.series;
        }
    }

    /// Where a group is; the first shard for one that is nowhere, which will say that it does not know it.
    pub(super) fn shard_of(&self, group: GroupId) -> usize {
        self.of.get(&group).map_or(0, |home| home.shard)
    }

    /// Whether nobody is in a shard.
    pub(super) fn is_empty(&self, shard: usize) -> bool {
        self.series.get(shard).is_none_or(|series| *series == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::{
        entity::EntityId,
        frame::Member,
        series::{Labels, MetricType},
    };

    fn group(id: u32, members: usize) -> Group {
        let member = Member {
            name: "disk.busy".into(),
            unit: "ratio".into(),
            metric_type: MetricType::Gauge,
            entity: EntityId("disk/a".into()),
            dimensions: Labels::default(),
            fault_rules: Vec::new(),
        };
        Group { id: GroupId(id), members: vec![member; members] }
    }

    #[test]
    fn few_series_are_spread_evenly_and_many_make_further_shards() {
        let mut homes = Homes::new(2);
        (0..10).for_each(|id| homes.admit(&group(id, 1)));
        assert_eq!(homes.series, [5, 5]);
        (10..20_000).for_each(|id| homes.admit(&group(id, 1)));
        assert_eq!(homes.series, [8_192, 8_192, 3_616]);
        homes.admit(&group(5, 1));
        assert_eq!(homes.series.iter().sum::<usize>(), 20_000, "one that is there stays");
    }

    #[test]
    fn who_moves_out_makes_room_and_a_group_larger_than_a_shard_has_one_for_itself() {
        let mut homes = Homes::new(1);
        homes.admit(&group(1, 9_000));
        homes.admit(&group(2, 10));
        assert_eq!((homes.shard_of(GroupId(1)), homes.shard_of(GroupId(2))), (0, 1));
        homes.release(GroupId(1));
        homes.release(GroupId(1));
        assert!(homes.is_empty(0) && !homes.is_empty(1) && homes.is_empty(7));
        homes.admit(&group(3, 20));
        assert_eq!(homes.shard_of(GroupId(3)), 0);
    }
}
