//! From Redfish resources (schemas Chassis, Power, Thermal, PowerSupply, PowerSupplyMetrics, ThermalMetrics, Fan,
//! ComputerSystem of DSP8010) to series. What a service leaves out, or gives as null, is nothing.

use serde_json::Value;
use tandem_sdk::gathering::Gathering;

/// Parts of one chassis, told apart by kind, id and name.
struct Part<'v> {
    kind: &'static str,
    chassis: &'v str,
    id: String,
    name: &'v str,
}

impl<'v> Part<'v> {
    fn of(kind: &'static str, chassis: &'v str, resource: &'v Value, number: usize) -> Self {
        let name = ["Name", "FanName", "DeviceName"].iter().find_map(|key| resource[*key].as_str()).unwrap_or(kind);
        let id =
            resource["MemberId"].as_str().or(resource["Id"].as_str()).map_or_else(|| number.to_string(), str::to_owned);
        Self { kind, chassis, id, name }
    }

    fn gauge(&self, g: &mut Gathering, metric: &str, value: Option<f64>) {
        let labels = [("chassis", self.chassis), ("id", self.id.as_str()), ("name", self.name), ("part", self.kind)];
        if let Some(value) = value {
            g.gauge(metric, &labels, value);
        }
    }

    fn health(&self, g: &mut Gathering, resource: &Value) {
        self.gauge(g, "tandem_redfish_health", health(resource));
    }
}

/// 0 for OK, 1 for Warning, 2 for Critical; nothing for a part that is not there or tells nothing.
fn health(resource: &Value) -> Option<f64> {
    let status = &resource["Status"];
    if status["State"] == "Absent" {
        return None;
    }
    match status["Health"].as_str().or(status["HealthRollup"].as_str())? {
        "OK" => Some(0.0),
        "Warning" => Some(1.0),
        "Critical" => Some(2.0),
        _ => None,
    }
}

fn text<'v>(resource: &'v Value, key: &str) -> &'v str {
    resource[key].as_str().unwrap_or_default().trim()
}

/// A number, or the `Reading` of a sensor excerpt.
fn number(property: &Value) -> Option<f64> {
    property.as_f64().or_else(|| property["Reading"].as_f64())
}

