//! What the overview shows, read from the store in one snapshot.

use crate::{error::ApiError, state::ApiState};
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    entity::{Entity, EntityId},
    incident::Incident,
    meaning::Meaning,
    plugin::PluginStatus,
    target::TargetStatus,
    verdict::Verdict,
};
use tandem_store::ReadTx;

/// Incidents on the page; the API has them all.
const MAX_INCIDENTS: usize = 50;
/// Incidents looked at to find the active ones.
const MAX_INCIDENTS_SCANNED: usize = 2_000;
/// Entities of one kind on the page.
const MAX_ENTITIES_OF_KIND: usize = 40;
/// Entities looked at.
const MAX_ENTITIES: usize = 5_000;
/// Values shown beside one entity.
const MAX_VALUES_OF_ENTITY: usize = 4;
/// Meanings looked at to find the values.
const MAX_MEANINGS: usize = 20_000;
/// Targets on the page.
const MAX_TARGETS: usize = 200;

/// The latest value of one series of an entity.
pub(super) struct LatestValue {
    pub name: String,
    pub unit: String,
    pub value: f64,
}

/// Entities of one kind with their latest values.
pub(super) struct KindOfEntity {
    pub kind: String,
    pub count: usize,
    pub shown: Vec<(Entity, Vec<LatestValue>)>,
}

/// Everything on the page.
pub(super) struct Overview {
    pub at: Timestamp,
    pub verdicts: Vec<Verdict>,
    pub incidents: Vec<Incident>,
    pub kinds: Vec<KindOfEntity>,
    pub series_count: u64,
    pub targets: Vec<TargetStatus>,
    pub plugins: Vec<PluginStatus>,
}

impl Overview {
    /// Reads it.
    pub(super) fn read(state: &ApiState, at: Timestamp) -> Result<Self, ApiError> {
        let read = state.store.read()?;
        let mut incidents = read.scan_back::<Incident>(.., MAX_INCIDENTS_SCANNED)?;
        incidents.retain(|incident| incident.status.is_active() && incident.merged_into.is_none());
        incidents.truncate(MAX_INCIDENTS);
        Ok(Self {
            at,
            verdicts: crate::routes::verdicts_now(&read, at)?,
            incidents,
            kinds: kinds(&read)?,
            series_count: read.count::<tandem_domain::series::Series>()?,
            targets: read.scan::<TargetStatus>(.., MAX_TARGETS)?,
            plugins: state.catalogue.statuses(),
        })
    }
}

fn kinds(read: &ReadTx) -> Result<Vec<KindOfEntity>, ApiError> {
    let mut values = latest_values(read)?;
    let mut by_kind: BTreeMap<String, KindOfEntity> = BTreeMap::new();
    for entity in read.scan::<Entity>(.., MAX_ENTITIES)? {
        if entity.merged_into.is_some() {
            continue;
        }
        let kind = by_kind.entry(entity.kind.clone()).or_insert_with(|| KindOfEntity {
            kind: entity.kind.clone(),
            count: 0,
            shown: Vec::new(),
        });
        kind.count += 1;
        if kind.shown.len() < MAX_ENTITIES_OF_KIND {
            let latest = values.remove(&entity.id).unwrap_or_default();
            kind.shown.push((entity, latest));
        }
    }
    Ok(by_kind.into_values().collect())
}

/// A few values per entity, gauges that say most first: they are taken in the order in which mappers name them.
fn latest_values(read: &ReadTx) -> Result<BTreeMap<EntityId, Vec<LatestValue>>, ApiError> {
    let mut values: BTreeMap<EntityId, Vec<LatestValue>> = BTreeMap::new();
    for meaning in read.scan::<Meaning>(.., MAX_MEANINGS)? {
        let of_entity = values.entry(meaning.entity.clone()).or_default();
        let known = of_entity.iter().any(|value| value.name == meaning.body.name);
        if of_entity.len() >= MAX_VALUES_OF_ENTITY || known {
            continue;
        }
        if let Some((_, sent)) = read.latest(meaning.series)? {
            let value = meaning.body.canonical(sent);
            if value.is_finite() {
                of_entity.push(LatestValue { name: meaning.body.name, unit: meaning.body.unit, value });
            }
        }
    }
    Ok(values)
}
