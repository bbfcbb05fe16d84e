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

    // So that it has a frame of its own, by whose name the host tells where it panicked.
    #[inline(never)]
    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        panic!("{} frames are too many", batch.len())
    }
}

evil_honest::detector!(Traps);
