//! What the plugin says of itself: the series it understands, and the files it asks for, each with its reason.

use tandem_sdk::{
    about::{Capability, Description, Interest, Scope, Selector},
    machine::{MACHINE_FILES, MACHINE_METRICS},
};

/// Metric patterns of node_exporter's and smartctl_exporter's storage series, of this plugin's own, and `up`.
const METRICS: [&str; 8] = [
    "node_disk_*",
    "node_filesystem_*",
    "node_md_*",
    "node_nvme_*",
    "node_dmmultipath_*",
    "smartctl_*",
    "tandem_disk_*",
    "up",
];

/// Places where filesystems are mounted, for asking how full they are; nothing there can be read.
const MOUNT_POINTS: [&str; 5] = ["/", "/*", "/*/*", "/*/*/*", "/*/*/*/*"];
const MOUNT_REASON: &str = "how full the filesystem mounted here is";

/// How deep below `/sys/devices` a disk can lie: behind two PCI bridges, a host adapter and an expander it is twelve.
const DISK_DEPTHS: std::ops::RangeInclusive<usize> = 1..=12;
/// How deep an NVMe controller can lie: behind four PCI bridges.
const NVME_DEPTHS: std::ops::RangeInclusive<usize> = 1..=6;
/// The files of a block device that are read.
const BLOCK_FILES: [&str; 4] = ["size", "queue/rotational", "serial", "wwid"];
/// The files of a SCSI or NVMe device that are read.
const DEVICE_FILES: [&str; 3] = ["model", "serial", "wwid"];
/// The files of an NVMe controller that are read.
const NVME_FILES: [&str; 5] = ["cntlid", "firmware_rev", "model", "serial", "state"];
const DISK_REASON: &str =
    "size, kind, model and serial number of disks; the folders under /sys/block are links to here";
const NVME_REASON: &str = "model, serial number and state of NVMe drives; /sys/class/nvme and /sys/block lead here";

pub(crate) fn description() -> Description {
    let metrics = METRICS.iter().chain(&MACHINE_METRICS).map(|metric| (*metric).to_owned()).collect();
    Description {
        name: "collector-storage".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        summary:
            "Reads this machine's disks, filesystems and arrays, and understands node_exporter and smartctl_exporter."
                .into(),
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
    let mut asked: Vec<Capability> = MACHINE_FILES.iter().map(|(path, reason)| file(*path, reason)).collect();
    asked.push(file("/proc/diskstats", "reads, writes and time of each disk"));
    asked.push(file("/proc/mdstat", "state of software RAID"));
    asked.push(file("/proc/mounts", "the list of filesystems"));
    asked.extend(MOUNT_POINTS.map(|path| Capability { name: "space".into(), ..file(path, MOUNT_REASON) }));
    asked.extend(BLOCK_FILES.map(|name| file(format!("/sys/block/*/{name}"), "size and kind of each disk")));
    asked.extend(
        DEVICE_FILES.map(|name| file(format!("/sys/block/*/device/{name}"), "model and serial number of each disk")),
    );
    asked.push(file("/sys/block/*/dm/name", "the name of a logical volume"));
    asked.push(file("/sys/block/*/slaves", "the disks that a volume or array lies on"));
    asked.push(file("/sys/devices/virtual/block/*/dm/name", "where /sys/block leads for logical volumes"));
    asked.push(file("/sys/devices/virtual/block/*/slaves", "where /sys/block leads for volumes and arrays"));
    for depth in DISK_DEPTHS {
        let above = format!("/sys/devices/{}", "*/".repeat(depth));
        asked.extend(BLOCK_FILES.map(|name| file(format!("{above}block/*/{name}"), DISK_REASON)));
        // A SCSI or SATA disk is a folder `H:C:T:L` below its `target`.
        asked.extend(DEVICE_FILES.map(|name| file(format!("{above}target*/*/{name}"), DISK_REASON)));
    }
    asked.push(file("/sys/class/nvme", "the list of NVMe controllers"));
    asked.extend(NVME_FILES.map(|name| file(format!("/sys/class/nvme/*/{name}"), NVME_REASON)));
    let multipath = "/sys/devices/virtual/nvme-subsystem/*/".to_owned();
    let controllers = NVME_DEPTHS.map(|depth| format!("/sys/devices/{}nvme/*/", "*/".repeat(depth)));
    for controller in controllers.chain([multipath]) {
        asked.extend(NVME_FILES.map(|name| file(format!("{controller}{name}"), NVME_REASON)));
        asked.extend(BLOCK_FILES.map(|name| file(format!("{controller}nvme*/{name}"), NVME_REASON)));
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
