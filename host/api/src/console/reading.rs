//! What the overview shows, read from the store in one snapshot.

use super::telling;
use crate::error::ApiError;
use std::collections::BTreeMap;
use tandem_aiops::map::topology::followed_by;
use tandem_domain::{
    Timestamp,
    entity::{Entity, EntityId},
    incident::Incident,
    meaning::Meaning,
    plugin::PluginStatus,
    target::TargetStatus,
    verdict::Verdict,
};
use tandem_store::{ReadTx, Store};
use tandem_verdict::Gap;

/// Incidents on the page; the API has them all.
const MAX_INCIDENTS: usize = 50;
/// Incidents looked at to find the active ones.
const MAX_INCIDENTS_SCANNED: usize = 2_000;
/// Entities of one kind on the page.
const MAX_ENTITIES_OF_KIND: usize = 40;
/// Entities looked at.
const MAX_ENTITIES: usize = 5_000;
/// Meanings looked at to find the values.
const MAX_MEANINGS: usize = 20_000;
/// Incidents that are over on the page, and how long ago they may have ended, in milliseconds: a day.
const MAX_OVER: usize = 5;
const OVER_MILLIS: i64 = 86_400_000;
/// Targets on the page.
const MAX_TARGETS: usize = 200;

/// A value of an entity as it is now.
pub(super) struct LatestValue {
    pub name: String,
    pub unit: String,
    pub value: f64,
}

/// Entities of one kind with what says most about them.
pub(super) struct KindOfEntity {
    pub kind: String,
    pub count: usize,
    /// Canonical names.
    pub columns: Vec<String>,
    /// A value for each column, where there is one.
    pub shown: Vec<(Entity, Vec<Option<LatestValue>>)>,
}

/// Everything on the page.
pub(super) struct Overview {
    pub at: Timestamp,
    pub verdicts: Vec<Verdict>,
    /// Open ones.
    pub incidents: Vec<Incident>,
    /// Those that ended lately.
    pub over: Vec<Incident>,
    /// What the causes of open incidents are called.
    pub names: BTreeMap<EntityId, String>,
    pub unseen: Vec<Gap>,
    /// Whether everything is to be shown.
    pub everything: bool,
    pub kinds: Vec<KindOfEntity>,
    pub series_count: u64,
    pub targets: Vec<TargetStatus>,
    pub plugins: Vec<PluginStatus>,
}

impl Overview {
    /// Reads it.
    pub(super) fn read(
        store: &Store,
        plugins: Vec<PluginStatus>,
        at: Timestamp,
        everything: bool,
    ) -> Result<Self, ApiError> {
        let read = store.read()?;
        let mut scanned = read.scan_back::<Incident>(.., MAX_INCIDENTS_SCANNED)?;
        scanned.retain(|incident| incident.merged_into.is_none());
        let (mut incidents, mut over): (Vec<_>, Vec<_>) =
            scanned.into_iter().partition(|incident| incident.status.is_active());
        incidents.sort_by_key(|incident| std::cmp::Reverse((incident.severity, incident.opened_at)));
        incidents.truncate(MAX_INCIDENTS);
        over.retain(|incident| incident.resolved_at.is_some_and(|ended| at.millis_since(ended) < OVER_MILLIS));
        over.truncate(MAX_OVER);
        let mut names = BTreeMap::new();
        for cause in incidents.iter().filter_map(|incident| incident.causes.first()) {
            names.extend(followed_by(&read, &cause.entity)?.map(|entity| (cause.entity.clone(), entity.name)));
        }
        Ok(Self {
            at,
            verdicts: crate::routes::verdicts_now(&read, at)?,
            incidents,
            over,
            names,
            unseen: tandem_verdict::unseen(&read, at)?,
            everything,
            kinds: kinds(&read, at)?,
            series_count: read.count::<tandem_domain::series::Series>()?,
            targets: read.scan::<TargetStatus>(.., MAX_TARGETS)?,
            plugins,
        })
    }
}

fn kinds(read: &ReadTx, now: Timestamp) -> Result<Vec<KindOfEntity>, ApiError> {
    let named = telling::by_entity(read.scan::<Meaning>(.., MAX_MEANINGS)?);
    let mut by_kind: BTreeMap<String, (usize, Vec<Entity>)> = BTreeMap::new();
    for entity in read.scan::<Entity>(.., MAX_ENTITIES)? {
        if entity.merged_into.is_some() {
            continue;
        }
        let (count, shown) = by_kind.entry(entity.kind.clone()).or_default();
        *count += 1;
        if shown.len() < MAX_ENTITIES_OF_KIND {
            shown.push(entity);
        }
    }
    let none = BTreeMap::new();
    let of = |entity: &Entity| named.get(&entity.id).unwrap_or(&none);
    let mut kinds = Vec::new();
    for (kind, (count, entities)) in by_kind {
        let columns = telling::columns(entities.iter().map(of));
        let mut shown = Vec::new();
        for entity in entities {
            let cell = |name: &String| of(&entity).get(name).map(|meanings| telling::value(read, meanings, now));
            let cells: Result<Vec<_>, ApiError> =
                columns.iter().map(|name| Ok(cell(name).transpose()?.flatten())).collect();
            let cells = cells?;
            shown.push((entity, cells));
        }
        kinds.push(KindOfEntity { kind, count, columns, shown });
    }
    Ok(kinds)
}
