//! Attack: panics on every batch.

use evil_honest::Deed;
use tandem_sdk::{
    detector::{Frame, Observation},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct Traps;

impl Deed for Traps {
    const NAME: &str = "evil-traps";

    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        panic!("{} frames are too many", batch.len())
    }
}

evil_honest::detector!(Traps);
