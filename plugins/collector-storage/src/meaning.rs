//! The meaning of node_exporter's filesystem and array series, and what lies on what.

use crate::{
    device::{is_disk, numbered, partition_of, short},
    disk_meaning::Disks,
    smartctl,
};
use tandem_sdk::{
    machine::Machine,
    mapper::{Condition, FaultRule, Mapping, Range, Target},
    mapping::{Canonical, MappingBuilder, canonical, fault_within, label_of, local},
    types::{RelationKind, Series, Severity},
};

/// Blocks of software RAID are 1 KiB (drivers/md/md.c).
const BYTES_PER_MD_BLOCK: f64 = 1024.0;
/// Kinds of filesystem that lie on no disk, or are full and read-only by nature.
const PSEUDO_FILESYSTEMS: [&str; 22] = [
    "autofs",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "ramfs",
    "rootfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];
/// Filesystems that the kernel makes read-only when the disk below errs.
const MADE_READ_ONLY_ON_ERROR: [&str; 9] =
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "reiserfs", "bcachefs"];
/// Mount points that image-based systems mount read-only on purpose.
const READ_ONLY_ON_PURPOSE: [&str; 7] = ["/usr", "/boot", "/nix", "/ostree", "/sysroot", "/snap", "/etc"];

/// Metric, canonical name, unit of filesystems.
const FILESYSTEM: [(&str, &str, &str); 7] = [
    ("node_filesystem_size_bytes", "filesystem.size", "By"),
    ("node_filesystem_free_bytes", "filesystem.free", "By"),
    ("node_filesystem_avail_bytes", "filesystem.available", "By"),
    ("node_filesystem_files", "filesystem.inodes", "{inode}"),
    ("node_filesystem_files_free", "filesystem.inodes.free", "{inode}"),
    ("node_filesystem_readonly", "filesystem.read-only", "1"),
    ("node_filesystem_device_error", "filesystem.device-error", "1"),
];
/// Metric, canonical name, unit, scale of arrays.
const ARRAY: [(&str, &str, &str, f64); 8] = [
    ("node_md_degraded", "array.degraded", "{disk}", 1.0),
    ("node_md_disks", "array.disks", "{disk}", 1.0),
    ("node_md_disks_required", "array.disks.required", "{disk}", 1.0),
    ("node_md_raid_disks", "array.disks.configured", "{disk}", 1.0),
    ("node_md_state", "array.state", "1", 1.0),
    ("node_md_blocks", "array.size", "By", BYTES_PER_MD_BLOCK),
    ("node_md_blocks_synced", "array.synced", "By", BYTES_PER_MD_BLOCK),
    ("node_md_sync_time_remaining_seconds", "array.sync.remaining", "s", 1.0),
];

/// The mapping of one target.
pub(crate) fn interpret(target: &Target, series: &[Series]) -> Mapping {
    let mut mapping = MappingBuilder::default();
    if series.iter().any(|s| s.metric.starts_with("smartctl_")) {
        smartctl::interpret(target, series, &mut mapping);
        return mapping.finish();
    }
    let is_storage = |s: &Series| {
        ["node_disk_", "node_filesystem_", "node_md_", "node_nvme_"].iter().any(|family| s.metric.starts_with(family))
    };
    if !series.iter().any(is_storage) {
        return mapping.finish();
    }
    let machine = Machine::of(target, series);
    let host = machine.entity(&mut mapping);
    let mut disks = Disks::of(&machine, host, series);
    disks.interpret(series, &mut mapping);
    let degraded_is_told = series.iter().any(|s| s.metric == "node_md_degraded");
    for (index, one) in series.iter().enumerate() {
        if one.metric.starts_with("node_filesystem_") {
            filesystem(index, one, &mut disks, &mut mapping);
        } else if let Some((_, name, unit, scale)) = ARRAY.iter().find(|(metric, ..)| *metric == one.metric) {
            let Some(device) = label_of(one, "device") else { continue };
            let array = disks.entity(device, &mut mapping);
            let mut meaning = canonical(name, unit).scaled(*scale);
            if let Some(state) = label_of(one, "state") {
                meaning = meaning.dimension("state", state);
            }
            mapping.meaning(index, array, with_array_fault(one, meaning, degraded_is_told));
        } else if one.metric == "tandem_disk_member_info" {
            let (Some(device), Some(member)) = (label_of(one, "device"), label_of(one, "member")) else { continue };
            let (above, below) = (disks.entity(device, &mut mapping), disks.entity(whole(member), &mut mapping));
            mapping.relation(above, below, RelationKind::StoredOn);
        }
    }
    mapping.finish()
}

