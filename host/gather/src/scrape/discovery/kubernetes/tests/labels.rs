//! The labels of each role's targets, by the names that Prometheus documents.

use super::{
    super::{
        meta,
        objects::{EndpointSlice, Endpoints, Ingress, Node, Pod, Service},
        watched::Cluster,
    },
    published,
};
use crate::scrape::discovery::TargetGroup;
use k8s_openapi::api::{
    core::v1 as core, discovery::v1::EndpointSlice as PublishedSlice, networking::v1::Ingress as PublishedIngress,
};
use serde_json::{Value, json};
use tandem_wire::relabel::LabelMap;

fn read<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).expect("it is read")
}

/// Labels without their long prefix.
fn told(labels: &LabelMap) -> Vec<String> {
    labels.iter().map(|(name, value)| format!("{}={value}", name.replace("__meta_kubernetes_", ""))).collect()
}

fn group(group: Option<TargetGroup>) -> (Vec<String>, Vec<Vec<String>>) {
    let group = group.expect("a group");
    (told(&group.labels), group.targets.iter().map(told).collect())
}

fn node() -> Value {
    published::<core::Node>(&json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "node-1", "labels": {"topology.kubernetes.io/zone": "a"}, "annotations": {"x/y": "z"}},
        "spec": {"providerID": "aws:///i-1"},
        "status": {"addresses": [{"type": "Hostname", "address": "node-1.local"},
                                 {"type": "InternalIP", "address": "10.1.0.1"},
                                 {"type": "InternalIP", "address": "fd00::1"}],
                   "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}},
    }))
}

fn pod() -> Value {
    published::<core::Pod>(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "u-1", "labels": {"app.kubernetes.io/name": "web"},
                     "annotations": {"prometheus.io/scrape": "true"},
                     "ownerReferences": [{"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "u-0"},
                                         {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u-2",
                                          "controller": true}]},
        "spec": {"nodeName": "node-1",
                 "containers": [{"name": "web", "image": "web:1",
                                 "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"},
                                           {"containerPort": 9090, "name": "metrics", "protocol": "TCP"}]},
                                {"name": "side", "image": "side:2"}],
                 "initContainers": [{"name": "init", "image": "init:3"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "hostIP": "10.1.0.1",
                   "conditions": [{"type": "Initialized", "status": "False"}, {"type": "Ready", "status": "True"}],
                   "containerStatuses": [{"name": "web", "containerID": "containerd://c1", "image": "web:1", "imageID": "i",
                                          "ready": true, "restartCount": 0}]},
    }))
}

fn service() -> Value {
    published::<core::Service>(&json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"team": "a"}},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.1", "loadBalancerIP": "192.0.2.1",
                 "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
        "status": {},
    }))
}

fn cluster() -> Cluster {
    let cluster = Cluster { attaches_nodes: true, ..Cluster::default() };
    cluster.nodes.put(read::<Node>(node()));
    cluster.pods.put(read::<Pod>(pod()));
    cluster.services.put(read::<Service>(service()));
    cluster
}

const POD: [&str; 13] = [
    "pod_annotation_prometheus_io_scrape=true",
    "pod_annotationpresent_prometheus_io_scrape=true",
    "pod_controller_kind=ReplicaSet",
    "pod_controller_name=web",
    "pod_host_ip=10.1.0.1",
    "pod_ip=10.0.0.1",
    "pod_label_app_kubernetes_io_name=web",
    "pod_labelpresent_app_kubernetes_io_name=true",
    "pod_name=web-1",
    "pod_node_name=node-1",
    "pod_phase=Running",
    "pod_ready=true",
    "pod_uid=u-1",
];
const NODE: [&str; 3] = [
    "node_label_topology_kubernetes_io_zone=a",
    "node_labelpresent_topology_kubernetes_io_zone=true",
    "node_name=node-1",
];
const SERVICE: [&str; 3] = ["service_label_team=a", "service_labelpresent_team=true", "service_name=web"];

