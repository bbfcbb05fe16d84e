//! Attack: names an entity with a text of eight megabytes, which every page would have to show.

use evil_honest::{Collecting, Errand, nothing};
use tandem_sdk::{
    collector::{CollectRequest, Collection, Host},
    types::{Entity, Failure, IdentityKey, KeyStrength},
};

/// The guest.
#[derive(Debug)]
pub struct BloatsTexts;

impl Errand for BloatsTexts {
    const NAME: &str = "evil-bloats-texts";

    fn collect(request: &CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        _ = (request, host);
        let mut bloated = nothing();
        bloated.entities.push(Entity {
            kind: "host".into(),
            name: "x".repeat(8 << 20),
            keys: vec![IdentityKey { scheme: "hostname".into(), value: "evil".into(), strength: KeyStrength::Local }],
            attributes: Vec::new(),
        });
        Ok(bloated)
    }
}

type Plugin = Collecting<BloatsTexts>;
tandem_sdk::collector!(Plugin, nothing);
