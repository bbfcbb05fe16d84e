//! Switches by SNMP: the names of snmp_exporter's module `if_mib` (IF-MIB, RFC 2863).

use std::collections::HashMap;
use tandem_sdk::{
    mapper::{Condition, FaultRule, Range, Target},
    mapping::{Canonical, MappingBuilder, canonical, fault_within, host_of, label_of, local},
    types::{RelationKind, Series, Severity},
};

/// How long the loss of a port that nobody described is told, in seconds.
const UNDESCRIBED_REST_SECONDS: u32 = 3600;
const BYTES_PER_SECOND_PER_MEGABIT: f64 = 125_000.0;
/// `ifOperStatus` up and down.
const STATUS_UP: f64 = 1.0;
const STATUS_DOWN: f64 = 2.0;

/// Metric, canonical name, unit, scale.
const PORT: [(&str, &str, &str, f64); 17] = [
    ("ifHCInOctets", "interface.receive.bytes", "By", 1.0),
    ("ifHCOutOctets", "interface.transmit.bytes", "By", 1.0),
    ("ifHCInUcastPkts", "interface.receive.packets", "{packet}", 1.0),
    ("ifHCOutUcastPkts", "interface.transmit.packets", "{packet}", 1.0),
    ("ifHCInMulticastPkts", "interface.receive.multicast", "{packet}", 1.0),
    ("ifHCOutMulticastPkts", "interface.transmit.multicast", "{packet}", 1.0),
    ("ifHCInBroadcastPkts", "interface.receive.broadcast", "{packet}", 1.0),
    ("ifHCOutBroadcastPkts", "interface.transmit.broadcast", "{packet}", 1.0),
    ("ifInErrors", "interface.receive.errors", "{error}", 1.0),
    ("ifOutErrors", "interface.transmit.errors", "{error}", 1.0),
    ("ifInDiscards", "interface.receive.drops", "{packet}", 1.0),
    ("ifOutDiscards", "interface.transmit.drops", "{packet}", 1.0),
    ("ifHighSpeed", "interface.speed", "By/s", BYTES_PER_SECOND_PER_MEGABIT),
    ("ifOperStatus", "interface.status", "1", 1.0),
    ("ifAdminStatus", "interface.admin-status", "1", 1.0),
    ("ifMtu", "interface.mtu", "By", 1.0),
    ("ifOutQLen", "interface.transmit.queue-length", "{packet}", 1.0),
];

/// The ports of one agent.
pub(crate) fn interpret(target: &Target, series: &[Series], mapping: &mut MappingBuilder) {
    let address = host_of(&target.instance);
    let names = port_names(series);
    let is_port = |s: &Series| PORT.iter().any(|(metric, ..)| *metric == s.metric);
    if !series.iter().any(is_port) {
        return;
    }
    let told = series.iter().find(|s| s.metric == "sysName").and_then(|s| label_of(s, "sysName"));
    let switch = mapping.entity("switch", vec![local("address", address)], told.unwrap_or(address));
    for (index, one) in series.iter().enumerate() {
        match one.metric.as_str() {
            "up" => {
                mapping.meaning(index, switch, telemetry_up());
                continue;
            }
            // Hundredths of a second since the agent started (RFC 3418).
            "sysUpTime" => {
                mapping.meaning(index, switch, canonical("switch.uptime", "s").scaled(0.01));
                continue;
            }
            _ => {}
        }
        let Some((metric, name, unit, scale)) = PORT.iter().find(|(metric, ..)| *metric == one.metric) else {
            continue;
        };
        let number = label_of(one, "ifIndex").unwrap_or_default();
        let Some(port) = names.get(number).copied().or_else(|| label_of(one, "ifName").or(label_of(one, "ifDescr")))
        else {
            continue;
        };
        let entity = mapping.entity(
            "interface",
            vec![local("port", format!("{address}/{port}"))],
            format!("{port} on {}", told.unwrap_or(address)),
        );
        let alias = label_of(one, "ifAlias").unwrap_or_default();
        mapping.attribute(entity, "description", alias);
        mapping.relation(switch, entity, RelationKind::Contains);
        let meaning =
            canonical(name, unit).scaled(*scale).faults((*metric == "ifOperStatus").then(|| link_down(alias)));
        mapping.meaning(index, entity, meaning);
    }
}

/// Names by `ifIndex`, from whatever series carries both.
fn port_names(series: &[Series]) -> HashMap<&str, &str> {
    let name_of = |s| label_of(s, "ifName").or_else(|| label_of(s, "ifDescr"));
    series.iter().filter_map(|s| Some((label_of(s, "ifIndex")?, name_of(s)?))).collect()
}

/// A port that somebody described shall be up. Of the others nobody knows whether something is plugged in, so that only the
/// moment of the loss is told.
fn link_down(alias: &str) -> FaultRule {
    let described = !alias.is_empty();
    FaultRule {
        condition: Condition::ChangedTo(Range { low: STATUS_DOWN, high: STATUS_DOWN }),
        resting: described.then_some(STATUS_UP),
        rest_seconds: if described { 0 } else { UNDESCRIBED_REST_SECONDS },
        ..fault_within(
            "interface.down",
            STATUS_DOWN,
            STATUS_DOWN,
            if described { Severity::Critical } else { Severity::Info },
            "a switch port is down",
            "Check the cable and what is at its other end; if nothing shall be there, shut the port in the switch.",
        )
    }
}

fn telemetry_up() -> Canonical {
    canonical("switch.telemetry.up", "1").fault(fault_within(
        "switch.telemetry.down",
        0.0,
        0.0,
        Severity::Warning,
        "the switch does not answer by SNMP",
        "See whether the switch itself answers; if it does, check the SNMP community and the exporter.",
    ))
}
