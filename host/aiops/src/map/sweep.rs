//! Forgetting: relations that nobody reports any more, and claims of targets that are gone.

use super::{
    config::MapConfig,
    intake,
    tables::MappedTarget,
    topology::{self, OPERATOR},
};
use crate::room::{RoomError, reading};
use std::collections::BTreeSet;
use tandem_domain::{Timestamp, entity::EntityId, relation::Relation, target::TargetStatus};
use tandem_store::{ReadError, ReadTx, Store};

/// Series looked at to tell whether a target without a status still sends.
const SERIES_LOOKED_AT: usize = 16;
/// Most claims and relations that are looked through.
const MAX_RECORDS: usize = 1_000_000;

fn last_sign_of_life(read: &ReadTx, claim: &MappedTarget) -> Result<Option<Timestamp>, ReadError> {
    let key = (claim.target.job.clone(), claim.target.instance.clone());
    if let Some(status) = read.get::<TargetStatus>(&key)? {
        return Ok(status.last_success_at);
    }
    let mut newest = None;
    for series in read.series_of_target(&claim.target)?.iter().rev().take(SERIES_LOOKED_AT) {
        newest = newest.max(read.latest(series.id)?.map(|(at, _)| at));
    }
    Ok(newest)
}

/// Confirms the claims of living targets, drops those of dead ones, and removes relations that are old and unclaimed. Not to
/// be called before the server has run for as long as a relation may be old: until then silence may be its own.
pub async fn sweep(store: &Store, config: &MapConfig, now: Timestamp) -> Result<(), RoomError> {
    let oldest = now.plus_millis(-1_000 * config.relation_age_seconds as i64);
    let (dead, standing, back, old) = reading(store, move |read| {
        let (mut dead, mut standing, mut back) = (Vec::new(), Vec::new(), Vec::new());
        for claim in read.scan::<MappedTarget>(.., MAX_RECORDS)? {
            let alive_at = last_sign_of_life(read, &claim)?.unwrap_or(claim.alive_at).max(claim.alive_at);
            if alive_at >= oldest && claim.digest.is_empty() {
                back.push(claim.target);
            } else if alive_at < oldest {
                dead.push(claim);
            } else {
                standing.push(MappedTarget { alive_at, ..claim });
            }
        }
        let old: Vec<Relation> = read
            .scan::<Relation>(.., MAX_RECORDS)?
            .into_iter()
            .filter(|relation| relation.seen_at < oldest && relation.source != OPERATOR)
            .collect();
        Ok((dead, standing, back, old))
    })
    .await?;
    if dead.iter().all(|claim| claim.relations.is_empty()) && old.is_empty() && back.is_empty() {
        return Ok(());
    }
    let written = store
        .write(move |tx| {
            back.iter().try_for_each(|target| intake::news(tx, target, now, true))?;
            let mut claimed: BTreeSet<(EntityId, EntityId)> = BTreeSet::new();
            for (a, b) in standing.iter().flat_map(|claim| claim.relations.clone()) {
                claimed.insert((topology::followed(tx, a)?, topology::followed(tx, b)?));
            }
            for claim in dead.into_iter().filter(|claim| !claim.relations.is_empty()) {
                // It is shown again when it comes back: what it claims is then claimed anew.
                tx.put(&MappedTarget { relations: Vec::new(), digest: String::new(), ..claim })?;
            }
            let mut changed = false;
            for relation in old {
                let pair = (relation.dependent.clone(), relation.dependency.clone());
                if !claimed.contains(&pair) {
                    topology::forget(tx, &pair.0, &pair.1)?;
                    changed = true;
                }
            }
            if changed { topology::raise_revision(tx) } else { Ok(()) }
        })
        .await;
    Ok(written?)
}
