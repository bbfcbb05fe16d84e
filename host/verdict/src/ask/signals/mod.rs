//! The signals of a case: every series of every suspect over the time around the onset, on common moments, in canonical units.
//! Counters become rates; where a server counts time and operations apart, what one operation took; requests by outcome become the
//! share that failed. What the server of a replica tells of its model is the replica's, so that one slow replica can be told from all
//! being slow. It is added up for the service, for that is what its users feel, and for each version where several are served.

mod made;
mod served;
mod track;

use super::clocks::Clocks;
use served::Served;
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{
    Timestamp,
    cause::{SignalClass, SignalFrame, SuspectSignal},
    entity::EntityId,
    series::SeriesId,
};
use tandem_store::{ReadError, ReadTx};
use track::Track;

/// Grids by which signals are laid on common moments, in milliseconds: a signal comes to the first that is not finer than it.
const STEPS_MILLIS: [i64; 4] = [15_000, 30_000, 60_000, 300_000];

/// The time of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Whose signals are gathered.
#[derive(Debug)]
pub(super) struct Asked {
    /// Suspects by their index in the case, nearest first.
    pub suspects: Vec<(u32, EntityId)>,
    /// The one that all of them answer for.
    pub service: u32,
    /// Replicas by the address of their server.
    pub replicas: BTreeMap<String, u32>,
}

/// What was gathered: the frames, and by the number of each signal the series it is made of.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub frames: Vec<SignalFrame>,
    pub series: Vec<Vec<SeriesId>>,
    /// What is to be known of the senders' clocks.
    pub caveats: Vec<String>,
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

/// Gathers the signals of suspects.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn gather(read: &ReadTx, asked: &Asked, window: Window, now: Timestamp) -> Result<Gathered, ReadError> {
    let wanted = track::wanted(read, asked)?;
    let mut clocks = Clocks::default();
    for one in &wanted {
        if let Some((newest, _)) = read.latest(one.series.id)? {
            clocks.saw(&one.series.target, newest);
        }
    }
    let tracks = track::read(read, &wanted, window, |series| clocks.ahead_millis(&series.target, now))?;
    let made = all_of(asked.service, &tracks).into_iter().filter(|signal| moves(&signal.value)).collect();
    Ok(Gathered { caveats: clocks.caveats(now), ..frames(made, window) })
}

/// All signals that tracks make: of who holds them, of the service, and of each version where several are served.
fn all_of(service: u32, tracks: &[Track]) -> Vec<Made> {
    let mut by_owner: BTreeMap<(u32, u32), Vec<&Track>> = BTreeMap::new();
    for track in tracks {
        by_owner.entry((track.holder, track.of)).or_default().push(track);
    }
    let mut made = Vec::new();
    let mut served: Vec<(u32, Served)> = Vec::new();
    for ((holder, of), tracks) in &by_owner {
        let (signals, serves) = made::signals_of(*holder, tracks);
        made.extend(signals);
        served.extend(serves.map(|serves| (*of, serves)));
    }
    made.extend(served::together(service, served.iter().map(|(_, served)| served)));
    let lent: BTreeSet<u32> = by_owner.keys().filter(|(holder, of)| holder != of).map(|(_, of)| *of).collect();
    if served.iter().map(|(of, _)| of).collect::<BTreeSet<_>>().len() > 1 {
        for one in lent.into_iter().filter(|one| *one != service) {
            made.extend(served::together(one, served.iter().filter(|(of, _)| *of == one).map(|(_, served)| served)));
        }
    }
    made
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
    use super::{
        track::{happened_once, row_of},
        *,
    };

    const WINDOW: Window = Window { from: Timestamp(0), until: Timestamp(60_000) };

    fn counter(name: &str, dimension: Option<(&str, &str)>, number: u64, value: &[f64]) -> Track {
        Track { series: SeriesId(number), ..Track::counting(name, dimension, value) }
    }

    #[test]
    fn requests_by_outcome_become_rate_share_of_failures_and_time_of_one() {
        let tracks = [
            counter("model.requests", Some(("outcome", "success")), 1, &[9.0, 8.0, f64::NAN]),
            counter("model.requests", Some(("outcome", "failure")), 2, &[1.0, 2.0, f64::NAN]),
            counter("model.latency.sum", None, 3, &[0.1, 0.4, f64::NAN]),
        ];
        let tracks: Vec<&Track> = tracks.iter().collect();
        let (made, served) = made::signals_of(1, &tracks);
        let of = |name: &str| made.iter().find(|one| one.name == name).map(|one| one.value.clone()).expect(name);
        assert_eq!(of("model.requests")[..2], [10.0, 10.0]);
        assert_eq!(of("model.errors")[..2], [0.1, 0.2]);
        assert_eq!(of("model.latency")[..2], [0.01, 0.04]);
        assert!(of("model.requests")[2].is_nan(), "who is gone serves nothing, and not nought");
        assert_eq!(made.len(), 3);
        let served = [served.expect("it serves"), served_twin()];
        let whole = served::together(0, served.iter());
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
        let names: Vec<String> = made::signals_of(1, &[&once, &twice]).0.into_iter().map(|made| made.name).collect();
        assert_eq!(names, ["interface.receive.errors"]);
        assert!(!happened_once(&Track { counter: false, ..once }), "a state may have changed just now");
    }

    /// What a replica's server shows of a model: requests and the time that they took.
    fn shown(replica: u32, model: u32, seconds: f64) -> [Track; 2] {
        let of = |name: &str, value: f64| Track {
            holder: replica,
            of: model,
            sender: replica,
            ..Track::counting(name, None, &[value, value])
        };
        [of("model.requests", 10.0), of("model.latency.sum", seconds)]
    }

    #[test]
    fn replicas_are_told_apart_and_versions_where_there_are_several() {
        let told = |tracks: Vec<[Track; 2]>| {
            let made = all_of(0, &tracks.concat());
            let latency = made.iter().filter(|one| one.name == "model.latency");
            latency.map(|one| (one.suspect, one.value[0])).collect::<Vec<_>>()
        };
        assert_eq!(told(vec![shown(1, 8, 1.0), shown(2, 8, 3.0)]), [(1, 0.1), (2, 0.3), (0, 0.2)]);
        let of_two = told(vec![shown(1, 8, 1.0), shown(1, 9, 3.0)]);
        assert_eq!(of_two, [(1, 0.1), (1, 0.3), (0, 0.2), (8, 0.1), (9, 0.3)]);
    }

    #[test]
    fn what_one_sender_counts_is_not_held_against_what_another_does() {
        let of = |sender, name: &str, value| Track { sender, ..Track::counting(name, None, &[value, value]) };
        let tracks = [
            of(1, "model.queue.time.count", 10.0),
            of(2, "model.queue.time.count", 1.0),
            of(2, "model.queue.time.sum", 1.0),
            of(1, "model.queue.time.sum", 1.0),
        ];
        let made = made::signals_of(1, &tracks.iter().collect::<Vec<_>>()).0;
        assert_eq!(made.iter().map(|one| one.value[0]).collect::<Vec<_>>(), [1.0, 0.1]);
    }

    #[test]
    fn what_never_moves_is_no_signal_and_grids_follow_the_sender() {
        assert!(!moves(&[1.0, f64::NAN, 1.0]) && !moves(&[f64::NAN]) && moves(&[1.0, 2.0]));
        assert_eq!(rows(WINDOW, 0), 5);
        assert_eq!(moment(WINDOW, 1, 1), Timestamp(30_000));
        assert_eq!(row_of(Timestamp(-1), WINDOW, 0), usize::MAX);
    }
}
