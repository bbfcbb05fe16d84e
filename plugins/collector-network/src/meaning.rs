//! The meaning of node_exporter's network series: interfaces, InfiniBand ports, and the host's protocol counters.

use crate::{interfaces::OF_CONTAINERS, snmp};
use std::collections::{HashMap, HashSet};
use tandem_sdk::{
    machine::Machine,
    mapper::{Condition, FaultRule, Mapping, Range, Target},
    mapping::{Canonical, MappingBuilder, canonical, fault_rises, fault_within, label_of, local, unique},
    types::{IdentityKey, RelationKind, Series, Severity},
};

/// How long after the last loss of an InfiniBand link the fault counts as over, in seconds.
const LINK_REST_SECONDS: u32 = 600;
/// Beginnings of names of interfaces made in software: they are up and down as programs come and go.
const VIRTUAL: [&str; 16] = [
    "br-",
    "bridge",
    "cni",
    "docker",
    "dummy",
    "flannel",
    "ifb",
    "kube",
    "lo",
    "nodelocaldns",
    "tap",
    "tun",
    "virbr",
    "vnet",
    "vxlan",
    "wg",
];

/// Metric without `node_network_`, canonical name, unit.
const INTERFACE: [(&str, &str, &str); 22] = [
    ("receive_bytes_total", "interface.receive.bytes", "By"),
    ("transmit_bytes_total", "interface.transmit.bytes", "By"),
    ("receive_packets_total", "interface.receive.packets", "{packet}"),
    ("transmit_packets_total", "interface.transmit.packets", "{packet}"),
    ("receive_errs_total", "interface.receive.errors", "{error}"),
    ("transmit_errs_total", "interface.transmit.errors", "{error}"),
    ("receive_drop_total", "interface.receive.drops", "{packet}"),
    ("transmit_drop_total", "interface.transmit.drops", "{packet}"),
    ("receive_fifo_total", "interface.receive.fifo-errors", "{error}"),
    ("transmit_fifo_total", "interface.transmit.fifo-errors", "{error}"),
    ("receive_frame_total", "interface.receive.frame-errors", "{error}"),
    ("receive_multicast_total", "interface.receive.multicast", "{packet}"),
    ("transmit_colls_total", "interface.transmit.collisions", "{collision}"),
    ("transmit_carrier_total", "interface.transmit.carrier-errors", "{error}"),
    ("transmit_queue_length", "interface.transmit.queue-length", "{packet}"),
    ("up", "interface.up", "1"),
    ("carrier", "interface.carrier", "1"),
    ("carrier_changes_total", "interface.carrier.changes", "{change}"),
    ("carrier_up_changes_total", "interface.carrier.ups", "{change}"),
    ("carrier_down_changes_total", "interface.carrier.downs", "{change}"),
    ("speed_bytes", "interface.speed", "By/s"),
    ("mtu_bytes", "interface.mtu", "By"),
];
/// Metric without `node_infiniband_`, canonical name, unit.
const INFINIBAND: [(&str, &str, &str); 17] = [
    ("port_data_received_bytes_total", "interface.receive.bytes", "By"),
    ("port_data_transmitted_bytes_total", "interface.transmit.bytes", "By"),
    ("port_packets_received_total", "interface.receive.packets", "{packet}"),
    ("port_packets_transmitted_total", "interface.transmit.packets", "{packet}"),
    ("port_errors_received_total", "interface.receive.errors", "{error}"),
    ("port_discards_transmitted_total", "interface.transmit.drops", "{packet}"),
    ("port_discards_received_total", "interface.receive.drops", "{packet}"),
    ("port_transmit_wait_total", "interface.transmit.waits", "{tick}"),
    ("rate_bytes_per_second", "interface.speed", "By/s"),
    ("state_id", "interface.infiniband.state", "1"),
    ("physical_state_id", "interface.infiniband.physical-state", "1"),
    ("link_downed_total", "interface.carrier.downs", "{change}"),
    ("link_error_recovery_total", "interface.link.recoveries", "{event}"),
    ("symbol_error_total", "interface.link.symbol-errors", "{error}"),
    ("local_link_integrity_errors_total", "interface.link.integrity-errors", "{error}"),
    ("excessive_buffer_overrun_errors_total", "interface.link.buffer-overruns", "{error}"),
    ("port_receive_remote_physical_errors_total", "interface.receive.remote-errors", "{error}"),
];
/// Metric, canonical name, unit of the host's own counters.
const HOST: [(&str, &str, &str); 20] = [
    ("node_netstat_Tcp_RetransSegs", "host.tcp.retransmitted", "{segment}"),
    ("node_netstat_Tcp_OutSegs", "host.tcp.transmitted", "{segment}"),
    ("node_netstat_Tcp_InSegs", "host.tcp.received", "{segment}"),
    ("node_netstat_Tcp_InErrs", "host.tcp.errors", "{error}"),
    ("node_netstat_Tcp_OutRsts", "host.tcp.resets", "{segment}"),
    ("node_netstat_Tcp_ActiveOpens", "host.tcp.opened", "{connection}"),
    ("node_netstat_Tcp_PassiveOpens", "host.tcp.accepted", "{connection}"),
    ("node_netstat_Tcp_CurrEstab", "host.tcp.established", "{connection}"),
    ("node_netstat_TcpExt_ListenDrops", "host.tcp.listen.drops", "{connection}"),
    ("node_netstat_TcpExt_ListenOverflows", "host.tcp.listen.overflows", "{connection}"),
    ("node_netstat_TcpExt_TCPTimeouts", "host.tcp.timeouts", "{timeout}"),
    ("node_netstat_TcpExt_TCPSynRetrans", "host.tcp.syn.retransmitted", "{segment}"),
    ("node_netstat_Udp_InErrors", "host.udp.errors", "{error}"),
    ("node_netstat_Udp_RcvbufErrors", "host.udp.receive-buffer.errors", "{error}"),
    ("node_sockstat_TCP_inuse", "host.sockets.tcp.in-use", "{socket}"),
    ("node_sockstat_TCP_tw", "host.sockets.tcp.time-wait", "{socket}"),
    ("node_sockstat_TCP_orphan", "host.sockets.tcp.orphaned", "{socket}"),
    ("node_sockstat_sockets_used", "host.sockets.used", "{socket}"),
    ("node_nf_conntrack_entries", "host.conntrack.entries", "{connection}"),
    ("node_nf_conntrack_entries_limit", "host.conntrack.limit", "{connection}"),
];
/// Metric, canonical name, unit; one series per processor.
const SOFTNET: [(&str, &str, &str); 3] = [
    ("node_softnet_processed_total", "host.softnet.processed", "{packet}"),
    ("node_softnet_dropped_total", "host.softnet.drops", "{packet}"),
    ("node_softnet_times_squeezed_total", "host.softnet.squeezed", "{event}"),
];

