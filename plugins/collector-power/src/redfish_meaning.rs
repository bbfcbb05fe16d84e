//! The meaning of this plugin's own Redfish series (health 0, 1, 2) and of redfish_exporter's (health 1, 2, 3).

use crate::chassis::{self, Bmc, Part};
use std::collections::HashMap;
use tandem_sdk::{
    mapper::Target,
    mapping::{Canonical, MappingBuilder, canonical, label_of},
    types::Series,
};

const PER_CENT: f64 = 0.01;
const PER_MINUTE: f64 = 1.0 / 60.0;
/// Warning and critical in this plugin's own series.
const OWN: (f64, f64) = (1.0, 2.0);
/// Warning and critical in redfish_exporter's.
const EXPORTER: (f64, f64) = (2.0, 3.0);

/// Whose a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Chassis,
    Supply,
    Sensor,
}

/// Own metric without `tandem_redfish_`, canonical name, unit, scale, whose it is.
const OWN_VALUES: [(&str, &str, &str, f64, Of); 9] = [
    ("consumed_watts", "chassis.power", "W", 1.0, Of::Chassis),
    ("input_volts", "power-supply.input.voltage", "V", 1.0, Of::Supply),
    ("input_watts", "power-supply.input", "W", 1.0, Of::Supply),
    ("output_watts", "power-supply.output", "W", 1.0, Of::Supply),
    ("celsius", "sensor.temperature", "Cel", 1.0, Of::Sensor),
    ("critical_celsius", "sensor.temperature.critical", "Cel", 1.0, Of::Sensor),
    ("fan_rpm", "sensor.fan.speed", "Hz", PER_MINUTE, Of::Sensor),
    ("fan_percent", "sensor.fan.duty", "1", PER_CENT, Of::Sensor),
    ("volts", "sensor.voltage", "V", 1.0, Of::Sensor),
];
/// redfish_exporter's metric without `redfish_`, canonical name, unit, scale, whose it is, the label that names the part.
const EXPORTER_VALUES: [(&str, &str, &str, f64, Of, &str); 12] = [
    ("chassis_temperature_celsius", "sensor.temperature", "Cel", 1.0, Of::Sensor, "sensor"),
    ("chassis_fan_rpm", "sensor.fan.speed", "Hz", PER_MINUTE, Of::Sensor, "fan"),
    ("chassis_fan_rpm_percentage", "sensor.fan.duty", "1", PER_CENT, Of::Sensor, "fan"),
    ("chassis_power_voltage_volts", "sensor.voltage", "V", 1.0, Of::Sensor, "power_voltage"),
    ("chassis_power_average_consumed_watts", "chassis.power", "W", 1.0, Of::Chassis, "power_wattage"),
    ("chassis_power_powersupply_power_input_watts", "power-supply.input", "W", 1.0, Of::Supply, "power_supply"),
    ("chassis_power_powersupply_power_output_watts", "power-supply.output", "W", 1.0, Of::Supply, "power_supply"),
    (
        "chassis_power_powersupply_last_power_output_watts",
        "power-supply.output.last",
        "W",
        1.0,
        Of::Supply,
        "power_supply",
    ),
    ("chassis_power_powersupply_power_capacity_watts", "power-supply.capacity", "W", 1.0, Of::Supply, "power_supply"),
    (
        "chassis_power_powersupply_power_efficiency_percent",
        "power-supply.efficiency",
        "1",
        PER_CENT,
        Of::Supply,
        "power_supply",
    ),
    (
        "chassis_power_powersupply_power_efficiency_percentage",
        "power-supply.efficiency",
        "1",
        PER_CENT,
        Of::Supply,
        "power_supply",
    ),
    ("chassis_power_powersupply_input_voltage", "power-supply.input.voltage", "V", 1.0, Of::Supply, "power_supply"),
];
/// redfish_exporter's health metric without `redfish_`, part, the label that names it.
const EXPORTER_HEALTH: [(&str, Part, &str); 9] = [
    ("chassis_health", Part::Chassis, "chassis_id"),
    ("system_health_state", Part::Chassis, "system_id"),
    ("chassis_power_powersupply_health", Part::PowerSupply, "power_supply"),
    ("chassis_fan_health", Part::Fan, "fan"),
    ("chassis_temperature_sensor_health", Part::Temperature, "sensor"),
    ("system_storage_drive_health_state", Part::Drive, "drive"),
    ("system_memory_health_state", Part::Memory, "memory"),
    ("system_total_memory_health_state", Part::Chassis, "system_id"),
    ("manager_health_state", Part::Chassis, "manager_id"),
];

/// The BMC of one target.
pub(crate) fn interpret(target: &Target, series: &[Series], mapping: &mut MappingBuilder) {
    let bmc = Bmc::new(target);
    let chassis = Chassis::of(&bmc, series);
    for info in series.iter().filter(|s| s.metric == "tandem_redfish_system_info") {
        let entity = chassis.entity(label_of(info, "chassis"), mapping);
        bmc.host(entity, label_of(info, "serial"), label_of(info, "uuid"), mapping);
    }
    for (index, one) in series.iter().enumerate() {
        if one.metric == "up" {
            let entity = chassis.entity(None, mapping);
            mapping.meaning(index, entity, chassis::telemetry_up());
        } else if let Some(metric) = one.metric.strip_prefix("tandem_redfish_") {
            if let Some((entity, meaning)) = own(metric, one, &bmc, &chassis, mapping) {
                mapping.meaning(index, entity, meaning);
            }
        } else if let Some(metric) = one.metric.strip_prefix("redfish_")
            && let Some((entity, meaning)) = of_exporter(metric, one, &bmc, &chassis, mapping)
        {
            mapping.meaning(index, entity, meaning);
        }
    }
}

