//! What a detector answers for one group, gathered in columns.

use super::{Attribution, Fault, Scores};
use crate::types::{Failure, Timestamp};

/// Columns of scores for one group, and the faults found so far in the batch. The columns are public for detectors that
/// fill them whole; the functions keep them in step.
#[derive(Debug, Default)]
pub struct Answer {
    group: u32,
    /// The moments answered.
    pub at: Vec<Timestamp>,
    /// The scores: at least 1 is anomalous, 0 is as expected.
    pub score: Vec<f64>,
    /// The lower end of the values expected; NaN where there is no band; empty when there is none at all.
    pub low: Vec<f64>,
    /// The upper end of the values expected.
    pub high: Vec<f64>,
    /// Which members made a point odd.
    pub attributions: Vec<Attribution>,
    /// How many of these points, from the first, were answered while still learning.
    pub warming: u32,
    /// Faults that began or ended, of any group of the batch so far.
    pub faults: Vec<Fault>,
}

impl Answer {
    /// An empty answer for a group.
    pub fn new(group: u32) -> Self {
        Self { group, ..Self::default() }
    }

    /// Makes room for so many more points with their bands.
    pub fn reserve(&mut self, points: usize) {
        self.at.reserve_exact(points);
        for column in [&mut self.score, &mut self.low, &mut self.high] {
            column.reserve_exact(points);
        }
    }

    /// A score with the band of values expected.
    #[inline]
    pub fn push(&mut self, at: Timestamp, score: f64, low: f64, high: f64) {
        if self.low.len() != self.at.len() {
            self.begin_band();
        }
        self.at.push(at);
        self.score.push(score);
        self.low.push(low);
        self.high.push(high);
    }

    /// A score without a band.
    pub fn push_score(&mut self, at: Timestamp, score: f64) {
        self.at.push(at);
        self.score.push(score);
        if !self.low.is_empty() {
            self.low.push(f64::NAN);
            self.high.push(f64::NAN);
        }
    }

    /// A point that is answered while still learning: score 0, not used. All such points come before the first other one.
    pub fn push_warming(&mut self, at: Timestamp) {
        self.warming += 1;
        self.push_score(at, 0.0);
    }

    /// Says which members made the point that was pushed last odd; the shares sum to 1.
    pub fn attribute(&mut self, share: Vec<f64>) {
        if let Some(index) = self.at.len().checked_sub(1) {
            self.attributions.push(Attribution { index: index as u32, share });
        }
    }

    /// Points pushed earlier without a band get NaN for it.
    #[cold]
    fn begin_band(&mut self) {
        self.low.resize(self.at.len(), f64::NAN);
        self.high.resize(self.at.len(), f64::NAN);
    }

    /// Columns of unequal length or a NaN score are the detector's own fault, told plainly.
    pub(super) fn check(&self, members: usize) -> Result<(), Failure> {
        let points = self.at.len();
        let band_fits = self.low.len() == self.high.len() && (self.low.is_empty() || self.low.len() == points);
        let wrong = if self.score.len() != points || !band_fits {
            "columns of unequal length"
        } else if self.score.iter().any(|score| score.is_nan()) {
            "a score that is NaN"
        } else if self.warming as usize > points {
            "more points as warming than it has"
        } else if self.attributions.iter().any(|a| a.index as usize >= points || a.share.len() != members) {
            "an attribution to a point or member that is not there"
        } else {
            return Ok(());
        };
        Err(Failure::internal(format!("the detector answered {wrong} for group {}", self.group)))
    }

    /// The scores of this group, and the faults of the batch so far.
    pub(super) fn into_parts(self) -> (Scores, Vec<Fault>) {
        let Self { group, at, score, low, high, attributions, warming, faults } = self;
        (Scores { group, at, score, low, high, attributions, warming }, faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_as_long_as_the_scores_whenever_they_begin() {
        let mut answer = Answer::new(3);
        answer.push_warming(1);
        answer.push(2, 0.5, 1.0, 2.0);
        answer.push_score(3, 0.1);
        answer.push(4, 2.0, 1.0, 2.0);
        answer.check(1).expect("in step");
        assert_eq!(answer.warming, 1);
        assert!(answer.low[0].is_nan() && answer.high[2].is_nan());
        assert_eq!((answer.low[3], answer.high[1]), (1.0, 2.0));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let mut answer = Answer::new(3);
        answer.push_score(1, f64::NAN);
        assert!(answer.check(1).expect_err("NaN").message.contains("NaN"));
        answer.score[0] = 0.0;
        answer.attribute(vec![1.0]);
        answer.check(1).expect("one share for one member");
        assert!(answer.check(2).is_err());
        answer.at.push(2);
        assert!(answer.check(1).expect_err("unequal").message.contains("unequal"));
    }
}
