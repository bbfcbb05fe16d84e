//! Series on the moments of a case, in canonical units; counters as rates.

use super::{Asked, STEPS_MILLIS, Window, rows};
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    entity::EntityId,
    meaning::{EntitySeries, Meaning},
    series::{MetricType, Points, Series, SeriesId},
    target::TargetKey,
};
use tandem_store::{ReadError, ReadTx};

/// Series of one entity looked at: a large host has some 2,000.
const MAX_SERIES_OF_ENTITY: usize = 3_000;
/// Series of all suspects looked at, those of the nearest first.
const MAX_SERIES: usize = 12_000;
/// Series read at once, so that memory stays bounded while a case is gathered.
const READ_AT_ONCE: usize = 500;
/// Values of a case: what ranks them may be shown 2,000,000.
const MAX_VALUES: usize = 1_500_000;
/// A sender may be so much slower than the grid's step before the next one is taken.
const STEP_SLACK: f64 = 1.1;
/// Kinds whose series are those of the replica whose server shows them.
const SHOWN_BY_REPLICAS: [&str; 2] = ["model", "service"];

/// A series on its grid.
#[derive(Debug, Clone)]
pub(super) struct Track {
    /// Whose signal it is.
    pub(super) holder: u32,
    /// Whose series it is: another one, where a replica's server shows those of its model.
    pub(super) of: u32,
    /// Number of its sender: what counts time and what counts operations belong together where one sender shows both.
    pub(super) sender: u32,
    pub(super) name: String,
    /// `name` with its dimensions.
    pub(super) full_name: String,
    pub(super) dimensions: BTreeMap<String, String>,
    pub(super) counter: bool,
    pub(super) series: SeriesId,
    pub(super) step: usize,
    pub(super) value: Vec<f64>,
}

/// A series that may tell something.
pub(super) struct Wanted {
    holder: u32,
    of: u32,
    sender: u32,
    meaning: Meaning,
    pub(super) series: Series,
}

/// The series of suspects that may tell something, and whose signals they are.
pub(super) fn wanted(read: &ReadTx, asked: &Asked) -> Result<Vec<Wanted>, ReadError> {
    let mut wanted = Vec::new();
    let mut senders: BTreeMap<TargetKey, u32> = BTreeMap::new();
    for (of, entity) in &asked.suspects {
        let range = (entity.0.clone(), 0)..=(entity.0.clone(), u64::MAX);
        for entry in read.scan::<EntitySeries>(range, MAX_SERIES_OF_ENTITY)? {
            let (Some(meaning), Some(series)) =
                (read.get::<Meaning>(&entry.series.0)?, read.get::<Series>(&entry.series.0)?)
            else {
                continue;
            };
            if tells(&meaning, &series) && wanted.len() < MAX_SERIES {
                let next = senders.len() as u32;
                let sender = *senders.entry(series.target.clone()).or_insert(next);
                let holder = holder(*of, entity, &series.target, &asked.replicas);
                wanted.push(Wanted { holder, of: *of, sender, meaning, series });
            }
        }
    }
    Ok(wanted)
}

/// Whose signal a series is: of what a replica's server shows of its model, the replica's.
fn holder(of: u32, entity: &EntityId, sender: &TargetKey, replicas: &BTreeMap<String, u32>) -> u32 {
    let replica = replicas.get(&sender.instance).filter(|_| SHOWN_BY_REPLICAS.contains(&entity.kind()));
    replica.copied().unwrap_or(of)
}

/// Lays series on their grids; `ahead_millis` is how far the clock that dated a series is ahead.
pub(super) fn read(
    read: &ReadTx,
    wanted: &[Wanted],
    window: Window,
    ahead_millis: impl Fn(&Series) -> i64,
) -> Result<Vec<Track>, ReadError> {
    let (mut tracks, mut values) = (Vec::new(), 0);
    let of_one_clock = |one: &Wanted, other: &Wanted| one.sender == other.sender;
    for chunk in wanted.chunk_by(of_one_clock).flat_map(|chunk| chunk.chunks(READ_AT_ONCE)) {
        let ahead = chunk.first().map_or(0, |one| ahead_millis(&one.series));
        let ids: Vec<SeriesId> = chunk.iter().map(|one| one.meaning.series).collect();
        let mut points = read.points_of_many(&ids, window.from.plus_millis(ahead), window.until.plus_millis(ahead))?;
        let dated = points.iter_mut().flat_map(|points| &mut points.at);
        dated.for_each(|at| *at = at.plus_millis(-ahead));
        for (wanted, points) in chunk.iter().zip(&points) {
            let Some(track) = track(wanted, points, window) else { continue };
            values += track.value.len();
            if values > MAX_VALUES {
                return Ok(tracks);
            }
            tracks.push(track);
        }
    }
    Ok(tracks)
}

/// Buckets say nothing one by one, and what is always 1 says nothing at all.
fn tells(meaning: &Meaning, series: &Series) -> bool {
    !meaning.body.name.ends_with(".bucket") && series.description.metric_type != MetricType::Info
}

/// Whether a series only rises, by what its sender declares or, where it declares nothing, by the suffixes that name counters.
fn is_counter(series: &Series) -> bool {
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| series.description.metric.ends_with(suffix));
    match series.description.metric_type {
        MetricType::Counter => true,
        MetricType::Histogram | MetricType::Summary => ends(&["_sum", "_count", "_bucket"]),
        MetricType::Unknown => ends(&["_total", "_sum", "_count", "_bucket"]),
        MetricType::Gauge | MetricType::Info => false,
    }
}