/// The chassis of a BMC, and which of them holds the machine.
struct Chassis<'s> {
    bmc: &'s Bmc<'s>,
    infos: HashMap<&'s str, &'s Series>,
    main: Option<&'s str>,
}

impl<'s> Chassis<'s> {
    fn of(bmc: &'s Bmc<'s>, series: &'s [Series]) -> Self {
        let infos: Vec<&Series> = series.iter().filter(|s| s.metric == "tandem_redfish_chassis_info").collect();
        let with_machine = infos.iter().find(|s| label_of(s, "main") == Some("true")).or(infos.first());
        let any = || series.iter().find_map(|s| label_of(s, "chassis_id"));
        let main = with_machine.and_then(|s| label_of(s, "chassis")).or_else(any);
        Self { bmc, infos: infos.into_iter().filter_map(|s| Some((label_of(s, "chassis")?, s))).collect(), main }
    }

    /// The chassis of this id; the main one when none is told.
    fn entity(&self, id: Option<&str>, mapping: &mut MappingBuilder) -> u32 {
        let id = id.or(self.main);
        let info = id.and_then(|id| self.infos.get(id));
        let told = |label: &str| info.and_then(|info| label_of(info, label));
        let entity = self.bmc.chassis(id, id == self.main, told("serial"), mapping);
        mapping.attribute(entity, "manufacturer", told("manufacturer").unwrap_or_default());
        mapping.attribute(entity, "model", told("model").unwrap_or_default());
        entity
    }
}

fn own(
    metric: &str,
    series: &Series,
    bmc: &Bmc,
    all: &Chassis,
    mapping: &mut MappingBuilder,
) -> Option<(u32, Canonical)> {
    let chassis_id = label_of(series, "chassis");
    let chassis = all.entity(chassis_id, mapping);
    let (kind, id) = (label_of(series, "part").unwrap_or_default(), label_of(series, "id").unwrap_or("0"));
    let name = label_of(series, "name").unwrap_or(id);
    let part_id = format!("{}/{kind}-{id}", chassis_id.unwrap_or_default());
    let system = label_of(series, "system").unwrap_or_default();
    Some(match metric {
        "system_health" => (chassis, chassis::health(Part::Chassis, OWN.0, OWN.1).dimension("system", system)),
        "system_power_on" => (chassis, canonical("chassis.power-state", "1").dimension("system", system)),
        "health" => {
            let (entity, part) = match kind {
                "chassis" => (chassis, Part::Chassis),
                "power-supply" => (bmc.power_supply(chassis, &part_id, name, mapping), Part::PowerSupply),
                "fan" => (bmc.sensor(chassis, &part_id, name, mapping), Part::Fan),
                "temperature" => (bmc.sensor(chassis, &part_id, name, mapping), Part::Temperature),
                _ => (bmc.sensor(chassis, &part_id, name, mapping), Part::Other),
            };
            (entity, chassis::health(part, OWN.0, OWN.1))
        }
        "capacity_watts" if kind == "power-supply" => {
            (bmc.power_supply(chassis, &part_id, name, mapping), canonical("power-supply.capacity", "W"))
        }
        "capacity_watts" => (chassis, canonical("chassis.power.capacity", "W").dimension("control", id)),
        _ => {
            let (_, canonical_name, unit, scale, of) = OWN_VALUES.iter().find(|(known, ..)| *known == metric)?;
            let meaning = canonical(canonical_name, unit).scaled(*scale);
            match of {
                Of::Chassis => (chassis, meaning.dimension("control", id)),
                Of::Supply => (bmc.power_supply(chassis, &part_id, name, mapping), meaning),
                Of::Sensor => (bmc.sensor(chassis, &part_id, name, mapping), meaning),
            }
        }
    })
}

fn of_exporter(
    metric: &str,
    series: &Series,
    bmc: &Bmc,
    all: &Chassis,
    mapping: &mut MappingBuilder,
) -> Option<(u32, Canonical)> {
    let value = EXPORTER_VALUES.iter().find(|(known, ..)| *known == metric);
    let health = EXPORTER_HEALTH.iter().find(|(known, ..)| *known == metric);
    let named_by = value.map(|(.., label)| *label).or(health.map(|(.., label)| *label))?;
    let chassis_id = label_of(series, "chassis_id");
    let chassis = all.entity(chassis_id, mapping);
    let name = label_of(series, named_by).unwrap_or("0");
    let id = label_of(series, &format!("{named_by}_id")).unwrap_or(name);
    let owner = chassis_id.or_else(|| label_of(series, "system_id")).unwrap_or_default();
    let part_id = format!("{owner}/{named_by}-{id}");
    if let Some((_, canonical_name, unit, scale, of, _)) = value {
        let meaning = canonical(canonical_name, unit).scaled(*scale);
        return Some(match of {
            Of::Chassis => (chassis, meaning.dimension("control", name)),
            Of::Supply => (bmc.power_supply(chassis, &part_id, name, mapping), meaning),
            Of::Sensor => (bmc.sensor(chassis, &part_id, name, mapping), meaning),
        });
    }
    let (_, part, _) = health?;
    let meaning = chassis::health(*part, EXPORTER.0, EXPORTER.1);
    Some(match part {
        Part::PowerSupply => (bmc.power_supply(chassis, &part_id, name, mapping), meaning),
        Part::Drive => (bmc.drive(chassis, &part_id, name, mapping), meaning),
        Part::Fan | Part::Temperature | Part::Other => (bmc.sensor(chassis, &part_id, name, mapping), meaning),
        Part::Memory => (chassis, meaning.dimension("module", name)),
        // A chassis, its system and its manager have a state each.
        Part::Chassis => (chassis, meaning.dimension("resource", metric.split("_health").next().unwrap_or(metric))),
    })
}