fn web_port(name: &str, number: &str) -> Vec<String> {
    let image = ["pod_container_id=containerd://c1", "pod_container_image=web:1", "pod_container_init=false"];
    let mut labels: Vec<String> = image.iter().map(|label| (*label).to_owned()).collect();
    labels.push("pod_container_name=web".into());
    labels.push(format!("pod_container_port_name={name}"));
    labels.push(format!("pod_container_port_number={number}"));
    labels.push("pod_container_port_protocol=TCP".into());
    labels
}

/// Several lists of labels as one, sorted.
fn together(parts: &[&[&str]], more: &[String]) -> Vec<String> {
    let mut all: Vec<String> = parts.iter().flat_map(|part| part.iter().map(|label| (*label).to_owned())).collect();
    all.extend(more.iter().cloned());
    all.sort();
    all
}

fn sorted(mut labels: Vec<String>) -> Vec<String> {
    labels.sort();
    labels
}

#[test]
fn a_node_is_its_kubelet() {
    let (labels, targets) = group(meta::node(&read(node())));
    let annotations = ["node_annotation_x_y=z", "node_annotationpresent_x_y=true", "node_provider_id=aws:///i-1"];
    assert_eq!(sorted(labels), together(&[&NODE, &annotations], &[]));
    let target = [
        "__address__=10.1.0.1:10250",
        "instance=node-1",
        "node_address_Hostname=node-1.local",
        "node_address_InternalIP=10.1.0.1",
    ];
    assert_eq!(targets.into_iter().map(sorted).collect::<Vec<_>>(), [together(&[&target], &[])]);
}

#[test]
fn a_pod_has_a_target_for_each_port_and_each_container_without_one() {
    let (labels, targets) = group(meta::pod(&read(pod()), &cluster()));
    assert_eq!(sorted(labels), together(&[&POD, &NODE, &["namespace=shop"]], &[]));
    let bare = |name: &str, image: &str, init: &str| {
        let labels = [
            "__address__=10.0.0.1".to_owned(),
            format!("pod_container_image={image}"),
            format!("pod_container_init={init}"),
            format!("pod_container_name={name}"),
        ];
        labels.to_vec()
    };
    let expected = [
        together(&[&["__address__=10.0.0.1:8080"]], &web_port("http", "8080")),
        together(&[&["__address__=10.0.0.1:9090"]], &web_port("metrics", "9090")),
        bare("side", "side:2", "false"),
        bare("init", "init:3", "true"),
    ];
    assert_eq!(targets.into_iter().map(sorted).collect::<Vec<_>>(), expected);
    let mut starting = pod();
    starting["status"] = json!({"phase": "Pending"});
    assert_eq!(meta::pod(&read(starting), &cluster()), None, "without an address there is nothing to scrape");
}

#[test]
fn a_service_has_a_target_for_each_port() {
    let (labels, targets) = group(meta::service(&read(service())));
    assert_eq!(sorted(labels), together(&[&SERVICE, &["namespace=shop"]], &[]));
    let target = [
        "__address__=web.shop.svc:80",
        "service_cluster_ip=10.96.0.1",
        "service_loadbalancer_ip=192.0.2.1",
        "service_port_name=http",
        "service_port_number=80",
        "service_port_protocol=TCP",
        "service_type=LoadBalancer",
    ];
    assert_eq!(targets.into_iter().map(sorted).collect::<Vec<_>>(), [together(&[&target], &[])]);
}

