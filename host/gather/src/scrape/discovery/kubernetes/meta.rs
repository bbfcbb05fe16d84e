//! Labels of Kubernetes' targets, `__meta_kubernetes_…`, by the names and rules that Prometheus documents for each role.

use super::{
    objects::{
        Container, ContainerPort, Endpoint, EndpointAddress, EndpointPort, EndpointSlice, Endpoints, Ingress, Node,
        ObjectMeta, ObjectReference, Pod, Service, ServicePort,
    },
    watched::Cluster,
};
use crate::scrape::discovery::TargetGroup;
use std::{collections::BTreeMap, sync::Arc};
use tandem_wire::relabel::LabelMap;

/// The label by which a slice names its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Kinds of a node's addresses, the liked first.
const NODE_ADDRESSES: [&str; 6] =
    ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];

/// Labels under construction.
#[derive(Default)]
struct Meta(LabelMap);

impl Meta {
    fn put(&mut self, name: &str, value: &str) -> &mut Self {
        self.0.set(&format!("__meta_kubernetes_{name}"), value);
        self
    }

    fn put_some(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.put(name, value);
        }
        self
    }

    fn put_bool(&mut self, name: &str, value: Option<bool>) -> &mut Self {
        self.put_some(name, value.map(|value| if value { "true" } else { "false" }))
    }

    fn address(&mut self, address: &str) -> &mut Self {
        self.0.set("__address__", address);
        self
    }

    /// Labels and whether they are there, by a prefix.
    fn put_map(&mut self, prefix: &str, present: &str, map: &BTreeMap<String, String>) -> &mut Self {
        for (name, value) in map {
            let name = sanitized(name);
            self.put(&format!("{prefix}_{name}"), value);
            self.put(&format!("{present}_{name}"), "true");
        }
        self
    }

    /// Name, labels and annotations of an object.
    fn put_object(&mut self, role: &str, meta: &ObjectMeta) -> &mut Self {
        self.put(&format!("{role}_name"), &meta.name);
        self.put_map(&format!("{role}_label"), &format!("{role}_labelpresent"), &meta.labels);
        self.put_map(&format!("{role}_annotation"), &format!("{role}_annotationpresent"), &meta.annotations)
    }

    fn put_node(&mut self, cluster: &Cluster, name: Option<&str>) -> &mut Self {
        let node = name.filter(|_| cluster.attaches_nodes).and_then(|name| cluster.nodes.get("", name));
        if let Some(node) = node {
            self.put("node_name", &node.metadata.name);
            self.put_map("node_label", "node_labelpresent", &node.metadata.labels);
        }
        self
    }

    fn put_service(&mut self, service: &Service) -> &mut Self {
        self.put("namespace", &service.metadata.namespace);
        self.put_object("service", &service.metadata)
    }

    fn put_pod(&mut self, pod: &Pod) -> &mut Self {
        let (meta, status) = (&pod.metadata, &pod.status);
        self.put_object("pod", meta);
        self.put("pod_ip", &status.pod_ip).put("pod_host_ip", &status.host_ip);
        self.put("pod_phase", &status.phase).put("pod_node_name", &pod.spec.node_name).put("pod_uid", &meta.uid);
        let ready = status.conditions.iter().find(|condition| condition.kind == "Ready");
        self.put("pod_ready", &ready.map_or("Unknown", |condition| condition.status.as_str()).to_lowercase());
        if let Some(owner) = meta.owner_references.iter().find(|owner| owner.controller == Some(true)) {
            self.put("pod_controller_kind", &owner.kind).put("pod_controller_name", &owner.name);
        }
        self
    }

    fn put_container(&mut self, one: &PodContainer<'_>) -> &mut Self {
        self.put("pod_container_name", &one.container.name);
        self.put("pod_container_image", &one.container.image);
        self.put_some("pod_container_id", one.id);
        self.put_bool("pod_container_init", Some(one.is_init))
    }

    fn put_container_port(&mut self, port: &ContainerPort) -> &mut Self {
        self.put("pod_container_port_name", &port.name);
        self.put("pod_container_port_number", &port.container_port.to_string());
        self.put("pod_container_port_protocol", &port.protocol)
    }

    fn taken(&mut self) -> LabelMap {
        std::mem::take(&mut self.0)
    }
}

