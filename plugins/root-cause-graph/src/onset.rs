//! Finds the onset where nobody told it: every signal that left its course votes for the moment at which it did.
//!
//! Each signal learns its course from the first part of the case. Page's cumulative sum over the distances from it, less an
//! allowance, is largest over one stretch; where that stretch begins is the signal's vote, and its sum the weight of the vote.
//! The onset is the moment around which most weight lies.

use crate::{
    deviation::Course,
    family::{self, Family},
};
use tandem_sdk::{
    root_cause::{Case, columns},
    types::Timestamp,
};

/// Share of the case that is taken to be before the onset.
const LEARNED_SHARE: f64 = 0.4;
/// Distance, in spreads, that costs nothing: a signal on its course stays below it nearly always.
const ALLOWANCE: f64 = 2.0;
/// One stray value counts no more than this.
const MAX_DISTANCE: f64 = 8.0;
/// Sum from which on a signal has a vote: three values far out, or a dozen a little out.
const MIN_SUM: f64 = 12.0;
/// Votes within this share of the case are for one moment.
const TOGETHER_SHARE: f64 = 0.02;

struct Vote {
    at: Timestamp,
    weight: f64,
}

fn vote(at: &[Timestamp], value: &[f64]) -> Option<Vote> {
    let learned = (at.len() as f64 * LEARNED_SHARE) as usize;
    let course = Course::of(&value[..learned])?;
    let (mut best, mut best_start) = (0.0, None);
    let (mut sum, mut start) = (0.0, learned);
    for (row, value) in value.iter().enumerate().skip(learned).filter(|(_, value)| value.is_finite()) {
        if sum <= 0.0 {
            (sum, start) = (0.0, row);
        }
        sum += course.distance(*value).abs().min(MAX_DISTANCE) - ALLOWANCE;
        if sum > best {
            (best, best_start) = (sum, Some(start));
        }
    }
    best_start.filter(|_| best >= MIN_SUM).map(|row| Vote { at: at[row], weight: best.sqrt() })
}

/// The onset, or nothing where no signal left its course.
pub(crate) fn find(case: &Case) -> Option<Timestamp> {
    let first = case.frames.iter().filter_map(|frame| frame.at.first()).min()?;
    let last = case.frames.iter().filter_map(|frame| frame.at.last()).max()?;
    let together = (last.saturating_sub(*first) as f64 * TOGETHER_SHARE) as i64;
    let mut votes: Vec<Vote> = columns(case)
        .filter(|column| family::read(&column.signal.name, column.signal.class).family != Family::Traffic)
        .filter_map(|column| vote(column.at, column.value))
        .collect();
    votes.sort_by_key(|vote| vote.at);
    let mut best: Option<(f64, Timestamp)> = None;
    let (mut end, mut weight) = (0, 0.0);
    for start in 0..votes.len() {
        while end < votes.len() && votes[end].at <= votes[start].at.saturating_add(together) {
            weight += votes[end].weight;
            end += 1;
        }
        if best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, votes[start].at));
        }
        weight -= votes[start].weight;
    }
    best.map(|(_, at)| at)
}
