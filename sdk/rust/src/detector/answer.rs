//! What a detector answers for one group, gathered in columns.

use super::{Attribution, Fault, Scores};
use crate::types::{Failure, Timestamp};

/// Columns of scores for one group, and the faults found so far in the batch. The columns are public for detectors that
/// fill them whole; `push`, `push_banded` and `push_warming` keep them in step.
#[derive(Debug)]
pub struct Answer {
    /// The scores of this group.
    pub scores: Scores,
    /// Faults that began or ended, of any group.
    pub faults: Vec<Fault>,
}

impl Answer {
    /// An empty answer for a group, with room for so many points.
    pub fn new(group: u32, points: usize) -> Self {
        let scores = Scores {
            group,
            at: Vec::with_capacity(points),
            score: Vec::with_capacity(points),
            low: Vec::new(),
            high: Vec::new(),
            attributions: Vec::new(),
            warming: 0,
        };
        Self { scores, faults: Vec::new() }
    }

    /// A score without a band.
    pub fn push(&mut self, at: Timestamp, score: f64) {
        self.scores.at.push(at);
        self.scores.score.push(score);
        if !self.scores.low.is_empty() {
            self.scores.low.push(f64::NAN);
            self.scores.high.push(f64::NAN);
        }
    }

    /// A score with the band of values expected.
    pub fn push_banded(&mut self, at: Timestamp, score: f64, low: f64, high: f64) {
        let before = self.scores.at.len();
        if self.scores.low.len() < before || self.scores.low.capacity() == 0 {
            self.begin_band(before);
        }
        self.scores.at.push(at);
        self.scores.score.push(score);
        self.scores.low.push(low);
        self.scores.high.push(high);
    }

    /// A point that is answered while still learning: score 0, not used. All such points come before the first other one.
    pub fn push_warming(&mut self, at: Timestamp) {
        self.scores.warming += 1;
        self.push(at, 0.0);
    }

    /// Says which members made the point that was pushed last odd; the shares sum to 1.
    pub fn attribute(&mut self, share: Vec<f64>) {
        if let Some(index) = self.scores.at.len().checked_sub(1) {
            self.scores.attributions.push(Attribution { index: index as u32, share });
        }
    }

    /// Points pushed earlier without a band get NaN for it.
    #[cold]
    fn begin_band(&mut self, points: usize) {
        for column in [&mut self.scores.low, &mut self.scores.high] {
            column.reserve_exact(self.scores.at.capacity().saturating_sub(column.len()));
            column.resize(points, f64::NAN);
        }
    }

    /// Columns of unequal length or a NaN score are the detector's own fault, told plainly.
    pub(super) fn check(&self, members: usize) -> Result<(), Failure> {
        let scores = &self.scores;
        let points = scores.at.len();
        let band_fits = |column: &[f64]| column.is_empty() || column.len() == points;
        let wrong = if scores.score.len() != points || !band_fits(&scores.low) || scores.low.len() != scores.high.len() {
            "columns of unequal length"
        } else if scores.score.iter().any(|score| score.is_nan()) {
            "a score that is NaN"
        } else if scores.warming as usize > points {
            "more points as warming than it has"
        } else if scores.attributions.iter().any(|a| a.index as usize >= points || a.share.len() != members) {
            "an attribution to a point or member that is not there"
        } else {
            return Ok(());
        };
        Err(Failure::internal(format!("the detector answered {wrong} for group {}", scores.group)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_as_long_as_the_scores_whenever_they_begin() {
        let mut answer = Answer::new(3, 4);
        answer.push_warming(1);
        answer.push_banded(2, 0.5, 1.0, 2.0);
        answer.push(3, 0.1);
        answer.push_banded(4, 2.0, 1.0, 2.0);
        answer.check(1).expect("in step");
        assert_eq!(answer.scores.warming, 1);
        assert!(answer.scores.low[0].is_nan() && answer.scores.high[2].is_nan());
        assert_eq!((answer.scores.low[3], answer.scores.high[1]), (1.0, 2.0));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let mut answer = Answer::new(3, 4);
        answer.push(1, f64::NAN);
        assert!(answer.check(1).expect_err("NaN").message.contains("NaN"));
        answer.scores.score[0] = 0.0;
        answer.attribute(vec![1.0]);
        answer.check(1).expect("one share for one member");
        assert!(answer.check(2).is_err());
        answer.scores.at.push(2);
        assert!(answer.check(1).expect_err("unequal").message.contains("unequal"));
    }
}
