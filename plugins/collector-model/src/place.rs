//! Where a model server stands: its service, its replica, and the pod, GPU or host below.

use crate::servers::Normal;
use tandem_sdk::{
    mapper::Target,
    mapping::{MappingBuilder, host_of, is_loopback, label_of, local, unique, value_of},
    types::{RelationKind, Series},
};

/// Labels by which servers and service discovery name the model.
const MODEL_LABELS: [&str; 7] =
    ["model_name", "model", "exported_model", "model_id", "deployment_name", "service_name", "bentoml_service"];
/// Labels that hold the model's version.
const VERSION_LABELS: [&str; 4] = ["version", "model_version", "service_version", "exported_version"];

/// The entities of one target, made when a series first needs them.
pub(crate) struct Place<'t> {
    target: &'t Target,
    replica: Option<u32>,
}

impl<'t> Place<'t> {
    pub(crate) fn new(target: &'t Target) -> Self {
        Self { target, replica: None }
    }

    /// The replica, once a series of a model server was seen.
    pub(crate) fn known_replica(&self) -> Option<u32> {
        self.replica
    }

    /// Whose a series is: the model's where it names one, else the replica's.
    pub(crate) fn owner(&mut self, series: &Series, normal: &Normal, mapping: &mut MappingBuilder) -> u32 {
        let replica = self.replica(mapping);
        let model = MODEL_LABELS.iter().find_map(|name| label_of(series, name));
        let service_name = value_of(&self.target.labels, "service").or(model);
        let Some(service_name) = service_name else { return replica };
        let service = mapping.entity("service", vec![local("name", service_name)], service_name);
        mapping.relation(service, replica, RelationKind::DependsOn);
        mapping.attribute(replica, "server", normal.server);
        self.place_on_gpu_of_series(series, replica, mapping);
        let Some(model) = model else { return service };
        let version = VERSION_LABELS.iter().find_map(|name| label_of(series, name));
        let key =
            version.map_or(format!("{service_name}/{model}"), |version| format!("{service_name}/{model}:{version}"));
        let name = version.map_or(model.to_owned(), |version| format!("{model} version {version}"));
        let entity = mapping.entity(
            "model",
            vec![local("model", format!("{key}@{}", self.target.instance)), local("version", key)],
            name,
        );
        mapping.attribute(entity, "service", service_name);
        mapping.attribute(entity, "version", version.unwrap_or_default());
        mapping.relation(replica, entity, RelationKind::Contains);
        entity
    }

    /// The replica of a service, where nothing more is known.
    pub(crate) fn of_service(&mut self, service_name: &str, mapping: &mut MappingBuilder) {
        let replica = self.replica(mapping);
        let service = mapping.entity("service", vec![local("name", service_name)], service_name);
        mapping.relation(service, replica, RelationKind::DependsOn);
    }

    fn replica(&mut self, mapping: &mut MappingBuilder) -> u32 {
        match self.replica {
            Some(replica) => replica,
            None => {
                let replica = self.make_replica(mapping);
                self.replica = Some(replica);
                replica
            }
        }
    }

    fn make_replica(&self, mapping: &mut MappingBuilder) -> u32 {
        let labels = &self.target.labels;
        let instance = &self.target.instance;
        let pod = value_of(labels, "pod").or_else(|| value_of(labels, "kubernetes_pod_name"));
        let namespace =
            value_of(labels, "namespace").or_else(|| value_of(labels, "kubernetes_namespace")).unwrap_or("default");
        let mut keys = Vec::new();
        if let Some(pod) = pod {
            keys.push(local("pod", format!("{namespace}/{pod}")));
        }
        keys.push(local("address", instance));
        let replica = mapping.entity("replica", keys, pod.unwrap_or(instance));
        if let Some(pod) = pod {
            let pod =
                mapping.entity("pod", vec![local("pod", format!("{namespace}/{pod}"))], format!("{namespace}/{pod}"));
            mapping.relation(replica, pod, RelationKind::RunsOn);
        }
        let host = self.host(mapping);
        if let Some(host) = host {
            mapping.relation(replica, host, RelationKind::RunsOn);
        }
        for uuid in value_of(labels, "gpu_uuid").into_iter().flat_map(|list| list.split(',')) {
            let gpu = mapping.entity("gpu", vec![unique("uuid", uuid.trim())], format!("GPU {}", uuid.trim()));
            mapping.relation(replica, gpu, RelationKind::RunsOn);
        }
        if let (Some(list), Some(host_name)) = (value_of(labels, "gpu"), self.host_name()) {
            for number in list.split(',').map(str::trim) {
                let gpu = mapping.entity(
                    "gpu",
                    vec![local("index", format!("{host_name}/{number}"))],
                    format!("GPU {number} on {host_name}"),
                );
                mapping.relation(replica, gpu, RelationKind::RunsOn);
            }
        }
        replica
    }

    /// Triton and others name the GPU on the series itself.
    fn place_on_gpu_of_series(&self, series: &Series, replica: u32, mapping: &mut MappingBuilder) {
        if let Some(uuid) = label_of(series, "gpu_uuid") {
            let gpu = mapping.entity("gpu", vec![unique("uuid", uuid)], format!("GPU {uuid}"));
            mapping.relation(replica, gpu, RelationKind::RunsOn);
        }
    }

    fn host_name(&self) -> Option<String> {
        let given = ["node", "hostname"].iter().find_map(|name| value_of(&self.target.labels, name));
        let address = Some(host_of(&self.target.instance)).filter(|host| !is_loopback(host));
        given.or(address).map(str::to_lowercase)
    }

    fn host(&self, mapping: &mut MappingBuilder) -> Option<u32> {
        let name = self.host_name()?;
        Some(mapping.entity("host", vec![local("hostname", &name)], &name))
    }
}