fn whole(device: &str) -> &str {
    partition_of(device).unwrap_or(device)
}

fn with_array_fault(series: &Series, meaning: Canonical, degraded_is_told: bool) -> Canonical {
    let by_count = series.metric == "node_md_disks" && label_of(series, "state") == Some("failed") && !degraded_is_told;
    if series.metric != "node_md_degraded" && !by_count {
        return meaning;
    }
    meaning.fault(fault_within(
        "array.degraded",
        1.0,
        f64::INFINITY,
        Severity::Critical,
        "an array has lost a disk",
        "Replace the failed disk and let the array rebuild; until then one more failure may lose its data.",
    ))
}

fn filesystem(index: usize, series: &Series, disks: &mut Disks, mapping: &mut MappingBuilder) {
    let Some((metric, name, unit)) = FILESYSTEM.iter().find(|(metric, ..)| *metric == series.metric) else { return };
    let (Some(mountpoint), Some(fstype)) = (label_of(series, "mountpoint"), label_of(series, "fstype")) else { return };
    if PSEUDO_FILESYSTEMS.contains(&fstype) && mountpoint != "/" || fstype.starts_with("fuse.") {
        return;
    }
    let machine = disks.machine();
    let keys = vec![local("mount", machine.part(mountpoint))];
    let entity = mapping.entity("filesystem", keys, machine.part_name(mountpoint));
    mapping.attribute(entity, "fstype", fstype);
    mapping.relation(disks.host(), entity, RelationKind::Contains);
    let device = label_of(series, "device").unwrap_or_default();
    mapping.attribute(entity, "device", device);
    if let Some(below) = disks.below(device) {
        let below = disks.entity(&below, mapping);
        mapping.relation(entity, below, RelationKind::StoredOn);
    }
    let mut meaning = canonical(name, unit);
    if *metric == "node_filesystem_readonly" {
        meaning = meaning.faults(read_only_fault(mountpoint, fstype));
    } else if *metric == "node_filesystem_device_error" {
        let may_not_look = label_of(series, "device_error").is_some_and(|error| error.contains("permission"));
        meaning = meaning.faults((!may_not_look).then(device_error_fault));
    }
    mapping.meaning(index, entity, meaning);
}

/// A filesystem that becomes read-only was made so by the kernel, unless it is one that is mounted so on purpose.
fn read_only_fault(mountpoint: &str, fstype: &str) -> Option<FaultRule> {
    let on_purpose = READ_ONLY_ON_PURPOSE
        .iter()
        .any(|place| mountpoint.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if on_purpose || !MADE_READ_ONLY_ON_ERROR.contains(&fstype) {
        return None;
    }
    Some(FaultRule {
        resting: Some(0.0),
        condition: Condition::ChangedTo(Range { low: 1.0, high: 1.0 }),
        ..fault_within(
            "filesystem.read-only",
            1.0,
            1.0,
            Severity::Critical,
            "a filesystem is read-only",
            "Read the kernel log for errors of the disk below, save what can be saved, then check and mount it again.",
        )
    })
}

fn device_error_fault() -> FaultRule {
    fault_within(
        "filesystem.device-error",
        1.0,
        f64::INFINITY,
        Severity::Warning,
        "a filesystem does not tell how full it is",
        "See whether its mount point still answers; a disk that is gone or a hung mount are the usual causes.",
    )
}

/// Whether a block device is an array of software RAID.
pub(crate) fn is_array(device: &str) -> bool {
    numbered(device, "md") || device.starts_with("md_")
}

/// The block device that holds a filesystem's data, when the name tells: no network paths, no pools.
pub(crate) fn block_device(device: &str) -> Option<&str> {
    let device = device.starts_with("/dev/").then(|| short(device))?;
    let device = whole(device);
    (is_disk(device) && !device.contains('/')).then_some(device)
}
