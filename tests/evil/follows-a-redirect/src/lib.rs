//! Attack: its granted target sends it on to an address that was not granted.

use evil_honest::{Collecting, Errand, nothing};
use tandem_sdk::{
    collector::{CollectRequest, Collection, Host, HttpRequest},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct FollowsARedirect;

impl Errand for FollowsARedirect {
    const NAME: &str = "evil-follows-a-redirect";
    const ASKS: &[(&str, &str)] = &[("http", "target")];

    fn collect(request: &CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        let mut url = request.target.clone();
        for _ in 0..3 {
            let answer = host.http().send(HttpRequest::get(&url))?;
            let Some((_, location)) = answer.headers.iter().find(|(name, _)| name == "location") else { break };
            url.clone_from(location);
        }
        Ok(nothing())
    }
}

type Plugin = Collecting<FollowsARedirect>;
tandem_sdk::collector!(Plugin, http);