#[test]
fn endpoints_know_their_service_and_pods_and_the_ports_they_do_not_cover() {
    let endpoints = published::<core::Endpoints>(&json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"e": "1"}},
        "subsets": [{"addresses": [{"ip": "10.0.0.1", "nodeName": "node-1", "hostname": "h",
                                    "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "shop"}}],
                     "notReadyAddresses": [{"ip": "10.0.0.9"}],
                     "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}],
    }));
    let (labels, targets) = group(meta::endpoints(&read::<Endpoints>(endpoints), &cluster()));
    let own = ["namespace=shop", "endpoints_name=web", "endpoints_label_e=1", "endpoints_labelpresent_e=true"];
    assert_eq!(sorted(labels), together(&[&SERVICE, &own], &[]));
    let ready = [
        "__address__=10.0.0.1:8080",
        "endpoint_address_target_kind=Pod",
        "endpoint_address_target_name=web-1",
        "endpoint_hostname=h",
        "endpoint_node_name=node-1",
        "endpoint_port_name=http",
        "endpoint_port_protocol=TCP",
        "endpoint_ready=true",
    ];
    let not_ready =
        ["__address__=10.0.0.9:8080", "endpoint_port_name=http", "endpoint_port_protocol=TCP", "endpoint_ready=false"];
    let expected = [
        together(&[&ready, &POD, &NODE], &web_port("http", "8080")),
        together(&[&not_ready], &[]),
        together(&[&["__address__=10.0.0.1:9090"], &POD, &NODE], &web_port("metrics", "9090")),
    ];
    assert_eq!(targets.into_iter().map(sorted).collect::<Vec<_>>(), expected);
}

#[test]
fn slices_say_the_conditions_of_their_endpoints() {
    let slice = published::<PublishedSlice>(&json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv6",
        "metadata": {"name": "web-abc", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["fd00::9"], "conditions": {"ready": true, "serving": true, "terminating": false},
                       "nodeName": "node-1", "zone": "a", "hostname": "h",
                       "deprecatedTopology": {"kubernetes.io/hostname": "node-1"}}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"}],
    }));
    let (labels, targets) = group(meta::endpoint_slice(&read::<EndpointSlice>(slice), &cluster()));
    let own = [
        "namespace=shop",
        "endpointslice_address_type=IPv6",
        "endpointslice_name=web-abc",
        "endpointslice_label_kubernetes_io_service_name=web",
        "endpointslice_labelpresent_kubernetes_io_service_name=true",
    ];
    assert_eq!(sorted(labels), together(&[&SERVICE, &own], &[]));
    let target = [
        "__address__=[fd00::9]:8080",
        "endpointslice_endpoint_conditions_ready=true",
        "endpointslice_endpoint_conditions_serving=true",
        "endpointslice_endpoint_conditions_terminating=false",
        "endpointslice_endpoint_hostname=h",
        "endpointslice_endpoint_node_name=node-1",
        "endpointslice_endpoint_topology_kubernetes_io_hostname=node-1",
        "endpointslice_endpoint_topology_present_kubernetes_io_hostname=true",
        "endpointslice_endpoint_zone=a",
        "endpointslice_port=8080",
        "endpointslice_port_app_protocol=http",
        "endpointslice_port_name=http",
        "endpointslice_port_protocol=TCP",
    ];
    assert_eq!(targets.into_iter().map(sorted).collect::<Vec<_>>(), [together(&[&target, &NODE], &[])]);
}

#[test]
fn ingresses_have_a_target_for_each_path_and_the_scheme_their_certificates_say() {
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let ingress = published::<PublishedIngress>(&json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"ingressClassName": "nginx", "tls": [{"hosts": ["*.example.org"]}],
                 "rules": [{"host": "a.example.org",
                            "http": {"paths": [{"path": "/x", "pathType": "Prefix", "backend": backend},
                                               {"pathType": "Prefix", "backend": backend}]}},
                           {"host": "plain.example.com"}]},
        "status": {},
    }));
    let (labels, targets) = group(meta::ingress(&read::<Ingress>(ingress)));
    assert_eq!(sorted(labels), ["ingress_class_name=nginx", "ingress_name=web", "namespace=shop"]);
    let target = |host: &str, scheme: &str, path: &str| {
        let labels = [
            format!("__address__={host}"),
            format!("ingress_host={host}"),
            format!("ingress_path={path}"),
            format!("ingress_scheme={scheme}"),
        ];
        labels.to_vec()
    };
    let expected = [
        target("a.example.org", "https", "/x"),
        target("a.example.org", "https", "/"),
        target("plain.example.com", "http", "/"),
    ];
    assert_eq!(targets.into_iter().map(sorted).collect::<Vec<_>>(), expected);
}
