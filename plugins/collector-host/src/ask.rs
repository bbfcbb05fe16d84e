//! What the plugin says of itself: the series it understands, and the files it asks for, each with its reason.

use tandem_sdk::{
    about::{Capability, Description, Interest, Scope, Selector},
    machine::{MACHINE_FILES, MACHINE_METRICS},
};

/// Metric patterns of node_exporter's collectors that speak of the host itself, and `up`.
const METRICS: [&str; 22] = [
    "node_cpu_*",
    "node_load*",
    "node_memory_*",
    "node_pressure_*",
    "node_vmstat_*",
    "node_edac_*",
    "node_hwmon_*",
    "node_thermal_zone_temp",
    "node_cooling_device_*",
    "node_boot_time_seconds",
    "node_time_seconds",
    "node_procs_*",
    "node_context_switches_total",
    "node_intr_total",
    "node_forks_total",
    "node_filefd_*",
    "node_timex_*",
    "node_entropy_available_bits",
    "node_pcidevice_*",
    "node_os_info",
    "node_exporter_build_info",
    "up",
];

/// Files that are read whole at fixed places.
const FILES: [(&str, &str); 5] = [
    ("/proc/stat", "processor time, context switches, interrupts, processes, the time of the start"),
    ("/proc/loadavg", "load averages"),
    ("/proc/meminfo", "memory in use and available"),
    ("/proc/vmstat", "paging, and kills for want of memory"),
    ("/proc/pressure/*", "time that tasks waited for processor, memory and disks"),
];

/// How deep below `/sys/devices` a device with sensors can lie: a disk behind two PCI bridges lies six deep.
const SENSOR_DEPTHS: std::ops::RangeInclusive<usize> = 1..=6;
/// The files of a sensor chip that are read.
const SENSOR_FILES: [&str; 5] = ["name", "*_input", "*_label", "*_crit", "*_crit_alarm"];
const SENSOR_REASON: &str = "temperatures, fans and voltages; the folders under /sys/class/hwmon are links to here";

pub(crate) fn description() -> Description {
    let metrics = METRICS.iter().chain(&MACHINE_METRICS).map(|metric| (*metric).to_owned()).collect();
    Description {
        name: "collector-host".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        summary: "Reads this machine's processor, memory, pressure and sensors, and understands node_exporter's host metrics.".into(),
        config_schema: String::new(),
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
    let mut asked: Vec<Capability> =
        MACHINE_FILES.iter().chain(&FILES).map(|(path, reason)| file(*path, reason)).collect();
    asked.push(file("/sys/class/hwmon", "the list of sensor chips"));
    asked
        .extend(SENSOR_FILES.map(|name| file(format!("/sys/class/hwmon/*/{name}"), "temperatures, fans and voltages")));
    for depth in SENSOR_DEPTHS {
        // A chip lies in a folder `hwmon` of its device, or, with some drivers, in the device itself.
        for chip in ["hwmon/hwmon*", "hwmon*"] {
            let folder = format!("/sys/devices/{}{chip}", "*/".repeat(depth));
            asked.extend(SENSOR_FILES.map(|name| file(format!("{folder}/{name}"), SENSOR_REASON)));
        }
    }
    asked.push(file("/sys/class/thermal", "the list of thermal zones and cooling devices"));
    for name in ["temp", "type", "cur_state", "max_state"] {
        asked.push(file(format!("/sys/class/thermal/*/{name}"), "temperatures and cooling that firmware tells"));
        asked.push(file(format!("/sys/devices/virtual/thermal/*/{name}"), "where /sys/class/thermal leads"));
    }
    asked.push(file("/sys/devices/system/edac/mc", "the list of memory controllers"));
    for name in ["ce_count", "ue_count"] {
        asked.push(file(format!("/sys/devices/system/edac/mc/*/{name}"), "memory errors by controller"));
        asked.push(file(format!("/sys/devices/system/edac/mc/*/*/{name}"), "memory errors by row"));
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
