//! `target-open-inference`: deploys to servers that speak the Open Inference Protocol V2 with its model repository
//! extension (Triton, MLServer, KServe's runtimes): load, unload, index, ready.

mod protocol;
mod rules;

use protocol::Server;
use tandem_sdk::{
    about::{Capability, Description},
    http::Http,
    target::{Call, DeploymentTarget, Observation, Revision, TargetAbilities},
    types::Failure,
};

/// The plugin.
pub struct OpenInference;

impl DeploymentTarget for OpenInference {
    fn describe() -> Description {
        Description {
            name: "target-open-inference".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Loads and unloads models on servers with the V2 model repository protocol.".into(),
            config_schema: String::new(),
            interests: Vec::new(),
            capabilities: vec![Capability {
                name: "http".into(),
                value: "target".into(),
                reason: "to load, unload and observe models on the server that the deployment names".into(),
            }],
        }
    }

    fn abilities(call: &Call, http: &dyn Http) -> Result<TargetAbilities, Failure> {
        Server::of(call, http)?.index()?;
        // The protocol has no traffic: what is loaded answers to its name, and a proxy in front must do the splitting.
        Ok(TargetAbilities {
            weighted: false,
            weight_step_basis_points: 10_000,
            mirror: false,
            drain: false,
            max_revisions: u32::MAX,
        })
    }

    fn apply(call: &Call, revision: &Revision, _idempotency_key: &str, http: &dyn Http) -> Result<String, Failure> {
        // Loading what is loaded changes nothing, so that the request needs no key of its own.
        Server::of(call, http)?.load(&revision.model, &revision.parameters)?;
        Ok(rules::revision_id(&revision.model, &revision.version))
    }

    fn observe(call: &Call, _service: &str, http: &dyn Http) -> Result<Observation, Failure> {
        let server = Server::of(call, http)?;
        let index = server.index()?;
        let versions = |model: &str| server.versions(model).unwrap_or_default();
        let revisions = rules::revisions(&index, versions);
        Ok(Observation { generation: rules::generation(&index), endpoints: vec![server.base().to_owned()], revisions })
    }

    fn set_traffic(
        call: &Call,
        service: &str,
        shares: &[(String, u32)],
        expected_generation: u64,
        http: &dyn Http,
    ) -> Result<u64, Failure> {
        let observed = Self::observe(call, service, http)?;
        rules::check_traffic(&observed, shares, expected_generation)?;
        Ok(observed.generation)
    }

    fn abort(_call: &Call, _service: &str, _http: &dyn Http) -> Result<(), Failure> {
        Err(Failure::unsupported("the V2 protocol cannot stop a load under way; retire the revision once it is loaded"))
    }

    fn retire(call: &Call, _service: &str, revision: &str, http: &dyn Http) -> Result<(), Failure> {
        Server::of(call, http)?.unload(rules::model_of(revision))
    }
}

tandem_sdk::deployment_target!(OpenInference);

#[cfg(test)]
mod tests;
