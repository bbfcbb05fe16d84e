//! Attack: a detector that waits for a clock, and so would hold a worker without computing.

use evil_honest::{Deed, calm};
use tandem_sdk::{
    detector::{Frame, Observation},
    types::Failure,
};

#[allow(missing_docs, unused, clippy::all, reason = "generated")]
mod clocks {
    wit_bindgen::generate!({
        inline: r#"
            package evil:clocks@1.0.0;
            world guest {
                import wasi:clocks/monotonic-clock@0.2.12;
            }
        "#,
        path: "../../../wit",
        world: "evil:clocks/guest",
        generate_all,
    });
}

/// An hour.
const NAP_NANOSECONDS: u64 = 3_600_000_000_000;

/// The guest.
#[derive(Debug)]
pub struct SleepsInPureCall;

impl Deed for SleepsInPureCall {
    const NAME: &str = "evil-sleeps-in-pure-call";

    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        clocks::wasi::clocks::monotonic_clock::subscribe_duration(NAP_NANOSECONDS).block();
        Ok(Observation { scores: batch.iter().map(calm).collect(), faults: Vec::new() })
    }
}

evil_honest::detector!(SleepsInPureCall);
