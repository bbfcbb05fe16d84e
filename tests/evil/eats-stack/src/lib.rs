//! Attack: calls itself until the stack is used up.

use evil_honest::Deed;
use tandem_sdk::{
    detector::{Frame, Observation},
    types::Failure,
};

#[expect(unconditional_recursion, reason = "that is the attack")]
fn deeper(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    deeper(depth + 1) + room[(depth % 64) as usize]
}

/// The guest.
#[derive(Debug)]
pub struct EatsStack;

impl Deed for EatsStack {
    const NAME: &str = "evil-eats-stack";

    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        let bottom = deeper(batch.len() as u64);
        Err(Failure::refused(format!("there is a bottom: {bottom}")))
    }
}

evil_honest::detector!(EatsStack);
