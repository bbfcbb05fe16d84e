//! The signals of one suspect, made of its tracks.

use super::{
    Made,
    served::{REQUESTS, Served, over, served},
    track::{Track, full_name, happened_once},
};
use tandem_domain::{cause::SignalClass, series::SeriesId};

/// Time and operations that are counted apart, and what one operation took.
const TIMED: [(&str, &str, &str); 5] = [
    ("disk.read.time", "disk.reads", "disk.read.latency"),
    ("disk.write.time", "disk.writes", "disk.write.latency"),
    ("disk.discard.time", "disk.discards", "disk.discard.latency"),
    ("disk.flush.time", "disk.flushes", "disk.flush.latency"),
    ("disk.io.time.weighted", "disk.io", "disk.io.latency"),
];

/// Whether one sender counts the same thing by two tracks.
fn belongs(one: &Track, other: &Track) -> bool {
    (one.sender, one.step) == (other.sender, other.step) && one.dimensions == other.dimensions
}

/// The signals of one suspect.
pub(super) fn signals_of(suspect: u32, tracks: &[&Track]) -> (Vec<Made>, Option<Served>) {
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
        let count =
            tracks.iter().find(|other| other.name.strip_suffix(".count") == Some(stem) && belongs(other, track));
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
            let same = |other: &&&Track| other.name == operations && belongs(other, track);
            let Some(count) = tracks.iter().find(same) else { continue };
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