/// The mapping of one target.
pub(crate) fn interpret(target: &Target, series: &[Series]) -> Mapping {
    let mut mapping = MappingBuilder::default();
    if series.iter().any(|s| s.metric.starts_with("if")) {
        snmp::interpret(target, series, &mut mapping);
    }
    let families = ["node_network_", "node_netstat_", "node_softnet_", "node_infiniband_", "node_nf_conntrack_"];
    if !series.iter().any(|s| families.iter().any(|family| s.metric.starts_with(family))) {
        return mapping.finish();
    }
    let machine = Machine::of(target, series);
    let host = machine.entity(&mut mapping);
    let known = Known::of(series);
    for (index, one) in series.iter().enumerate() {
        let metric = one.metric.as_str();
        if let Some(rest) = metric.strip_prefix("node_network_") {
            interface(index, one, rest, &machine, host, &known, &mut mapping);
        } else if let Some(rest) = metric.strip_prefix("node_infiniband_") {
            infiniband(index, one, rest, &machine, host, &mut mapping);
        } else if let Some(rest) = metric.strip_prefix("node_bonding_") {
            bond(index, one, rest, &machine, host, &known, &mut mapping);
        } else if let Some((_, name, unit)) = HOST.iter().find(|(known, ..)| *known == metric) {
            mapping.meaning(index, host, canonical(name, unit));
        } else if let Some((_, name, unit)) = SOFTNET.iter().find(|(known, ..)| *known == metric) {
            let cpu = label_of(one, "cpu").unwrap_or_default();
            mapping.meaning(index, host, canonical(name, unit).dimension("cpu", cpu));
        }
    }
    mapping.finish()
}

/// What info series tell of interfaces.
struct Known<'s> {
    addresses: HashMap<&'s str, &'s str>,
    /// Were up at some time, and so have something plugged in.
    had_carrier: HashSet<&'s str>,
}

