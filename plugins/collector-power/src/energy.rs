//! Energy and power of machines and pods: node_exporter's RAPL, power supply and hwmon power series, and Kepler.

use tandem_sdk::{
    machine::Machine,
    mapper::Target,
    mapping::{Canonical, MappingBuilder, canonical, label_of, local},
    types::{RelationKind, Series},
};

const PER_CENT: f64 = 0.01;
const JOULES_PER_WATT_HOUR: f64 = 3600.0;

/// Metric of a power supply, canonical name, unit, scale.
const SUPPLY: [(&str, &str, &str, f64); 7] = [
    ("node_power_supply_online", "power-supply.online", "1", 1.0),
    ("node_power_supply_present", "power-supply.present", "1", 1.0),
    ("node_power_supply_capacity", "power-supply.battery.charge", "1", PER_CENT),
    ("node_power_supply_energy_watthour", "power-supply.battery.energy", "J", JOULES_PER_WATT_HOUR),
    ("node_power_supply_power_watt", "power-supply.power", "W", 1.0),
    ("node_power_supply_voltage_volt", "power-supply.voltage", "V", 1.0),
    ("node_power_supply_current_ampere", "power-supply.current", "A", 1.0),
];
/// Metric of a hwmon chip, canonical name, unit.
const SENSOR: [(&str, &str, &str); 3] = [
    ("node_hwmon_power_watt", "sensor.power", "W"),
    ("node_hwmon_power_average_watt", "sensor.power.average", "W"),
    ("node_hwmon_energy_joule_total", "sensor.energy", "J"),
];
/// Metric of Kepler about a node or pod, without `kepler_node_` or `kepler_pod_`, canonical name without kind, unit.
const KEPLER: [(&str, &str, &str); 8] = [
    ("cpu_watts", "power.cpu", "W"),
    ("cpu_joules_total", "energy.cpu", "J"),
    ("cpu_active_watts", "power.cpu.active", "W"),
    ("cpu_idle_watts", "power.cpu.idle", "W"),
    ("gpu_watts", "power.gpu", "W"),
    ("gpu_joules_total", "energy.gpu", "J"),
    ("platform_watts", "power.platform", "W"),
    ("platform_joules_total", "energy.platform", "J"),
];
/// Labels that tell Kepler's series of one node or pod apart.
const KEPLER_DIMENSIONS: [&str; 6] = ["zone", "path", "mode", "state", "gpu", "source"];

/// Energy of one target; `up` is left to `collector-host`, which knows node_exporter.
pub(crate) fn interpret(target: &Target, series: &[Series], mapping: &mut MappingBuilder) {
    let families = ["node_power_supply_", "node_rapl_", "node_hwmon_power_", "node_hwmon_energy_", "kepler_"];
    if !series.iter().any(|s| families.iter().any(|family| s.metric.starts_with(family))) {
        return;
    }
    let mut named = target.clone();
    // Kepler runs as a pod; the node it speaks of is on its series.
    if let Some(node) = series.iter().find_map(|s| label_of(s, "node_name")) {
        named.labels.push(tandem_sdk::types::label("node", node));
    }
    let machine = Machine::of(&named, series);
    let host = machine.entity(mapping);
    for (index, one) in series.iter().enumerate() {
        let metric = one.metric.as_str();
        if let Some((_, name, unit, scale)) = SUPPLY.iter().find(|(known, ..)| *known == metric) {
            let supply = power_supply(one, &machine, host, series, mapping);
            mapping.meaning(index, supply, canonical(name, unit).scaled(*scale));
        } else if let Some((_, name, unit)) = SENSOR.iter().find(|(known, ..)| *known == metric) {
            let (Some(chip), Some(sensor)) = (label_of(one, "chip"), label_of(one, "sensor")) else { continue };
            let part = format!("{chip}/{sensor}");
            let name_of_part = machine.part_name(&format!("{chip} {sensor}"));
            let entity = mapping.entity("sensor", vec![local("sensor", machine.part(&part))], name_of_part);
            mapping.relation(host, entity, RelationKind::Contains);
            mapping.meaning(index, entity, canonical(name, unit));
        } else if let Some(domain) =
            metric.strip_prefix("node_rapl_").and_then(|rest| rest.strip_suffix("_joules_total"))
        {
            let package = label_of(one, "index").unwrap_or("0");
            let meaning = canonical("host.energy", "J").dimension("domain", domain).dimension("package", package);
            let path = label_of(one, "path").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
            mapping.meaning(index, host, meaning.dimension("zone", path));
        } else {
            kepler(index, one, host, mapping);
        }
    }
}

fn power_supply(series: &Series, machine: &Machine, host: u32, all: &[Series], mapping: &mut MappingBuilder) -> u32 {
    let name = label_of(series, "power_supply").unwrap_or("0");
    let keys = vec![local("psu", machine.part(name))];
    let supply = mapping.entity("power-supply", keys, machine.part_name(&format!("power supply {name}")));
    mapping.relation(host, supply, RelationKind::PoweredBy);
    let is_info = |s: &&Series| s.metric == "node_power_supply_info" && label_of(s, "power_supply") == Some(name);
    if let Some(info) = all.iter().find(is_info) {
        for (label, attribute) in [("type", "type"), ("model_name", "model"), ("manufacturer", "manufacturer")] {
            mapping.attribute(supply, attribute, label_of(info, label).unwrap_or_default());
        }
    }
    supply
}

fn kepler(index: usize, series: &Series, host: u32, mapping: &mut MappingBuilder) {
    let metric = series.metric.as_str();
    let (entity, kind, rest) = if let Some(rest) = metric.strip_prefix("kepler_node_") {
        (host, "host", rest)
    } else if let Some(rest) = metric.strip_prefix("kepler_pod_") {
        let (Some(namespace), Some(pod)) = (label_of(series, "pod_namespace"), label_of(series, "pod_name")) else {
            return;
        };
        let name = format!("{namespace}/{pod}");
        let pod = mapping.entity("pod", vec![local("pod", &name)], &name);
        mapping.relation(pod, host, RelationKind::RunsOn);
        (pod, "pod", rest)
    } else {
        return;
    };
    let Some((_, name, unit)) = KEPLER.iter().find(|(known, ..)| *known == rest) else { return };
    let mut meaning: Canonical = canonical(&format!("{kind}.{name}"), unit);
    for label in KEPLER_DIMENSIONS {
        if let Some(value) = label_of(series, label) {
            meaning = meaning.dimension(label, value);
        }
    }
    mapping.meaning(index, entity, meaning);
}
