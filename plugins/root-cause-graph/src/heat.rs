//! How hot each suspect is: its signals after the onset, family by family, against its own past and its peers.

use crate::{
    blame::HOT,
    deviation::{Deviation, sorted},
    driven::{self, Driven},
    family::{self, Family},
    gone,
};
use std::collections::{BTreeMap, BTreeSet};
use tandem_sdk::{
    root_cause::{Case, Column, Dependency, Direction, columns},
    types::Timestamp,
};

/// Peers from which on a group says what is common to all.
const MIN_PEERS: usize = 3;
/// Heat of a suspect that shows nothing any more: as of a critical fault.
const GONE_HEAT: f64 = 30.0;
/// A driven signal is never hot by itself, however far out it is: it stays below what is hot by this much.
const DRIVEN_SHARE: f64 = 0.9;
/// A level that has fallen to this share of what it was has come to an end.
const ENDED_SHARE: f64 = 0.1;
/// A stock of which more than this share is left of what there was starves nobody.
const LEFT_SHARE: f64 = 0.7;
/// The share of requests that failed, and the least spread of it.
const FAILED_SHARE: &str = "model.errors";
const LEAST_FAILED_SPREAD: f64 = 0.000_5;
/// What is left of a deviation that all peers share: it is load, or the fault of something behind all of them.
const SHARED_LEFT: f64 = 0.25;

/// A signal that left its course.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sign {
    /// Its number in the case.
    pub(crate) signal: u32,
    pub(crate) suspect: u32,
    /// Which frame it stands in: profiles of one frame can be laid over each other.
    frame: u32,
    pub(crate) family: Family,
    pub(crate) direction: Direction,
    /// How far, weighed by whether its direction hurts and by what its peers did.
    pub(crate) score: f64,
    /// How far, as measured.
    pub(crate) distance: f64,
    /// How far in the middle of the time after the onset, in the same direction; 0 or more.
    pub(crate) standing: f64,
    /// Its level after the onset, in times of what it was.
    pub(crate) times: f64,
    profile: Vec<f64>,
}

impl Sign {
    /// Whether it rose.
    pub(crate) fn rises(&self) -> bool {
        self.direction == Direction::Up
    }

    /// Whether two signs rose at the same moments: 1 where they did, 0 where they had nothing in common, 1 where the moments
    /// cannot be laid over each other.
    pub(crate) fn likeness(&self, other: &Sign) -> f64 {
        if self.frame != other.frame {
            return 1.0;
        }
        let out = |sign: &Sign, i: usize| {
            let distance = sign.profile[i];
            match sign.direction {
                Direction::Up => distance.max(0.0),
                Direction::Down => (-distance).max(0.0),
            }
            .sqrt()
        };
        let (mut both, mut own, mut others) = (0.0, 0.0, 0.0);
        for i in 0..self.profile.len().min(other.profile.len()) {
            let (a, b) = (out(self, i), out(other, i));
            both += a * b;
            own += a * a;
            others += b * b;
        }
        if own == 0.0 || others == 0.0 { 0.0 } else { both / (own * others).sqrt() }
    }
}

/// A suspect as its signals show it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Heat {
    /// All its signs, strongest first.
    pub(crate) signs: Vec<Sign>,
    /// Whether any signal of it could be measured at all.
    pub(crate) observed: bool,
    /// Whether it shows nothing any more while others do.
    pub(crate) gone: bool,
    /// The strongest score of each family, by its index.
    pub(crate) by_family: [f64; 4],
}

impl Heat {
    /// The strongest sign of a family.
    pub(crate) fn sign(&self, family: Family) -> Option<&Sign> {
        self.signs.iter().find(|sign| sign.family == family)
    }
}

/// The least that counts as a spread: twice it, one request in a thousand that fails, is the least that users feel.
fn least_spread(name: &str) -> f64 {
    if name.split('{').next() == Some(FAILED_SHARE) { LEAST_FAILED_SPREAD } else { 0.0 }
}

