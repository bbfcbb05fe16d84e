//! Pages as the servers export them, cut short, and what they must come to.

use super::*;
use tandem_sdk::types::{Label, MetricType};

fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    pairs.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() }).collect()
}

fn series(metric: &str, pairs: &[(&str, &str)]) -> Series {
    Series { metric: metric.into(), metric_type: MetricType::Gauge, unit: String::new(), labels: labels(pairs) }
}

fn target(pairs: &[(&str, &str)]) -> Target {
    Target { job: "model".into(), instance: "gpu-node-1:8000".into(), labels: labels(pairs) }
}

fn names(mapping: &Mapping) -> Vec<&str> {
    mapping.meanings.iter().map(|meaning| meaning.name.as_str()).collect()
}

#[test]
fn old_and_new_vllm_names_come_to_the_same_normal_form() {
    let model = [("model_name", "llama"), ("engine", "0")];
    let old = interpret(
        &target(&[]),
        &[series("vllm:gpu_cache_usage_perc", &model), series("vllm:time_per_output_token_seconds_sum", &model)],
    );
    let new = interpret(
        &target(&[]),
        &[series("vllm:kv_cache_usage_perc", &model), series("vllm:inter_token_latency_seconds_sum", &model)],
    );
    assert_eq!(names(&old), ["model.cache.usage", "model.itl.sum"]);
    assert_eq!(names(&old), names(&new));
}

#[test]
fn a_replica_stands_on_its_pod_its_gpu_and_its_host_and_its_service_depends_on_it() {
    let target = target(&[("service", "chat"), ("pod", "chat-0"), ("namespace", "prod"), ("gpu_uuid", "GPU-1, GPU-2")]);
    let mapping =
        interpret(&target, &[series("vllm:num_requests_waiting", &[("model_name", "llama")]), series("up", &[])]);
    let named = |index: u32| {
        let entity = &mapping.entities[index as usize];
        format!("{}:{}", entity.kind, entity.keys[0].value)
    };
    let relations: Vec<String> =
        mapping.relations.iter().map(|r| format!("{} needs {}", named(r.dependent), named(r.dependency))).collect();
    for expected in [
        "replica:prod/chat-0 needs pod:prod/chat-0",
        "replica:prod/chat-0 needs host:gpu-node-1",
        "replica:prod/chat-0 needs gpu:GPU-1",
        "replica:prod/chat-0 needs gpu:GPU-2",
        "service:chat needs replica:prod/chat-0",
    ] {
        assert!(relations.iter().any(|relation| relation == expected), "{expected} is not in {relations:?}");
    }
    let up = mapping.meanings.iter().find(|meaning| meaning.name == "replica.up").expect("up is mapped");
    assert_eq!(up.fault_rules[0].code, "replica.down");
    assert_eq!(named(up.entity), "replica:prod/chat-0");
}

#[test]
fn triton_counts_microseconds_and_names_its_outcomes() {
    let model = [("model", "resnet"), ("version", "2")];
    let mapping = interpret(
        &target(&[]),
        &[
            series("nv_inference_request_duration_us", &model),
            series("nv_inference_request_failure", &[("model", "resnet"), ("version", "2"), ("reason", "BACKEND")]),
        ],
    );
    assert_eq!(mapping.meanings[0].scale, 1e-6);
    let told: Vec<(&str, &str)> =
        mapping.meanings[1].dimensions.iter().map(|d| (d.name.as_str(), d.value.as_str())).collect();
    assert_eq!(told, [("outcome", "failure"), ("reason", "BACKEND")]);
    let model = &mapping.entities[mapping.meanings[0].entity as usize];
    assert_eq!((model.kind.as_str(), model.name.as_str()), ("model", "resnet version 2"));
}

#[test]
fn a_count_that_is_a_name_is_not_taken_for_a_part() {
    let mapping =
        interpret(&target(&[]), &[series("tgi_request_count", &[]), series("tgi_request_duration_count", &[])]);
    assert_eq!(names(&mapping), ["model.requests", "model.latency.count"]);
}

#[test]
fn a_model_server_that_never_answered_is_known_by_its_label() {
    let silent = [series("up", &[]), series("scrape_duration_seconds", &[])];
    let mapping = interpret(&target(&[("service", "chat")]), &silent);
    assert_eq!(names(&mapping), ["replica.up"]);
    assert!(mapping.entities.iter().any(|entity| entity.kind == "service" && entity.name == "chat"));
    assert_eq!(mapping.meanings[0].fault_rules[0].code, "replica.down");
    // Without the label nobody knows what it is, and a page of another exporter is that exporter's.
    assert!(interpret(&target(&[]), &silent).meanings.is_empty());
    let other = [series("up", &[]), series("node_load1", &[])];
    assert!(interpret(&target(&[("service", "chat")]), &other).meanings.is_empty());
}

#[test]
fn a_page_without_a_model_server_is_left_to_others() {
    let mapping = interpret(&target(&[]), &[series("up", &[]), series("node_load1", &[])]);
    assert!(mapping.meanings.is_empty() && mapping.entities.is_empty());
}