/// A name in which only letters, digits and underscores are left.
fn sanitized(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// An address and a port together; an IPv6 address in brackets.
fn joined(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A container of a pod.
struct PodContainer<'p> {
    container: &'p Container,
    id: Option<&'p str>,
    is_init: bool,
}

/// The containers of a pod, those that only begin it last.
fn containers(pod: &Pod) -> impl Iterator<Item = PodContainer<'_>> {
    let statuses = [&pod.status.container_statuses, &pod.status.init_container_statuses];
    let all = [(&pod.spec.containers, false), (&pod.spec.init_containers, true)];
    all.into_iter().zip(statuses).flat_map(|((containers, is_init), statuses)| {
        containers.iter().map(move |container| {
            let status = statuses.iter().find(|status| status.name == container.name);
            PodContainer { container, id: status.map(|status| status.container_id.as_str()), is_init }
        })
    })
}

/// The kubelet of a node; none when the node has no address.
pub(super) fn node(node: &Node) -> Option<TargetGroup> {
    let of_kind = |kind: &str| node.status.addresses.iter().find(|address| address.kind == kind);
    let address = NODE_ADDRESSES.iter().find_map(|kind| of_kind(kind))?;
    let mut meta = Meta::default();
    let labels = meta.put_object("node", &node.metadata).put("node_provider_id", &node.spec.provider_id).taken();
    meta.address(&joined(&address.address, node.status.daemon_endpoints.kubelet_endpoint.port));
    meta.0.set("instance", &node.metadata.name);
    for address in node.status.addresses.iter().rev() {
        meta.put(&format!("node_address_{}", sanitized(&address.kind)), &address.address);
    }
    Some(TargetGroup { labels, targets: vec![meta.taken()] })
}

/// A target for each port of each container of a pod, or one for a container without ports.
pub(super) fn pod(pod: &Pod, cluster: &Cluster) -> Option<TargetGroup> {
    let ip = &pod.status.pod_ip;
    if ip.is_empty() {
        return None;
    }
    let mut meta = Meta::default();
    let labels = meta
        .put("namespace", &pod.metadata.namespace)
        .put_pod(pod)
        .put_node(cluster, Some(&pod.spec.node_name))
        .taken();
    let mut targets = Vec::new();
    for one in containers(pod) {
        for port in &one.container.ports {
            let address = joined(ip, port.container_port);
            targets.push(meta.address(&address).put_container(&one).put_container_port(port).taken());
        }
        if one.container.ports.is_empty() {
            // The rules give it a port.
            let host = if ip.contains(':') { format!("[{ip}]") } else { ip.clone() };
            targets.push(meta.address(&host).put_container(&one).taken());
        }
    }
    Some(TargetGroup { labels, targets })
}

/// A target for each port of a service.
pub(super) fn service(service: &Service) -> Option<TargetGroup> {
    let mut meta = Meta::default();
    let labels = meta.put_service(service).taken();
    let (spec, host) = (&service.spec, format!("{}.{}.svc", service.metadata.name, service.metadata.namespace));
    let target = |port: &ServicePort| {
        let mut meta = Meta::default();
        meta.address(&joined(&host, port.port));
        meta.put("service_port_name", &port.name).put("service_port_number", &port.port.to_string());
        meta.put("service_port_protocol", &port.protocol).put("service_type", &spec.kind);
        match spec.kind.as_str() {
            "ExternalName" => meta.put("service_external_name", &spec.external_name),
            _ => meta.put("service_cluster_ip", &spec.cluster_ip),
        };
        if spec.kind == "LoadBalancer" {
            meta.put("service_loadbalancer_ip", &spec.load_balancer_ip);
        }
        meta.taken()
    };
    Some(TargetGroup { labels, targets: spec.ports.iter().map(target).collect() })
}

