//! Attack: computes for ever.

use evil_honest::Deed;
use tandem_sdk::{
    detector::{Frame, Observation},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct Spins;

impl Deed for Spins {
    const NAME: &str = "evil-spins";

    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        _ = batch;
        loop {
            std::hint::black_box(());
        }
    }
}

evil_honest::detector!(Spins);
