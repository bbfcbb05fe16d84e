//! Showing one target to the mappers, and writing down what they say.

use super::{
    metrics::MapMetrics,
    rules::{self, Claim},
    tables::{KnownTarget, MapFailure, MappedTarget, PendingTarget, target_text},
    topology::{self, beginning_with},
};
use crate::{
    room::{RoomError, backoff_millis, reading},
    signal::MeaningChange,
};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{
    Failure, Timestamp,
    entity::EntityId,
    meaning::{EntitySeries, Mapping, Meaning},
    ports::{LivePlugin, Mappers},
    series::{Labels, Series, SeriesDescription, SeriesId},
    target::{TargetInfo, TargetStatus},
    topology::TopologyDraft,
};
use tandem_store::{ReadError, ReadTx, Store, WriteError, WriteTx};

/// Series shown in one call; a page with more is cut, oldest series first, and the mapper is told of the rest never. Node
/// exporters have some 2,000, the largest cluster-wide pages some 100,000 of which one mapper wants a part.
const MAX_SERIES_PER_SHOWING: usize = 50_000;
/// Meanings written in one transaction, so that other writers do not wait long.
const MEANINGS_PER_COMMIT: usize = 5_000;
/// Mappers and failures of one target that are looked at.
const MAX_MAPPERS: usize = 1_000;
/// First wait before a mapper that failed is asked again.
const RETRY_BASE_MILLIS: i64 = 5_000;
/// Longest such wait.
const RETRY_CAP_MILLIS: i64 = 600_000;

/// What is known of a target before it is shown.
struct Known {
    info: TargetInfo,
    series: Vec<Series>,
    mapped: BTreeMap<String, MappedTarget>,
    failures: BTreeMap<String, MapFailure>,
    meanings: Vec<Meaning>,
}

/// What a mapper said.
struct Answer {
    plugin: LivePlugin,
    through: SeriesId,
    topology: TopologyDraft,
    claims: Vec<Claim>,
}

/// What became of failures.
struct Failures {
    new: Vec<MapFailure>,
    over: Vec<String>,
}

fn look(read: &ReadTx, pending: &PendingTarget) -> Result<Known, ReadError> {
    let key = pending.target.clone();
    let text = target_text(&key);
    let status = read.get::<TargetStatus>(&(key.job.clone(), key.instance.clone()))?;
    let info = TargetInfo { labels: status.map_or_else(Labels::default, |status| status.info.labels), key };
    let series = read.series_of_target(&pending.target)?;
    let mut meanings = Vec::new();
    for one in &series {
        meanings.extend(read.get::<Meaning>(&one.id.0)?);
    }
    let mapped = read.scan::<MappedTarget>(beginning_with(&text), MAX_MAPPERS)?;
    let failures = read.scan::<MapFailure>(beginning_with(&text), MAX_MAPPERS)?;
    Ok(Known {
        info,
        series,
        mapped: mapped.into_iter().map(|record| (record.plugin.clone(), record)).collect(),
        failures: failures.into_iter().map(|record| (record.plugin.clone(), record)).collect(),
        meanings,
    })
}