/// Pods that stand behind endpoints, with the ports that the endpoints cover.
#[derive(Default)]
struct Covered(BTreeMap<(String, String), (Arc<Pod>, Vec<i32>)>);

impl Covered {
    fn cover(&mut self, pod: &Arc<Pod>, port: Option<i32>) {
        let key = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
        self.0.entry(key).or_insert_with(|| (pod.clone(), Vec::new())).1.extend(port);
    }

    /// Targets for the ports of the pods that no endpoint covers.
    fn others(&self, cluster: &Cluster) -> Vec<LabelMap> {
        let mut targets = Vec::new();
        for (pod, covered) in self.0.values().filter(|(pod, _)| !pod.status.pod_ip.is_empty()) {
            for one in containers(pod) {
                for port in one.container.ports.iter().filter(|port| !covered.contains(&port.container_port)) {
                    let mut meta = Meta::default();
                    meta.address(&joined(&pod.status.pod_ip, port.container_port));
                    meta.put_container(&one).put_container_port(port).put_pod(pod);
                    targets.push(meta.put_node(cluster, Some(&pod.spec.node_name)).taken());
                }
            }
        }
        targets
    }
}

/// Labels of the pod that an endpoint refers to, and of its container that has the port.
fn put_backing_pod(
    meta: &mut Meta,
    cluster: &Cluster,
    reference: Option<&ObjectReference>,
    port: Option<i32>,
    covered: &mut Covered,
) {
    let reference = reference.filter(|reference| reference.kind == "Pod");
    let Some(pod) = reference.and_then(|reference| cluster.pods.get(&reference.namespace, &reference.name)) else {
        return;
    };
    meta.put_pod(&pod);
    for one in containers(&pod) {
        if let Some(fitting) = one.container.ports.iter().find(|candidate| Some(candidate.container_port) == port) {
            meta.put_container(&one).put_container_port(fitting);
        }
    }
    covered.cover(&pod, port);
}

/// A target for each port of each address, and for the other ports of the pods behind them.
pub(super) fn endpoints(endpoints: &Endpoints, cluster: &Cluster) -> Option<TargetGroup> {
    let own = &endpoints.metadata;
    let mut meta = Meta::default();
    if let Some(service) = cluster.services.get(&own.namespace, &own.name) {
        meta.put_service(&service);
    }
    let labels = meta.put("namespace", &own.namespace).put_object("endpoints", own).taken();
    let (mut covered, mut targets) = (Covered::default(), Vec::new());
    for subset in &endpoints.subsets {
        for port in &subset.ports {
            let ready = subset.addresses.iter().map(|address| (address, "true"));
            let all = ready.chain(subset.not_ready_addresses.iter().map(|address| (address, "false")));
            for (address, ready) in all {
                targets.push(endpoint_address(address, port, ready, cluster, &mut covered));
            }
        }
    }
    targets.extend(covered.others(cluster));
    Some(TargetGroup { labels, targets })
}

fn endpoint_address(
    address: &EndpointAddress,
    port: &ServicePort,
    ready: &str,
    cluster: &Cluster,
    covered: &mut Covered,
) -> LabelMap {
    let mut meta = Meta::default();
    meta.address(&joined(&address.ip, port.port));
    meta.put("endpoint_port_name", &port.name).put("endpoint_port_protocol", &port.protocol);
    meta.put("endpoint_ready", ready).put("endpoint_hostname", &address.hostname);
    meta.put_some("endpoint_node_name", address.node_name.as_deref());
    if let Some(reference) = &address.target_ref {
        meta.put("endpoint_address_target_kind", &reference.kind);
        meta.put("endpoint_address_target_name", &reference.name);
    }
    meta.put_node(cluster, address.node_name.as_deref());
    put_backing_pod(&mut meta, cluster, address.target_ref.as_ref(), Some(port.port), covered);
    meta.taken()
}

