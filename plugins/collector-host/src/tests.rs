//! The whole way: fixture trees are collected, and what comes out is given its meaning; so are node_exporter's pages.

use super::*;
use std::path::PathBuf;
use tandem_sdk::{
    mapper::{Condition, Meaning},
    page::read_series,
    testing::FixtureHost,
    types::Entity,
};

fn fixture(name: &str) -> FixtureHost {
    FixtureHost::from_folder(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name))
}

fn request(target: &str) -> CollectRequest {
    CollectRequest { now: 1_700_000_000_000, target: target.into(), config: String::new(), cursor: Vec::new() }
}

fn target(instance: &str) -> Target {
    Target { job: "node".into(), instance: instance.into(), labels: Vec::new() }
}

fn value(collection: &Collection, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let fits = |series: &Series| {
        let has = |(name, value): &(&str, &str)| series.labels.iter().any(|l| l.name == *name && l.value == *value);
        series.metric == metric && labels.iter().all(has)
    };
    let index = collection.series.iter().position(fits)?;
    collection.points.iter().find(|points| points.series as usize == index).map(|points| points.value[0])
}

/// The meaning of the first series of a metric that has this label value; an empty value fits all.
fn meaning<'m>(mapping: &'m Mapping, series: &[Series], metric: &str, label: &str) -> (&'m Meaning, &'m Entity) {
    let fits = |s: &Series| s.metric == metric && (label.is_empty() || s.labels.iter().any(|l| l.value == label));
    let index = series.iter().position(fits).expect("the series is there");
    let meaning = mapping.meanings.iter().find(|m| m.series as usize == index).expect("it has a meaning");
    (meaning, &mapping.entities[meaning.entity as usize])
}

#[test]
fn a_server_is_read_with_its_sensors() {
    let collection = Host::collect(request(""), &fixture("server")).expect("the tree can be read");
    let expected = [
        ("node_cpu_seconds_total", &[("cpu", "0"), ("mode", "user")][..], 2.03),
        ("node_cpu_seconds_total", &[("cpu", "1"), ("mode", "softirq")], 0.05),
        ("node_cpu_guest_seconds_total", &[("cpu", "0"), ("mode", "user")], 0.07),
        ("node_load15", &[], 0.39),
        ("node_memory_MemAvailable_bytes", &[], 1_536_000_000.0),
        ("node_memory_Active_anon_bytes", &[], 1_934_444.0 * 1024.0),
        ("node_memory_HugePages_Total", &[], 3.0),
        ("node_vmstat_oom_kill", &[], 2.0),
        ("node_pressure_cpu_waiting_seconds_total", &[], 14.036_781),
        ("node_pressure_io_stalled_seconds_total", &[], 159.229_614),
        ("node_boot_time_seconds", &[], 1_418_183_276.0),
        ("node_hwmon_temp_celsius", &[("chip", "platform_coretemp_0"), ("sensor", "temp1")], 55.0),
        ("node_hwmon_temp_celsius", &[("chip", "nvme_nvme0"), ("sensor", "temp1")], 38.85),
        ("node_hwmon_fan_rpm", &[("chip", "board"), ("sensor", "fan1")], 2400.0),
        ("node_hwmon_in_volts", &[("chip", "board"), ("sensor", "in0")], 0.792),
        ("node_thermal_zone_temp", &[("type", "x86_pkg_temp"), ("zone", "0")], 49.925),
        ("node_edac_uncorrectable_errors_total", &[("controller", "0")], 5.0),
        ("node_edac_csrow_correctable_errors_total", &[("csrow", "0")], 1.0),
        ("tandem_host_info", &[("nodename", "Rack1-N3"), ("product_name", "Model 1U")], 1.0),
    ];
    for (metric, labels, wanted) in expected {
        let told = value(&collection, metric, labels).unwrap_or_else(|| panic!("{metric} {labels:?} is missing"));
        assert!((told - wanted).abs() < 1e-6, "{metric}: {told} instead of {wanted}");
    }
    assert_eq!(
        value(&collection, "node_hwmon_fan_rpm", &[("sensor", "fan2")]),
        None,
        "a sensor without a number is left out"
    );
    assert_eq!(collection.series.len(), collection.points.len());
}

