//! Attack: answers with a text that is said to be a gigabyte long, far beyond the end of its memory.

use evil_honest::{Deed, watching};
use tandem_sdk::about::Description;

/// The guest.
#[derive(Debug)]
pub struct LiesAboutMemory;

impl Deed for LiesAboutMemory {
    const NAME: &str = "evil-lies-about-memory";

    fn describe() -> Description {
        let summary = Box::leak(Box::new([b'x'; 8]));
        let length = 1 << 30;
        // SAFETY: none; that is the attack. The host must find that the text ends outside of memory.
        let summary = unsafe { String::from_raw_parts(summary.as_mut_ptr(), length, length) };
        Description { summary, ..watching(Self::NAME) }
    }
}

evil_honest::detector!(LiesAboutMemory);