/// As for endpoints, of a slice of them.
pub(super) fn endpoint_slice(slice: &EndpointSlice, cluster: &Cluster) -> Option<TargetGroup> {
    let own = &slice.metadata;
    let mut meta = Meta::default();
    let service = own.labels.get(SERVICE_NAME).and_then(|name| cluster.services.get(&own.namespace, name));
    if let Some(service) = service {
        meta.put_service(&service);
    }
    let labels = meta
        .put("namespace", &own.namespace)
        .put("endpointslice_address_type", &slice.address_type)
        .put_object("endpointslice", own)
        .taken();
    let (mut covered, mut targets) = (Covered::default(), Vec::new());
    for endpoint in &slice.endpoints {
        for port in &slice.ports {
            for address in &endpoint.addresses {
                targets.push(slice_address(address, endpoint, port, cluster, &mut covered));
            }
        }
    }
    targets.extend(covered.others(cluster));
    Some(TargetGroup { labels, targets })
}

fn slice_address(
    address: &str,
    endpoint: &Endpoint,
    port: &EndpointPort,
    cluster: &Cluster,
    covered: &mut Covered,
) -> LabelMap {
    let mut meta = Meta::default();
    match port.port {
        Some(port) => meta.address(&joined(address, port)).put("endpointslice_port", &port.to_string()),
        None => meta.address(address),
    };
    meta.put_some("endpointslice_port_name", port.name.as_deref());
    meta.put_some("endpointslice_port_protocol", port.protocol.as_deref());
    meta.put_some("endpointslice_port_app_protocol", port.app_protocol.as_deref());
    let conditions = &endpoint.conditions;
    meta.put_bool("endpointslice_endpoint_conditions_ready", conditions.ready);
    meta.put_bool("endpointslice_endpoint_conditions_serving", conditions.serving);
    meta.put_bool("endpointslice_endpoint_conditions_terminating", conditions.terminating);
    meta.put_some("endpointslice_endpoint_hostname", endpoint.hostname.as_deref());
    meta.put_some("endpointslice_endpoint_node_name", endpoint.node_name.as_deref());
    meta.put_some("endpointslice_endpoint_zone", endpoint.zone.as_deref());
    let topology = ("endpointslice_endpoint_topology", "endpointslice_endpoint_topology_present");
    meta.put_map(topology.0, topology.1, &endpoint.deprecated_topology);
    let reference = endpoint.target_ref.as_ref();
    if let Some(reference) = reference {
        meta.put("endpointslice_address_target_kind", &reference.kind);
        meta.put("endpointslice_address_target_name", &reference.name);
    }
    let node = reference.filter(|reference| reference.kind == "Node").map(|reference| reference.name.as_str());
    meta.put_node(cluster, node.or(endpoint.node_name.as_deref()));
    put_backing_pod(&mut meta, cluster, reference, port.port, covered);
    meta.taken()
}

/// A target for each path of each rule.
pub(super) fn ingress(ingress: &Ingress) -> Option<TargetGroup> {
    let mut meta = Meta::default();
    let class = ingress.spec.ingress_class_name.as_deref();
    let labels = meta
        .put("namespace", &ingress.metadata.namespace)
        .put_object("ingress", &ingress.metadata)
        .put_some("ingress_class_name", class)
        .taken();
    let mut targets = Vec::new();
    for rule in &ingress.spec.rules {
        let secured = ingress.spec.tls.iter().flat_map(|tls| &tls.hosts).any(|pattern| covers(pattern, &rule.host));
        let paths =
            rule.http.as_ref().map_or_else(Vec::new, |http| http.paths.iter().map(|p| p.path.as_str()).collect());
        for path in if paths.is_empty() { vec![""] } else { paths } {
            meta.address(&rule.host).put("ingress_host", &rule.host);
            meta.put("ingress_scheme", if secured { "https" } else { "http" });
            targets.push(meta.put("ingress_path", if path.is_empty() { "/" } else { path }).taken());
        }
    }
    Some(TargetGroup { labels, targets })
}

/// Whether a host is meant by a pattern, which may have `*` in place of its first part.
fn covers(pattern: &str, host: &str) -> bool {
    let Some(rest) = pattern.strip_prefix("*.") else { return pattern == host };
    host.split_once('.').is_some_and(|(first, others)| !first.is_empty() && others == rest)
}