impl<'s> Known<'s> {
    fn of(series: &'s [Series]) -> Self {
        let mut known = Self { addresses: HashMap::new(), had_carrier: HashSet::new() };
        for one in series {
            let Some(device) = label_of(one, "device") else { continue };
            if one.metric == "node_network_info" {
                known.addresses.extend(label_of(one, "address").map(|address| (device, address)));
                if label_of(one, "operstate") == Some("up") {
                    known.had_carrier.insert(device);
                }
            } else if one.metric == "tandem_network_had_carrier_info" {
                known.had_carrier.insert(device);
            }
        }
        known
    }

    /// Keys of an interface, strongest first.
    fn keys(&self, machine: &Machine, device: &str) -> Vec<IdentityKey> {
        let address = self.addresses.get(device).filter(|address| is_globally_unique(address));
        let mac = address.map(|address| unique("mac", format!("{}/{device}", address.to_lowercase())));
        mac.into_iter().chain([local("device", machine.part(device))]).collect()
    }
}

/// Whether a MAC address is a maker's own: bit 1 of the first byte marks addresses that anybody may give (IEEE 802), which
/// virtual machines share.
fn is_globally_unique(address: &str) -> bool {
    let first = address.split(':').next().and_then(|byte| u8::from_str_radix(byte, 16).ok());
    let all_zero = address.bytes().all(|b| b == b'0' || b == b':');
    address.split(':').count() == 6 && !all_zero && first.is_some_and(|byte| byte & 0b11 == 0)
}

fn is_virtual(device: &str) -> bool {
    VIRTUAL.iter().any(|beginning| device.starts_with(beginning))
}

fn interface(
    index: usize,
    series: &Series,
    rest: &str,
    machine: &Machine,
    host: u32,
    known: &Known,
    mapping: &mut MappingBuilder,
) {
    let Some((_, name, unit)) = INTERFACE.iter().find(|(metric, ..)| *metric == rest) else { return };
    let Some(device) = label_of(series, "device") else { return };
    if device == "lo" || OF_CONTAINERS.iter().any(|beginning| device.starts_with(beginning)) {
        return;
    }
    let entity = mapping.entity("interface", known.keys(machine, device), machine.part_name(device));
    mapping.relation(host, entity, RelationKind::Contains);
    let mut meaning = canonical(name, unit);
    if rest == "carrier" && known.had_carrier.contains(device) && !is_virtual(device) {
        meaning = meaning.fault(link_down());
    }
    mapping.meaning(index, entity, meaning);
}

/// Only for interfaces that had a carrier: a port with nothing plugged in is no fault.
fn link_down() -> FaultRule {
    FaultRule {
        condition: Condition::ChangedTo(Range { low: 0.0, high: 0.0 }),
        resting: Some(1.0),
        ..fault_within(
            "interface.down",
            0.0,
            0.0,
            Severity::Critical,
            "a network link is down",
            "Check cable and switch port; if the link was taken down on purpose, switch the interface off.",
        )
    }
}

fn infiniband(index: usize, series: &Series, rest: &str, machine: &Machine, host: u32, mapping: &mut MappingBuilder) {
    let Some((_, name, unit)) = INFINIBAND.iter().find(|(metric, ..)| *metric == rest) else { return };
    let (Some(device), Some(port)) = (label_of(series, "device"), label_of(series, "port")) else { return };
    let part = format!("{device}/{port}");
    let entity = mapping.entity("interface", vec![local("device", machine.part(&part))], machine.part_name(&part));
    mapping.attribute(entity, "type", "infiniband");
    mapping.relation(host, entity, RelationKind::Contains);
    let meaning = canonical(name, unit).faults((rest == "link_downed_total").then(|| {
        fault_rises(
            "interface.link-lost",
            LINK_REST_SECONDS,
            Severity::Warning,
            "an InfiniBand link failed",
            "Check cable, transceiver and switch port; training jobs that use this port have stalled or failed.",
        )
    }));
    mapping.meaning(index, entity, meaning);
}

fn bond(
    index: usize,
    series: &Series,
    rest: &str,
    machine: &Machine,
    host: u32,
    known: &Known,
    mapping: &mut MappingBuilder,
) {
    let Some(master) = label_of(series, "master") else { return };
    let meaning: Canonical = match rest {
        "active" => canonical("interface.bond.active", "{interface}"),
        "slaves" => canonical("interface.bond.members", "{interface}"),
        _ => return,
    };
    let entity = mapping.entity("interface", known.keys(machine, master), machine.part_name(master));
    mapping.relation(host, entity, RelationKind::Contains);
    mapping.meaning(index, entity, meaning);
}
