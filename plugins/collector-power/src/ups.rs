//! What all UPSes have in common: the entity, its faults, and the exporter's own state.

use tandem_sdk::{
    machine::is_real_serial,
    mapper::{FaultRule, Target},
    mapping::{Canonical, MappingBuilder, canonical, fault_within, host_of, local, unique},
    types::Severity,
};

/// What NUT calls a UPS that nobody named.
const USUAL_NAME: &str = "ups";

/// A UPS of a target. Its name in the exporter, when it has one, is the key that `powered_by` labels and configured relations
/// use; the only UPS of an agent is known by the agent's address too.
pub(crate) fn entity(
    target: &Target,
    name: Option<&str>,
    serial: Option<&str>,
    is_agent: bool,
    mapping: &mut MappingBuilder,
) -> u32 {
    let address = host_of(&target.instance);
    let mut keys = Vec::new();
    keys.extend(serial.filter(|serial| is_real_serial(serial)).map(|serial| unique("serial", serial)));
    keys.push(local("ups", format!("{address}/{}", name.unwrap_or(USUAL_NAME))));
    keys.extend(name.map(|name| local("name", name)));
    keys.extend(is_agent.then(|| local("address", address)));
    mapping.entity("ups", keys, name.map_or_else(|| format!("UPS at {address}"), str::to_owned))
}

/// The conditions a UPS can be in that a person must know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    OnBattery,
    LowBattery,
    ReplaceBattery,
    Overload,
    Bypass,
    Off,
    Alarm,
}

impl Trouble {
    /// The fault, on while the value lies in the range.
    pub(crate) fn within(self, low: f64, high: f64) -> FaultRule {
        let (code, severity, title, advice) = match self {
            Self::OnBattery => (
                "ups.on-battery",
                Severity::Critical,
                "the UPS runs on battery",
                "Find out why mains power is gone and how long it will last, and shut down what need not run before the battery is empty.",
            ),
            Self::LowBattery => (
                "ups.low-battery",
                Severity::Critical,
                "the battery of the UPS is nearly empty",
                "Shut down everything behind this UPS now: power goes off within minutes.",
            ),
            Self::ReplaceBattery => (
                "ups.replace-battery",
                Severity::Warning,
                "the battery of the UPS must be replaced",
                "Order and fit a new battery: with the old one the UPS may not hold the load at the next power cut.",
            ),
            Self::Overload => (
                "ups.overload",
                Severity::Critical,
                "the UPS is overloaded",
                "Move load to another UPS or circuit: an overloaded UPS switches off or goes to bypass.",
            ),
            Self::Bypass => (
                "ups.bypass",
                Severity::Warning,
                "the UPS is on bypass and protects nothing",
                "End the bypass when maintenance is over; if nobody set it, have the UPS repaired.",
            ),
            Self::Off => (
                "ups.off",
                Severity::Critical,
                "the UPS gives no power",
                "Switch the UPS on again, after finding out who or what switched it off.",
            ),
            Self::Alarm => (
                "ups.alarm",
                Severity::Warning,
                "the UPS raises an alarm",
                "Read the alarm on the UPS itself or in its log.",
            ),
        };
        fault_within(code, low, high, severity, title, advice)
    }
}

/// Whether the exporter answers.
pub(crate) fn telemetry_up() -> Canonical {
    canonical("ups.telemetry.up", "1").fault(fault_within(
        "ups.telemetry.down",
        0.0,
        0.0,
        Severity::Warning,
        "the UPS does not answer",
        "Look at the exporter, the NUT server and the cable or network to the UPS; without it a power cut is not seen coming.",
    ))
}
