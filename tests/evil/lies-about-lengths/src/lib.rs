//! Attack: answers with columns of different lengths.

use evil_honest::{Deed, calm};
use tandem_sdk::{
    detector::{Frame, Observation},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct LiesAboutLengths;

impl Deed for LiesAboutLengths {
    const NAME: &str = "evil-lies-about-lengths";

    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        let spoilt = batch.iter().map(|frame| {
            let mut scores = calm(frame);
            scores.score.extend([1.0, 2.0, 3.0]);
            scores
        });
        Ok(Observation { scores: spoilt.collect(), faults: Vec::new() })
    }
}

evil_honest::detector!(LiesAboutLengths);