#[test]
fn what_was_collected_is_given_its_meaning() {
    let collection = Host::collect(request(""), &fixture("server")).expect("the tree can be read");
    let mapping = Host::interpret(&target(""), &collection.series).expect("it is understood");
    let host = mapping.entities.iter().find(|e| e.kind == "host").expect("there is a host");
    let keys: Vec<(&str, &str)> = host.keys.iter().map(|k| (k.scheme.as_str(), k.value.as_str())).collect();
    assert_eq!(
        keys,
        [
            ("machine-id", "6d1f0c8e5a7b4c2d9e3f1a0b2c4d6e8f"),
            ("dmi-uuid", "4c4c4544-0037-4e10-8036-b7c04f4a3232"),
            ("hostname", "rack1-n3"),
        ]
    );
    let (alarm, sensor) = meaning(&mapping, &collection.series, "node_hwmon_temp_crit_alarm_celsius", "temp1");
    assert_eq!(sensor.name, "coretemp Package id 0 on rack1-n3");
    assert_eq!(alarm.fault_rules[0].code, "sensor.critical");
    let sent = value(&collection, "node_hwmon_temp_crit_alarm_celsius", &[("sensor", "temp1")]).expect("it is there");
    assert!(
        matches!(&alarm.fault_rules[0].condition, Condition::Within(range) if range.low <= sent && sent <= range.high)
    );
    assert!((sent * alarm.scale - 1.0).abs() < 1e-9);
    let (fan, _) = meaning(&mapping, &collection.series, "node_hwmon_fan_rpm", "fan1");
    assert_eq!((fan.unit.as_str(), fan.scale * 2400.0), ("Hz", 40.0));
    let (errors, entity) = meaning(&mapping, &collection.series, "node_edac_uncorrectable_errors_total", "");
    assert_eq!((errors.fault_rules[0].code.as_str(), entity.kind.as_str()), ("host.memory.uncorrectable", "host"));
    let (kills, _) = meaning(&mapping, &collection.series, "node_vmstat_oom_kill", "");
    assert_eq!(kills.fault_rules[0].condition, Condition::Rises(900));
}

#[test]
fn a_container_without_sensors_is_read_all_the_same() {
    let collection = Host::collect(request(""), &fixture("container")).expect("what is there can be read");
    assert_eq!(value(&collection, "node_scrape_collector_success", &[("collector", "stat")]), Some(1.0));
    assert!(value(&collection, "node_hwmon_temp_celsius", &[]).is_none());
}

#[test]
fn a_part_that_cannot_be_read_is_told_as_failed_and_a_wrong_target_refused() {
    let nothing = Host::collect(request(""), &fixture("absent")).expect("hardware that is not there is no failure");
    assert_eq!(value(&nothing, "node_scrape_collector_success", &[("collector", "stat")]), Some(0.0));
    let failure = Host::collect(request("https://x"), &fixture("server")).expect_err("it takes no target");
    assert_eq!(failure.code, FailureCode::Misconfigured);
}

#[test]
fn up_is_this_mappers_only_beside_node_exporter() {
    let alone = read_series("up 1\n");
    assert!(Host::interpret(&target("a:9400"), &alone).expect("understood").meanings.is_empty());
    let beside = read_series("up 1\nnode_load1 0.5\n");
    let mapping = Host::interpret(&target("a:9100"), &beside).expect("understood");
    assert_eq!(meaning(&mapping, &beside, "up", "").0.name, "host.telemetry.up");
}

#[test]
fn a_target_label_hangs_the_host_on_its_ups() {
    let mut target = target("a:9100");
    target.labels.push(tandem_sdk::types::label("powered_by", "rack1"));
    let mapping = Host::interpret(&target, &read_series("node_load1 0.5\n")).expect("understood");
    let relation = &mapping.relations[0];
    assert_eq!(relation.kind, tandem_sdk::types::RelationKind::PoweredBy);
    assert_eq!(mapping.entities[relation.dependency as usize].keys[0].value, "rack1");
}

/// Reads real pages when they are at hand; the project's own tests do not need them.
#[test]
fn real_node_exporter_pages_are_understood() {
    let shared = std::env::var("TANDEM_SHARED")
        .map_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let pages = [
        "data/captures/scrapes/node_exporter_1.5.0_scrape.prom",
        "data/node-exporter-fixtures/collector/fixtures/e2e-output.txt",
    ];
    for page in pages {
        let Ok(text) = std::fs::read_to_string(shared.join(page)) else {
            println!("{page} is not at hand (TANDEM_SHARED): this real page was not tested");
            continue;
        };
        let series = read_series(&text);
        let mapping = Host::interpret(&target("10.0.0.7:9100"), &series).expect("understood");
        assert!(mapping.meanings.len() > 30, "{page}: {} meanings", mapping.meanings.len());
        assert_unambiguous(page, &mapping);
        println!(
            "{page}: {} series, {} meanings, {} entities",
            series.len(),
            mapping.meanings.len(),
            mapping.entities.len()
        );
    }
}

/// No series has two meanings, and no two series mean the same thing of the same entity.
fn assert_unambiguous(page: &str, mapping: &Mapping) {
    let mut series = std::collections::HashSet::new();
    let mut meanings = std::collections::HashSet::new();
    for one in &mapping.meanings {
        assert!(series.insert(one.series), "{page}: series {} has two meanings", one.series);
        let key = format!("{} {} {:?}", one.entity, one.name, one.dimensions);
        assert!(
            meanings.insert(key.clone()),
            "{page}: told twice: {key} of {}",
            mapping.entities[one.entity as usize].name
        );
    }
}

/// The kernel this test runs on, whatever it is: its files must be understood as they are.
#[cfg(target_os = "linux")]
#[test]
fn the_machine_this_runs_on_is_read() {
    let request = request("");
    let collection = Host::collect(request, &FixtureHost::from_folder("/")).expect("this machine can be read");
    for part in ["stat", "loadavg", "meminfo", "vmstat"] {
        let success = value(&collection, "node_scrape_collector_success", &[("collector", part)]);
        assert_eq!(success, Some(1.0), "{part} of this machine is not understood");
    }
    let mapping = Host::interpret(&target(""), &collection.series).expect("what was collected is understood");
    assert!(!mapping.meanings.is_empty());
}
