//! What Tandem cannot see, and what would let it: gaps in what is known, each kind once, with how many and some by name.
//! A verdict is only as good as what it is made from, so the first page says what is missing.

use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{
    Timestamp,
    deployment::{Deployment, DeploymentStatus},
    entity::{Entity, EntityId},
    graph::DependencyGraph,
    prediction::ServiceTraffic,
    relation::Relation,
    target::{TargetKey, TargetStatus},
};
use tandem_store::{ReadError, ReadTx};

/// Entities looked at.
const MAX_ENTITIES: usize = 200_000;
/// Relations looked at.
const MAX_RELATIONS: usize = 500_000;
/// Targets, versions and deployments looked at.
const MAX_OTHERS: usize = 100_000;
/// Named of each kind of gap; all are counted.
pub const MAX_EXAMPLES: usize = 5;
/// How many merges are followed.
const MAX_MERGE_STEPS: usize = 16;
/// A target that was last heard so long ago is silent, in milliseconds: many times any usual interval.
const SILENT_MILLIS: i64 = 600_000;
/// Labels come late; after so long without any it is worth saying, in milliseconds.
const LABELS_OVERDUE_MILLIS: i64 = 3_600_000;
/// Kinds of entities that tell how something is fed.
const POWER_KINDS: [&str; 5] = ["power-supply", "ups", "pdu", "feed", "battery"];

/// Kinds of gaps, those first that blind most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapKind {
    /// A target that was once read, or is to be read, and does not answer.
    SilentTarget,
    /// A service of which nothing below is known.
    ServiceWithoutInfrastructure,
    /// A service that sends no predictions.
    ServiceWithoutPredictions,
    /// A service whose predictions never got a label.
    ServiceWithoutLabels,
    /// A version makes predictions, and no deployment of its service has it.
    UnknownVersion,
    /// A replica of which nobody knows where it runs.
    ReplicaWithoutHost,
    /// A GPU that no known service runs on.
    GpuWithoutService,
    /// A host of which nobody knows what feeds it.
    HostWithoutPower,
}

impl GapKind {
    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SilentTarget => "silent-target",
            Self::ServiceWithoutInfrastructure => "service-without-infrastructure",
            Self::ServiceWithoutPredictions => "service-without-predictions",
            Self::ServiceWithoutLabels => "service-without-labels",
            Self::UnknownVersion => "unknown-version",
            Self::ReplicaWithoutHost => "replica-without-host",
            Self::GpuWithoutService => "gpu-without-service",
            Self::HostWithoutPower => "host-without-power",
        }
    }

    /// One and several of it, for a sentence.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::SilentTarget => ("target does not answer", "targets do not answer"),
            Self::ServiceWithoutInfrastructure => (
                "service stands on nothing that is known: whether its infrastructure is healthy cannot be said",
                "services stand on nothing that is known: whether their infrastructure is healthy cannot be said",
            ),
            Self::ServiceWithoutPredictions => (
                "service sends no predictions: whether its model works cannot be said",
                "services send no predictions: whether their models work cannot be said",
            ),
            Self::ServiceWithoutLabels => (
                "service never got a label: how often its model is right cannot be said",
                "services never got a label: how often their models are right cannot be said",
            ),
            Self::UnknownVersion => (
                "version makes predictions that nobody deployed through Tandem",
                "versions make predictions that nobody deployed through Tandem",
            ),
            Self::ReplicaWithoutHost => (
                "replica runs nobody knows where: a fault below it is not laid to its service",
                "replicas run nobody knows where: a fault below them is not laid to their service",
            ),
            Self::GpuWithoutService => (
                "GPU belongs to no known service: when it fails, nobody is named who feels it",
                "GPUs belong to no known service: when one fails, nobody is named who feels it",
            ),
            Self::HostWithoutPower => (
                "host has no power data: a supply or feed that fails is not seen",
                "hosts have no power data: a supply or feed that fails is not seen",
            ),
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::SilentTarget => {
                "See whether the exporter runs and its address is right: /api/v1/targets says why each failed. Take one \
                 that is gone for good out of the configuration."
            }
            Self::ServiceWithoutInfrastructure => {
                "Scrape its model server with labels = { service = \"…\", gpu_uuid = \"…\", node = \"…\" }, or say what \
                 it runs on with [[relation]]."
            }
            Self::ServiceWithoutPredictions => {
                "Post its predictions to /api/v1/predictions, a sample of them if they are many."
            }
            Self::ServiceWithoutLabels => {
                "Post what turned out to be true to /api/v1/labels with the prediction's id, whenever it is known."
            }
            Self::UnknownVersion => {
                "Deploy it through /api/v1/deployments, or find who changed the model behind Tandem's back."
            }
            Self::ReplicaWithoutHost => {
                "Give its target the label node, pod or gpu_uuid, or name its host with [[relation]] kind = \"runs-on\"."
            }
            Self::GpuWithoutService => {
                "Give the model server's target the label gpu_uuid, or gpu and node; leave it if the GPU is idle."
            }
            Self::HostWithoutPower => {
                "Point [[collect]] plugin = \"collector-power\" at the machine's BMC, scrape its IPMI exporter or UPS, or \
                 say what feeds it with [[relation]] kind = \"powered-by\"."
            }
        }
    }
}

/// All gaps of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Of which kind.
    pub kind: GapKind,
    /// How many there are.
    pub count: usize,
    /// The first by name, at most [`MAX_EXAMPLES`].
    pub examples: Vec<String>,
}

impl Gap {
    /// In one sentence, without the examples.
    pub fn sentence(&self) -> String {
        let (one, several) = self.kind.words();
        format!("{} {}", self.count, if self.count == 1 { one } else { several })
    }
}

