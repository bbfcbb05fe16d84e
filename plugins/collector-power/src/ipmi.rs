//! ipmi_exporter: sensors, power and event log of a BMC. States: 0 nominal, 1 warning, 2 critical, NaN not available.

use crate::chassis::{self, Bmc, Part};
use tandem_sdk::{
    mapper::Target,
    mapping::{Canonical, MappingBuilder, canonical, fault_within, label_of},
    types::{Series, Severity},
};

const PER_MINUTE: f64 = 1.0 / 60.0;
const WARNING: f64 = 1.0;
const CRITICAL: f64 = 2.0;

/// Metric of a sensor's value, canonical name, unit, scale.
const VALUES: [(&str, &str, &str, f64); 6] = [
    ("ipmi_temperature_celsius", "sensor.temperature", "Cel", 1.0),
    ("ipmi_fan_speed_rpm", "sensor.fan.speed", "Hz", PER_MINUTE),
    ("ipmi_fan_speed_ratio", "sensor.fan.duty", "1", 1.0),
    ("ipmi_voltage_volts", "sensor.voltage", "V", 1.0),
    ("ipmi_current_amperes", "sensor.current", "A", 1.0),
    ("ipmi_power_watts", "sensor.power", "W", 1.0),
];
/// Metric of a sensor's state, and the kind of part.
const STATES: [(&str, Part); 6] = [
    ("ipmi_temperature_state", Part::Temperature),
    ("ipmi_fan_speed_state", Part::Fan),
    ("ipmi_voltage_state", Part::Other),
    ("ipmi_current_state", Part::Other),
    ("ipmi_power_state", Part::Other),
    ("ipmi_sensor_state", Part::Other),
];
/// Metric of the chassis, canonical name, unit.
const CHASSIS: [(&str, &str, &str); 7] = [
    ("ipmi_dcmi_power_consumption_current_watts", "chassis.power", "W"),
    ("ipmi_dcmi_power_consumption_watts", "chassis.power", "W"),
    ("ipmi_chassis_power_state", "chassis.power-state", "1"),
    ("ipmi_chassis_drive_fault_state", "chassis.drives-fine", "1"),
    ("ipmi_chassis_cooling_fault_state", "chassis.cooling-fine", "1"),
    ("ipmi_sel_entries_count", "chassis.event-log.entries", "{entry}"),
    ("ipmi_sel_free_space_bytes", "chassis.event-log.free", "By"),
];

/// The BMC of one target.
pub(crate) fn interpret(target: &Target, series: &[Series], mapping: &mut MappingBuilder) {
    let bmc = Bmc::new(target);
    let chassis = bmc.chassis(None, true, None, mapping);
    if let Some(info) = series.iter().find(|s| s.metric == "ipmi_bmc_info") {
        mapping.attribute(chassis, "manufacturer", label_of(info, "manufacturer_id").unwrap_or_default());
        mapping.attribute(chassis, "firmware", label_of(info, "firmware_revision").unwrap_or_default());
    }
    let current_is_told = series.iter().any(|s| s.metric == "ipmi_dcmi_power_consumption_current_watts");
    for (index, one) in series.iter().enumerate() {
        let metric = one.metric.as_str();
        if metric == "up" {
            mapping.meaning(index, chassis, chassis::telemetry_up());
        } else if metric == "ipmi_up" {
            let collector = label_of(one, "collector").unwrap_or_default();
            mapping.meaning(index, chassis, collector_up().dimension("collector", collector));
        } else if let Some((_, name, unit)) = CHASSIS.iter().find(|(known, ..)| *known == metric) {
            if metric != "ipmi_dcmi_power_consumption_watts" || !current_is_told {
                mapping.meaning(index, chassis, with_fault(metric, canonical(name, unit)));
            }
        } else {
            sensor(index, one, &bmc, chassis, mapping);
        }
    }
}

fn sensor(index: usize, series: &Series, bmc: &Bmc, chassis: u32, mapping: &mut MappingBuilder) {
    let metric = series.metric.as_str();
    let value = VALUES.iter().find(|(known, ..)| *known == metric);
    let state = STATES.iter().find(|(known, _)| *known == metric);
    if value.is_none() && state.is_none() {
        return;
    }
    let name = label_of(series, "name").unwrap_or("sensor");
    let id = format!("{}-{name}", label_of(series, "id").unwrap_or_default());
    // A discrete sensor of a power supply tells of the supply itself.
    if metric == "ipmi_sensor_state" && label_of(series, "type") == Some("Power Supply") {
        let supply = bmc.power_supply(chassis, &id, name, mapping);
        mapping.meaning(index, supply, chassis::health(Part::PowerSupply, WARNING, CRITICAL));
        return;
    }
    let entity = bmc.sensor(chassis, &id, name, mapping);
    if let Some((_, canonical_name, unit, scale)) = value {
        mapping.meaning(index, entity, canonical(canonical_name, unit).scaled(*scale));
    } else if let Some((_, part)) = state {
        mapping.meaning(index, entity, chassis::health(*part, WARNING, CRITICAL));
    }
}

/// Fault states of the chassis are 1 for fine and 0 for a fault, the other way round than their names say (ipmi_exporter,
/// docs/metrics.md).
fn with_fault(metric: &str, meaning: Canonical) -> Canonical {
    let (code, title) = match metric {
        "ipmi_chassis_drive_fault_state" => ("chassis.drive-fault", "the machine's management reports a drive fault"),
        "ipmi_chassis_cooling_fault_state" => {
            ("chassis.cooling-fault", "the machine's management reports a cooling fault")
        }
        _ => return meaning,
    };
    meaning.fault(fault_within(
        code,
        0.0,
        0.0,
        Severity::Critical,
        title,
        "Read the event log of the BMC to find the part, and replace it.",
    ))
}

fn collector_up() -> Canonical {
    canonical("chassis.ipmi.up", "1").fault(fault_within(
        "chassis.ipmi.down",
        0.0,
        0.0,
        Severity::Warning,
        "the BMC does not answer by IPMI",
        "Check address, user and privilege of the exporter's module; a hung BMC needs a cold reset.",
    ))
}
