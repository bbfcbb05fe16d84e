//! Attack: hands over bytes as text that are no UTF-8.

use evil_honest::{Deed, watching};
use tandem_sdk::about::Description;

/// The guest.
#[derive(Debug)]
pub struct SpeaksNoUtf8;

impl Deed for SpeaksNoUtf8 {
    const NAME: &str = "evil-speaks-no-utf8";

    fn describe() -> Description {
        // SAFETY: none; that is the attack. The host must check text before it believes it.
        let summary = unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, 0xfe, b'z']) };
        Description { summary, ..watching(Self::NAME) }
    }
}

evil_honest::detector!(SpeaksNoUtf8);
