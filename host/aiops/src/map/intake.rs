//! What comes into the map room: new series, collected topology, mappers that changed, labels that changed.

use super::{
    tables::{KnownTarget, PendingTarget, target_text},
    topology,
};
use crate::room::{RoomError, reading};
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp, collected::CollectedTopology, event::Event, ports::LivePlugin, series::Labels, target::TargetKey,
    target::TargetStatus,
};
use tandem_store::{NewSeries, Store, WriteError, WriteTx};

/// The reader of new series.
const SERIES_CURSOR: &str = "map/new_series";
/// The reader of collected topology.
const COLLECTED_CURSOR: &str = "map/collected";
/// Records of new series taken in at once; one stands for all series of a target that were registered together.
const MAX_RECORDS_PER_PASS: usize = 10_000;
/// Collections taken in at once.
const MAX_COLLECTIONS_PER_PASS: usize = 32;
/// Most targets there can be.
const MAX_TARGETS: usize = 1_000_000;

/// Notes that a target has something new to show.
pub fn news(tx: &mut WriteTx<'_>, target: &TargetKey, now: Timestamp, again: bool) -> Result<(), WriteError> {
    let known = tx.get::<PendingTarget>(&target_text(target))?;
    let news = tx.next_id("map/news")?;
    let (since, again) = known.map_or((now, again), |known| (known.since, known.again || again));
    tx.put(&PendingTarget { target: target.clone(), since, last: now, news, again })
}

/// Takes in new series; whether there were any.
pub async fn series(store: &Store, now: Timestamp) -> Result<bool, RoomError> {
    let (through, targets) = {
        let read = store.read()?;
        let found = read.log_after::<NewSeries>(read.cursor(SERIES_CURSOR)?, MAX_RECORDS_PER_PASS)?;
        let Some((through, _)) = found.last() else { return Ok(false) };
        let through = *through;
        let targets: BTreeMap<TargetKey, ()> = found.into_iter().map(|(_, new)| (new.target, ())).collect();
        (through, targets)
    };
    store
        .write(move |tx| {
            for target in targets.into_keys() {
                news(tx, &target, now, false)?;
                if tx.get::<KnownTarget>(&target_text(&target))?.is_none() {
                    tx.put(&KnownTarget { target, labels: Labels::default() })?;
                }
            }
            tx.trim_log::<NewSeries>(through)?;
            tx.set_cursor(SERIES_CURSOR, through)
        })
        .await?;
    Ok(true)
}

/// Takes in collected topology and events; answers how many collections.
pub async fn collections(store: &Store) -> Result<u64, RoomError> {
    let found = {
        let read = store.read()?;
        read.log_after::<CollectedTopology>(read.cursor(COLLECTED_CURSOR)?, MAX_COLLECTIONS_PER_PASS)?
    };
    let Some((through, _)) = found.last() else { return Ok(0) };
    let (through, count) = (*through, found.len() as u64);
    store
        .write(move |tx| {
            for (_, collected) in found {
                let written = topology::write(tx, &collected.topology, &collected.plugin, collected.at)?;
                for event in collected.events {
                    let Some(Some(entity)) = written.entities.get(event.entity as usize) else { continue };
                    tx.append(&Event {
                        at: event.at,
                        entity: entity.clone(),
                        code: event.code,
                        severity: event.severity,
                        title: event.title,
                        attributes: event.attributes,
                        source: collected.plugin.clone(),
                    })?;
                }
            }
            tx.trim_log::<CollectedTopology>(through)?;
            tx.set_cursor(COLLECTED_CURSOR, through)
        })
        .await?;
    Ok(count)
}

/// Has everything shown again when a mapper is new, changed, or back: what it missed is found by looking, and what it has
/// seen costs only the look. `seen` remembers the live ones of this run.
pub async fn mappers(
    store: &Store,
    live: &[LivePlugin],
    seen: &mut BTreeMap<String, String>,
    now: Timestamp,
) -> Result<(), RoomError> {
    let live: BTreeMap<String, String> =
        live.iter().map(|mapper| (mapper.name.clone(), mapper.digest.clone())).collect();
    if live.iter().any(|(name, digest)| seen.get(name) != Some(digest)) {
        store
            .write(move |tx| {
                let targets = tx.scan::<KnownTarget>(.., MAX_TARGETS)?;
                targets.iter().try_for_each(|known| news(tx, &known.target, now, false))
            })
            .await?;
    }
    *seen = live;
    Ok(())
}

/// Has targets shown again whose labels the operator changed.
pub async fn labels(store: &Store, now: Timestamp) -> Result<(), RoomError> {
    let changed = reading(store, |read| {
        let mut changed = Vec::new();
        for status in read.scan::<TargetStatus>(.., MAX_TARGETS)? {
            let known = read.get::<KnownTarget>(&target_text(&status.info.key))?;
            let pending = read.get::<PendingTarget>(&target_text(&status.info.key))?;
            if known.is_some_and(|known| known.labels != status.info.labels) && pending.is_none() {
                changed.push(status.info.key);
            }
        }
        Ok(changed)
    })
    .await?;
    if changed.is_empty() {
        return Ok(());
    }
    let written = store.write(move |tx| changed.iter().try_for_each(|target| news(tx, target, now, true))).await;
    Ok(written?)
}
