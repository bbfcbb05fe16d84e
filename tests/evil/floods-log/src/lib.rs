//! Attack: writes a thousand long lines into the log for each batch.

use evil_honest::{Deed, calm};
use tandem_sdk::{
    detector::{Frame, Observation},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct FloodsLog;

impl Deed for FloodsLog {
    const NAME: &str = "evil-floods-log";

    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        for line in 0..1_000 {
            tandem_sdk::log::error(format!("{line} {}", "x".repeat(10_000)));
        }
        Ok(Observation { scores: batch.iter().map(calm).collect(), faults: Vec::new() })
    }
}

evil_honest::detector!(FloodsLog);
