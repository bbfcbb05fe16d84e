//! Network UPS Tools, in the three conventions that exporters use: DRuggeri's `network_ups_tools_*` (per cent), HON95's
//! `nut_*` (ratios and units in names), and maveonair's `nut_*` (per cent). The two `nut_*` are told apart by the names
//! beside a value, never by the value: a ratio of 1 and one per cent look alike.

use crate::ups::{self, Trouble};
use std::collections::HashMap;
use tandem_sdk::{
    log,
    mapper::Target,
    mapping::{Canonical, MappingBuilder, canonical, label_of, value_of},
    types::Series,
};

/// Scale of values in per cent.
const PER_CENT: f64 = 0.01;
/// Names that only HON95's exporter has.
const OF_HON95: [&str; 8] = [
    "nut_load",
    "nut_battery_runtime_seconds",
    "nut_battery_runtime_low_seconds",
    "nut_battery_voltage_volts",
    "nut_input_voltage_volts",
    "nut_temperature_celsius",
    "nut_uptime_seconds",
    "nut_info",
];
/// Names that only maveonair's exporter has.
const OF_MAVEONAIR: [&str; 4] =
    ["nut_ups_load", "nut_ups_power_nominal", "nut_ups_realpower_nominal", "nut_battery_runtime"];

/// How an exporter writes shares of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Convention {
    PerCent,
    Ratio,
    Unknown,
}

impl Convention {
    fn of(series: &[Series]) -> Self {
        let has = |names: &[&str]| series.iter().any(|s| names.contains(&s.metric.as_str()));
        if series.iter().any(|s| s.metric.starts_with("network_ups_tools_")) {
            return Self::PerCent;
        }
        match (has(&OF_HON95), has(&OF_MAVEONAIR)) {
            (true, false) => Self::Ratio,
            (false, true) => Self::PerCent,
            _ => Self::Unknown,
        }
    }

    fn scale(self) -> f64 {
        if self == Self::PerCent { PER_CENT } else { 1.0 }
    }
}

/// NUT's variable (dots as underscores), canonical name, unit, whether it is a share of a whole.
const VARIABLES: [(&str, &str, &str, bool); 23] = [
    ("battery_charge", "ups.battery.charge", "1", true),
    ("battery_charge_low", "ups.battery.charge.low", "1", true),
    ("ups_load", "ups.load", "1", true),
    ("load", "ups.load", "1", true),
    ("battery_runtime", "ups.battery.runtime", "s", false),
    ("battery_runtime_seconds", "ups.battery.runtime", "s", false),
    ("battery_runtime_low", "ups.battery.runtime.low", "s", false),
    ("battery_runtime_low_seconds", "ups.battery.runtime.low", "s", false),
    ("battery_voltage", "ups.battery.voltage", "V", false),
    ("battery_voltage_volts", "ups.battery.voltage", "V", false),
    ("battery_temperature", "ups.battery.temperature", "Cel", false),
    ("input_voltage", "ups.input.voltage", "V", false),
    ("input_voltage_volts", "ups.input.voltage", "V", false),
    ("input_frequency", "ups.input.frequency", "Hz", false),
    ("input_current_amperes", "ups.input.current", "A", false),
    ("output_voltage", "ups.output.voltage", "V", false),
    ("output_voltage_volts", "ups.output.voltage", "V", false),
    ("output_current", "ups.output.current", "A", false),
    ("ups_temperature", "ups.temperature", "Cel", false),
    ("temperature_celsius", "ups.temperature", "Cel", false),
    ("ups_realpower", "ups.power", "W", false),
    ("real_power_watts", "ups.power", "W", false),
    ("uptime_seconds", "ups.uptime", "s", false),
];

/// The UPSes of one target.
pub(crate) fn interpret(target: &Target, series: &[Series], mapping: &mut MappingBuilder) {
    let convention = Convention::of(series);
    if convention == Convention::Unknown {
        log::warn(format!(
            "{}: whether nut_battery_charge is a ratio or per cent cannot be told, because neither nut_load nor nut_ups_load stands \
             beside it; it is taken as a ratio",
            target.instance
        ));
    }
    let serials = serials(series);
    let mut first = None;
    for (index, one) in series.iter().enumerate() {
        let Some(variable) = one.metric.strip_prefix("network_ups_tools_").or_else(|| one.metric.strip_prefix("nut_"))
        else {
            continue;
        };
        let Some(meaning) = meaning(variable, one, convention) else { continue };
        let name = name_of(target, one);
        let serial = serials.get(name.unwrap_or_default()).copied();
        let ups = ups::entity(target, name, serial, false, mapping);
        first.get_or_insert(ups);
        mapping.meaning(index, ups, meaning);
    }
    if let (Some(ups), Some(up)) = (first, series.iter().position(|s| s.metric == "up")) {
        mapping.meaning(up, ups, ups::telemetry_up());
    }
}

/// The UPS's name: the series' own label, else the target's.
fn name_of<'s>(target: &'s Target, series: &'s Series) -> Option<&'s str> {
    label_of(series, "ups").or_else(|| value_of(&target.labels, "ups"))
}

fn serials(series: &[Series]) -> HashMap<&str, &str> {
    let infos = series.iter().filter(|s| s.metric.ends_with("_info"));
    infos
        .filter_map(|s| {
            let serial =
                label_of(s, "serial").or_else(|| label_of(s, "device_serial")).or_else(|| label_of(s, "ups_serial"))?;
            Some((label_of(s, "ups").unwrap_or_default(), serial))
        })
        .collect()
}

fn meaning(variable: &str, series: &Series, convention: Convention) -> Option<Canonical> {
    if variable == "ups_status" {
        let flag = label_of(series, "flag").or_else(|| label_of(series, "status"))?;
        return Some(status(flag));
    }
    let (_, name, unit, is_share) = VARIABLES.iter().find(|(known, ..)| *known == variable)?;
    Some(canonical(name, unit).scaled(if *is_share { convention.scale() } else { 1.0 }))
}

/// One flag of NUT's `ups.status` (developer guide, "status data").
fn status(flag: &str) -> Canonical {
    let name = if flag == "OB" { "ups.on-battery" } else { "ups.status" };
    let meaning = canonical(name, "1").dimension("flag", flag);
    let trouble = match flag {
        "OB" => Trouble::OnBattery,
        "LB" => Trouble::LowBattery,
        "RB" => Trouble::ReplaceBattery,
        "OVER" => Trouble::Overload,
        "BYPASS" => Trouble::Bypass,
        "OFF" => Trouble::Off,
        "ALARM" => Trouble::Alarm,
        _ => return meaning,
    };
    meaning.fault(trouble.within(1.0, f64::INFINITY))
}
