//! UPSes by SNMP: snmp_exporter's names for UPS-MIB (RFC 1628) and for APC's PowerNet-MIB (`apcups`).

use crate::ups::{self, Trouble};
use tandem_sdk::{
    mapper::Target,
    mapping::{Canonical, MappingBuilder, canonical, label_of, value_of},
    types::Series,
};

/// Metric, canonical name, unit, scale.
const VALUES: [(&str, &str, &str, f64); 34] = [
    ("upsEstimatedChargeRemaining", "ups.battery.charge", "1", 0.01),
    ("upsEstimatedMinutesRemaining", "ups.battery.runtime", "s", 60.0),
    ("upsSecondsOnBattery", "ups.battery.time", "s", 1.0),
    ("upsBatteryVoltage", "ups.battery.voltage", "V", 0.1),
    ("upsBatteryCurrent", "ups.battery.current", "A", 0.1),
    ("upsBatteryTemperature", "ups.battery.temperature", "Cel", 1.0),
    ("upsBatteryStatus", "ups.battery.status", "1", 1.0),
    ("upsInputVoltage", "ups.input.voltage", "V", 1.0),
    ("upsInputCurrent", "ups.input.current", "A", 0.1),
    ("upsInputFrequency", "ups.input.frequency", "Hz", 0.1),
    ("upsInputTruePower", "ups.input.power", "W", 1.0),
    ("upsInputLineBads", "ups.input.failures", "{event}", 1.0),
    ("upsOutputVoltage", "ups.output.voltage", "V", 1.0),
    ("upsOutputCurrent", "ups.output.current", "A", 0.1),
    ("upsOutputFrequency", "ups.output.frequency", "Hz", 0.1),
    ("upsOutputPower", "ups.power", "W", 1.0),
    ("upsOutputPercentLoad", "ups.load", "1", 0.01),
    ("upsOutputSource", "ups.output.source", "1", 1.0),
    ("upsAlarmsPresent", "ups.alarms", "{alarm}", 1.0),
    ("upsAdvBatteryCapacity", "ups.battery.charge", "1", 0.01),
    ("upsAdvBatteryRunTimeRemaining", "ups.battery.runtime", "s", 0.01),
    ("upsAdvBatteryTemperature", "ups.battery.temperature", "Cel", 1.0),
    ("upsAdvBatteryActualVoltage", "ups.battery.voltage", "V", 1.0),
    ("upsAdvBatteryReplaceIndicator", "ups.battery.replace", "1", 1.0),
    ("upsAdvInputLineVoltage", "ups.input.voltage", "V", 1.0),
    ("upsAdvInputFrequency", "ups.input.frequency", "Hz", 1.0),
    ("upsAdvOutputVoltage", "ups.output.voltage", "V", 1.0),
    ("upsAdvOutputCurrent", "ups.output.current", "A", 1.0),
    ("upsAdvOutputFrequency", "ups.output.frequency", "Hz", 1.0),
    ("upsAdvOutputLoad", "ups.load", "1", 0.01),
    ("upsAdvOutputActivePower", "ups.power", "W", 1.0),
    ("upsBasicBatteryStatus", "ups.battery.status", "1", 1.0),
    ("upsBasicOutputStatus", "ups.output.status", "1", 1.0),
    ("upsBasicBatteryTimeOnBattery", "ups.battery.time", "s", 0.01),
];
/// Lines of a three-phase UPS.
const LINES: [&str; 2] = ["upsOutputLineIndex", "upsInputLineIndex"];

/// The UPS behind one agent.
pub(crate) fn interpret(target: &Target, series: &[Series], mapping: &mut MappingBuilder) {
    let is_apc = series.iter().any(|s| s.metric.starts_with("upsAdv") || s.metric.starts_with("upsBasic"));
    let source_is_told = series.iter().any(|s| s.metric == "upsOutputSource" || s.metric == "upsBasicOutputStatus");
    let told = |metric: &str| series.iter().find(|s| s.metric == metric).and_then(|s| label_of(s, metric));
    let name = value_of(&target.labels, "ups").or_else(|| told("upsBasicIdentName")).or_else(|| told("upsIdentName"));
    let serial = told("upsAdvIdentSerialNumber").or_else(|| told("upsIdentSerialNumber"));
    let mut entity = None;
    for (index, one) in series.iter().enumerate() {
        let Some((metric, canonical_name, unit, scale)) = VALUES.iter().find(|(metric, ..)| *metric == one.metric)
        else {
            continue;
        };
        // APC's cards answer both MIBs; one of them is enough.
        let is_apcs = metric.starts_with("upsAdv") || metric.starts_with("upsBasic");
        if is_apc && !is_apcs && *metric != "upsAlarmsPresent" {
            continue;
        }
        let ups = *entity.get_or_insert_with(|| ups::entity(target, name, serial, true, mapping));
        let mut meaning = with_fault(metric, canonical(canonical_name, unit).scaled(*scale), source_is_told);
        for line in LINES {
            if let Some(number) = label_of(one, line) {
                meaning = meaning.dimension("line", number);
            }
        }
        mapping.meaning(index, ups, meaning);
    }
    if let (Some(ups), Some(up)) = (entity, series.iter().position(|s| s.metric == "up")) {
        mapping.meaning(up, ups, ups::telemetry_up());
    }
}

/// States as the MIBs number them.
fn with_fault(metric: &str, meaning: Canonical, source_is_told: bool) -> Canonical {
    match metric {
        // battery(5), bypass(4), none(2).
        "upsOutputSource" => meaning.faults([
            Trouble::OnBattery.within(5.0, 5.0),
            Trouble::Bypass.within(4.0, 4.0),
            Trouble::Off.within(2.0, 2.0),
        ]),
        "upsSecondsOnBattery" if !source_is_told => meaning.fault(Trouble::OnBattery.within(1.0, f64::INFINITY)),
        // batteryLow(3), batteryDepleted(4).
        "upsBatteryStatus" => meaning.fault(Trouble::LowBattery.within(3.0, 4.0)),
        "upsOutputPercentLoad" => meaning.fault(Trouble::Overload.within(101.0, f64::INFINITY)),
        "upsAlarmsPresent" => meaning.fault(Trouble::Alarm.within(1.0, f64::INFINITY)),
        // onBattery(3), off(7), hardwareFailureBypass(10).
        "upsBasicOutputStatus" => meaning.faults([
            Trouble::OnBattery.within(3.0, 3.0),
            Trouble::Off.within(7.0, 7.0),
            Trouble::Bypass.within(10.0, 10.0),
        ]),
        // batteryLow(3).
        "upsBasicBatteryStatus" => meaning.fault(Trouble::LowBattery.within(3.0, 3.0)),
        // batteryNeedsReplacing(2).
        "upsAdvBatteryReplaceIndicator" => meaning.fault(Trouble::ReplaceBattery.within(2.0, 2.0)),
        "upsAdvOutputLoad" => meaning.fault(Trouble::Overload.within(101.0, f64::INFINITY)),
        _ => meaning,
    }
}
