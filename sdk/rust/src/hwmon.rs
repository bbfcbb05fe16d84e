//! Lasting names of sensor chips below `/sys/class/hwmon`: the numbers of its folders change from start to start.

use crate::host::Files;

/// The name of the chip in a folder of `/sys/class/hwmon`, as node_exporter makes it (`hwmon_linux.go`): kind and name of the
/// device it sits on, else the kernel's name for the chip, else the folder.
pub fn chip_name(files: &dyn Files, folder: &str) -> String {
    let path = format!("/sys/class/hwmon/{folder}");
    let of_device = files.link(&path).ok().and_then(|link| of_device(&link));
    let of_kernel = || files.read_text(&format!("{path}/name")).ok().map(|name| clean(name.trim()));
    of_device.or_else(of_kernel).filter(|name| !name.is_empty()).unwrap_or_else(|| folder.to_owned())
}

/// From `../../devices/platform/coretemp.0/hwmon/hwmon3` to `platform_coretemp_0`.
fn of_device(link: &str) -> Option<String> {
    let device = link.rsplit_once("/hwmon")?.0;
    let device = device.strip_suffix("/hwmon").unwrap_or(device);
    let mut segments = device.rsplit('/');
    let (name, kind) = (segments.next()?, segments.next()?);
    // Chips without a device lie in `devices/virtual/hwmon`.
    (kind != "devices" && kind != "..").then(|| format!("{}_{}", clean(kind), clean(name)))
}

/// As node_exporter's `cleanMetricName`: lower case, other signs than letters, digits and colons become underscores.
fn clean(name: &str) -> String {
    let replaced: String =
        name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' }).collect();
    replaced.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_is_named_by_its_device() {
        let name = |link| of_device(link);
        assert_eq!(name("../../devices/platform/coretemp.0/hwmon/hwmon3").as_deref(), Some("platform_coretemp_0"));
        assert_eq!(
            name("../../devices/pci0000:00/0000:00:18.3/hwmon/hwmon1").as_deref(),
            Some("pci0000:00_0000:00:18_3")
        );
        assert_eq!(name("../../devices/pci0000:00/0000:03:00.0/nvme/nvme0/hwmon1").as_deref(), Some("nvme_nvme0"));
        assert_eq!(name("../../devices/virtual/hwmon/hwmon0"), None);
    }
}
