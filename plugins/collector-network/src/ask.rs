//! What the plugin says of itself: the series it understands, and the files it asks for, each with its reason.

use crate::{infiniband, interfaces};
use tandem_sdk::{
    about::{Capability, Description, Interest, Scope, Selector},
    machine::{MACHINE_FILES, MACHINE_METRICS},
};

/// Metric patterns of node_exporter's and snmp_exporter's network series, and `up`.
const METRICS: [&str; 12] = [
    "node_network_*",
    "node_netstat_*",
    "node_softnet_*",
    "node_sockstat_*",
    "node_nf_conntrack_*",
    "node_bonding_*",
    "node_infiniband_*",
    "tandem_network_*",
    "if*",
    "sysName",
    "sysUpTime",
    "up",
];

/// How deep below `/sys/devices` a network card can lie: behind four PCI bridges, or on USB.
const CARD_DEPTHS: std::ops::RangeInclusive<usize> = 1..=8;
const CARD_REASON: &str = "state and speed of network cards; the folders under /sys/class/net are links to here";
const INFINIBAND_REASON: &str =
    "state and counters of InfiniBand ports; the folders under /sys/class/infiniband are links to here";

pub(crate) fn description() -> Description {
    let metrics = METRICS.iter().chain(&MACHINE_METRICS).map(|metric| (*metric).to_owned()).collect();
    Description {
        name: "collector-network".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        summary:
            "Reads this machine's interfaces and protocol counters, and understands node_exporter and SNMP if_mib."
                .into(),
        config_schema: String::new(),
        interests: vec![Interest {
            selector: Selector { metrics, entity_kinds: Vec::new(), labels: Vec::new(), with_fault_rules: false },
            scope: Scope::Target,
            history_seconds: 0,
        }],
        capabilities: capabilities(),
    }
}

fn file(path: impl Into<String>, reason: &str) -> Capability {
    Capability { name: "file".into(), value: path.into(), reason: reason.into() }
}

fn capabilities() -> Vec<Capability> {
    let mut asked: Vec<Capability> = MACHINE_FILES.iter().map(|(path, reason)| file(*path, reason)).collect();
    asked.push(file("/proc/net/dev", "bytes, packets and errors of each interface"));
    asked.push(file("/proc/net/snmp", "counters of IP, TCP and UDP"));
    asked.push(file("/proc/net/netstat", "more counters of TCP, such as listen overflows"));
    asked.push(file("/proc/net/softnet_stat", "packets the kernel dropped for want of time"));
    asked.push(file("/proc/sys/net/netfilter/nf_conntrack_count", "connections tracked"));
    asked.push(file("/proc/sys/net/netfilter/nf_conntrack_max", "how many connections can be tracked"));
    asked.extend(
        interfaces::FILES.map(|name| file(format!("/sys/class/net/*/{name}"), "state and speed of network cards")),
    );
    let infiniband = infiniband::FILES.iter().chain(&infiniband::PORT_FILES);
    asked.push(file("/sys/class/infiniband", "the list of InfiniBand cards"));
    asked.extend(
        infiniband
            .clone()
            .map(|name| file(format!("/sys/class/infiniband/*/{name}"), "state and counters of InfiniBand ports")),
    );
    for depth in CARD_DEPTHS {
        let above = format!("/sys/devices/{}", "*/".repeat(depth));
        asked.extend(interfaces::FILES.map(|name| file(format!("{above}net/*/{name}"), CARD_REASON)));
        asked.extend(infiniband.clone().map(|name| file(format!("{above}infiniband/*/{name}"), INFINIBAND_REASON)));
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The host takes no more wishes than this from one plugin.
    const MAXIMUM_CAPABILITIES: usize = 256;

    #[test]
    fn every_right_is_asked_for_once_with_a_reason() {
        let asked = capabilities();
        assert!(asked.len() <= MAXIMUM_CAPABILITIES, "{} capabilities", asked.len());
        let values: HashSet<&str> = asked.iter().map(|capability| capability.value.as_str()).collect();
        assert_eq!(values.len(), asked.len(), "one is asked for twice");
        assert!(asked.iter().all(|capability| !capability.reason.is_empty()));
        assert!(asked.iter().all(|capability| capability.name != "file" || capability.value.matches('/').count() > 1));
    }
}
