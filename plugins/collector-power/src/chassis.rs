//! What BMCs tell of, whichever exporter reads them: a chassis, its power supplies and sensors, the host inside, and what
//! their states mean.

use tandem_sdk::{
    machine::is_real_serial,
    mapper::{FaultRule, Target},
    mapping::{Canonical, MappingBuilder, canonical, fault_within, host_of, local, unique, value_of},
    types::{RelationKind, Severity},
};

/// The BMC at one address.
#[derive(Debug, Clone)]
pub(crate) struct Bmc<'t> {
    target: &'t Target,
    /// The host part of the target's instance.
    pub(crate) address: &'t str,
}

/// A part's kind of state, for the wording of its faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Chassis,
    PowerSupply,
    Fan,
    Temperature,
    Drive,
    Memory,
    Other,
}

impl<'t> Bmc<'t> {
    pub(crate) fn new(target: &'t Target) -> Self {
        Self { target, address: host_of(&target.instance) }
    }

    /// A chassis. The one with the machine in it is known by the BMC's address too, where ids are told.
    pub(crate) fn chassis(
        &self,
        id: Option<&str>,
        is_main: bool,
        serial: Option<&str>,
        mapping: &mut MappingBuilder,
    ) -> u32 {
        let mut keys = Vec::new();
        keys.extend(serial.filter(|serial| is_real_serial(serial)).map(|serial| unique("serial", serial)));
        keys.extend(id.map(|id| local("address", format!("{}/{id}", self.address))));
        if is_main {
            keys.push(local("address", self.address));
        }
        let name = match id {
            Some(id) if !is_main => format!("chassis {id} at {}", self.address),
            _ => format!("chassis at {}", self.address),
        };
        let chassis = mapping.entity("chassis", keys, name);
        if is_main {
            self.named_host(chassis, mapping);
        }
        chassis
    }

    /// The host that the target's label names stands in this chassis.
    fn named_host(&self, chassis: u32, mapping: &mut MappingBuilder) {
        if let Some(name) = ["hostname", "node"].iter().find_map(|label| value_of(&self.target.labels, label)) {
            let name = name.to_lowercase();
            let host = mapping.entity("host", vec![local("hostname", &name)], &name);
            mapping.relation(host, chassis, RelationKind::DependsOn);
        }
        if let Some(ups) = value_of(&self.target.labels, "powered_by") {
            let ups = mapping.entity("ups", vec![local("name", ups)], ups);
            mapping.relation(chassis, ups, RelationKind::PoweredBy);
        }
    }

    /// The host in a chassis, by the serial number or UUID that its firmware and the BMC both tell. Of the two the serial
    /// number is surer: some BMCs turn the bytes of the UUID round.
    pub(crate) fn host(&self, chassis: u32, serial: Option<&str>, uuid: Option<&str>, mapping: &mut MappingBuilder) {
        let key = serial.filter(|serial| is_real_serial(serial)).map(|serial| unique("dmi-serial", serial.trim()));
        let key = key
            .or_else(|| uuid.filter(|uuid| is_real_serial(uuid)).map(|uuid| unique("dmi-uuid", uuid.to_lowercase())));
        if let Some(key) = key {
            let host = mapping.entity("host", vec![key], format!("machine at {}", self.address));
            mapping.relation(host, chassis, RelationKind::DependsOn);
        }
    }

    /// A power supply of a chassis.
    pub(crate) fn power_supply(&self, chassis: u32, id: &str, name: &str, mapping: &mut MappingBuilder) -> u32 {
        let keys = vec![local("psu", format!("{}/{id}", self.address))];
        let supply = mapping.entity("power-supply", keys, format!("power supply {name} at {}", self.address));
        mapping.relation(chassis, supply, RelationKind::PoweredBy);
        supply
    }

    /// A sensor or fan of a chassis.
    pub(crate) fn sensor(&self, chassis: u32, id: &str, name: &str, mapping: &mut MappingBuilder) -> u32 {
        let keys = vec![local("sensor", format!("{}/{id}", self.address))];
        let sensor = mapping.entity("sensor", keys, format!("{name} at {}", self.address));
        mapping.relation(chassis, sensor, RelationKind::Contains);
        sensor
    }

    /// A drive that the BMC sees.
    pub(crate) fn drive(&self, chassis: u32, id: &str, name: &str, mapping: &mut MappingBuilder) -> u32 {
        let keys = vec![local("device", format!("{}/{id}", self.address))];
        let drive = mapping.entity("disk", keys, format!("drive {name} at {}", self.address));
        mapping.relation(chassis, drive, RelationKind::Contains);
        drive
    }
}

/// The state of a part: `warning` and `critical` are the values that mean so.
pub(crate) fn health(part: Part, warning: f64, critical: f64) -> Canonical {
    let name = match part {
        Part::Chassis => "chassis.health",
        Part::PowerSupply => "power-supply.status",
        Part::Drive => "disk.health",
        Part::Memory => "chassis.memory.health",
        Part::Fan | Part::Temperature | Part::Other => "sensor.status",
    };
    canonical(name, "1").faults([fault(part, warning, Severity::Warning), fault(part, critical, Severity::Critical)])
}

/// The fault of a part at one value.
fn fault(part: Part, value: f64, severity: Severity) -> FaultRule {
    let is_critical = severity == Severity::Critical;
    let (code, title, advice) = match (part, is_critical) {
        (Part::PowerSupply, true) => (
            "power-supply.failed",
            "a power supply has failed",
            "Check its cable and the circuit behind it, then replace it: the machine has lost redundancy.",
        ),
        (Part::PowerSupply, false) => (
            "power-supply.degraded",
            "a power supply is degraded",
            "Check its cable and input voltage; replace it when the state stays.",
        ),
        (Part::Fan, true) => {
            ("sensor.fan.failed", "a fan has failed", "Replace the fan; until then watch the temperatures.")
        }
        (Part::Temperature, true) => (
            "sensor.critical",
            "a temperature is critical",
            "Look at fans, air flow and room temperature, and take load off the machine before it switches itself off.",
        ),
        (Part::Drive, true) => (
            "disk.failed",
            "a drive has failed",
            "Replace the drive; if it is part of an array, let the array rebuild.",
        ),
        (Part::Memory, true) => (
            "host.memory.module-failed",
            "a memory module has failed",
            "Move the work off this host and have the module replaced.",
        ),
        (Part::Chassis, true) => (
            "chassis.critical",
            "the machine's management reports a critical state",
            "Read the event log of the BMC to find the part.",
        ),
        (Part::Chassis, false) => (
            "chassis.warning",
            "the machine's management reports a warning",
            "Read the event log of the BMC to find the part.",
        ),
        (Part::Other, true) => {
            ("sensor.critical", "a sensor reports a critical state", "Read the event log of the BMC to find the cause.")
        }
        (_, false) => {
            ("sensor.warning", "a part reports a warning", "Read the event log of the BMC to find the cause.")
        }
    };
    fault_within(code, value, value, severity, title, advice)
}

/// Whether the exporter or BMC answers.
pub(crate) fn telemetry_up() -> Canonical {
    canonical("chassis.telemetry.up", "1").fault(fault_within(
        "chassis.telemetry.down",
        0.0,
        0.0,
        Severity::Warning,
        "the BMC does not answer",
        "Look at the exporter, the management network and the BMC itself; the machine may well go on running.",
    ))
}
