//! Attack: waits inside a host function, for a server that never answers.

use evil_honest::{Collecting, Errand, nothing};
use tandem_sdk::{
    collector::{CollectRequest, Collection, Host, HttpRequest},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct SleepsInHostCall;

impl Errand for SleepsInHostCall {
    const NAME: &str = "evil-sleeps-in-host-call";
    const ASKS: &[(&str, &str)] = &[("http", "target")];

    fn collect(request: &CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        loop {
            let mut patient = HttpRequest::get(&request.target);
            patient.timeout_ms = u32::MAX;
            if host.http().send(patient).is_ok_and(|answer| answer.status == 418) {
                return Ok(nothing());
            }
        }
    }
}

type Plugin = Collecting<SleepsInHostCall>;
tandem_sdk::collector!(Plugin, http);
