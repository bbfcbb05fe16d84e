//! Attack: makes a hundred thousand entities of one series.

use evil_honest::{Collecting, Errand};
use tandem_sdk::{
    mapper::Mapping,
    types::{Entity, Failure, IdentityKey, KeyStrength, Series},
};

/// The guest.
#[derive(Debug)]
pub struct FloodsEntities;

impl Errand for FloodsEntities {
    const NAME: &str = "evil-floods-entities";

    fn interpret(series: &[Series]) -> Result<Mapping, Failure> {
        _ = series;
        let entities = (0..100_000).map(|number| Entity {
            kind: "host".into(),
            name: format!("ghost-{number}"),
            keys: vec![IdentityKey {
                scheme: "hostname".into(),
                value: format!("ghost-{number}"),
                strength: KeyStrength::Local,
            }],
            attributes: Vec::new(),
        });
        Ok(Mapping { entities: entities.collect(), relations: Vec::new(), meanings: Vec::new() })
    }
}

type Plugin = Collecting<FloodsEntities>;
tandem_sdk::collector!(Plugin, nothing);
