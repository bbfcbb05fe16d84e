//! idrac_exporter (which reads BMCs of several makers). Health: 0 OK, 1 warning, 2 critical, 10 something else.

use crate::chassis::{self, Bmc, Part};
use tandem_sdk::{
    mapper::Target,
    mapping::{Canonical, MappingBuilder, canonical, fault_within, label_of},
    types::{Series, Severity},
};

const PER_CENT: f64 = 0.01;
const PER_MINUTE: f64 = 1.0 / 60.0;
const BYTES_PER_SECOND_PER_MEGABIT: f64 = 125_000.0;
const WARNING: f64 = 1.0;
const CRITICAL: f64 = 2.0;

/// Whose a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Chassis,
    Sensor,
    Supply,
    Drive,
}

/// Metric without `idrac_`, canonical name, unit, scale, whose it is.
const VALUES: [(&str, &str, &str, f64, Of); 18] = [
    ("system_power_on", "chassis.power-state", "1", 1.0, Of::Chassis),
    ("system_memory_size_bytes", "chassis.memory.size", "By", 1.0, Of::Chassis),
    ("power_control_consumed_watts", "chassis.power", "W", 1.0, Of::Chassis),
    ("power_control_capacity_watts", "chassis.power.capacity", "W", 1.0, Of::Chassis),
    ("power_control_avg_consumed_watts", "chassis.power.average", "W", 1.0, Of::Chassis),
    ("power_control_min_consumed_watts", "chassis.power.minimum", "W", 1.0, Of::Chassis),
    ("power_control_max_consumed_watts", "chassis.power.maximum", "W", 1.0, Of::Chassis),
    ("sensors_temperature", "sensor.temperature", "Cel", 1.0, Of::Sensor),
    ("sensors_voltage", "sensor.voltage", "V", 1.0, Of::Sensor),
    ("power_supply_output_watts", "power-supply.output", "W", 1.0, Of::Supply),
    ("power_supply_input_watts", "power-supply.input", "W", 1.0, Of::Supply),
    ("power_supply_capacity_watts", "power-supply.capacity", "W", 1.0, Of::Supply),
    ("power_supply_input_voltage", "power-supply.input.voltage", "V", 1.0, Of::Supply),
    ("power_supply_efficiency_percent", "power-supply.efficiency", "1", PER_CENT, Of::Supply),
    ("storage_drive_life_left_percent", "disk.life-left", "1", PER_CENT, Of::Drive),
    ("storage_drive_capacity_bytes", "disk.size", "By", 1.0, Of::Drive),
    ("network_port_link_up", "chassis.port.up", "1", 1.0, Of::Chassis),
    ("network_port_current_speed_mbps", "chassis.port.speed", "By/s", BYTES_PER_SECOND_PER_MEGABIT, Of::Chassis),
];

/// The BMC of one target.
pub(crate) fn interpret(target: &Target, series: &[Series], mapping: &mut MappingBuilder) {
    let bmc = Bmc::new(target);
    let info = series.iter().find(|s| s.metric == "idrac_system_machine_info");
    let told = |label: &str| info.and_then(|info| label_of(info, label));
    let is_dell = told("manufacturer").is_some_and(|maker| maker.starts_with("Dell"));
    // Dell's firmware tells the service tag as the serial number, and the BMC tells it as SKU.
    let serial = if is_dell { told("sku") } else { told("serial") };
    let chassis = bmc.chassis(None, true, serial, mapping);
    mapping.attribute(chassis, "manufacturer", told("manufacturer").unwrap_or_default());
    mapping.attribute(chassis, "model", told("model").unwrap_or_default());
    bmc.host(chassis, serial, None, mapping);
    for (index, one) in series.iter().enumerate() {
        if one.metric == "up" {
            mapping.meaning(index, chassis, chassis::telemetry_up());
            continue;
        }
        let Some(metric) = one.metric.strip_prefix("idrac_") else { continue };
        if let Some((entity, meaning)) = meaning(metric, one, &bmc, chassis, mapping) {
            mapping.meaning(index, entity, meaning);
        }
    }
}

fn meaning(
    metric: &str,
    series: &Series,
    bmc: &Bmc,
    chassis: u32,
    mapping: &mut MappingBuilder,
) -> Option<(u32, Canonical)> {
    let id = label_of(series, "id").unwrap_or("0");
    let name = label_of(series, "name").unwrap_or(id);
    let health = |part| chassis::health(part, WARNING, CRITICAL);
    Some(match metric {
        "system_health" => (chassis, health(Part::Chassis)),
        "power_supply_health" => (bmc.power_supply(chassis, id, name, mapping), health(Part::PowerSupply)),
        "sensors_fan_health" => (bmc.sensor(chassis, &format!("fan-{id}-{name}"), name, mapping), health(Part::Fan)),
        "sensors_fan_speed" => {
            let is_share = label_of(series, "units").is_some_and(|units| units.eq_ignore_ascii_case("percent"));
            let speed = canonical("sensor.fan.speed", "Hz").scaled(PER_MINUTE);
            let meaning = if is_share { canonical("sensor.fan.duty", "1").scaled(PER_CENT) } else { speed };
            (bmc.sensor(chassis, &format!("fan-{id}-{name}"), name, mapping), meaning)
        }
        "storage_drive_health" => (bmc.drive(chassis, id, name, mapping), health(Part::Drive)),
        "storage_volume_health" => (chassis, volume_health().dimension("volume", id)),
        "memory_module_health" => (chassis, health(Part::Memory).dimension("module", id)),
        _ => {
            let (_, canonical_name, unit, scale, of) = VALUES.iter().find(|(known, ..)| *known == metric)?;
            let meaning = canonical(canonical_name, unit).scaled(*scale);
            match of {
                Of::Sensor => (bmc.sensor(chassis, &format!("{metric}-{id}-{name}"), name, mapping), meaning),
                Of::Supply => (bmc.power_supply(chassis, id, name, mapping), meaning),
                Of::Drive => (bmc.drive(chassis, id, name, mapping), meaning),
                Of::Chassis => (chassis, with_labels(meaning, series)),
            }
        }
    })
}

/// Subsystems and ports of a chassis are told apart by their labels.
fn with_labels(mut meaning: Canonical, series: &Series) -> Canonical {
    for label in ["id", "name", "adapter_id", "interface_id"] {
        if let Some(value) = label_of(series, label) {
            meaning = meaning.dimension(label, value);
        }
    }
    meaning
}

fn volume_health() -> Canonical {
    canonical("chassis.volume.health", "1").fault(fault_within(
        "array.degraded",
        WARNING,
        CRITICAL,
        Severity::Critical,
        "a volume of the storage controller is degraded or failed",
        "Replace the failed drive and let the volume rebuild; until then one more failure may lose its data.",
    ))
}
