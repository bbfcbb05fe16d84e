//! One collection by a plugin.

use crate::{
    intake::Visit,
    limits::{Rejections, Sample},
};
use std::time::Duration;
use tandem_domain::{
    Failure, Timestamp,
    collected::{CollectedEvent, CollectedTopology},
    ports::{Collection, Collectors},
    target::{CollectCursor, TargetInfo},
};
use tandem_store::Store;

/// Who reads what, and how long that may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub plugin: &'a str,
    /// Empty for this machine.
    pub target: &'a str,
    /// The runtime's own when none.
    pub timeout: Option<Duration>,
}

pub(crate) async fn collect(
    store: &Store,
    collectors: &dyn Collectors,
    reading: Reading<'_>,
    info: &TargetInfo,
    now: Timestamp,
) -> Result<Visit, Failure> {
    let Reading { plugin, target, timeout } = reading;
    let key = (info.key.job.clone(), info.key.instance.clone());
    let cursor = store
        .read()
        .and_then(|read| read.get::<CollectCursor>(&key))
        .map_err(|error| Failure::passing(tandem_domain::FailureCode::Internal, error.to_string()))?
        .map(|kept| kept.cursor)
        .unwrap_or_default();
    let collection = collectors.collect(plugin, target, now, &cursor, timeout).await?;
    Ok(visit(collection, plugin, info, now))
}

/// What a collection comes to.
pub(crate) fn visit(collection: Collection, plugin: &str, info: &TargetInfo, now: Timestamp) -> Visit {
    let samples = collection.series.into_iter().flat_map(|(series, points)| {
        let points = points.at.into_iter().zip(points.value);
        points.map(move |(at, value)| Sample { target: None, series: series.clone(), at, value })
    });
    let events = collection.events.into_iter().map(|event| CollectedEvent {
        at: event.at,
        entity: event.entity,
        code: event.code,
        severity: event.severity,
        title: event.title,
        attributes: event.attributes,
    });
    let topology = CollectedTopology {
        target: info.clone(),
        plugin: plugin.to_owned(),
        at: now,
        events: events.collect(),
        topology: collection.topology,
    };
    let told = !topology.topology.entities.is_empty() || !topology.events.is_empty();
    Visit {
        samples: samples.collect(),
        topology: told.then_some(topology),
        cursor: Some(collection.cursor),
        rejections: Rejections::default(),
    }
}
