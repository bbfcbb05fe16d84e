//! A small collector: reads a service's JSON status page over HTTP, and says what its numbers mean.

mod rules;

use tandem_sdk::{
    about::{Capability, Description, Interest, Scope, Selector},
    collector::{CollectRequest, Collection, Collector, Host, HttpRequest},
    mapper::{Mapping, Target},
    types::{Failure, Series},
};

/// The plugin.
pub struct CollectorStatus;

impl Collector for CollectorStatus {
    fn describe() -> Description {
        Description {
            name: "collector-status-rust".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Reads a service's JSON status page.".into(),
            config_schema: String::new(),
            interests: vec![Interest {
                selector: Selector {
                    metrics: vec!["status_*".into()],
                    entity_kinds: Vec::new(),
                    labels: Vec::new(),
                    with_fault_rules: false,
                },
                scope: Scope::Target,
                history_seconds: 0,
            }],
            capabilities: vec![Capability {
                name: "http".into(),
                value: "target".into(),
                reason: "to fetch the status page".into(),
            }],
        }
    }

    fn interpret(_: &Target, series: &[Series]) -> Result<Mapping, Failure> {
        Ok(rules::interpret(series))
    }

    fn collect(request: CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        let response = host.http().send(HttpRequest::get(&request.target).header("accept", "application/json"))?;
        if response.status != 200 {
            return Err(Failure::unreachable(format!("{} answered {}", request.target, response.status)));
        }
        rules::collection(request.now, &response.json()?, &request.cursor)
    }
}

tandem_sdk::collector!(CollectorStatus, http);

#[cfg(test)]
mod tests;
