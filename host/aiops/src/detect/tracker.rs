//! When odd points become a finding, and when it is over. Pure, and saved with the detector's own state.

use super::config::DetectConfig;
use serde::{Deserialize, Serialize};
use tandem_domain::{Timestamp, series::SeriesId};

/// A finding grows in the eyes of the correlator when its peak rises by this factor.
const GROWTH_FACTOR: f64 = 1.25;

/// One scored point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredPoint {
    /// When.
    pub at: Timestamp,
    /// At least 1 is odd.
    pub score: f64,
    /// The value there, of the member with the largest share; NaN when unknown.
    pub value: f64,
    /// The band expected; NaN when there is none.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// Members, those with the largest share first; only for odd points.
    pub members: Vec<SeriesId>,
}

/// A stretch of odd points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// First odd point.
    pub started_at: Timestamp,
    /// Last odd point.
    pub last_odd_at: Timestamp,
    /// The point with the highest score.
    pub peak: ScoredPoint,
    /// Odd points.
    pub points: u64,
    /// The peak's score when it was last told.
    told_score: f64,
}

/// What a point led to.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A finding began.
    Opened(Stretch),
    /// It goes on, and is notably worse than when it was last told.
    Grew(Stretch),
    /// It goes on.
    Continued(Stretch),
    /// It is over.
    Closed(Stretch),
}

/// The recent points of one group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tracker {
    /// One bit per recent point, the newest lowest; set where it was odd.
    recent: u64,
    /// How many points the bits stand for.
    seen: u32,
    /// Odd points among the recent ones, oldest first, as long as no finding is open.
    candidates: Vec<ScoredPoint>,
    open: Option<Stretch>,
    quiet: u32,
    last_at: Option<Timestamp>,
}

impl Tracker {
    /// The open finding's stretch.
    pub fn open(&self) -> Option<&Stretch> {
        self.open.as_ref()
    }

    /// When it last saw a point.
    pub fn last_at(&self) -> Option<Timestamp> {
        self.last_at
    }

    /// Ends the open finding for another reason than quiet points.
    pub fn close(&mut self) -> Option<Stretch> {
        self.candidates.clear();
        self.recent = 0;
        self.quiet = 0;
        self.open.take()
    }

    /// Takes in one scored point that is not of the warm-up. Points that do not come later than the last are passed over.
    pub fn push(&mut self, point: ScoredPoint, config: &DetectConfig) -> Option<Step> {
        if self.last_at.is_some_and(|last| point.at <= last) {
            return None;
        }
        self.last_at = Some(point.at);
        let odd = point.score >= 1.0;
        let window = u64::MAX >> (64 - config.of_points);
        self.recent = ((self.recent << 1) | u64::from(odd)) & window;
        self.seen = (self.seen + 1).min(config.of_points);
        match self.open.take() {
            Some(stretch) => self.go_on(stretch, point, odd, config),
            None => self.perhaps_open(point, odd, config),
        }
    }

    fn perhaps_open(&mut self, point: ScoredPoint, odd: bool, config: &DetectConfig) -> Option<Step> {
        if odd {
            self.candidates.push(point);
        }
        let odd_recent = self.recent.count_ones();
        let too_many = self.candidates.len().saturating_sub(odd_recent as usize);
        self.candidates.drain(..too_many);
        if odd_recent < config.odd_points {
            return None;
        }
        let candidates = std::mem::take(&mut self.candidates);
        let (started_at, last_odd_at) = (candidates.first()?.at, candidates.last()?.at);
        let points = candidates.len() as u64;
        let peak = candidates.into_iter().reduce(|best, next| if next.score > best.score { next } else { best })?;
        let stretch = Stretch { started_at, last_odd_at, told_score: peak.score, peak, points };
        self.quiet = 0;
        self.open = Some(stretch.clone());
        Some(Step::Opened(stretch))
    }

    fn go_on(&mut self, mut stretch: Stretch, point: ScoredPoint, odd: bool, config: &DetectConfig) -> Option<Step> {
        if !odd {
            self.quiet += 1;
            if self.quiet >= config.quiet_points {
                self.recent = 0;
                self.quiet = 0;
                return Some(Step::Closed(stretch));
            }
            self.open = Some(stretch);
            return None;
        }
        self.quiet = 0;
        stretch.points += 1;
        stretch.last_odd_at = point.at;
        if point.score > stretch.peak.score {
            stretch.peak = point;
        }
        let grew = stretch.peak.score >= stretch.told_score * GROWTH_FACTOR;
        if grew {
            stretch.told_score = stretch.peak.score;
        }
        self.open = Some(stretch.clone());
        Some(if grew { Step::Grew(stretch) } else { Step::Continued(stretch) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(tracker: &mut Tracker, from: i64, scores: &[f64]) -> Vec<Step> {
        let config = DetectConfig { quiet_points: 3, ..DetectConfig::default() };
        let point = |(i, score): (usize, &f64)| ScoredPoint {
            at: Timestamp(from + i as i64),
            score: *score,
            value: *score,
            low: 0.0,
            high: 0.5,
            members: vec![SeriesId(1)],
        };
        scores.iter().enumerate().map(point).filter_map(|point| tracker.push(point, &config)).collect()
    }

    #[test]
    fn three_odd_of_five_open_and_three_quiet_close() {
        let mut tracker = Tracker::default();
        assert_eq!(run(&mut tracker, 0, &[0.1, 2.0, 0.2, 0.2, 0.2, 2.0, 0.0]), []);
        let steps = run(&mut tracker, 7, &[3.0, 1.5, 0.5, 0.5, 4.0, 0.0, 0.0, 0.0, 0.0]);
        let [Step::Opened(opened), Step::Grew(grew), Step::Closed(closed)] = steps.as_slice() else {
            panic!("{steps:?}")
        };
        assert_eq!((opened.started_at, opened.points, opened.peak.score), (Timestamp(5), 3, 3.0));
        assert_eq!((grew.peak.at, grew.points), (Timestamp(11), 4));
        assert_eq!((closed.last_odd_at, closed.peak.score), (Timestamp(11), 4.0));
        assert!(tracker.open().is_none());
    }

    #[test]
    fn a_single_spike_is_nothing_and_an_old_point_is_passed_over() {
        let mut tracker = Tracker::default();
        assert_eq!(run(&mut tracker, 0, &[9.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0]), []);
        assert_eq!(run(&mut tracker, 0, &[9.0, 9.0, 9.0]), []);
    }

    proptest! {
        #[test]
        fn it_goes_on_the_same_after_being_saved(quarters in prop::collection::vec(0_u8..9, 0..60), cut in 0_usize..60) {
            let scores: Vec<f64> = quarters.iter().map(|quarters| f64::from(*quarters) / 4.0).collect();
            let cut = cut.min(scores.len());
            let mut whole = Tracker::default();
            let mut expected = run(&mut whole, 0, &scores[..cut]);
            expected.extend(run(&mut whole, cut as i64, &scores[cut..]));
            let mut first = Tracker::default();
            let mut steps = run(&mut first, 0, &scores[..cut]);
            let mut second: Tracker = serde_json::from_str(&serde_json::to_string(&first).unwrap()).unwrap();
            steps.extend(run(&mut second, cut as i64, &scores[cut..]));
            prop_assert_eq!(&steps, &expected);
            let opened = steps.iter().filter(|step| matches!(step, Step::Opened(_))).count();
            let closed = steps.iter().filter(|step| matches!(step, Step::Closed(_))).count();
            prop_assert_eq!(opened, closed + usize::from(second.open().is_some()));
        }
    }
}
