//! Attack: answers with moments that run backwards.

use evil_honest::{Deed, calm};
use tandem_sdk::{
    detector::{Frame, Observation},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct TravelsInTime;

impl Deed for TravelsInTime {
    const NAME: &str = "evil-travels-in-time";

    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        let spoilt = batch.iter().map(|frame| {
            let mut scores = calm(frame);
            scores.at.push(0);
            scores.score.push(0.0);
            scores
        });
        Ok(Observation { scores: spoilt.collect(), faults: Vec::new() })
    }
}

evil_honest::detector!(TravelsInTime);
