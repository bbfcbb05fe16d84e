//! smartctl_exporter: what a drive says of its own health (SMART for ATA and SCSI, the health log for NVMe).

use crate::device::{model_and_serial, numbered, short};
use std::collections::HashMap;
use tandem_sdk::{
    machine::Machine,
    mapper::{FaultRule, Target},
    mapping::{Canonical, MappingBuilder, canonical, fault_rises, fault_within, label_of, local, unique},
    types::{RelationKind, Series, Severity},
};

/// How long after the last new error the fault counts as over, in seconds: a drive that errs errs again within a day.
const ERROR_REST_SECONDS: u32 = 86_400;
const PER_CENT: f64 = 0.01;
const PER_MINUTE: f64 = 1.0 / 60.0;
/// Above this, a raw value is several numbers packed into one, as some vendors do, and no count of sectors.
const LARGEST_COUNT_OF_SECTORS: f64 = 1e8;

/// Metric without `smartctl_`, canonical name, unit, scale.
const DRIVE: [(&str, &str, &str, f64); 20] = [
    ("device_capacity_bytes", "disk.size", "By", 1.0),
    ("device_rotation_rate", "disk.rotation", "Hz", PER_MINUTE),
    ("device_power_on_seconds", "disk.power-on.time", "s", 1.0),
    ("device_power_cycle_count", "disk.power-cycles", "{cycle}", 1.0),
    ("device_temperature", "disk.temperature", "Cel", 1.0),
    ("device_percentage_used", "disk.wear", "1", PER_CENT),
    ("device_available_spare", "disk.spare", "1", PER_CENT),
    ("device_available_spare_threshold", "disk.spare.threshold", "1", PER_CENT),
    ("device_critical_warning", "disk.critical-warning", "1", 1.0),
    ("device_media_errors", "disk.media-errors", "{error}", 1.0),
    ("device_num_err_log_entries", "disk.error-log.entries", "{entry}", 1.0),
    ("device_bytes_read", "disk.lifetime.read", "By", 1.0),
    ("device_bytes_written", "disk.lifetime.written", "By", 1.0),
    ("device_smart_status", "disk.smart.passed", "1", 1.0),
    ("device_smartctl_exit_status", "disk.smartctl.exit-status", "1", 1.0),
    ("device_self_test_log_error_count", "disk.self-test.errors", "{error}", 1.0),
    ("device_error_log_count", "disk.error-log.errors", "{error}", 1.0),
    ("scsi_grown_defect_list", "disk.defects.grown", "{defect}", 1.0),
    ("read_total_uncorrected_errors", "disk.read.errors.uncorrected", "{error}", 1.0),
    ("write_total_uncorrected_errors", "disk.write.errors.uncorrected", "{error}", 1.0),
];

/// ATA attributes with a meaning, by number: those that Backblaze found to go before failures (5, 187, 188, 197, 198), and
/// the errors of the cable (199).
const ATTRIBUTES: [(&str, &str, &str); 6] = [
    ("5", "disk.sectors.reallocated", "{sector}"),
    ("187", "disk.errors.reported", "{error}"),
    ("188", "disk.command-timeouts", "{timeout}"),
    ("197", "disk.sectors.pending", "{sector}"),
    ("198", "disk.sectors.uncorrectable", "{sector}"),
    ("199", "disk.interface.crc-errors", "{error}"),
];

/// Drives of one target.
pub(crate) fn interpret(target: &Target, series: &[Series], mapping: &mut MappingBuilder) {
    let machine = Machine::of(target, series);
    let host = machine.entity(mapping);
    let infos: HashMap<&str, &Series> = series
        .iter()
        .filter(|s| s.metric == "smartctl_device")
        .filter_map(|s| Some((label_of(s, "device")?, s)))
        .collect();
    for (index, one) in series.iter().enumerate() {
        if one.metric == "up" {
            mapping.meaning(index, host, telemetry_up());
            continue;
        }
        let Some(device) = label_of(one, "device") else { continue };
        let Some(meaning) = meaning(one) else { continue };
        let drive = drive(&machine, device, infos.get(device).copied(), mapping);
        mapping.relation(host, drive, RelationKind::Contains);
        mapping.meaning(index, drive, meaning);
    }
}

fn drive(machine: &Machine, device: &str, info: Option<&Series>, mapping: &mut MappingBuilder) -> u32 {
    let device = short(device);
    let told = |label: &str| info.and_then(|info| label_of(info, label)).unwrap_or_default();
    let model = Some(told("model_name")).filter(|model| !model.is_empty()).unwrap_or(told("scsi_model_name"));
    // smartctl names an NVMe drive by its controller, the kernel by its first namespace.
    let block = if numbered(device, "nvme") { format!("{device}n1") } else { device.to_owned() };
    let mut keys = Vec::new();
    keys.extend(model_and_serial(model, told("serial_number")).map(|value| unique("serial", value)));
    keys.push(local("device", machine.part(&block)));
    let entity = mapping.entity("disk", keys, machine.part_name(&block));
    mapping.attribute(entity, "model", model);
    mapping.attribute(entity, "firmware", told("firmware_version"));
    mapping.attribute(entity, "protocol", told("protocol"));
    entity
}

