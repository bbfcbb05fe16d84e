//! `collector-model`: gives the series of model servers their meaning, in one normal form whatever server they come from.
//! It reads nothing itself.

mod place;
mod servers;

use tandem_sdk::{
    about::{Description, Interest, Scope, Selector},
    collector::Collector,
    mapper::{Mapping, Target},
    mapping::{MappingBuilder, canonical, fault_within, value_of},
    types::{Failure, Series, Severity},
};

/// The plugin.
pub struct Model;

impl Collector for Model {
    fn describe() -> Description {
        Description {
            name: "collector-model".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Gives metrics of vLLM, Triton, TGI, TorchServe, KServe, Seldon, MLServer and BentoML one normal form."
                    .into(),
            config_schema: String::new(),
            interests: vec![Interest {
                selector: Selector {
                    metrics: servers::patterns(),
                    entity_kinds: Vec::new(),
                    labels: Vec::new(),
                    with_fault_rules: false,
                },
                scope: Scope::Target,
                history_seconds: 0,
            }],
            capabilities: Vec::new(),
        }
    }

    fn interpret(target: &Target, series: &[Series]) -> Result<Mapping, Failure> {
        Ok(interpret(target, series))
    }
}

/// What the host says of every target, whether it answers or not.
const SAID_BY_THE_HOST: [&str; 2] = ["up", "scrape_duration_seconds"];

/// The meaning of a target's model-server series. `up` is this mapper's only where such series stand beside it, or where
/// nothing does because the target has never answered and its label says that it serves models.
fn interpret(target: &Target, series: &[Series]) -> Mapping {
    let mut mapping = MappingBuilder::default();
    let mut place = place::Place::new(target);
    for (index, one) in series.iter().enumerate() {
        if let Some(normal) = servers::normal_form(one) {
            let owner = place.owner(one, &normal, &mut mapping);
            mapping.meaning(index, owner, normal.canonical);
        }
    }
    let never_answered = series.iter().all(|one| SAID_BY_THE_HOST.contains(&one.metric.as_str()));
    if never_answered && let Some(service) = value_of(&target.labels, "service") {
        place.of_service(service, &mut mapping);
    }
    let up = series.iter().position(|one| one.metric == "up");
    if let (Some(up), Some(replica)) = (up, place.known_replica()) {
        let meaning = canonical("replica.up", "1").fault(fault_within(
            "replica.down",
            0.0,
            0.0,
            Severity::Critical,
            "the model server does not answer",
            "Look at the server's own log and at the machine it runs on; its service has one replica less.",
        ));
        mapping.meaning(up, replica, meaning);
    }
    mapping.finish()
}

tandem_sdk::collector!(Model);

#[cfg(test)]
mod tests;
