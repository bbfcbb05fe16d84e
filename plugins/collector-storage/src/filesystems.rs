//! Mounted filesystems of this machine, from `/proc/mounts` and the kernel's answer to "how full".

use std::collections::BTreeMap;
use tandem_sdk::{
    gathering::Gathering,
    host::Files,
    log,
    types::{Failure, FailureCode},
};

/// Filesystems on disks of this machine. Network filesystems are left out on purpose: asking a dead server how full it is
/// blocks until the server is back.
const LOCAL_FILESYSTEMS: [&str; 16] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs", "vfat", "exfat", "ntfs",
    "ntfs3", "nilfs2", "hfsplus",
];
/// Bound of filesystems that are read; container hosts mount some hundred, nearly all of them no local ones.
const MAXIMUM_FILESYSTEMS: usize = 256;

/// One line of `/proc/mounts`.
#[derive(Debug, Clone, PartialEq)]
struct Mount {
    device: String,
    mountpoint: String,
    fstype: String,
}

/// Space and inodes of each local filesystem.
pub(crate) fn collect(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    let text = files.read_text("/proc/mounts")?;
    let mut refused = 0_usize;
    for mount in mounts(&text) {
        let labels = [
            ("device", mount.device.as_str()),
            ("fstype", mount.fstype.as_str()),
            ("mountpoint", mount.mountpoint.as_str()),
        ];
        match files.space(&mount.mountpoint) {
            Ok(space) => {
                g.gauge("node_filesystem_size_bytes", &labels, space.total_bytes as f64);
                g.gauge("node_filesystem_free_bytes", &labels, space.free_bytes as f64);
                g.gauge("node_filesystem_avail_bytes", &labels, space.available_bytes as f64);
                g.gauge("node_filesystem_files", &labels, space.total_files as f64);
                g.gauge("node_filesystem_files_free", &labels, space.free_files as f64);
                g.gauge("node_filesystem_readonly", &labels, f64::from(u8::from(space.read_only)));
                g.gauge("node_filesystem_device_error", &labels, 0.0);
            }
            // A mount point that this plugin may not see is no fault of the filesystem.
            Err(failure) if failure.code == FailureCode::Refused => refused += 1,
            Err(failure) => {
                log::warn(format!("{}: {}", mount.mountpoint, failure.message));
                g.gauge("node_filesystem_device_error", &labels, 1.0);
            }
        }
    }
    if refused > 0 {
        log::debug(format!("{refused} mount points are outside of what was asked for and granted, and were left out"));
    }
    Ok(())
}

/// The local filesystems, each device once at its shortest mount point: bind mounts of containers show the same space again.
fn mounts(text: &str) -> Vec<Mount> {
    let mut by_device: BTreeMap<String, Mount> = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(' ');
        let (Some(device), Some(mountpoint), Some(fstype)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let mount = Mount { device: unescape(device), mountpoint: unescape(mountpoint), fstype: fstype.to_owned() };
        if mount.mountpoint != "/" && !LOCAL_FILESYSTEMS.contains(&fstype) {
            continue;
        }
        // The root of a container has no device of its own; the kernel calls an early root `rootfs`, which holds nothing.
        if fstype == "rootfs" {
            continue;
        }
        match by_device.get(&mount.device) {
            Some(known) if known.mountpoint.len() <= mount.mountpoint.len() => {}
            _ if by_device.len() >= MAXIMUM_FILESYSTEMS => {}
            _ => {
                by_device.insert(mount.device.clone(), mount);
            }
        }
    }
    by_device.into_values().collect()
}

/// The kernel writes space, tab, newline and backslash as three octal digits (proc_pid_mounts(5), getmntent(3)).
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (escape, sign)| text.replace(escape, sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_counts_once_and_pseudo_filesystems_not_at_all() {
        let text = "proc /proc proc rw 0 0\n/dev/sda2 / ext4 rw 0 0\n/dev/sda2 /var/lib/docker/x ext4 rw 0 0\n\
                    tmpfs /run tmpfs rw 0 0\n/dev/sdb1 /mnt/big\\040disk xfs ro 0 0\nnas:/x /mnt/nas nfs4 rw 0 0\n";
        let mountpoints: Vec<String> = mounts(text).into_iter().map(|mount| mount.mountpoint).collect();
        assert_eq!(mountpoints, ["/", "/mnt/big disk"]);
    }

    #[test]
    fn the_root_of_a_container_counts_whatever_it_is() {
        assert_eq!(mounts("overlay / overlay rw 0 0\n").len(), 1);
    }
}