/// Shows a target to the mappers that must see it; answers how many series it has. A mapper that fails is noted and keeps
/// its earlier word.
pub async fn show(
    store: &Store,
    mappers: &dyn Mappers,
    live: &[LivePlugin],
    pending: PendingTarget,
    now: Timestamp,
    metrics: &MapMetrics,
) -> Result<usize, RoomError> {
    let looked_at = pending.clone();
    let known = reading(store, move |read| look(read, &looked_at)).await?;
    let retried = |name: &str| known.failures.get(name).is_some_and(|failure| failure.retry_at <= now);
    let seen: Vec<(&LivePlugin, Vec<&Series>)> =
        live.iter().map(|mapper| (mapper, rules::shown_to(mapper, &known.series))).collect();
    let stale = seen.iter().any(|(mapper, shown)| {
        rules::is_stale(mapper, shown, known.mapped.get(&mapper.name), pending.again) || retried(&mapper.name)
    });
    // All that speak for the target are asked together, since who has most meanings speaks for contested series.
    let has_word = |name: &str| known.mapped.get(name).is_some_and(|mapped| mapped.meanings > 0);
    let asked = seen.into_iter().filter(|(mapper, shown)| stale && (!shown.is_empty() || has_word(&mapper.name)));
    let asked: Vec<_> = asked.collect();
    // A failure of a mapper that has nothing to say here any more is over.
    let is_asked = |name: &str| asked.iter().any(|(mapper, _)| mapper.name == name);
    let over = live.iter().map(|mapper| mapper.name.clone()).filter(|name| retried(name) && !is_asked(name)).collect();
    let calls = asked.into_iter().map(|(mapper, shown)| ask(mappers, mapper, &known.info, shown));
    let (mut answers, mut failures) = (Vec::new(), Vec::new());
    for (plugin, called) in join_all(calls).await {
        metrics.showings.add(1);
        match called {
            Ok((answer, unusable)) => {
                metrics.unusable.add(unusable);
                answers.push(answer);
            }
            Err(failure) => {
                metrics.failures.add(1);
                failures.push(failed(plugin, &known, failure, now));
            }
        }
    }
    let series = known.series.len();
    let changed = write(store, known, answers, Failures { new: failures, over }, pending, now).await?;
    metrics.meanings.add(changed);
    Ok(series)
}

async fn ask(
    mappers: &dyn Mappers,
    mapper: &LivePlugin,
    target: &TargetInfo,
    mut shown: Vec<&Series>,
) -> (String, Result<(Answer, u64), Failure>) {
    shown.truncate(MAX_SERIES_PER_SHOWING);
    let through = shown.iter().map(|series| series.id).max().unwrap_or(SeriesId(0));
    let descriptions: Vec<SeriesDescription> = shown.iter().map(|series| series.description.clone()).collect();
    let answer = match descriptions.is_empty() {
        // Nothing of its liking is left: it takes back what it said.
        true => Ok(Mapping::default()),
        false => mappers.interpret(&mapper.name, target, &descriptions).await,
    };
    let answer = answer.map(|mapping| {
        let topology = mapping.topology.clone();
        let (claims, unusable) = rules::claims(mapping, &shown);
        (Answer { plugin: mapper.clone(), through, topology, claims }, unusable)
    });
    (mapper.name.clone(), answer)
}

fn failed(plugin: String, known: &Known, failure: Failure, now: Timestamp) -> MapFailure {
    let failures = known.failures.get(&plugin).map_or(0, |earlier| earlier.failures).saturating_add(1);
    let retry_at = now.plus_millis(backoff_millis(failures, RETRY_BASE_MILLIS, RETRY_CAP_MILLIS));
    tracing::warn!(plugin, job = known.info.key.job, instance = known.info.key.instance, "mapping failed: {failure}");
    MapFailure { plugin, target: known.info.key.clone(), failure, at: now, failures, retry_at }
}

