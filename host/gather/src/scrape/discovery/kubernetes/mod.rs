//! Targets that Kubernetes' API server knows: nodes, pods, services, endpoints, their slices, and ingresses.

mod api;
mod meta;
mod objects;
#[cfg(test)]
mod tests;
mod watched;

use super::{Finder, TargetGroup, Telling};
use crate::{GatherPorts, scrape::client::with_client_keys};
use api::Api;
use objects::Object;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tandem_domain::ports::BoxFuture;
use tokio::task::JoinSet;
use watched::{Cluster, Watch, Watched};

/// Changes that come within so short a time are told together.
const SETTLE_FOR: Duration = Duration::from_millis(100);
/// Between two tellings: all groups are made anew for each, and a large cluster changes all the time.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Namespaces of one configuration; with more, watch all and choose by relabelling.
const MAX_NAMESPACES: usize = 100;

/// What is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The kubelets of nodes.
    Node,
    /// Ports of pods.
    Pod,
    /// Ports of services.
    Service,
    /// Addresses behind services.
    Endpoints,
    /// Addresses behind services, in slices.
    EndpointSlice,
    /// Paths of ingresses.
    Ingress,
}

with_client_keys! {
    /// A cluster.
    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct KubernetesSdConfig {
        /// What is found.
        pub role: Role,
        /// The server's address. Absent inside a cluster, where the pod's service account says everything.
        pub api_server: Option<String>,
        /// Which namespaces; all when absent.
        #[serde(default)]
        pub namespaces: Namespaces,
        /// Narrow what is listed.
        #[serde(default)]
        pub selectors: Vec<Selector>,
        /// What is attached to targets.
        #[serde(default)]
        pub attach_metadata: AttachMetadata,
    }
}

/// Namespaces.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Namespaces {
    /// The one that the server runs in.
    pub own_namespace: bool,
    /// By name.
    pub names: Vec<String>,
}

/// Narrows what is listed of one kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// Of which kind.
    pub role: Role,
    /// Such as `app=node-exporter`.
    #[serde(default)]
    pub label: String,
    /// Such as `status.phase=Running`.
    #[serde(default)]
    pub field: String,
}

/// What is attached to targets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AttachMetadata {
    /// The labels of a target's node, for pods, endpoints and their slices.
    pub node: bool,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Node => objects::Node::ROLE,
            Role::Pod => objects::Pod::ROLE,
            Role::Service => objects::Service::ROLE,
            Role::Endpoints => objects::Endpoints::ROLE,
            Role::EndpointSlice => objects::EndpointSlice::ROLE,
            Role::Ingress => objects::Ingress::ROLE,
        }
    }

    /// The kinds of objects that are watched for it, but nodes to attach.
    fn kinds(self) -> &'static [Role] {
        match self {
            Role::Endpoints => &[Role::Endpoints, Role::Service, Role::Pod],
            Role::EndpointSlice => &[Role::EndpointSlice, Role::Service, Role::Pod],
            Role::Node => &[Role::Node],
            Role::Pod => &[Role::Pod],
            Role::Service => &[Role::Service],
            Role::Ingress => &[Role::Ingress],
        }
    }
}

impl KubernetesSdConfig {
    pub(crate) fn validate(&self) -> Result<(), String> {
        match &self.api_server {
            Some(base) => drop(super::http::address(base).map_err(|problem| problem.replace("url", "api_server"))?),
            None if self.has_client_keys() => {
                return Err(
                    "it has no api_server, so that the pod's service account says everything; leave credentials and \
                            tls_config out, or give api_server"
                        .into(),
                );
            }
            None => {}
        }
        if self.namespaces.names.len() > MAX_NAMESPACES {
            return Err(format!(
                "namespaces.names has more than {MAX_NAMESPACES}; leave it out and choose by relabel_configs"
            ));
        }
        let wrong = |name: &&String| name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if let Some(name) = self.namespaces.names.iter().find(wrong) {
            return Err(format!("namespaces.names holds {name:?}, which is no name of a namespace"));
        }
        for selector in &self.selectors {
            let kinds = self.role.kinds();
            let attached = selector.role == Role::Node && self.attach_metadata.node;
            if !kinds.contains(&selector.role) && !attached {
                let known: Vec<&str> = kinds.iter().map(|role| role.name()).collect();
                let (role, found) = (self.role.name(), selector.role.name());
                return Err(format!("selectors has role {found}; for role {role} give one of {}", known.join(", ")));
            }
        }
        self.client().map(drop)
    }

    fn has_client_keys(&self) -> bool {
        self.basic_auth.is_some()
            || self.authorization.is_some()
            || self.bearer_token.is_some()
            || self.bearer_token_file.is_some()
            || self.tls_config.ca.is_some()
            || self.tls_config.ca_file.is_some()
    }

