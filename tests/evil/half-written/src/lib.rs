//! An honest detector. The attack is in its file: the test puts only the first half of it into the folder.

use evil_honest::Deed;

/// The guest.
#[derive(Debug)]
pub struct HalfWritten;

impl Deed for HalfWritten {
    const NAME: &str = "evil-half-written";
}

evil_honest::detector!(HalfWritten);