fn list<'v>(resource: &'v Value, key: &str) -> &'v [Value] {
    resource[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A chassis; answers its id.
pub(crate) fn chassis(resource: &Value, path: &str, g: &mut Gathering) -> String {
    let id = match text(resource, "Id") {
        "" => path.trim_end_matches('/').rsplit('/').next().unwrap_or("chassis").to_owned(),
        id => id.to_owned(),
    };
    let has_system = !list(&resource["Links"], "ComputerSystems").is_empty();
    g.info(
        "tandem_redfish_chassis_info",
        &[
            ("chassis", &id),
            ("main", if has_system { "true" } else { "false" }),
            ("manufacturer", text(resource, "Manufacturer")),
            ("model", text(resource, "Model")),
            ("serial", text(resource, "SerialNumber")),
        ],
    );
    if let Some(health) = health(resource) {
        g.gauge("tandem_redfish_health", &[("chassis", &id), ("id", &id), ("name", &id), ("part", "chassis")], health);
    }
    id
}

/// A system: health, power state, and what its firmware calls the machine.
pub(crate) fn system(resource: &Value, g: &mut Gathering) {
    let id = text(resource, "Id");
    let chassis =
        list(&resource["Links"], "Chassis").first().and_then(|link| link["@odata.id"].as_str()).unwrap_or_default();
    let chassis = chassis.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    // Dell's firmware tells the service tag as the serial number, and Redfish tells it as SKU.
    let is_dell = text(resource, "Manufacturer").starts_with("Dell");
    let serial = text(resource, if is_dell { "SKU" } else { "SerialNumber" });
    g.info(
        "tandem_redfish_system_info",
        &[
            ("chassis", chassis),
            ("manufacturer", text(resource, "Manufacturer")),
            ("model", text(resource, "Model")),
            ("serial", serial),
            ("system", id),
            ("uuid", text(resource, "UUID")),
        ],
    );
    let labels = [("chassis", chassis), ("system", id)];
    if let Some(health) = health(resource) {
        g.gauge("tandem_redfish_system_health", &labels, health);
    }
    if let Some(state) = resource["PowerState"].as_str() {
        g.gauge("tandem_redfish_system_power_on", &labels, f64::from(u8::from(state == "On")));
    }
}

/// The older resource `Power`.
pub(crate) fn power(resource: &Value, chassis: &str, g: &mut Gathering) {
    for (position, control) in list(resource, "PowerControl").iter().enumerate() {
        let part = Part::of("control", chassis, control, position);
        part.gauge(g, "tandem_redfish_consumed_watts", number(&control["PowerConsumedWatts"]));
        part.gauge(g, "tandem_redfish_capacity_watts", number(&control["PowerCapacityWatts"]));
    }
    for (position, supply) in list(resource, "PowerSupplies").iter().enumerate() {
        let part = Part::of("power-supply", chassis, supply, position);
        part.health(g, supply);
        part.gauge(g, "tandem_redfish_input_volts", number(&supply["LineInputVoltage"]));
        part.gauge(g, "tandem_redfish_input_watts", number(&supply["PowerInputWatts"]));
        let output = number(&supply["PowerOutputWatts"]).or_else(|| number(&supply["LastPowerOutputWatts"]));
        part.gauge(g, "tandem_redfish_output_watts", output);
        part.gauge(g, "tandem_redfish_capacity_watts", number(&supply["PowerCapacityWatts"]));
    }
    for (position, voltage) in list(resource, "Voltages").iter().enumerate() {
        let part = Part::of("voltage", chassis, voltage, position);
        part.health(g, voltage);
        part.gauge(g, "tandem_redfish_volts", number(&voltage["ReadingVolts"]));
    }
}

/// The older resource `Thermal`.
pub(crate) fn thermal(resource: &Value, chassis: &str, g: &mut Gathering) {
    for (position, temperature) in list(resource, "Temperatures").iter().enumerate() {
        let part = Part::of("temperature", chassis, temperature, position);
        part.health(g, temperature);
        part.gauge(g, "tandem_redfish_celsius", number(&temperature["ReadingCelsius"]));
        part.gauge(g, "tandem_redfish_critical_celsius", number(&temperature["UpperThresholdCritical"]));
    }
    for (position, fan) in list(resource, "Fans").iter().enumerate() {
        let part = Part::of("fan", chassis, fan, position);
        part.health(g, fan);
        let metric =
            if fan["ReadingUnits"] == "Percent" { "tandem_redfish_fan_percent" } else { "tandem_redfish_fan_rpm" };
        part.gauge(g, metric, number(&fan["Reading"]));
    }
}

/// `EnvironmentMetrics` of a chassis.
pub(crate) fn environment(resource: &Value, chassis: &str, g: &mut Gathering) {
    let part = Part { kind: "control", chassis, id: "environment".into(), name: "chassis" };
    part.gauge(g, "tandem_redfish_consumed_watts", number(&resource["PowerWatts"]));
}

/// One supply of a `PowerSubsystem`, with its metrics.
pub(crate) fn power_supply(resource: &Value, metrics: &Value, chassis: &str, g: &mut Gathering) {
    let part = Part::of("power-supply", chassis, resource, 0);
    part.health(g, resource);
    part.gauge(g, "tandem_redfish_capacity_watts", number(&resource["PowerCapacityWatts"]));
    part.gauge(g, "tandem_redfish_input_volts", number(&metrics["InputVoltage"]));
    part.gauge(g, "tandem_redfish_input_watts", number(&metrics["InputPowerWatts"]));
    part.gauge(g, "tandem_redfish_output_watts", number(&metrics["OutputPowerWatts"]));
}

/// `ThermalMetrics` of a `ThermalSubsystem`.
pub(crate) fn thermal_metrics(resource: &Value, chassis: &str, g: &mut Gathering) {
    for (position, reading) in list(resource, "TemperatureReadingsCelsius").iter().enumerate() {
        let part = Part::of("temperature", chassis, reading, position);
        part.gauge(g, "tandem_redfish_celsius", number(reading));
    }
}

/// One fan of a `ThermalSubsystem`.
pub(crate) fn fan(resource: &Value, chassis: &str, g: &mut Gathering) {
    let part = Part::of("fan", chassis, resource, 0);
    part.health(g, resource);
    part.gauge(g, "tandem_redfish_fan_percent", number(&resource["SpeedPercent"]));
    part.gauge(g, "tandem_redfish_fan_rpm", number(&resource["SpeedPercent"]["SpeedRPM"]));
}
