//! Records in, gaps out.

use super::*;
use tandem_domain::{
    Failure, FailureCode,
    deployment::Revision,
    relation::RelationKind,
    series::Labels,
    target::{Door, TargetInfo},
};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn entity(id: &str) -> Entity {
    let id = EntityId(id.into());
    Entity {
        kind: id.kind().into(),
        name: id.identity().into(),
        keys: Vec::new(),
        attributes: Labels::default(),
        first_seen_at: NOW,
        last_seen_at: NOW,
        merged_into: None,
        id,
    }
}

fn needs(dependent: &str, kind: RelationKind, dependency: &str) -> Relation {
    let (dependent, dependency) = (EntityId(dependent.into()), EntityId(dependency.into()));
    Relation { dependent, dependency, kind, source: "test".into(), seen_at: NOW }
}

fn traffic(service: &str, version: &str, labels: u64, first_at: Timestamp) -> ServiceTraffic {
    ServiceTraffic {
        service: service.into(),
        model: "m".into(),
        version: version.into(),
        predictions: 10,
        labels,
        agreed: 0,
        first_at,
        last_at: NOW,
        minutes: Vec::new(),
    }
}

fn target(instance: &str, last_success_at: Option<Timestamp>, failed: bool) -> TargetStatus {
    let key = TargetKey { job: "node".into(), instance: instance.into() };
    TargetStatus {
        info: TargetInfo { key, labels: Labels::default() },
        door: Door::Scrape,
        plugin: None,
        last_attempt_at: last_success_at,
        last_success_at,
        last_duration_millis: 0,
        last_samples: 0,
        last_rejected: 0,
        rejection: None,
        failure: failed.then(|| Failure::passing(FailureCode::Unreachable, "refused")),
        failures_in_a_row: u32::from(failed),
    }
}

fn deployment(version: &str) -> Deployment {
    Deployment {
        id: 1,
        plugin: "target-open-inference".into(),
        target: String::new(),
        revision: Revision {
            service: "chat".into(),
            model: "m".into(),
            version: version.into(),
            parameters: Vec::new(),
        },
        status: DeploymentStatus::Live,
        requested_at: NOW,
        changed_at: NOW,
        applied_at: None,
        revision_id: None,
        observed: None,
        observed_at: None,
        failure: None,
        failures_in_a_row: 0,
    }
}

fn kinds(known: &Known) -> Vec<(GapKind, usize)> {
    gaps(known, NOW).into_iter().map(|gap| (gap.kind, gap.count)).collect()
}

/// A service that is seen whole.
fn whole() -> Known {
    Known {
        entities: ["service:chat", "replica:r1", "gpu:g1", "host:h1", "power-supply:p1"].map(entity).to_vec(),
        relations: vec![
            needs("service:chat", RelationKind::DependsOn, "replica:r1"),
            needs("replica:r1", RelationKind::RunsOn, "gpu:g1"),
            needs("host:h1", RelationKind::Contains, "gpu:g1"),
            needs("host:h1", RelationKind::PoweredBy, "power-supply:p1"),
        ],
        targets: vec![target("h1:9100", Some(NOW), false)],
        traffic: vec![traffic("chat", "1", 5, NOW)],
        deployments: vec![deployment("1")],
    }
}

#[test]
fn of_what_is_seen_whole_nothing_is_missing_and_each_gap_is_found() {
    assert_eq!(kinds(&whole()), []);
    type Break = fn(&mut Known);
    let broken: [(Break, GapKind); 8] = [
        (|known| known.targets.push(target("h2:9100", None, true)), GapKind::SilentTarget),
        (|known| known.targets.push(target("h2:9100", Some(NOW.plus_millis(-700_000)), false)), GapKind::SilentTarget),
        (|known| known.traffic.push(traffic("search", "1", 1, NOW)), GapKind::ServiceWithoutInfrastructure),
        (|known| known.traffic.clear(), GapKind::ServiceWithoutPredictions),
        (
            |known| known.traffic = vec![traffic("chat", "1", 0, NOW.plus_millis(-2 * LABELS_OVERDUE_MILLIS))],
            GapKind::ServiceWithoutLabels,
        ),
        (|known| known.deployments = vec![deployment("2")], GapKind::UnknownVersion),
        (|known| known.entities.push(entity("gpu:g2")), GapKind::GpuWithoutService),
        (|known| drop(known.relations.pop()), GapKind::HostWithoutPower),
    ];
    for (breaks, kind) in broken {
        let mut known = whole();
        breaks(&mut known);
        assert_eq!(kinds(&known), [(kind, 1)], "{}", kind.name());
        assert!(!kind.remedy().is_empty());
    }
    let mut known = whole();
    known.relations.remove(1);
    let found = kinds(&known);
    assert!(found.contains(&(GapKind::ReplicaWithoutHost, 1)), "{found:?}");
    assert!(found.contains(&(GapKind::GpuWithoutService, 1)), "its GPU is nobody's then: {found:?}");
}

#[test]
fn many_of_one_kind_are_one_line_with_a_count_and_examples() {
    let mut known = whole();
    known.entities.extend((0..40).map(|number| entity(&format!("gpu:x{number:02}"))));
    let found = gaps(&known, NOW);
    assert_eq!((found.len(), found[0].count, found[0].examples.len()), (1, 40, MAX_EXAMPLES));
    assert_eq!(found[0].examples[0], "x00");
    assert!(found[0].sentence().starts_with("40 GPUs belong"), "{}", found[0].sentence());
}

#[test]
fn a_new_service_is_not_yet_blamed_for_labels_nor_where_nobody_deploys_for_versions() {
    let mut known = whole();
    known.traffic = vec![traffic("chat", "9", 0, NOW)];
    known.deployments.clear();
    assert_eq!(kinds(&known), []);
}

#[test]
fn circles_and_merges_are_walked_and_end() {
    let mut known = whole();
    known.relations.push(needs("power-supply:p1", RelationKind::DependsOn, "service:chat"));
    known.relations.push(needs("host:h1", RelationKind::DependsOn, "host:h1"));
    known.entities.push(Entity { merged_into: Some(EntityId("gpu:g1".into())), ..entity("gpu:old") });
    assert_eq!(kinds(&known), [], "what was merged is not missing");
}
