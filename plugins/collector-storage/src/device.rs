//! Names of block devices: what is a whole disk, what a partition, and which disk a partition lies on.

/// Beginnings of names of devices that hold no data of their own: loops, memory, floppy and optical drives, network disks.
const NO_DISKS: [&str; 7] = ["loop", "ram", "zram", "fd", "sr", "nbd", "zd"];

/// Whether a block device is a disk of its own, and no partition and no stand-in.
pub(crate) fn is_disk(device: &str) -> bool {
    !NO_DISKS.iter().any(|beginning| numbered(device, beginning)) && partition_of(device).is_none()
}

/// The disk that a partition lies on: `sda` of `sda1`, `nvme0n1` of `nvme0n1p2`, `md0` of `md0p1`; nothing for a whole disk.
pub(crate) fn partition_of(device: &str) -> Option<&str> {
    let disk = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if disk.len() == device.len() {
        return None;
    }
    let letters_only = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase());
    if ["sd", "hd", "vd", "xvd"].iter().any(|kind| disk.strip_prefix(kind).is_some_and(letters_only)) {
        return Some(disk);
    }
    let numbered_disk = disk.strip_suffix('p')?;
    let ends_in_digit = numbered_disk.ends_with(|c: char| c.is_ascii_digit());
    ends_in_digit.then_some(numbered_disk)
}

/// The block device's own name, without `/dev/`.
pub(crate) fn short(device: &str) -> &str {
    device.strip_prefix("/dev/").unwrap_or(device)
}

/// Whether the name is `beginning` and a number.
pub(crate) fn numbered(device: &str, beginning: &str) -> bool {
    device.strip_prefix(beginning).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// A World Wide Name in one form whatever tells it: sysfs' `naa.5000c5…`, udev's `0x5000c5…`, NVMe's `eui.0025…`.
pub(crate) fn world_wide_name(told: &str) -> Option<String> {
    let told = told.trim().to_lowercase();
    let digits = ["0x", "naa.", "eui."].iter().find_map(|form| told.strip_prefix(form)).unwrap_or(&told);
    let is_name =
        digits.len() >= 16 && digits.bytes().all(|b| b.is_ascii_hexdigit()) && digits.bytes().any(|b| b != b'0');
    is_name.then(|| digits.to_owned())
}

/// Model and serial number in one form: udev writes underscores where the drive itself says spaces.
pub(crate) fn model_and_serial(model: &str, serial: &str) -> Option<String> {
    let model = model.split([' ', '_', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    let serial = serial.trim();
    (!model.is_empty() && tandem_sdk::machine::is_real_serial(serial)).then(|| format!("{model}/{serial}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_and_partitions_are_told_apart() {
        for disk in ["sda", "sdaa", "nvme0n1", "vda", "mmcblk0", "md127", "dm-3", "xvdb"] {
            assert!(is_disk(disk), "{disk}");
        }
        for none in ["sda1", "nvme0n1p2", "mmcblk0p1", "loop7", "zram0", "ram1", "sr0", "vda3", "md0p1"] {
            assert!(!is_disk(none), "{none}");
        }
        assert_eq!(partition_of("nvme10n1p12"), Some("nvme10n1"));
        assert_eq!(partition_of("sdab12"), Some("sdab"));
        assert_eq!(partition_of("dm-1"), None);
    }

    #[test]
    fn one_disk_has_one_name_whoever_tells_it() {
        assert_eq!(world_wide_name("naa.5000C500A1B2C3D4"), world_wide_name("0x5000c500a1b2c3d4"));
        assert_eq!(world_wide_name("t10.ATA     SAMSUNG"), None);
        assert_eq!(world_wide_name("0x0000000000000000"), None);
        assert_eq!(model_and_serial("WDC_WD20EFRX-68EUZN0", "WD-1"), model_and_serial("WDC WD20EFRX-68EUZN0 ", "WD-1"));
        assert_eq!(model_and_serial("", "WD-1"), None);
    }
}
