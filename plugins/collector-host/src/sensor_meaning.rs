//! The meaning of temperatures, fans and voltages: a sensor entity for each, contained in its host.

use crate::meaning::with_dimensions;
use std::collections::HashMap;
use tandem_sdk::{
    machine::Machine,
    mapping::{Canonical, MappingBuilder, canonical, fault_within, label_of, local},
    types::{RelationKind, Series, Severity},
};

const PER_MINUTE: f64 = 1.0 / 60.0;
/// An alarm that node_exporter scaled like a temperature reads 0.001 when it is on; one that it did not, 1.
const ALARM_ON: f64 = 0.0005;

/// Metric of a hwmon chip, canonical name, unit, scale.
const HWMON: [(&str, &str, &str, f64); 12] = [
    ("node_hwmon_temp_celsius", "sensor.temperature", "Cel", 1.0),
    ("node_hwmon_temp_crit_celsius", "sensor.temperature.critical", "Cel", 1.0),
    ("node_hwmon_temp_max_celsius", "sensor.temperature.maximum", "Cel", 1.0),
    ("node_hwmon_fan_rpm", "sensor.fan.speed", "Hz", PER_MINUTE),
    ("node_hwmon_fan_min_rpm", "sensor.fan.speed.minimum", "Hz", PER_MINUTE),
    ("node_hwmon_in_volts", "sensor.voltage", "V", 1.0),
    ("node_hwmon_in_min_volts", "sensor.voltage.minimum", "V", 1.0),
    ("node_hwmon_in_max_volts", "sensor.voltage.maximum", "V", 1.0),
    ("node_hwmon_curr_amps", "sensor.current", "A", 1.0),
    ("node_hwmon_temp_crit_alarm_celsius", "sensor.temperature.critical-alarm", "1", 1000.0),
    ("node_hwmon_fan_fault", "sensor.fan.fault", "1", 1.0),
    ("node_hwmon_temp_fault", "sensor.temperature.fault", "1", 1.0),
];

/// Sensors of hwmon chips, thermal zones and cooling devices.
pub(crate) fn interpret(machine: &Machine, host: u32, series: &[Series], mapping: &mut MappingBuilder) {
    let names = Names::of(series);
    for (index, one) in series.iter().enumerate() {
        if let Some(meaning) = hwmon_meaning(one) {
            let (Some(chip), Some(sensor)) = (label_of(one, "chip"), label_of(one, "sensor")) else { continue };
            let key = machine.part(&format!("{chip}/{sensor}"));
            let entity =
                mapping.entity("sensor", vec![local("sensor", key)], machine.part_name(&names.name(chip, sensor)));
            mapping.relation(host, entity, RelationKind::Contains);
            mapping.meaning(index, entity, meaning);
            continue;
        }
        match one.metric.as_str() {
            "node_thermal_zone_temp" => {
                let (kind, zone) = (label_of(one, "type").unwrap_or("zone"), label_of(one, "zone").unwrap_or("0"));
                let key = machine.part(&format!("thermal/{kind}-{zone}"));
                let name = machine.part_name(&format!("{kind} zone {zone}"));
                let entity = mapping.entity("sensor", vec![local("sensor", key)], name);
                mapping.relation(host, entity, RelationKind::Contains);
                mapping.meaning(index, entity, canonical("sensor.temperature", "Cel"));
            }
            "node_cooling_device_cur_state" => {
                let meaning = canonical("host.cooling.state", "{step}");
                mapping.meaning(index, host, with_dimensions(meaning, one, &["type", "name"]));
            }
            _ => {}
        }
    }
}

/// What people call chips and sensors, from the info series.
struct Names<'s> {
    chips: HashMap<&'s str, &'s str>,
    sensors: HashMap<(&'s str, &'s str), &'s str>,
}

impl<'s> Names<'s> {
    fn of(series: &'s [Series]) -> Self {
        let mut names = Self { chips: HashMap::new(), sensors: HashMap::new() };
        for one in series {
            let Some(chip) = label_of(one, "chip") else { continue };
            match one.metric.as_str() {
                "node_hwmon_chip_names" => {
                    names.chips.extend(label_of(one, "chip_name").map(|name| (chip, name)));
                }
                "node_hwmon_sensor_label" => {
                    let told = label_of(one, "sensor").zip(label_of(one, "label"));
                    names.sensors.extend(told.map(|(sensor, label)| ((chip, sensor), label)));
                }
                _ => {}
            }
        }
        names
    }

    fn name(&self, chip: &str, sensor: &str) -> String {
        let label = self.sensors.get(&(chip, sensor)).copied().unwrap_or(sensor);
        format!("{} {label}", self.chips.get(chip).copied().unwrap_or(chip))
    }
}

fn hwmon_meaning(series: &Series) -> Option<Canonical> {
    let metric = series.metric.as_str();
    let (_, name, unit, scale) = HWMON.iter().find(|(known, ..)| *known == metric)?;
    let meaning = canonical(name, unit).scaled(*scale);
    Some(match metric {
        "node_hwmon_temp_crit_alarm_celsius" => meaning.fault(fault_within(
            "sensor.critical",
            ALARM_ON,
            f64::INFINITY,
            Severity::Critical,
            "a temperature is critical",
            "Look at fans, air flow and room temperature, and take load off the host before it switches itself off.",
        )),
        "node_hwmon_fan_fault" => meaning.fault(fault_within(
            "sensor.fan.failed",
            1.0,
            f64::INFINITY,
            Severity::Critical,
            "a fan has failed",
            "Replace the fan; until then watch the temperatures and take load off the host.",
        )),
        _ => meaning,
    })
}