fn sign_of(column: &Column<'_>, frame: u32, onset: Timestamp, suspect: &str) -> Option<Sign> {
    let cut = column.at.partition_point(|at| *at < onset);
    let deviation = Deviation::of(&column.value[..cut], &column.value[cut..], least_spread(&column.signal.name))?;
    let reading = family::read(&column.signal.name, column.signal.class);
    let capped = |score: f64| score.min(DRIVEN_SHARE * HOT[reading.family.index()]);
    let (up, down) = match driven::read(&column.signal.name, suspect) {
        Driven::No => (deviation.up, deviation.down),
        Driven::Effort if deviation.times <= ENDED_SHARE => (capped(deviation.up), deviation.down),
        Driven::Waiting => (deviation.up, capped(deviation.down)),
        Driven::Stock if deviation.times < LEFT_SHARE => (deviation.up, deviation.down),
        Driven::Stock => (deviation.up, capped(deviation.down)),
        Driven::Effort | Driven::Work => (capped(deviation.up), capped(deviation.down)),
    };
    let (up, down) = (up * reading.up, down * reading.down);
    let (direction, score, distance, standing) = if up >= down {
        (Direction::Up, up, deviation.up, deviation.standing.max(0.0))
    } else {
        (Direction::Down, down, deviation.down, (-deviation.standing).max(0.0))
    };
    Some(Sign {
        signal: column.number,
        suspect: column.signal.suspect,
        frame,
        family: reading.family,
        direction,
        score,
        distance,
        standing,
        times: deviation.times,
        profile: deviation.profile,
    })
}

/// The heat of every suspect.
pub(crate) fn measure(case: &Case, onset: Timestamp) -> Vec<Heat> {
    let frames = case.frames.iter().enumerate().flat_map(|(f, frame)| frame.signals.iter().map(move |_| f as u32));
    let mut heats = vec![Heat::default(); case.suspects.len()];
    for (column, frame) in columns(case).zip(frames) {
        if let Some(sign) = sign_of(&column, frame, onset, &case.suspects[column.signal.suspect as usize].id) {
            let heat = &mut heats[column.signal.suspect as usize];
            heat.observed = true;
            heat.signs.push(sign);
        }
    }
    compare_with_peers(case, &mut heats);
    for (heat, gone) in heats.iter_mut().zip(gone::find(case, onset)) {
        heat.signs.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.signal.cmp(&b.signal)));
        for family in Family::ALL {
            heat.by_family[family.index()] = heat.sign(family).map_or(0.0, |sign| sign.score);
        }
        heat.gone = gone;
        if gone {
            let inside = &mut heat.by_family[Family::Inside.index()];
            *inside = inside.max(GONE_HEAT);
        }
    }
    heats
}

/// A deviation that the peers have too is taken down to what sets this one apart. Of those who serve who was asked about, errors and
/// waiting are left as they are: that all of them suffer is what is to be explained.
fn compare_with_peers(case: &Case, heats: &mut [Heat]) {
    let is_asked_of = |edge: &&Dependency| case.asked.contains(&edge.dependent);
    let serving: BTreeSet<u32> = case.dependencies.iter().filter(is_asked_of).map(|edge| edge.dependency).collect();
    let is_felt = |sign: &Sign| matches!(sign.family, Family::Errors | Family::Latency);
    let names: Vec<&str> = columns(case).map(|column| column.signal.name.as_str()).collect();
    for group in case.peers.iter().filter(|group| group.suspects.len() >= MIN_PEERS) {
        let mut by_name: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for sign in group.suspects.iter().flat_map(|suspect| &heats[*suspect as usize].signs) {
            by_name.entry(names[sign.signal as usize]).or_default().push(signed(sign));
        }
        let shared: BTreeMap<&str, f64> = by_name
            .into_iter()
            .filter(|(_, all)| all.len() >= MIN_PEERS)
            .map(|(name, all)| {
                let all = sorted(all.into_iter());
                (name, all[all.len() / 2])
            })
            .collect();
        for suspect in &group.suspects {
            let serves = serving.contains(suspect);
            for sign in heats[*suspect as usize].signs.iter_mut().filter(|sign| !(serves && is_felt(sign))) {
                let Some(common) = shared.get(names[sign.signal as usize]) else { continue };
                let own = signed(sign);
                if own != 0.0 {
                    // What is common in the same direction explains that share of it.
                    sign.score *= 1.0 - (1.0 - SHARED_LEFT) * (common / own).clamp(0.0, 1.0);
                }
            }
        }
    }
}

fn signed(sign: &Sign) -> f64 {
    match sign.direction {
        Direction::Up => sign.distance,
        Direction::Down => -sign.distance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_share_that_nobody_feels_is_not_far_out_however_still_it_was() {
        let far = |after: f64| {
            let least = least_spread("model.errors{server=a}");
            Deviation::of(&[0.000_2; 60], &[after; 20], least).expect("enough values").up
        };
        assert!(far(0.000_3) < HOT[Family::Errors.index()] && far(0.002) > HOT[Family::Errors.index()]);
        assert_eq!(least_spread("model.latency"), 0.0);
    }
}
