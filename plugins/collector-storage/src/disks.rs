//! Disks of this machine: `/proc/diskstats`, what sysfs tells of each, and the NVMe controllers. Names, labels and units are
//! those of node_exporter.

use crate::device::is_disk;
use tandem_sdk::{
    gathering::Gathering,
    host::Files,
    types::{Failure, FailureCode},
};

/// Sectors in `/proc/diskstats` and in `size` are always 512 bytes, whatever the drive's own (Documentation/block/stat.rst).
const BYTES_PER_SECTOR: f64 = 512.0;
const SECONDS_PER_MILLISECOND: f64 = 0.001;
/// Bound of disks and controllers that are read; large storage servers have some hundred.
const MAXIMUM_DISKS: usize = 512;

/// Columns after the device's name (Documentation/admin-guide/iostats.rst): metric, scale, whether it is a gauge.
const COLUMNS: [(&str, f64, bool); 17] = [
    ("node_disk_reads_completed_total", 1.0, false),
    ("node_disk_reads_merged_total", 1.0, false),
    ("node_disk_read_bytes_total", BYTES_PER_SECTOR, false),
    ("node_disk_read_time_seconds_total", SECONDS_PER_MILLISECOND, false),
    ("node_disk_writes_completed_total", 1.0, false),
    ("node_disk_writes_merged_total", 1.0, false),
    ("node_disk_written_bytes_total", BYTES_PER_SECTOR, false),
    ("node_disk_write_time_seconds_total", SECONDS_PER_MILLISECOND, false),
    ("node_disk_io_now", 1.0, true),
    ("node_disk_io_time_seconds_total", SECONDS_PER_MILLISECOND, false),
    ("node_disk_io_time_weighted_seconds_total", SECONDS_PER_MILLISECOND, false),
    ("node_disk_discards_completed_total", 1.0, false),
    ("node_disk_discards_merged_total", 1.0, false),
    ("node_disk_discarded_sectors_total", 1.0, false),
    ("node_disk_discard_time_seconds_total", SECONDS_PER_MILLISECOND, false),
    ("node_disk_flush_requests_total", 1.0, false),
    ("node_disk_flush_requests_time_seconds_total", SECONDS_PER_MILLISECOND, false),
];
/// Columns every kernel since 2.6 gives.
const LEAST_COLUMNS: usize = 11;

/// `/proc/diskstats`, and for each disk what it is.
pub(crate) fn collect(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    let text = files.read_text("/proc/diskstats")?;
    let mut seen = 0;
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(major), Some(minor), Some(device)) = (fields.next(), fields.next(), fields.next()) else { continue };
        if !is_disk(device) || seen == MAXIMUM_DISKS {
            continue;
        }
        let values: Vec<f64> = fields.map_while(|field| field.parse().ok()).collect();
        if values.len() < LEAST_COLUMNS {
            return Err(Failure {
                code: FailureCode::Malformed,
                message: format!(
                    "/proc/diskstats: the line of {device} has {} columns, expected at least 11",
                    values.len()
                ),
                retry: true,
            });
        }
        seen += 1;
        for ((metric, scale, is_gauge), value) in COLUMNS.iter().zip(&values) {
            let labels = [("device", device)];
            if *is_gauge {
                g.gauge(metric, &labels, value * scale);
            } else {
                g.counter(metric, &labels, value * scale);
            }
        }
        describe(files, g, device, (major, minor));
    }
    Ok(())
}

/// What sysfs tells of one disk; what it does not tell is left empty, as node_exporter does.
fn describe(files: &dyn Files, g: &mut Gathering, device: &str, (major, minor): (&str, &str)) {
    let block = format!("/sys/block/{device}");
    let of_disk = |file: &str| text(files, &format!("{block}/{file}"));
    let wwn = of_disk("wwid").or_else(|| of_disk("device/wwid")).unwrap_or_default();
    let serial = of_disk("device/serial").or_else(|| of_disk("serial")).unwrap_or_default();
    let rotational = of_disk("queue/rotational").unwrap_or_default();
    let model = of_disk("device/model").unwrap_or_default();
    g.info(
        "node_disk_info",
        &[
            ("device", device),
            ("major", major),
            ("minor", minor),
            ("model", &model),
            ("rotational", &rotational),
            ("serial", &serial),
            ("wwn", &wwn),
        ],
    );
    if let Some(sectors) = of_disk("size").and_then(|size| size.parse::<f64>().ok()) {
        g.gauge("tandem_disk_size_bytes", &[("device", device)], sectors * BYTES_PER_SECTOR);
    }
    if let Some(name) = of_disk("dm/name") {
        g.info("node_disk_device_mapper_info", &[("device", device), ("name", &name)]);
    }
    for member in files.names(&format!("{block}/slaves")).unwrap_or_default().iter().take(MAXIMUM_DISKS) {
        g.info("tandem_disk_member_info", &[("device", device), ("member", member)]);
    }
}

/// `/sys/class/nvme`: the controllers; a machine without NVMe has no such folder.
pub(crate) fn nvme(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    for controller in files.names("/sys/class/nvme").unwrap_or_default().iter().take(MAXIMUM_DISKS) {
        let of_controller =
            |file: &str| text(files, &format!("/sys/class/nvme/{controller}/{file}")).unwrap_or_default();
        let [cntlid, revision, model, serial, state] =
            ["cntlid", "firmware_rev", "model", "serial", "state"].map(of_controller);
        if model.is_empty() && serial.is_empty() {
            continue;
        }
        g.info(
            "node_nvme_info",
            &[
                ("cntlid", &cntlid),
                ("device", controller),
                ("firmware_revision", &revision),
                ("model", &model),
                ("serial", &serial),
                ("state", &state),
            ],
        );
    }
    Ok(())
}

fn text(files: &dyn Files, path: &str) -> Option<String> {
    let text = files.read_text(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