    fn selectors(&self, role: Role) -> Vec<(&'static str, String)> {
        let mine = self.selectors.iter().filter(|selector| selector.role == role);
        let pairs = mine.flat_map(|selector| {
            [("labelSelector", selector.label.clone()), ("fieldSelector", selector.field.clone())]
        });
        pairs.filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The namespaces that are watched; none for all.
    fn watched_namespaces(&self) -> Result<Vec<Option<String>>, String> {
        let mut names: BTreeSet<String> = self.namespaces.names.iter().cloned().collect();
        if self.namespaces.own_namespace {
            let file = Path::new(api::SERVICE_ACCOUNT).join("namespace");
            let own = std::fs::read_to_string(&file)
                .map_err(|error| format!("own_namespace is in {}, which cannot be read: {error}", file.display()))?;
            names.insert(own.trim().to_owned());
        }
        Ok(if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() })
    }
}

/// Begins to watch one kind of object, as a task beside the others.
type BeginWatching = Box<dyn FnOnce(&mut JoinSet<()>) + Send>;

pub(super) struct KubernetesFinder {
    role: Role,
    api: Arc<Api>,
    cluster: Arc<Cluster>,
    watching: JoinSet<()>,
    begin: Vec<BeginWatching>,
}

impl KubernetesFinder {
    pub(super) fn new(config: &KubernetesSdConfig, ports: GatherPorts) -> Result<Self, String> {
        let api = Arc::new(Api::new(config, ports)?);
        let attaches_nodes = config.attach_metadata.node && config.role != Role::Node;
        let cluster = Arc::new(Cluster { attaches_nodes, ..Cluster::default() });
        let (role, begin) = (config.role, Vec::new());
        let mut finder = Self { role, api, cluster, watching: JoinSet::new(), begin };
        let namespaces = config.watched_namespaces()?;
        for kind in role.kinds() {
            for namespace in &namespaces {
                finder.watch_kind(*kind, namespace.clone(), config);
            }
        }
        if attaches_nodes {
            finder.watch_kind(Role::Node, None, config);
        }
        Ok(finder)
    }

    fn watch_kind(&mut self, kind: Role, namespace: Option<String>, config: &KubernetesSdConfig) {
        let watch = Watch { namespace, selectors: config.selectors(kind) };
        match kind {
            Role::Node => self.watch(watch, |cluster| &cluster.nodes),
            Role::Pod => self.watch(watch, |cluster| &cluster.pods),
            Role::Service => self.watch(watch, |cluster| &cluster.services),
            Role::Endpoints => self.watch(watch, |cluster| &cluster.endpoints),
            Role::EndpointSlice => self.watch(watch, |cluster| &cluster.slices),
            Role::Ingress => self.watch(watch, |cluster| &cluster.ingresses),
        }
    }

    fn watch<K: Object>(&mut self, watch: Watch, of: fn(&Cluster) -> &Watched<K>) {
        of(&self.cluster).expect();
        let (api, cluster) = (self.api.clone(), self.cluster.clone());
        self.begin.push(Box::new(move |tasks| drop(tasks.spawn(watch.keep(api, cluster, of)))));
    }

    /// All groups as the cluster stands.
    fn groups(&self) -> BTreeMap<String, TargetGroup> {
        let cluster = self.cluster.as_ref();
        match self.role {
            Role::Node => groups(&cluster.nodes, "node", meta::node),
            Role::Pod => groups(&cluster.pods, "pod", |pod| meta::pod(pod, cluster)),
            Role::Service => groups(&cluster.services, "svc", meta::service),
            Role::Endpoints => groups(&cluster.endpoints, "endpoints", |one| meta::endpoints(one, cluster)),
            Role::EndpointSlice => groups(&cluster.slices, "endpointslice", |one| meta::endpoint_slice(one, cluster)),
            Role::Ingress => groups(&cluster.ingresses, "ingress", meta::ingress),
        }
    }
}

fn groups<K: Object>(
    watched: &Watched<K>,
    kind: &str,
    group: impl Fn(&K) -> Option<TargetGroup>,
) -> BTreeMap<String, TargetGroup> {
    let named = |object: Arc<K>| {
        let meta = object.meta();
        Some((format!("{kind}/{}/{}", meta.namespace, meta.name), group(&object)?))
    };
    watched.all().into_iter().filter_map(named).collect()
}

impl Finder for KubernetesFinder {
    fn run(mut self: Box<Self>, telling: Telling) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            for begin in std::mem::take(&mut self.begin) {
                begin(&mut self.watching);
            }
            loop {
                self.cluster.changed.notified().await;
                tokio::time::sleep(SETTLE_FOR).await;
                if self.cluster.is_listed() {
                    telling.all(self.groups());
                    tokio::time::sleep(TELL_EVERY).await;
                }
            }
        })
    }
}
