//! Pages as DCGM exporter and nvidia_gpu_exporter give them, cut short, and what they must come to.

use super::*;
use tandem_sdk::{
    mapper::Condition,
    types::{Label, MetricType},
};

fn series(metric: &str, pairs: &[(&str, &str)]) -> Series {
    let labels = pairs.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() }).collect();
    Series { metric: metric.into(), metric_type: MetricType::Gauge, unit: String::new(), labels }
}

fn target(instance: &str) -> Target {
    Target { job: "gpu".into(), instance: instance.into(), labels: Vec::new() }
}

const GPU: [(&str, &str); 5] =
    [("gpu", "3"), ("UUID", "GPU-aa"), ("modelName", "NVIDIA H100"), ("Hostname", "Node-7"), ("pod", "chat-0")];

#[test]
fn dcgm_units_become_canonical_and_blanks_become_missing() {
    let mapping = interpret(
        &target("10.0.0.7:9400"),
        &[series("DCGM_FI_DEV_FB_USED", &GPU), series("DCGM_FI_DEV_GPU_UTIL", &GPU)],
    );
    assert_eq!((mapping.meanings[0].name.as_str(), mapping.meanings[0].unit.as_str()), ("gpu.memory.used", "By"));
    assert_eq!(mapping.meanings[0].scale, 1_048_576.0);
    assert_eq!(mapping.meanings[1].scale, 0.01);
    let missing =
        |value: f64| mapping.meanings[0].missing.iter().any(|range| range.low <= value && value <= range.high);
    for blank in [9_223_372_036_854_775_794_f64, 9.223372036854776e18, 140_737_488_355_330.0, 2_147_483_634.0] {
        assert!(missing(blank), "{blank} is a blank");
    }
    assert!(!missing(81_559.0) && !missing(0.0));
}

#[test]
fn gpu_host_and_pod_are_found_and_hang_together() {
    let mapping = interpret(&target("10.0.0.7:9400"), &[series("DCGM_FI_DEV_GPU_TEMP", &GPU), series("up", &[])]);
    let kinds: Vec<&str> = mapping.entities.iter().map(|entity| entity.kind.as_str()).collect();
    assert_eq!(kinds, ["host", "gpu", "pod"]);
    assert_eq!(mapping.entities[0].name, "node-7");
    assert_eq!(mapping.entities[1].keys[0].value, "GPU-aa");
    assert_eq!(mapping.entities[1].keys[1].value, "node-7/3");
    let relations: Vec<(u32, u32)> = mapping.relations.iter().map(|r| (r.dependent, r.dependency)).collect();
    assert_eq!(relations, [(0, 1), (2, 1)]);
    let up = mapping.meanings.iter().find(|meaning| meaning.name == "gpu.telemetry.up").expect("up is mapped");
    assert_eq!(up.entity, 0);
}

#[test]
fn where_xids_are_counted_the_gauge_tells_no_faults() {
    let gauge = series("DCGM_FI_DEV_XID_ERRORS", &GPU);
    let count =
        series("DCGM_EXP_XID_ERRORS_COUNT", &[("UUID", "GPU-aa"), ("gpu", "3"), ("Hostname", "node-7"), ("xid", "79")]);
    let alone = interpret(&target("a:1"), std::slice::from_ref(&gauge));
    assert!(alone.meanings[0].fault_rules.iter().any(|rule| rule.code == "gpu.xid.79"));
    let both = interpret(&target("a:1"), &[gauge, count]);
    assert!(both.meanings[0].fault_rules.is_empty());
    let rule = &both.meanings[1].fault_rules[0];
    assert_eq!(rule.code, "gpu.xid.79");
    assert!(matches!(rule.condition, Condition::Within(range) if range.low == 1.0));
}

#[test]
fn nvidia_smi_pages_meet_dcgm_on_the_same_gpu() {
    let uuid = [("uuid", "aa")];
    let page = [
        series("nvidia_smi_gpu_info", &[("uuid", "aa"), ("name", "NVIDIA H200"), ("driver_version", "590.48")]),
        series("nvidia_smi_memory_used_bytes", &uuid),
        series("nvidia_smi_xid_errors_total", &[("uuid", "aa"), ("xid", "79")]),
    ];
    let mapping = interpret(&target("node-7:9835"), &page);
    let gpu = mapping.entities.iter().find(|entity| entity.kind == "gpu").expect("a GPU");
    assert_eq!(gpu.keys[0].value, "GPU-aa");
    assert!(gpu.attributes.iter().any(|a| a.name == "model" && a.value == "NVIDIA H200"));
    let xid = mapping.meanings.iter().find(|meaning| meaning.name == "gpu.xid.count").expect("mapped");
    assert_eq!(xid.fault_rules[0].code, "gpu.xid.79");
    assert!(matches!(xid.fault_rules[0].condition, Condition::Rises(_)));
}

#[test]
fn a_counter_means_the_same_with_the_suffix_that_others_give_it() {
    let (plain, suffixed) = ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION_total");
    let mapping = interpret(&target("a:1"), &[series(plain, &GPU), series(suffixed, &GPU)]);
    let meant = |place: usize| (mapping.meanings[place].name.as_str(), mapping.meanings[place].scale);
    assert_eq!((meant(0), meant(1)), (("gpu.energy", 0.001), ("gpu.energy", 0.001)));
    let count = [("UUID", "GPU-aa"), ("gpu", "3"), ("Hostname", "node-7"), ("xid", "79")];
    let mapping = interpret(
        &target("a:1"),
        &[series("DCGM_FI_DEV_XID_ERRORS", &GPU), series("DCGM_EXP_XID_ERRORS_COUNT_total", &count)],
    );
    assert!(mapping.meanings[0].fault_rules.is_empty() && mapping.meanings[1].fault_rules[0].code == "gpu.xid.79");
}

#[test]
fn another_exporters_page_is_left_alone() {
    let mapping = interpret(&target("a:9100"), &[series("node_load1", &[]), series("up", &[])]);
    assert!(mapping.entities.is_empty() && mapping.meanings.is_empty());
}
