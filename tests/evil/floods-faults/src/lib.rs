//! Attack: reports a hundred thousand faults for each batch.

use evil_honest::Deed;
use tandem_sdk::{
    detector::{Fault, Frame, Observation},
    types::{Failure, Severity},
};

/// The guest.
#[derive(Debug)]
pub struct FloodsFaults;

impl Deed for FloodsFaults {
    const NAME: &str = "evil-floods-faults";

    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        let at = batch.first().and_then(|frame| frame.at.first()).copied().unwrap_or_default();
        let fault = |number: u32| Fault {
            group: batch.first().map_or(0, |frame| frame.group),
            member: 0,
            at,
            code: format!("evil.{number}"),
            active: true,
            severity: Severity::Critical,
            title: "everything is broken".into(),
            advice: String::new(),
            value: 0.0,
        };
        Ok(Observation { scores: Vec::new(), faults: (0..100_000).map(fault).collect() })
    }
}

evil_honest::detector!(FloodsFaults);