fn track(wanted: &Wanted, points: &Points, window: Window) -> Option<Track> {
    let Wanted { holder, of, sender, meaning, series } = wanted;
    if points.at.len() < 2 {
        return None;
    }
    let mut deltas: Vec<i64> = points.at.windows(2).map(|pair| pair[1].millis_since(pair[0])).collect();
    deltas.sort_unstable();
    let interval = deltas[deltas.len() / 2] as f64;
    let last = STEPS_MILLIS.len() - 1;
    let step = STEPS_MILLIS.iter().position(|step| interval <= *step as f64 * STEP_SLACK).unwrap_or(last);
    let counter = is_counter(series);
    let value = if counter {
        rates(points, meaning.body.scale, window, step)
    } else {
        let mut value = vec![f64::NAN; rows(window, step)];
        for (at, sent) in points.at.iter().zip(&points.value) {
            if let Some(cell) = value.get_mut(row_of(*at, window, step)) {
                *cell = meaning.body.canonical(*sent);
            }
        }
        value
    };
    let dimensions: BTreeMap<String, String> =
        meaning.body.dimensions.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some(Track {
        holder: *holder,
        of: *of,
        sender: *sender,
        full_name: full_name(&meaning.body.name, &dimensions),
        name: meaning.body.name.clone(),
        dimensions,
        counter,
        series: meaning.series,
        step,
        value,
    })
}

pub(super) fn full_name(name: &str, dimensions: &BTreeMap<String, String>) -> String {
    if dimensions.is_empty() {
        return name.to_owned();
    }
    let told: Vec<String> = dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{name}{{{}}}", told.join(","))
}

pub(super) fn row_of(at: Timestamp, window: Window, step: usize) -> usize {
    let millis = STEPS_MILLIS[step];
    usize::try_from(at.0.div_euclid(millis) - window.from.0.div_euclid(millis)).unwrap_or(usize::MAX)
}

/// A counter as a rate per second, cell by cell; a fall is a restart, after which it counts from nothing.
fn rates(points: &Points, scale: f64, window: Window, step: usize) -> Vec<f64> {
    let mut value = vec![f64::NAN; rows(window, step)];
    let mut since: Option<(Timestamp, f64)> = None;
    let (mut cell, mut rise) = (None, 0.0);
    let mut last: Option<(Timestamp, f64)> = None;
    let mut close =
        |cell: Option<usize>, since: Option<(Timestamp, f64)>, last: Option<(Timestamp, f64)>, rise: f64| {
            let (Some(cell), Some((from, _)), Some((until, _))) = (cell, since, last) else { return };
            let seconds = until.millis_since(from) as f64 / 1_000.0;
            if seconds > 0.0
                && let Some(slot) = value.get_mut(cell)
            {
                *slot = rise * scale / seconds;
            }
        };
    for (at, sent) in points.at.iter().zip(&points.value).filter(|(_, sent)| sent.is_finite()) {
        let row = row_of(*at, window, step);
        if cell != Some(row) {
            close(cell, since, last, rise);
            (cell, rise, since) = (Some(row), 0.0, last);
        }
        if let Some((_, before)) = last {
            rise += if *sent >= before { sent - before } else { *sent };
        }
        last = Some((*at, *sent));
    }
    close(cell, since, last, rise);
    value
}

/// Whether a counter rose at one moment only: that is chance, or an event that is known as such. Among the error counters of
/// hundreds of ports there is always one that has just risen.
pub(super) fn happened_once(track: &Track) -> bool {
    track.counter && track.value.iter().filter(|rate| rate.is_finite() && **rate != 0.0).count() == 1
}

#[cfg(test)]
impl Track {
    /// A counter of suspect 1.
    pub(super) fn counting(name: &str, dimension: Option<(&str, &str)>, value: &[f64]) -> Self {
        let dimensions = dimension.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self {
            holder: 1,
            of: 1,
            sender: 1,
            full_name: full_name(name, &dimensions),
            name: name.into(),
            dimensions,
            counter: true,
            series: SeriesId(0),
            step: 0,
            value: value.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { from: Timestamp(0), until: Timestamp(60_000) };

    fn points(pairs: &[(i64, f64)]) -> Points {
        Points {
            at: pairs.iter().map(|(at, _)| Timestamp(at * 1_000)).collect(),
            value: pairs.iter().map(|(_, value)| *value).collect(),
        }
    }

    #[test]
    fn a_counter_is_a_rate_between_the_last_points_of_its_cells() {
        let rate = rates(&points(&[(0, 100.0), (15, 115.0), (30, 145.0), (45, 15.0)]), 2.0, WINDOW, 0);
        assert!(rate[0].is_nan(), "nobody knows from where it rose");
        assert_eq!(&rate[1..4], [2.0, 4.0, 2.0], "a fall is a restart");
        assert!(rate[4].is_nan());
        let gap = rates(&points(&[(1, 0.0), (46, 90.0)]), 1.0, WINDOW, 0);
        assert_eq!(gap[3], 2.0, "over a gap it is spread");
    }

    #[test]
    fn what_a_replicas_server_shows_of_its_model_is_the_replicas() {
        let replicas = BTreeMap::from([("10.0.0.1:8000".to_owned(), 7)]);
        let holder = |entity: &str, instance: &str| {
            let sender = TargetKey { job: "vllm".into(), instance: instance.into() };
            super::holder(3, &EntityId(entity.into()), &sender, &replicas)
        };
        assert_eq!(holder("model:chat/llama@10.0.0.1:8000", "10.0.0.1:8000"), 7);
        assert_eq!(holder("service:chat", "10.0.0.1:8000"), 7);
        assert_eq!(holder("service:chat", "gateway:80"), 3, "nobody knows whose server that is");
        assert_eq!(holder("gpu:0", "10.0.0.1:8000"), 3, "a GPU is no part of what is served");
    }
}
