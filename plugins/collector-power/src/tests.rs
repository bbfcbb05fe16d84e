//! The whole way: fixture trees and Redfish answers are collected, and what comes out is given its meaning; so are
//! exporters' pages.

mod exporters;
mod redfish;

use super::*;
use std::path::{Path, PathBuf};
use tandem_sdk::{
    mapper::{Condition, Meaning},
    testing::FixtureHost,
    types::{Entity, FailureCode, RelationKind},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn request(target: &str, config: &str) -> CollectRequest {
    CollectRequest { now: 5, target: target.into(), config: config.into(), cursor: Vec::new() }
}

fn target(instance: &str) -> Target {
    Target { job: "power".into(), instance: instance.into(), labels: Vec::new() }
}

fn fits(series: &Series, metric: &str, labels: &[(&str, &str)]) -> bool {
    let has = |(name, value): &(&str, &str)| series.labels.iter().any(|l| l.name == *name && l.value == *value);
    series.metric == metric && labels.iter().all(has)
}

fn value(collection: &Collection, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let index = collection.series.iter().position(|series| fits(series, metric, labels))?;
    collection.points.iter().find(|points| points.series as usize == index).map(|points| points.value[0])
}

/// Metric, labels it must have, value.
type Expected<'e> = (&'e str, &'e [(&'e str, &'e str)], f64);

fn expect_values(collection: &Collection, expected: &[Expected]) {
    for (metric, labels, wanted) in expected {
        let told = value(collection, metric, labels).unwrap_or_else(|| panic!("{metric} {labels:?} is missing"));
        assert!((told - wanted).abs() < 1e-6, "{metric} {labels:?}: {told} instead of {wanted}");
    }
}

fn meaning<'m>(
    mapping: &'m Mapping,
    series: &[Series],
    metric: &str,
    labels: &[(&str, &str)],
) -> Option<(&'m Meaning, &'m Entity)> {
    let index = series.iter().position(|s| fits(s, metric, labels)).expect("the series is there");
    let meaning = mapping.meanings.iter().find(|m| m.series as usize == index)?;
    Some((meaning, &mapping.entities[meaning.entity as usize]))
}

/// Codes of the faults that are on at a value as sent.
fn codes(meaning: &Meaning, sent: f64) -> Vec<&str> {
    let on = |condition: &Condition| matches!(condition, Condition::Within(range) if range.low <= sent && sent <= range.high);
    meaning.fault_rules.iter().filter(|rule| on(&rule.condition)).map(|rule| rule.code.as_str()).collect()
}

/// Two series never mean the same thing of the same entity.
fn assert_unambiguous(mapping: &Mapping) {
    let mut told = std::collections::HashSet::new();
    for one in &mapping.meanings {
        let key = format!("{} {} {:?}", mapping.entities[one.entity as usize].name, one.name, one.dimensions);
        assert!(told.insert(key.clone()), "two series mean {key}");
    }
}

#[test]
fn supplies_energy_and_power_sensors_of_a_machine_are_read() {
    let host = FixtureHost::from_folder(fixtures().join("machine"));
    let collection = Power::collect(request("", ""), &host).expect("the tree can be read");
    expect_values(
        &collection,
        &[
            ("node_power_supply_online", &[("power_supply", "AC0")], 1.0),
            ("node_power_supply_capacity", &[("power_supply", "BAT0")], 81.0),
            ("node_power_supply_energy_watthour", &[("power_supply", "BAT0")], 36.58),
            ("node_power_supply_voltage_volt", &[("power_supply", "BAT0")], 12.229),
            ("node_power_supply_info", &[("power_supply", "BAT0"), ("status", "Discharging")], 1.0),
            ("node_rapl_package_joules_total", &[("index", "0")], 240_422.366_267),
            ("node_rapl_core_joules_total", &[("index", "0")], 118_821.284_256),
            ("node_hwmon_power_average_watt", &[("sensor", "power1")], 212.0),
            ("node_hwmon_energy_joule_total", &[("chip", "lnxsystm:00_acpi000d:00")], 5.0),
        ],
    );
    assert_eq!(value(&collection, "node_rapl_package_joules_total", &[("index", "1")]), None, "root alone may read it");
    let mapping = Power::interpret(&target(""), &collection.series).expect("understood");
    assert_unambiguous(&mapping);
    let (charge, supply) = meaning(&mapping, &collection.series, "node_power_supply_capacity", &[]).expect("meant");
    assert!((charge.scale * 81.0 - 0.81).abs() < 1e-12);
    assert_eq!((supply.kind.as_str(), supply.keys[0].value.as_str()), ("power-supply", "rack1-n3/BAT0"));
    let (energy, _) = meaning(&mapping, &collection.series, "node_power_supply_energy_watthour", &[]).expect("meant");
    assert!((energy.scale * 36.58 - 131_688.0).abs() < 1e-6, "watt hours become joules");
    assert!(mapping.relations.iter().any(|relation| relation.kind == RelationKind::PoweredBy));
}

#[test]
fn a_machine_without_any_of_it_gives_nothing_and_no_failure() {
    let collection =
        Power::collect(request("", ""), &FixtureHost::from_folder(fixtures().join("absent"))).expect("nothing");
    assert!(collection.series.iter().all(|series| series.metric == "node_scrape_collector_success"));
    assert!(collection.points.iter().all(|points| points.value == [1.0]));
}
