//! Where the service stands in the graph: on this host, by whose own parts the rest follows.

use super::SERVICE;
use tandem_domain::{
    Timestamp,
    collected::CollectedTopology,
    entity::{Entity, EntityDraft, IdentityKey, KeyStrength},
    relation::RelationKind,
    series::Labels,
    target::{THIS_MACHINE, TargetInfo, TargetKey},
    topology::{RelationDraft, TopologyDraft},
};

/// What the map room is told: the service, and that it runs on the host.
pub(super) fn told(host: &Entity, now: Timestamp) -> CollectedTopology {
    let name = IdentityKey { scheme: "name".into(), value: SERVICE.into(), strength: KeyStrength::Local };
    let service = EntityDraft {
        kind: "service".into(),
        keys: vec![name],
        name: SERVICE.into(),
        attributes: Labels::new([("of".to_owned(), "Tandem's own forecasts of this machine".to_owned())]),
    };
    let host = EntityDraft {
        kind: host.kind.clone(),
        keys: host.keys.clone(),
        name: host.name.clone(),
        attributes: Labels::default(),
    };
    let runs_on = RelationDraft { dependent: 0, dependency: 1, kind: RelationKind::RunsOn };
    CollectedTopology {
        target: TargetInfo {
            key: TargetKey { job: SERVICE.into(), instance: THIS_MACHINE.into() },
            labels: Labels::default(),
        },
        plugin: SERVICE.into(),
        at: now,
        topology: TopologyDraft { entities: vec![service, host], relations: vec![runs_on] },
        events: Vec::new(),
    }
}
