//! Attack: panics as soon as it is asked who it is.

use evil_honest::Deed;
use tandem_sdk::about::Description;

/// The guest.
#[derive(Debug)]
pub struct TrapsAtStart;

impl Deed for TrapsAtStart {
    const NAME: &str = "evil-traps-at-start";

    fn describe() -> Description {
        panic!("not today")
    }
}

evil_honest::detector!(TrapsAtStart);
