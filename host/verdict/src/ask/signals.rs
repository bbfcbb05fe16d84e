//! The signals of a case: every series of every suspect over the time around the onset, on common moments, in canonical units.
//! Counters become rates; where a server counts time and operations apart, what one operation took; requests by outcome become the
//! share that failed. What a service's replicas tell is added up for the service, for that is what its users feel.

use super::clocks::Clocks;
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    cause::{SignalClass, SignalFrame, SuspectSignal},
    entity::EntityId,
    meaning::{EntitySeries, Meaning},
    request::Outcome,
    series::{MetricType, Points, Series, SeriesId},
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
/// Grids by which signals are laid on common moments, in milliseconds: a signal comes to the first that is not finer than it.
const STEPS_MILLIS: [i64; 4] = [15_000, 30_000, 60_000, 300_000];
/// A sender may be so much slower than the grid's step before the next one is taken.
const STEP_SLACK: f64 = 1.1;

/// The time of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// What was gathered: the frames, and by the number of each signal the series it is made of.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub frames: Vec<SignalFrame>,
    pub series: Vec<Vec<SeriesId>>,
    /// What is to be known of the senders' clocks.
    pub caveats: Vec<String>,
}

/// A series on its grid.
#[derive(Debug, Clone)]
struct Track {
    suspect: u32,
    name: String,
    /// `name` with its dimensions.
    full_name: String,
    dimensions: BTreeMap<String, String>,
    counter: bool,
    series: SeriesId,
    step: usize,
    value: Vec<f64>,
}

/// A signal that is made of one or several tracks.
#[derive(Debug, Clone)]
struct Made {
    suspect: u32,
    name: String,
    class: SignalClass,
    series: Vec<SeriesId>,
    step: usize,
    value: Vec<f64>,
}

/// Gathers the signals of suspects, given by their index in the case, nearest first. `service` is the suspect for which those of
/// `replicas` are added up.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn gather(
    read: &ReadTx,
    suspects: &[(u32, EntityId)],
    service: u32,
    window: Window,
    now: Timestamp,
) -> Result<Gathered, ReadError> {
    let wanted = wanted(read, suspects)?;
    let mut clocks = Clocks::default();
    for (_, _, series) in &wanted {
        if let Some((newest, _)) = read.latest(series.id)? {
            clocks.saw(&series.target, newest);
        }
    }
    let tracks = tracks(read, &wanted, window, |series| clocks.ahead_millis(&series.target, now))?;
    let mut by_suspect: BTreeMap<u32, Vec<&Track>> = BTreeMap::new();
    for track in &tracks {
        by_suspect.entry(track.suspect).or_default().push(track);
    }
    let mut made = Vec::new();
    let mut served: Vec<Served> = Vec::new();
    for (suspect, tracks) in &by_suspect {
        let (signals, serves) = signals_of(*suspect, tracks);
        made.extend(signals);
        served.extend(serves);
    }
    made.extend(of_service(service, &served));
    made.retain(|signal| moves(&signal.value));
    Ok(Gathered { caveats: clocks.caveats(now), ..frames(made, window) })
}

fn rows(window: Window, step: usize) -> usize {
    let millis = STEPS_MILLIS[step];
    (window.until.0.div_euclid(millis) - window.from.0.div_euclid(millis) + 1).max(1) as usize
}

fn moment(window: Window, step: usize, row: usize) -> Timestamp {
    let millis = STEPS_MILLIS[step];
    Timestamp((window.from.0.div_euclid(millis) + row as i64) * millis)
}

/// Whether a signal says anything at all: one that never moved does not.
fn moves(value: &[f64]) -> bool {
    let mut known = value.iter().filter(|value| value.is_finite());
    known.next().is_some_and(|first| known.any(|other| other != first))
}

/// Whether a counter rose at one moment only: that is chance, or an event that is known as such. Among the error counters of
/// hundreds of ports there is always one that has just risen.
fn happened_once(track: &Track) -> bool {
    track.counter && track.value.iter().filter(|rate| rate.is_finite() && **rate != 0.0).count() == 1
}

/// The series of suspects that may tell something.
fn wanted(read: &ReadTx, suspects: &[(u32, EntityId)]) -> Result<Vec<(u32, Meaning, Series)>, ReadError> {
    let mut wanted = Vec::new();
    for (suspect, entity) in suspects {
        let range = (entity.0.clone(), 0)..=(entity.0.clone(), u64::MAX);
        for entry in read.scan::<EntitySeries>(range, MAX_SERIES_OF_ENTITY)? {
            let (Some(meaning), Some(series)) =
                (read.get::<Meaning>(&entry.series.0)?, read.get::<Series>(&entry.series.0)?)
            else {
                continue;
            };
            if tells(&meaning, &series) && wanted.len() < MAX_SERIES {
                wanted.push((*suspect, meaning, series));
            }
        }
    }
    Ok(wanted)
}

