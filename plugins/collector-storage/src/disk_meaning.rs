//! The meaning of node_exporter's disk series, and the disks as entities: known by World Wide Name, by model and serial
//! number, and by their device name on the host.

use crate::{
    device::{is_disk, model_and_serial, numbered, world_wide_name},
    meaning::{block_device, is_array},
};
use std::collections::HashMap;
use tandem_sdk::{
    machine::Machine,
    mapping::{MappingBuilder, canonical, fault_within, label_of, local, unique},
    types::{IdentityKey, RelationKind, Series, Severity},
};

/// Metric, canonical name, unit.
const DISK: [(&str, &str, &str); 17] = [
    ("node_disk_reads_completed_total", "disk.reads", "{operation}"),
    ("node_disk_writes_completed_total", "disk.writes", "{operation}"),
    ("node_disk_reads_merged_total", "disk.reads.merged", "{operation}"),
    ("node_disk_writes_merged_total", "disk.writes.merged", "{operation}"),
    ("node_disk_read_bytes_total", "disk.read.bytes", "By"),
    ("node_disk_written_bytes_total", "disk.write.bytes", "By"),
    ("node_disk_read_time_seconds_total", "disk.read.time", "s"),
    ("node_disk_write_time_seconds_total", "disk.write.time", "s"),
    ("node_disk_io_now", "disk.io.now", "{operation}"),
    ("node_disk_io_time_seconds_total", "disk.io.time", "s"),
    ("node_disk_io_time_weighted_seconds_total", "disk.io.time.weighted", "s"),
    ("node_disk_discards_completed_total", "disk.discards", "{operation}"),
    ("node_disk_discard_time_seconds_total", "disk.discard.time", "s"),
    ("node_disk_flush_requests_total", "disk.flushes", "{operation}"),
    ("node_disk_flush_requests_time_seconds_total", "disk.flush.time", "s"),
    ("node_disk_ata_write_cache_enabled", "disk.write-cache", "1"),
    ("tandem_disk_size_bytes", "disk.size", "By"),
];

/// What info series tell of one device.
#[derive(Debug, Default, Clone)]
struct Told {
    wwn: Option<String>,
    serial: Option<String>,
    model: String,
    rotational: String,
}

/// The disks of one host.
pub(crate) struct Disks<'m> {
    machine: &'m Machine,
    host: u32,
    told: HashMap<String, Told>,
    /// Device-mapper names (`/dev/mapper/<name>`) and their devices.
    mapped: HashMap<String, String>,
    entities: HashMap<String, u32>,
}

impl<'m> Disks<'m> {
    /// Reads the info series.
    pub(crate) fn of(machine: &'m Machine, host: u32, series: &[Series]) -> Self {
        let mut disks = Self { machine, host, told: HashMap::new(), mapped: HashMap::new(), entities: HashMap::new() };
        for one in series {
            let Some(device) = label_of(one, "device") else { continue };
            let (model, serial) =
                (label_of(one, "model").unwrap_or_default(), label_of(one, "serial").unwrap_or_default());
            match one.metric.as_str() {
                "node_disk_info" if is_disk(device) => {
                    let told = disks.told.entry(device.to_owned()).or_default();
                    told.wwn = label_of(one, "wwn").and_then(world_wide_name).or(told.wwn.take());
                    told.serial = model_and_serial(model, serial).or(told.serial.take());
                    told.model = model.to_owned();
                    told.rotational = label_of(one, "rotational").unwrap_or_default().to_owned();
                }
                // The controller tells of its first namespace, which on all but a few drives is the only one.
                "node_nvme_info" if numbered(device, "nvme") => {
                    let told = disks.told.entry(format!("{device}n1")).or_default();
                    told.serial = told.serial.take().or_else(|| model_and_serial(model, serial));
                    if told.model.is_empty() {
                        told.model = model.to_owned();
                    }
                }
                "node_disk_device_mapper_info" => {
                    disks.mapped.extend(label_of(one, "name").map(|name| (name.to_owned(), device.to_owned())));
                }
                _ => {}
            }
        }
        disks
    }

    pub(crate) fn machine(&self) -> &'m Machine {
        self.machine
    }

    pub(crate) fn host(&self) -> u32 {
        self.host
    }

    /// The disk, volume or array that a filesystem's device lies on.
    pub(crate) fn below(&self, device: &str) -> Option<String> {
        match device.strip_prefix("/dev/mapper/") {
            Some(name) => self.mapped.get(name).cloned(),
            None => block_device(device).map(str::to_owned),
        }
    }

    /// The entity of a whole device; an array is one of its own kind.
    pub(crate) fn entity(&mut self, device: &str, mapping: &mut MappingBuilder) -> u32 {
        if let Some(&known) = self.entities.get(device) {
            return known;
        }
        let told = self.told.get(device).cloned().unwrap_or_default();
        let mut keys: Vec<IdentityKey> = Vec::new();
        // Two paths to one disk keep an entity each: their counters are counted apart.
        keys.extend(
            told.wwn.filter(|wwn| self.is_single(|other| other.wwn.as_ref() == Some(wwn))).map(|v| unique("wwn", v)),
        );
        let serial = told.serial.filter(|serial| self.is_single(|other| other.serial.as_ref() == Some(serial)));
        keys.extend(serial.map(|value| unique("serial", value)));
        keys.push(local("device", self.machine.part(device)));
        let kind = if is_array(device) { "array" } else { "disk" };
        let entity = mapping.entity(kind, keys, self.machine.part_name(device));
        mapping.attribute(entity, "model", told.model.trim());
        mapping.attribute(entity, "rotational", &told.rotational);
        mapping.relation(self.host, entity, RelationKind::Contains);
        self.entities.insert(device.to_owned(), entity);
        entity
    }

    fn is_single(&self, fits: impl Fn(&Told) -> bool) -> bool {
        self.told.values().filter(|told| fits(told)).count() == 1
    }

    /// Gives the disk series their meaning.
    pub(crate) fn interpret(&mut self, series: &[Series], mapping: &mut MappingBuilder) {
        for (index, one) in series.iter().enumerate() {
            if one.metric == "node_dmmultipath_device_paths_failed" {
                self.failed_paths(index, one, mapping);
                continue;
            }
            let Some((_, name, unit)) = DISK.iter().find(|(metric, ..)| *metric == one.metric) else { continue };
            let Some(device) = label_of(one, "device").filter(|device| is_disk(device)) else { continue };
            let entity = self.entity(device, mapping);
            mapping.meaning(index, entity, canonical(name, unit));
        }
    }

    fn failed_paths(&mut self, index: usize, series: &Series, mapping: &mut MappingBuilder) {
        let Some(device) = label_of(series, "sysfs_name").or_else(|| label_of(series, "device")) else { return };
        let entity = self.entity(device, mapping);
        let meaning = canonical("disk.paths.failed", "{path}").fault(fault_within(
            "disk.path.failed",
            1.0,
            f64::INFINITY,
            Severity::Warning,
            "a path to a disk has failed",
            "Check cable, switch and adapter of the failed path; the disk works on over the paths that are left.",
        ));
        mapping.meaning(index, entity, meaning);
    }
}
