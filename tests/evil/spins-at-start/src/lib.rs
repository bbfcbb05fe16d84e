//! Attack: never answers who it is, and so would hold up the start.

use evil_honest::Deed;
use tandem_sdk::about::Description;

/// The guest.
#[derive(Debug)]
pub struct SpinsAtStart;

impl Deed for SpinsAtStart {
    const NAME: &str = "evil-spins-at-start";

    fn describe() -> Description {
        loop {
            std::hint::black_box(());
        }
    }
}

evil_honest::detector!(SpinsAtStart);