/// Lays series on their grids; `ahead_millis` is how far the clock that dated a series is ahead.
fn tracks(
    read: &ReadTx,
    wanted: &[(u32, Meaning, Series)],
    window: Window,
    ahead_millis: impl Fn(&Series) -> i64,
) -> Result<Vec<Track>, ReadError> {
    let (mut tracks, mut values) = (Vec::new(), 0);
    let of_one_clock = |one: &(u32, Meaning, Series), other: &(u32, Meaning, Series)| one.2.target == other.2.target;
    for chunk in wanted.chunk_by(of_one_clock).flat_map(|chunk| chunk.chunks(READ_AT_ONCE)) {
        let ahead = chunk.first().map_or(0, |(_, _, series)| ahead_millis(series));
        let ids: Vec<SeriesId> = chunk.iter().map(|(_, meaning, _)| meaning.series).collect();
        let mut points = read.points_of_many(&ids, window.from.plus_millis(ahead), window.until.plus_millis(ahead))?;
        let dated = points.iter_mut().flat_map(|points| &mut points.at);
        dated.for_each(|at| *at = at.plus_millis(-ahead));
        for ((suspect, meaning, series), points) in chunk.iter().zip(&points) {
            let Some(track) = track(*suspect, meaning, series, points, window) else { continue };
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

fn track(suspect: u32, meaning: &Meaning, series: &Series, points: &Points, window: Window) -> Option<Track> {
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
        suspect,
        full_name: full_name(&meaning.body.name, &dimensions),
        name: meaning.body.name.clone(),
        dimensions,
        counter,
        series: meaning.series,
        step,
        value,
    })
}

fn full_name(name: &str, dimensions: &BTreeMap<String, String>) -> String {
    if dimensions.is_empty() {
        return name.to_owned();
    }
    let told: Vec<String> = dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{name}{{{}}}", told.join(","))
}

fn row_of(at: Timestamp, window: Window, step: usize) -> usize {
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

/// What a suspect served, cell by cell: requests, those that failed, and seconds over operations for what they took.
struct Served {
    step: usize,
    requests: Vec<f64>,
    failed: Vec<f64>,
    seconds: Vec<f64>,
    timed: Vec<f64>,
    series: Vec<SeriesId>,
}

/// Time and operations that are counted apart, and what one operation took.
const TIMED: [(&str, &str, &str); 5] = [
    ("disk.read.time", "disk.reads", "disk.read.latency"),
    ("disk.write.time", "disk.writes", "disk.write.latency"),
    ("disk.discard.time", "disk.discards", "disk.discard.latency"),
    ("disk.flush.time", "disk.flushes", "disk.flush.latency"),
    ("disk.io.time.weighted", "disk.io", "disk.io.latency"),
];
/// Requests of a model server, by outcome.
const REQUESTS: &str = "model.requests";

fn sum_of<'a>(tracks: impl Iterator<Item = &'a &'a Track>, step: usize) -> Option<(Vec<f64>, Vec<SeriesId>)> {
    let mut sum: Option<Vec<f64>> = None;
    let mut series = Vec::new();
    for track in tracks.filter(|track| track.step == step) {
        series.push(track.series);
        match &mut sum {
            None => sum = Some(track.value.clone()),
            Some(sum) => sum.iter_mut().zip(&track.value).for_each(|(sum, value)| {
                *sum = match (sum.is_nan(), value.is_nan()) {
                    (true, _) => *value,
                    (false, true) => *sum,
                    (false, false) => *sum + value,
                }
            }),
        }
    }
    sum.map(|sum| (sum, series))
}

fn over(above: &[f64], below: &[f64]) -> Vec<f64> {
    above.iter().zip(below).map(|(above, below)| if *below > 0.0 { above / below } else { f64::NAN }).collect()
}

/// The signals of one suspect.
fn signals_of(suspect: u32, tracks: &[&Track]) -> (Vec<Made>, Option<Served>) {
    let mut made = Vec::new();
    let mut spent: Vec<SeriesId> = Vec::new();
    let mut of = |name: String, step: usize, value: Vec<f64>, series: Vec<SeriesId>| {
        made.push(Made { suspect, name, class: SignalClass::Unknown, series, step, value });
    };
    let served = served(tracks);
    if let Some(served) = &served {
        spent.extend(tracks.iter().filter(|track| track.name == REQUESTS).map(|track| track.series));
        of(REQUESTS.into(), served.step, served.requests.clone(), served.series.clone());
        of("model.errors".into(), served.step, over(&served.failed, &served.requests), served.series.clone());
    }
    for track in tracks.iter().filter(|track| track.counter) {
        let Some(stem) = track.name.strip_suffix(".sum") else { continue };
        let count = tracks.iter().find(|other| {
            other.name.strip_suffix(".count") == Some(stem)
                && other.dimensions == track.dimensions
                && other.step == track.step
        });
        let (below, mut series) = match (count, &served) {
            (Some(count), _) => (count.value.clone(), vec![count.series]),
            (None, Some(served)) if served.step == track.step => (served.requests.clone(), Vec::new()),
            _ => continue,
        };
        spent.extend(series.iter().copied().chain([track.series]));
        series.push(track.series);
        of(full_name(stem, &track.dimensions), track.step, over(&track.value, &below), series);
    }
    for (time, operations, took) in TIMED {
        for track in tracks.iter().filter(|track| track.name == time) {
            let same = |other: &&&Track| other.name == operations && other.dimensions == track.dimensions;
            let Some(count) = tracks.iter().find(same).filter(|count| count.step == track.step) else { continue };
            spent.push(track.series);
            of(took.into(), track.step, over(&track.value, &count.value), vec![track.series, count.series]);
        }
    }
    for track in tracks.iter().filter(|track| !spent.contains(&track.series) && !happened_once(track)) {
        // A count beside its sum was spent; one alone counts something and takes no time.
        let name = track.full_name.replace(".count", ".number");
        of(name, track.step, track.value.clone(), vec![track.series]);
    }
    (made, served)
}

fn served(tracks: &[&Track]) -> Option<Served> {
    let requests: Vec<&Track> =
        tracks.iter().copied().filter(|track| track.name == REQUESTS && track.counter).collect();
    let step = requests.first()?.step;
    let outcome = |track: &Track| Outcome::of(|name| track.dimensions.get(name).map(String::as_str));
    let of = |wanted: &[Outcome]| sum_of(requests.iter().filter(|track| wanted.contains(&outcome(track))), step);
    let rows = requests[0].value.len();
    let nothing = || (vec![0.0; rows], Vec::new());
    // Whoever gave up waited in vain: users feel it as they feel a failure.
    let (failed, failed_series) = of(&[Outcome::Failed, Outcome::GivenUp]).unwrap_or_else(nothing);
    let (answered, answered_series) = of(&[Outcome::Answered]).unwrap_or_else(nothing);
    let (any, any_series) = of(&[Outcome::Any]).unwrap_or_else(nothing);
    let zero = |value: f64| if value.is_nan() { 0.0 } else { value };
    let gone = |row: usize| requests.iter().all(|track| track.value.get(row).is_none_or(|value| value.is_nan()));
    // Some servers count all and the failed, some the answered and the failed.
    let requests: Vec<f64> = (0..rows)
        .map(|row| if gone(row) { f64::NAN } else { zero(any[row]).max(zero(answered[row]) + zero(failed[row])) })
        .collect();
    let seconds = sum_of(tracks.iter().filter(|track| track.name == "model.latency.sum"), step);
    let timed = sum_of(tracks.iter().filter(|track| track.name == "model.latency.count"), step);
    let timed = timed.map_or_else(|| requests.clone(), |(timed, _)| timed);
    let (seconds, mut series) = seconds.unwrap_or_else(|| (vec![f64::NAN; rows], Vec::new()));
    series.extend(failed_series.into_iter().chain(answered_series).chain(any_series));
    Some(Served { step, requests, failed, seconds, timed, series })
}

/// What all who serve for a service served together.
fn of_service(service: u32, served: &[Served]) -> Vec<Made> {
    let mut made = Vec::new();
    for step in 0..STEPS_MILLIS.len() {
        let mut of_step = served.iter().filter(|served| served.step == step).peekable();
        let Some(rows) = of_step.peek().map(|served| served.requests.len()) else { continue };
        let mut sums = [vec![f64::NAN; rows], vec![f64::NAN; rows], vec![f64::NAN; rows], vec![f64::NAN; rows]];
        let mut series = Vec::new();
        for served in of_step {
            series.extend(served.series.iter().copied());
            for (sum, values) in sums.iter_mut().zip([&served.requests, &served.failed, &served.seconds, &served.timed])
            {
                for (sum, value) in sum.iter_mut().zip(values).filter(|(_, value)| value.is_finite()) {
                    *sum = if sum.is_nan() { *value } else { *sum + value };
                }
            }
        }
        let [requests, failed, seconds, timed] = sums;
        let mut of = |name: &str, value: Vec<f64>| {
            let (name, class) = (name.to_owned(), SignalClass::External);
            made.push(Made { suspect: service, name, class, series: series.clone(), step, value });
        };
        of("model.errors", over(&failed, &requests));
        of("model.latency", over(&seconds, &timed));
        of(REQUESTS, requests);
    }
    made
}

fn frames(made: Vec<Made>, window: Window) -> Gathered {
    let mut gathered = Gathered::default();
    for step in 0..STEPS_MILLIS.len() {
        let of_step: Vec<&Made> = made.iter().filter(|signal| signal.step == step).collect();
        if of_step.is_empty() {
            continue;
        }
        let rows = rows(window, step);
        gathered.frames.push(SignalFrame {
            at: (0..rows).map(|row| moment(window, step, row)).collect(),
            signals: of_step
                .iter()
                .map(|signal| SuspectSignal { suspect: signal.suspect, name: signal.name.clone(), class: signal.class })
                .collect(),
            value: of_step.iter().flat_map(|signal| signal.value.iter().copied()).collect(),
        });
        gathered.series.extend(of_step.iter().map(|signal| signal.series.clone()));
    }
    gathered
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

    fn counter(name: &str, dimension: Option<(&str, &str)>, number: u64, value: &[f64]) -> Track {
        let dimensions = dimension.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Track {
            suspect: 1,
            full_name: full_name(name, &dimensions),
            name: name.into(),
            dimensions,
            counter: true,
            series: SeriesId(number),
            step: 0,
            value: value.to_vec(),
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
    fn requests_by_outcome_become_rate_share_of_failures_and_time_of_one() {
        let tracks = [
            counter("model.requests", Some(("outcome", "success")), 1, &[9.0, 8.0, f64::NAN]),
            counter("model.requests", Some(("outcome", "failure")), 2, &[1.0, 2.0, f64::NAN]),
            counter("model.latency.sum", None, 3, &[0.1, 0.4, f64::NAN]),
        ];
        let tracks: Vec<&Track> = tracks.iter().collect();
        let (made, served) = signals_of(1, &tracks);
        let of = |name: &str| made.iter().find(|one| one.name == name).map(|one| one.value.clone()).expect(name);
        assert_eq!(of("model.requests")[..2], [10.0, 10.0]);
        assert_eq!(of("model.errors")[..2], [0.1, 0.2]);
        assert_eq!(of("model.latency")[..2], [0.01, 0.04]);
        assert!(of("model.requests")[2].is_nan(), "who is gone serves nothing, and not nought");
        assert_eq!(made.len(), 3);
        let served = [served.expect("it serves"), served_twin()];
        let whole = of_service(0, &served);
        let of = |name: &str| whole.iter().find(|one| one.name == name).map(|one| one.value.clone()).expect(name);
        assert_eq!(of("model.requests"), [20.0, 20.0, 10.0], "the other replica goes on");
        assert_eq!(of("model.errors")[2], 0.0);
    }

    fn served_twin() -> Served {
        let (requests, failed) = (vec![10.0; 3], vec![0.0; 3]);
        let (seconds, timed) = (vec![0.1; 3], requests.clone());
        Served { step: 0, requests, failed, seconds, timed, series: vec![SeriesId(9)] }
    }

    #[test]
    fn what_happened_once_is_no_signal() {
        let once = counter("interface.receive.drops", None, 1, &[0.0, 0.0, 1.0]);
        let twice = counter("interface.receive.errors", None, 2, &[0.0, 1.0, 2.0]);
        let names: Vec<String> = signals_of(1, &[&once, &twice]).0.into_iter().map(|made| made.name).collect();
        assert_eq!(names, ["interface.receive.errors"]);
        assert!(!happened_once(&Track { counter: false, ..once }), "a state may have changed just now");
    }

    #[test]
    fn what_never_moves_is_no_signal_and_grids_follow_the_sender() {
        assert!(!moves(&[1.0, f64::NAN, 1.0]) && !moves(&[f64::NAN]) && moves(&[1.0, 2.0]));
        assert_eq!(rows(WINDOW, 0), 5);
        assert_eq!(moment(WINDOW, 1, 1), Timestamp(30_000));
        assert_eq!(row_of(Timestamp(-1), WINDOW, 0), usize::MAX);
    }
}