/// Writes topology first, then meanings in parts, and with the last part that the target has been shown. A crash in between
/// has the target shown again; what was written is written again the same.
async fn write(
    store: &Store,
    known: Known,
    answers: Vec<Answer>,
    failures: Failures,
    pending: PendingTarget,
    now: Timestamp,
) -> Result<u64, RoomError> {
    let topologies: Vec<(String, TopologyDraft)> =
        answers.iter().map(|answer| (answer.plugin.name.clone(), answer.topology.clone())).collect();
    let written = store
        .write(move |tx| {
            let write = |(source, draft): &(String, TopologyDraft)| topology::write(tx, draft, source, now);
            topologies.iter().map(write).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let entities: Vec<&[Option<EntityId>]> = written.iter().map(|topology| topology.entities.as_slice()).collect();
    let changes = meaning_changes(&known, &answers, &entities);
    let count = changes.len() as u64;
    for part in changes.chunks(MEANINGS_PER_COMMIT) {
        let part = part.to_vec();
        store.write(move |tx| write_meanings(tx, part)).await?;
    }
    let claims: Vec<MappedTarget> = answers
        .iter()
        .zip(written)
        .map(|(answer, topology)| MappedTarget {
            target: known.info.key.clone(),
            plugin: answer.plugin.name.clone(),
            digest: answer.plugin.digest.clone(),
            through: answer.through,
            meanings: answer.claims.len() as u64,
            relations: topology.relations,
            alive_at: now,
        })
        .collect();
    let labels = known.info.labels;
    store.write(move |tx| finish(tx, claims, failures, pending, labels)).await?;
    Ok(count)
}

/// The new meaning of each series that gets another one; none where it loses it.
fn meaning_changes(
    known: &Known,
    answers: &[Answer],
    entities: &[&[Option<EntityId>]],
) -> Vec<(SeriesId, Option<Meaning>)> {
    let mut said: BTreeMap<(&str, SeriesId), Meaning> = BTreeMap::new();
    let mut claimed: BTreeMap<String, Vec<SeriesId>> = BTreeMap::new();
    for (answer, entities) in answers.iter().zip(entities) {
        let claims = claimed.entry(answer.plugin.name.clone()).or_default();
        for claim in &answer.claims {
            let Some(Some(entity)) = entities.get(claim.entity) else { continue };
            claims.push(claim.series);
            let meaning = Meaning {
                series: claim.series,
                entity: entity.clone(),
                body: claim.body.clone(),
                mapper: answer.plugin.name.clone(),
                mapper_digest: answer.plugin.digest.clone(),
            };
            said.insert((&answer.plugin.name, claim.series), meaning);
        }
    }
    let speakers = rules::speakers(&claimed, &known.meanings);
    let earlier: BTreeMap<SeriesId, &Meaning> =
        known.meanings.iter().map(|meaning| (meaning.series, meaning)).collect();
    let touched: BTreeSet<SeriesId> = speakers.keys().chain(earlier.keys()).copied().collect();
    let mut changes = Vec::new();
    for series in touched {
        let before = earlier.get(&series).copied();
        let after = match speakers.get(&series) {
            // Nobody was asked who speaks for it: it stays.
            Some(speaker) if !claimed.contains_key(speaker) => continue,
            Some(speaker) => said.remove(&(speaker.as_str(), series)),
            None => None,
        };
        if before != after.as_ref() {
            changes.push((series, after));
        }
    }
    changes
}

fn write_meanings(tx: &mut WriteTx<'_>, changes: Vec<(SeriesId, Option<Meaning>)>) -> Result<(), WriteError> {
    let series = changes.iter().map(|(series, _)| *series).collect();
    for (series, meaning) in changes {
        let before = tx.get::<Meaning>(&series.0)?.map(|meaning| meaning.entity);
        if let Some(entity) = before.filter(|entity| meaning.as_ref().map(|meaning| &meaning.entity) != Some(entity)) {
            tx.remove::<EntitySeries>(&(entity.0, series.0))?;
        }
        match meaning {
            Some(meaning) => {
                tx.put(&EntitySeries { entity: meaning.entity.clone(), series })?;
                tx.put(&meaning)?;
            }
            None => tx.remove::<Meaning>(&series.0)?,
        }
    }
    tx.append(&MeaningChange { series })?;
    Ok(())
}

fn finish(
    tx: &mut WriteTx<'_>,
    claims: Vec<MappedTarget>,
    failures: Failures,
    pending: PendingTarget,
    labels: Labels,
) -> Result<(), WriteError> {
    let text = target_text(&pending.target);
    for claim in claims {
        tx.remove::<MapFailure>(&(text.clone(), claim.plugin.clone()))?;
        tx.put(&claim)?;
    }
    for plugin in failures.over {
        tx.remove::<MapFailure>(&(text.clone(), plugin))?;
    }
    for failure in failures.new {
        tx.put(&failure)?;
    }
    tx.put(&KnownTarget { target: pending.target, labels })?;
    // What came while it was shown keeps it waiting.
    if tx.get::<PendingTarget>(&text)?.is_some_and(|still| still.news == pending.news) {
        tx.remove::<PendingTarget>(&text)?;
    }
    Ok(())
}
