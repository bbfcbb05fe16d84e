//! What collectors bring, and the payloads they are handed.

use super::{Check, labels_out, moments, severity};
use crate::bindings::{collector::exports::tandem::plugin::collector as guest, wit};
use tandem_domain::{
    Failure, Timestamp,
    ports::{Collection, EventDraft, Payload},
    series::{Labels, Points},
};

/// Series in one collection: a BMC of a large chassis gives some thousand.
const MAX_SERIES: usize = 100_000;
/// Points in one collection.
const MAX_POINTS: usize = 1_000_000;
/// Events in one collection; a collector that has more goes on at its cursor next time.
const MAX_EVENTS: usize = 10_000;
/// Longest cursor, in bytes.
const MAX_CURSOR_BYTES: usize = 64 << 10;

/// For guests.
pub(crate) fn request_out(target: &str, config: &str, now: Timestamp, cursor: &[u8]) -> guest::CollectRequest {
    guest::CollectRequest { now: now.0, target: target.to_owned(), config: config.to_owned(), cursor: cursor.to_vec() }
}

/// For guests.
pub(crate) fn payload_out(payload: Payload, config: &str, now: Timestamp) -> guest::Payload {
    guest::Payload {
        now: now.0,
        config: config.to_owned(),
        path: payload.path,
        headers: labels_out(&Labels::new(payload.headers)),
        body: payload.body,
    }
}

/// Checks a collection.
pub(crate) fn collection(check: Check<'_>, said: guest::Collection) -> Result<Collection, Failure> {
    check.count("series", said.series.len(), MAX_SERIES)?;
    check.count("points", said.points.iter().map(|points| points.value.len()).sum(), MAX_POINTS)?;
    check.count("cursor", said.cursor.len(), MAX_CURSOR_BYTES)?;
    let topology = check.topology(said.entities, said.relations)?;
    let series =
        said.series.into_iter().enumerate().map(|(i, series)| Ok((check.series(i, series)?, Points::default())));
    let mut series = series.collect::<Result<Vec<_>, Failure>>()?;
    for (i, points) in said.points.into_iter().enumerate() {
        let which = check.index(format_args!("points[{i}].series"), points.series, series.len())?;
        check.same_length(format_args!("points[{i}].value"), points.value.len(), points.at.len())?;
        check.ascending(format_args!("points[{i}].at"), &points.at)?;
        let of_series = &mut series[which].1;
        if !of_series.at.is_empty() && !points.at.is_empty() {
            return Err(check.breach(format_args!("points[{i}].series"), "is given points twice"));
        }
        *of_series = Points { at: moments(points.at), value: points.value };
    }
    Ok(Collection {
        events: events(check, said.events, topology.entities.len())?,
        series,
        topology,
        cursor: said.cursor,
    })
}

fn events(check: Check<'_>, said: Vec<wit::Event>, entities: usize) -> Result<Vec<EventDraft>, Failure> {
    check.count("events", said.len(), MAX_EVENTS)?;
    let event = |(i, event): (usize, wit::Event)| {
        check.index(format_args!("events[{i}].entity"), event.entity, entities)?;
        Ok(EventDraft {
            at: Timestamp(event.at),
            entity: event.entity,
            code: check.name(format_args!("events[{i}].code"), event.code)?,
            severity: severity(event.severity),
            title: check.text(format_args!("events[{i}].title"), event.title)?,
            attributes: check.labels(format_args!("events[{i}].attributes"), event.attributes)?,
        })
    };
    said.into_iter().enumerate().map(event).collect()
}