fn meaning(series: &Series) -> Option<Canonical> {
    let metric = series.metric.strip_prefix("smartctl_")?;
    if metric == "device_attribute" {
        return attribute(series);
    }
    let (_, name, unit, scale) = DRIVE.iter().find(|(known, ..)| *known == metric)?;
    let mut meaning = canonical(name, unit).scaled(*scale).faults(faults(metric));
    match label_of(series, "temperature_type") {
        Some("current") | None => {}
        Some(kind) => meaning = canonical("disk.temperature.limit", "Cel").dimension("limit", kind),
    }
    for (label, dimension) in [("error_log_type", "log"), ("self_test_log_type", "log")] {
        if let Some(value) = label_of(series, label) {
            meaning = meaning.dimension(dimension, value);
        }
    }
    Some(meaning)
}

fn faults(metric: &str) -> Vec<FaultRule> {
    let any = f64::INFINITY;
    match metric {
        "device_smart_status" => vec![fault_within(
            "disk.smart.failed",
            0.0,
            0.0,
            Severity::Critical,
            "the drive says that it is failing",
            "Save what is on it and replace the drive; if smartctl on the host says PASSED, the exporter cannot read this drive.",
        )],
        // NVM Express Base Specification, SMART / Health Information log: bit 0 is spare capacity.
        "device_critical_warning" => vec![
            fault_within(
                "disk.spare.low",
                1.0,
                1.0,
                Severity::Critical,
                "the drive's spare capacity is below its own threshold",
                "Replace the drive soon: it has hardly any blocks left to replace bad ones with.",
            ),
            fault_within(
                "disk.critical-warning",
                2.0,
                any,
                Severity::Critical,
                "the drive gives a critical warning",
                "Read the bits with `nvme smart-log`: 2 temperature, 4 unreliable, 8 read-only, 16 backup power; replace it unless it is only hot.",
            ),
        ],
        "device_percentage_used" => vec![fault_within(
            "disk.wear.exhausted",
            100.0,
            any,
            Severity::Warning,
            "the drive has done all the writing it is made for",
            "Plan its replacement; it may go on for long, but its maker no longer answers for the data.",
        )],
        "device_media_errors" | "read_total_uncorrected_errors" | "write_total_uncorrected_errors" => {
            vec![fault_rises(
                "disk.media-errors",
                ERROR_REST_SECONDS,
                Severity::Warning,
                "the drive could not read or write data",
                "Check that backups or the array hold the data, and replace the drive when more errors follow.",
            )]
        }
        "scsi_grown_defect_list" => {
            vec![sectors_fault("disk.sectors.reallocated", "the drive put bad sectors out of use")]
        }
        "device_self_test_log_error_count" => vec![fault_rises(
            "disk.self-test.failed",
            ERROR_REST_SECONDS,
            Severity::Warning,
            "a self-test of the drive failed",
            "Read `smartctl -l selftest`, and replace the drive.",
        )],
        // smartctl(8): bit 1 says that the device could not be opened or did not identify itself.
        "device_smartctl_exit_status" => vec![fault_within(
            "disk.smart.unreadable",
            2.0,
            2.0,
            Severity::Warning,
            "the drive does not answer smartctl",
            "See in the kernel log whether the drive is still there; a dead drive tells nothing at all.",
        )],
        _ => Vec::new(),
    }
}

/// Raw values of the few attributes that mean the same on all makes.
fn attribute(series: &Series) -> Option<Canonical> {
    if label_of(series, "attribute_value_type") != Some("raw") {
        return None;
    }
    let number = label_of(series, "attribute_id")?;
    let (_, name, unit) = ATTRIBUTES.iter().find(|(known, ..)| *known == number)?;
    let meaning = canonical(name, unit);
    Some(match number {
        "5" => meaning.fault(sectors_fault(name, "the drive put bad sectors out of use")),
        "187" => meaning.fault(sectors_fault(name, "the drive met errors that it could not correct")),
        "188" => meaning.fault(FaultRule {
            severity: Severity::Info,
            advice: "Look at cable, power and adapter; with other signs of failure, replace the drive.".into(),
            ..sectors_fault("disk.command-timeout", "commands to the drive timed out")
        }),
        "197" | "198" => meaning.fault(fault_within(
            name,
            1.0,
            LARGEST_COUNT_OF_SECTORS,
            Severity::Warning,
            if number == "197" { "sectors wait for reallocation" } else { "sectors cannot be read" },
            "Check that backups or the array hold the data, run a long self-test, and replace the drive when the count grows.",
        )),
        _ => meaning,
    })
}

fn sectors_fault(code: &str, title: &str) -> FaultRule {
    fault_rises(
        code,
        ERROR_REST_SECONDS,
        Severity::Warning,
        title,
        "Check that backups or the array hold the data, and replace the drive when the count grows again.",
    )
}

fn telemetry_up() -> Canonical {
    canonical("disk.telemetry.up", "1").fault(fault_within(
        "disk.telemetry.down",
        0.0,
        0.0,
        Severity::Warning,
        "the drive health exporter does not answer",
        "Look at smartctl_exporter and at the host it runs on; without it nothing is known of the drives' health.",
    ))
}
