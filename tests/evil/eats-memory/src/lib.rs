//! Attack: takes memory until there is none left.

use evil_honest::Deed;
use tandem_sdk::{
    detector::{Frame, Observation},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct EatsMemory;

impl Deed for EatsMemory {
    const NAME: &str = "evil-eats-memory";

    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        _ = batch;
        let mut eaten = Vec::new();
        loop {
            eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
        }
    }
}

evil_honest::detector!(EatsMemory);
