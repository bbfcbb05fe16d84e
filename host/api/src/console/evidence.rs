//! Which signals speak for an incident, and their courses around its onset: what findings tell of, and beside it what says most
//! about the entity that is to blame.

use super::{
    chart::{Chart, Mark},
    figures, telling,
};
use crate::error::ApiError;
use std::collections::BTreeSet;

use tandem_domain::{
    Timestamp,
    cause::Direction,
    entity::EntityId,
    finding::Finding,
    meaning::{EntitySeries, Meaning},
    series::{MetricType, Points, Series, SeriesId},
    verdict::Verdict,
};
use tandem_store::ReadTx;

/// Charts on a page.
pub(super) const MAX_CHARTS: usize = 6;
/// Of them at most so many of the entity to blame that no finding tells of.
const MAX_OF_CAUSE: usize = 3;
/// Series of one entity looked at.
const MAX_SERIES_OF_ENTITY: usize = 500;

/// The time that charts show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// A course with whose it is and why it is shown.
pub(super) struct Shown {
    pub entity: EntityId,
    pub chart: Chart,
    pub why: String,
}

/// The charts of an incident: first what findings tell of, the oddest first, then what says most about the cause.
pub(super) fn charts(
    read: &ReadTx,
    findings: &[Finding],
    verdicts: &[Verdict],
    cause: Option<&EntityId>,
    window: Window,
    marks: &[Mark],
) -> Result<Vec<Shown>, ApiError> {
    let mut shown = Vec::new();
    let mut seen = BTreeSet::new();
    for finding in findings {
        let Some(series) = finding.series.first().copied() else { continue };
        if shown.len() == MAX_CHARTS || !seen.insert(series) {
            continue;
        }
        let Some((mut chart, is_rate)) = chart(read, series, window)? else { continue };
        // Of a counter the band is of its reading, and what is shown is what it rises by.
        chart.band =
            (!is_rate && (finding.low.is_finite() || finding.high.is_finite())).then_some((finding.low, finding.high));
        chart.marks = marks.to_vec();
        chart.marks.push(Mark { at: finding.started_at, label: "odd since".into() });
        let score = finding.score;
        let why = format!("{} finds it {score:.1} times as far out as would still be usual", finding.detector);
        shown.push(Shown { entity: finding.entity.clone(), chart, why });
    }
    let Some(cause) = cause else { return Ok(shown) };
    let candidates = verdicts.iter().flat_map(|verdict| verdict.grounds.candidates.first());
    for signal in candidates.filter(|candidate| candidate.entity == *cause).flat_map(|candidate| &candidate.signals) {
        let Some(series) = signal.series.first().copied().filter(|series| !seen.contains(series)) else { continue };
        if shown.len() == MAX_CHARTS {
            break;
        }
        seen.insert(series);
        let Some((mut chart, _)) = chart(read, series, window)? else { continue };
        chart.marks = marks.to_vec();
        let way = match signal.direction {
            Direction::Up => "rose",
            Direction::Down => "fell",
        };
        let why = format!("it {way} by {:.1} times its usual spread", signal.score);
        shown.push(Shown { entity: cause.clone(), chart, why });
    }
    for series in telling_series(read, cause)?.into_iter().filter(|series| !seen.contains(series)).take(MAX_OF_CAUSE) {
        if shown.len() == MAX_CHARTS {
            break;
        }
        let Some((mut chart, _)) = chart(read, series, window)? else { continue };
        chart.marks = marks.to_vec();
        shown.push(Shown { entity: cause.clone(), chart, why: "what says most about it".into() });
    }
    Ok(shown)
}

/// The series that say most about an entity.
fn telling_series(read: &ReadTx, entity: &EntityId) -> Result<Vec<SeriesId>, ApiError> {
    let range = (entity.0.clone(), 0)..=(entity.0.clone(), u64::MAX);
    let mut meanings = Vec::new();
    for index in read.scan::<EntitySeries>(range, MAX_SERIES_OF_ENTITY)? {
        meanings.extend(read.get::<Meaning>(&index.series.0)?);
    }
    let named = telling::by_entity(meanings);
    let Some(of_entity) = named.get(entity) else { return Ok(Vec::new()) };
    let columns = telling::columns(std::iter::once(of_entity));
    Ok(columns.iter().filter_map(|name| Some(of_entity.get(name)?.first()?.series)).collect())
}

/// The course of a series in canonical units, and whether it is a counter's rate; none where it is not known any more.
fn chart(read: &ReadTx, series: SeriesId, window: Window) -> Result<Option<(Chart, bool)>, ApiError> {
    let (Some(meaning), Some(known)) = (read.get::<Meaning>(&series.0)?, read.get::<Series>(&series.0)?) else {
        return Ok(None);
    };
    let mut points = read.points(series, window.from, window.to)?;
    let mut unit = meaning.body.unit.clone();
    let is_rate = known.description.metric_type == MetricType::Counter;
    if is_rate {
        points = rates(&points, meaning.body.scale);
        unit = figures::rate_unit(&unit);
    } else {
        points.value.iter_mut().for_each(|value| *value = meaning.body.canonical(*value));
    }
    let Window { from, to } = window;
    let parts: Vec<&str> = meaning.body.dimensions.iter().map(|(_, value)| value).collect();
    let of = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    let (name, marks) = (meaning.body.name, Vec::new());
    Ok(Some((Chart { name, of, unit, points, from, to, band: None, marks }, is_rate)))
}

/// The rise of a counter per second between each two points; a fall is a restart, after which it counts from nothing.
fn rates(points: &Points, scale: f64) -> Points {
    let mut rates = Points::default();
    let known: Vec<(Timestamp, f64)> =
        points.at.iter().copied().zip(points.value.iter().copied()).filter(|(_, value)| value.is_finite()).collect();
    for pair in known.windows(2) {
        let seconds = pair[1].0.millis_since(pair[0].0) as f64 / 1_000.0;
        let rise = if pair[1].1 >= pair[0].1 { pair[1].1 - pair[0].1 } else { pair[1].1 };
        if seconds > 0.0 {
            rates.at.push(pair[1].0);
            rates.value.push(rise / seconds * scale);
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_shown_as_what_it_rises_by() {
        let points = Points {
            at: [0, 10_000, 20_000, 30_000].map(Timestamp).to_vec(),
            value: vec![100.0, 200.0, f64::NAN, 50.0],
        };
        let rates = rates(&points, 2.0);
        assert_eq!(rates.at, [Timestamp(10_000), Timestamp(30_000)]);
        assert_eq!(rates.value, [20.0, 5.0], "a restart counts from nothing");
    }
}
