//! The whole way: fixture trees are collected, and what comes out is given its meaning; so are exporters' pages.

use super::*;
use std::path::{Path, PathBuf};
use tandem_sdk::{
    mapper::{Condition, Meaning},
    page::read_series,
    testing::FixtureHost,
    types::Entity,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn collect(fixture: &str) -> Collection {
    let request = CollectRequest { now: 5, target: String::new(), config: String::new(), cursor: Vec::new() };
    Network::collect(request, &FixtureHost::from_folder(fixtures().join(fixture))).expect("the tree can be read")
}

fn target(instance: &str) -> Target {
    Target { job: "node".into(), instance: instance.into(), labels: Vec::new() }
}

fn fits(series: &Series, metric: &str, labels: &[(&str, &str)]) -> bool {
    let has = |(name, value): &(&str, &str)| series.labels.iter().any(|l| l.name == *name && l.value == *value);
    series.metric == metric && labels.iter().all(has)
}

fn value(collection: &Collection, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let index = collection.series.iter().position(|series| fits(series, metric, labels))?;
    collection.points.iter().find(|points| points.series as usize == index).map(|points| points.value[0])
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

#[test]
fn cards_protocols_and_infiniband_of_a_server_are_read() {
    let collection = collect("server");
    let expected = [
        ("node_network_receive_bytes_total", &[("device", "eno1")][..], 10_437_182_923.0),
        ("node_network_transmit_carrier_total", &[("device", "eno1")], 4.0),
        ("node_network_up", &[("device", "eno1")], 1.0),
        ("node_network_up", &[("device", "eno2")], 0.0),
        ("node_network_info", &[("device", "eno1"), ("adminstate", "up"), ("address", "3c:ec:ef:01:02:03")], 1.0),
        ("node_network_info", &[("device", "eno3"), ("adminstate", "down")], 1.0),
        ("node_network_speed_bytes", &[("device", "eno1")], 1.25e9),
        ("node_network_carrier_changes_total", &[("device", "eno1")], 2.0),
        ("node_netstat_Tcp_RetransSegs", &[], 227.0),
        ("node_netstat_Tcp_CurrEstab", &[], 12.0),
        ("node_netstat_TcpExt_ListenOverflows", &[], 3.0),
        ("node_netstat_IpExt_InOctets", &[], 6_286_396_970.0),
        ("node_softnet_dropped_total", &[("cpu", "0")], 41.0),
        ("node_softnet_times_squeezed_total", &[("cpu", "5")], 10.0),
        ("node_nf_conntrack_entries_limit", &[], 65_536.0),
        ("node_infiniband_state_id", &[("device", "mlx5_0"), ("port", "1")], 4.0),
        ("node_infiniband_rate_bytes_per_second", &[("device", "mlx5_0")], 12.5e9),
        ("node_infiniband_port_data_received_bytes_total", &[("device", "mlx5_0")], 4_000.0),
        ("node_infiniband_link_downed_total", &[("device", "mlx5_0")], 1.0),
        ("node_infiniband_info", &[("device", "mlx5_0"), ("firmware_version", "16.35.2000")], 1.0),
    ];
    for (metric, labels, wanted) in expected {
        let told = value(&collection, metric, labels).unwrap_or_else(|| panic!("{metric} {labels:?} is missing"));
        assert!((told - wanted).abs() < 1e-6, "{metric} {labels:?}: {told} instead of {wanted}");
    }
    assert!(value(&collection, "node_network_carrier", &[("device", "eno3")]).is_none(), "it is switched off");
    assert!(
        value(&collection, "node_network_up", &[("device", "veth12ab")]).is_none(),
        "it comes and goes with a container"
    );
}

#[test]
fn a_lost_link_is_a_fault_and_an_unplugged_port_none() {
    let collection = collect("server");
    let mapping = Network::interpret(&target(""), &collection.series).expect("understood");
    let carrier =
        |device| meaning(&mapping, &collection.series, "node_network_carrier", &[("device", device)]).expect("meant");
    let (plugged, entity) = carrier("eno1");
    assert_eq!(plugged.fault_rules[0].code, "interface.down");
    assert!(
        matches!(&plugged.fault_rules[0].condition, Condition::ChangedTo(range) if range.low == 0.0 && range.high == 0.0)
    );
    assert_eq!(plugged.fault_rules[0].resting, Some(1.0));
    assert_eq!(entity.keys[0].value, "3c:ec:ef:01:02:03/eno1");
    assert!(carrier("eno2").0.fault_rules.is_empty(), "nothing was ever plugged in");
    assert!(carrier("docker0").0.fault_rules.is_empty(), "made in software");
    let docker = carrier("docker0").1;
    assert_eq!(docker.keys[0].value, "rack1-n3/docker0", "an address that anybody may give names nothing");
    assert!(meaning(&mapping, &collection.series, "node_network_receive_bytes_total", &[("device", "lo")]).is_none());
    let (lost, port) = meaning(&mapping, &collection.series, "node_infiniband_link_downed_total", &[]).expect("meant");
    assert_eq!(
        (lost.fault_rules[0].code.as_str(), port.name.as_str()),
        ("interface.link-lost", "mlx5_0/1 on rack1-n3")
    );
}

#[test]
fn ports_of_a_switch_are_known_by_agent_and_name() {
    let series = read_series(
        "up 1\nsysName{sysName=\"tor-7\"} 1\nsysUpTime 12345\n\
         ifHCInOctets{ifAlias=\"uplink\",ifIndex=\"49\",ifName=\"Ethernet49\"} 1e12\n\
         ifHighSpeed{ifAlias=\"uplink\",ifIndex=\"49\",ifName=\"Ethernet49\"} 100000\n\
         ifOperStatus{ifAlias=\"uplink\",ifIndex=\"49\",ifName=\"Ethernet49\"} 1\n\
         ifOperStatus{ifAlias=\"\",ifIndex=\"7\",ifName=\"Ethernet7\"} 2\n",
    );
    let mapping = Network::interpret(&target("10.1.1.1"), &series).expect("understood");
    let (speed, port) = meaning(&mapping, &series, "ifHighSpeed", &[]).expect("meant");
    assert_eq!((speed.scale * 100_000.0, speed.unit.as_str()), (12.5e9, "By/s"));
    assert_eq!((port.name.as_str(), port.keys[0].value.as_str()), ("Ethernet49 on tor-7", "10.1.1.1/Ethernet49"));
    let rule = |index| {
        let (meaning, _) = meaning(&mapping, &series, "ifOperStatus", &[("ifIndex", index)]).expect("meant");
        meaning.fault_rules[0].clone()
    };
    assert_eq!((rule("49").resting, rule("49").rest_seconds), (Some(1.0), 0));
    assert_eq!(
        (rule("7").resting, rule("7").rest_seconds),
        (None, 3600),
        "no fault at first sight where nobody described it"
    );
    let (up, switch) = meaning(&mapping, &series, "up", &[]).expect("meant");
    assert_eq!((up.name.as_str(), switch.kind.as_str()), ("switch.telemetry.up", "switch"));
}

/// Reads real pages when they are at hand; the project's own tests do not need them.
#[test]
fn real_node_exporter_pages_are_understood() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var("TANDEM_SHARED").map_or_else(|_| beside(), PathBuf::from);
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
        let mapping = Network::interpret(&target("10.0.0.7:9100"), &series).expect("understood");
        assert!(mapping.meanings.len() > 40, "{page}: {} meanings", mapping.meanings.len());
        let mut told = std::collections::HashSet::new();
        for one in &mapping.meanings {
            let key = format!("{} {} {:?}", mapping.entities[one.entity as usize].name, one.name, one.dimensions);
            assert!(told.insert(key.clone()), "{page}: two series mean {key}");
        }
        println!("{page}: {} meanings, {} entities", mapping.meanings.len(), mapping.entities.len());
    }
}

/// The kernel this test runs on, whatever it is: its files must be understood as they are.
#[cfg(target_os = "linux")]
#[test]
fn the_machine_this_runs_on_is_read() {
    let request = CollectRequest { now: 5, target: String::new(), config: String::new(), cursor: Vec::new() };
    let collection = Network::collect(request, &FixtureHost::from_folder("/")).expect("this machine can be read");
    for part in ["netdev", "netstat", "softnet"] {
        let success = value(&collection, "node_scrape_collector_success", &[("collector", part)]);
        assert_eq!(success, Some(1.0), "{part} of this machine is not understood");
    }
    let mapping = Network::interpret(&target(""), &collection.series).expect("what was collected is understood");
    assert!(!mapping.meanings.is_empty());
}
