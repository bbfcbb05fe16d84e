//! Attack: answers for a group that it was never shown, and so would raise findings on series of others.

use evil_honest::{Deed, calm};
use tandem_sdk::{
    detector::{Frame, Observation},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct AnswersForStrangers;

impl Deed for AnswersForStrangers {
    const NAME: &str = "evil-answers-for-strangers";

    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        let spoilt = batch.iter().map(|frame| {
            let mut scores = calm(frame);
            scores.group = frame.group.wrapping_add(1_000_000);
            scores
        });
        Ok(Observation { scores: spoilt.collect(), faults: Vec::new() })
    }
}

evil_honest::detector!(AnswersForStrangers);
