//! What was served: requests, those that failed, and how long they took; of one server, and of all who serve together.

use super::{Made, STEPS_MILLIS, track::Track};
use tandem_domain::{cause::SignalClass, request::Outcome, series::SeriesId};

/// Requests of a model server, by outcome.
pub(super) const REQUESTS: &str = "model.requests";

/// What a suspect served, cell by cell: requests, those that failed, and seconds over operations for what they took.
pub(super) struct Served {
    pub(super) step: usize,
    pub(super) requests: Vec<f64>,
    pub(super) failed: Vec<f64>,
    pub(super) seconds: Vec<f64>,
    pub(super) timed: Vec<f64>,
    pub(super) series: Vec<SeriesId>,
}

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

pub(super) fn over(above: &[f64], below: &[f64]) -> Vec<f64> {
    above.iter().zip(below).map(|(above, below)| if *below > 0.0 { above / below } else { f64::NAN }).collect()
}

pub(super) fn served(tracks: &[&Track]) -> Option<Served> {
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

/// What several served together, as signals of one suspect.
pub(super) fn together<'s>(suspect: u32, served: impl Iterator<Item = &'s Served> + Clone) -> Vec<Made> {
    let mut made = Vec::new();
    for step in 0..STEPS_MILLIS.len() {
        let mut of_step = served.clone().filter(|served| served.step == step).peekable();
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
            made.push(Made { suspect, name, class, series: series.clone(), step, value });
        };
        of("model.errors", over(&failed, &requests));
        of("model.latency", over(&seconds, &timed));
        of(REQUESTS, requests);
    }
    made
}
