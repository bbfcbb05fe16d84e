//! Attack: answers every point with a score that is not a number.

use evil_honest::{Deed, calm};
use tandem_sdk::{
    detector::{Frame, Observation},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct AnswersNan;

impl Deed for AnswersNan {
    const NAME: &str = "evil-answers-nan";

    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        let spoilt = batch.iter().map(|frame| {
            let mut scores = calm(frame);
            scores.score.fill(f64::NAN);
            scores
        });
        Ok(Observation { scores: spoilt.collect(), faults: Vec::new() })
    }
}

evil_honest::detector!(AnswersNan);