/// What is looked at.
#[derive(Debug, Default)]
struct Known {
    entities: Vec<Entity>,
    relations: Vec<Relation>,
    targets: Vec<TargetStatus>,
    traffic: Vec<ServiceTraffic>,
    deployments: Vec<Deployment>,
}

/// What cannot be seen at a moment, one entry per kind of gap, those first that blind most.
///
/// # Errors
/// When the store cannot be read.
pub fn unseen(read: &ReadTx, now: Timestamp) -> Result<Vec<Gap>, ReadError> {
    let known = Known {
        entities: read.scan(.., MAX_ENTITIES)?,
        relations: read.scan(.., MAX_RELATIONS)?,
        targets: read.scan(.., MAX_OTHERS)?,
        traffic: read.scan(.., MAX_OTHERS)?,
        deployments: read.scan_back(.., MAX_OTHERS)?,
    };
    Ok(gaps(&known, now))
}

fn gaps(known: &Known, now: Timestamp) -> Vec<Gap> {
    let mut named: BTreeMap<GapKind, BTreeSet<String>> = BTreeMap::new();
    let mut add = |kind: GapKind, name: String| {
        named.entry(kind).or_default().insert(name);
    };
    for status in known.targets.iter().filter(|status| is_silent(status, now)) {
        let TargetKey { job, instance } = &status.info.key;
        add(GapKind::SilentTarget, format!("{job} {instance}"));
    }
    let graph = graph(known);
    let mut served = BTreeSet::new();
    let mut services = BTreeSet::new();
    let living = || known.entities.iter().filter(|entity| entity.merged_into.is_none());
    for service in living().filter(|entity| entity.kind == "service") {
        let below = graph.dependencies_of(&service.id);
        if below.is_empty() {
            add(GapKind::ServiceWithoutInfrastructure, service.name.clone());
        }
        served.extend(below.into_iter().filter_map(|path| path.last().cloned()));
        services.insert(service.name.as_str());
    }
    for entity in living() {
        let reaches = |kinds: &[&str]| {
            let below = graph.dependencies_of(&entity.id);
            below.iter().filter_map(|path| path.last()).any(|end| kinds.contains(&end.kind()))
        };
        match entity.kind.as_str() {
            "gpu" if !served.contains(&entity.id) => add(GapKind::GpuWithoutService, entity.name.clone()),
            "replica" if !reaches(&["host", "gpu"]) => add(GapKind::ReplicaWithoutHost, entity.name.clone()),
            "host" if !reaches(&POWER_KINDS) => add(GapKind::HostWithoutPower, entity.name.clone()),
            _ => {}
        }
    }
    let mut traffic: BTreeMap<&str, (u64, u64, Timestamp)> = BTreeMap::new();
    for one in &known.traffic {
        let sum = traffic.entry(&one.service).or_insert((0, 0, one.first_at));
        *sum = (sum.0 + one.predictions, sum.1 + one.labels, sum.2.min(one.first_at));
        // Where nobody deploys through Tandem there is no list to hold a version against.
        let mut of_service = known.deployments.iter().filter(|of| of.revision.service == one.service).peekable();
        let lives = one.last_at >= now.plus_millis(-LABELS_OVERDUE_MILLIS);
        if lives && of_service.peek().is_some() && !of_service.any(|of| is_version(of, one)) {
            add(GapKind::UnknownVersion, format!("{} {} version {}", one.service, one.model, one.version));
        }
    }
    for (service, (predictions, labels, first_at)) in &traffic {
        if *predictions > 0 && *labels == 0 && now.millis_since(*first_at) > LABELS_OVERDUE_MILLIS {
            add(GapKind::ServiceWithoutLabels, (*service).to_owned());
        }
        if !services.contains(service) {
            add(GapKind::ServiceWithoutInfrastructure, (*service).to_owned());
        }
    }
    for service in services.iter().filter(|service| !traffic.contains_key(*service)) {
        add(GapKind::ServiceWithoutPredictions, (*service).to_owned());
    }
    let gap = |(kind, names): (GapKind, BTreeSet<String>)| Gap {
        kind,
        count: names.len(),
        examples: names.into_iter().take(MAX_EXAMPLES).collect(),
    };
    named.into_iter().map(gap).collect()
}

/// Whether a target fails, or was heard and is no longer. One that pushes has no attempts of ours to fail.
fn is_silent(status: &TargetStatus, now: Timestamp) -> bool {
    let heard = status.last_success_at.map(|at| now.millis_since(at));
    status.failure.is_some() || heard.is_some_and(|millis| millis > SILENT_MILLIS)
}

/// Whether a deployment put a version where it predicts.
fn is_version(deployment: &Deployment, traffic: &ServiceTraffic) -> bool {
    let refused = [DeploymentStatus::Requested, DeploymentStatus::Failed].contains(&deployment.status);
    !refused && deployment.revision.model == traffic.model && deployment.revision.version == traffic.version
}

/// The dependency graph after all merges.
fn graph(known: &Known) -> DependencyGraph {
    let merged = known.entities.iter().filter_map(|entity| Some((&entity.id, entity.merged_into.as_ref()?)));
    let merged: BTreeMap<&EntityId, &EntityId> = merged.collect();
    let followed = |id: &EntityId| {
        let mut id = id;
        for _ in 0..MAX_MERGE_STEPS {
            match merged.get(id) {
                Some(next) => id = next,
                None => break,
            }
        }
        id.clone()
    };
    let relations: Vec<Relation> = known
        .relations
        .iter()
        .map(|one| Relation {
            dependent: followed(&one.dependent),
            dependency: followed(&one.dependency),
            ..one.clone()
        })
        .collect();
    DependencyGraph::new(&relations)
}

#[cfg(test)]
mod tests;
