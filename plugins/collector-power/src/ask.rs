//! What the plugin says of itself: the series it understands, what it asks for and why, and its configuration.

use serde::Deserialize;
use tandem_sdk::{
    about::{Capability, Description, Interest, Scope, Selector},
    machine::{MACHINE_FILES, MACHINE_METRICS},
    types::Failure,
};

/// Metric patterns of UPS, BMC and energy exporters, of this plugin's own series, and `up`.
const METRICS: [&str; 13] = [
    "network_ups_tools_*",
    "nut_*",
    "ups*",
    "ipmi_*",
    "redfish_*",
    "tandem_redfish_*",
    "idrac_*",
    "node_power_supply_*",
    "node_rapl_*",
    "node_hwmon_power_*",
    "node_hwmon_energy_*",
    "kepler_*",
    "up",
];

/// Files of a power supply that are read (Documentation/ABI/testing/sysfs-class-power).
const SUPPLY_FILES: [&str; 12] = [
    "type",
    "status",
    "online",
    "present",
    "capacity",
    "energy_now",
    "power_now",
    "voltage_now",
    "current_now",
    "manufacturer",
    "model_name",
    "serial_number",
];
/// Files of an energy counter that are read (Documentation/power/powercap/powercap.rst).
const ENERGY_FILES: [&str; 2] = ["name", "energy_uj"];
/// Files of a hwmon chip that are read here; the others are `collector-host`'s.
const SENSOR_FILES: [&str; 4] = ["name", "power*_input", "power*_average", "energy*_input"];
/// How deep below `/sys/devices` supplies and sensors can lie.
const DEPTHS: std::ops::RangeInclusive<usize> = 1..=6;

/// The configuration, for Redfish alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The whole value of the header `Authorization`.
    pub(crate) authorization: String,
}

const CONFIG_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "authorization": {
      "type": "string",
      "description": "For Redfish: the value of the Authorization header, such as `Basic ${secret.bmc}`: name a secret here, not the password."
    }
  }
}"#;

impl Config {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(|error| {
            Failure::misconfigured(format!(
                "the configuration of collector-power is not understood: {error}; it knows `authorization`"
            ))
        })
    }
}

pub(crate) fn description() -> Description {
    let metrics = METRICS.iter().chain(&MACHINE_METRICS).map(|metric| (*metric).to_owned()).collect();
    Description {
        name: "collector-power".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        summary: "Reads power of this machine and of BMCs by Redfish, and understands UPS, IPMI, Redfish and energy exporters.".into(),
        config_schema: CONFIG_SCHEMA.into(),
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
    let mut asked = vec![Capability {
        name: "http".into(),
        value: "target".into(),
        reason: "reads health, power and temperatures of a BMC by Redfish, when one is configured as a target".into(),
    }];
    asked.extend(MACHINE_FILES.iter().map(|(path, reason)| file(*path, reason)));
    let supplies = "state and charge of power supplies and batteries";
    let energy = "energy that processors and memory have used";
    let sensors = "power sensors of boards and power supplies";
    asked.push(file("/sys/class/power_supply", supplies));
    asked.extend(SUPPLY_FILES.map(|name| file(format!("/sys/class/power_supply/*/{name}"), supplies)));
    asked.push(file("/sys/class/powercap", energy));
    asked.push(file("/sys/class/hwmon", sensors));
    for name in ENERGY_FILES {
        asked.push(file(format!("/sys/class/powercap/*/{name}"), energy));
        asked.push(file(format!("/sys/devices/virtual/powercap/*/*/{name}"), energy));
        asked.push(file(format!("/sys/devices/virtual/powercap/*/*/*/{name}"), energy));
    }
    asked.extend(SENSOR_FILES.map(|name| file(format!("/sys/class/hwmon/*/{name}"), sensors)));
    for depth in DEPTHS {
        let above = format!("/sys/devices/{}", "*/".repeat(depth));
        asked.extend(SUPPLY_FILES.map(|name| file(format!("{above}power_supply/*/{name}"), supplies)));
        for chip in ["hwmon/hwmon*", "hwmon*"] {
            asked.extend(SENSOR_FILES.map(|name| file(format!("{above}{chip}/{name}"), sensors)));
        }
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
