//! Attack: wants 64 MiB to be remembered for one series, and so would fill the disk.

use evil_honest::Deed;

/// The guest.
#[derive(Debug)]
pub struct BloatsItsState;

impl Deed for BloatsItsState {
    const NAME: &str = "evil-bloats-its-state";

    fn save() -> Vec<u8> {
        vec![7; 64 << 20]
    }
}

evil_honest::detector!(BloatsItsState);
