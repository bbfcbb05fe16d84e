//! DCGM exporter: names, units and blank values as in its `default-counters.csv` and in DCGM's `dcgm_structs.h`.

use crate::xid;
use std::collections::HashSet;
use tandem_sdk::{
    mapper::Target,
    mapping::{
        Canonical, MappingBuilder, canonical, fault_rises, fault_within, host_of, label_of, local, unique, value_of,
    },
    types::{RelationKind, Series, Severity},
};

/// How long after the last uncorrectable error the fault counts as over, in seconds.
const ECC_REST_SECONDS: u32 = 3600;
const MEBIBYTE: f64 = 1_048_576.0;
const NANOSECOND: f64 = 1e-9;

/// Field (without `DCGM_FI_DEV_`), canonical name, unit, scale.
const FIELDS: [(&str, &str, &str, f64); 45] = [
    ("GPU_UTIL", "gpu.utilization", "1", 0.01),
    ("MEM_COPY_UTIL", "gpu.memory.copy.utilization", "1", 0.01),
    ("ENC_UTIL", "gpu.encoder.utilization", "1", 0.01),
    ("DEC_UTIL", "gpu.decoder.utilization", "1", 0.01),
    ("GPU_TEMP", "gpu.temperature", "Cel", 1.0),
    ("MEMORY_TEMP", "gpu.memory.temperature", "Cel", 1.0),
    ("POWER_USAGE", "gpu.power", "W", 1.0),
    ("TOTAL_ENERGY_CONSUMPTION", "gpu.energy", "J", 0.001),
    ("SM_CLOCK", "gpu.clock.sm", "Hz", 1e6),
    ("MEM_CLOCK", "gpu.clock.memory", "Hz", 1e6),
    ("FB_USED", "gpu.memory.used", "By", MEBIBYTE),
    ("FB_FREE", "gpu.memory.free", "By", MEBIBYTE),
    ("FB_RESERVED", "gpu.memory.reserved", "By", MEBIBYTE),
    ("FB_TOTAL", "gpu.memory.total", "By", MEBIBYTE),
    ("PCIE_REPLAY_COUNTER", "gpu.pcie.replays", "{replay}", 1.0),
    ("XID_ERRORS", "gpu.xid", "{xid}", 1.0),
    ("UNCORRECTABLE_REMAPPED_ROWS", "gpu.row-remap.uncorrectable", "{row}", 1.0),
    ("CORRECTABLE_REMAPPED_ROWS", "gpu.row-remap.correctable", "{row}", 1.0),
    ("ROW_REMAP_FAILURE", "gpu.row-remap.failure", "1", 1.0),
    ("ROW_REMAP_PENDING", "gpu.row-remap.pending", "1", 1.0),
    ("NVLINK_BANDWIDTH_TOTAL", "gpu.nvlink.bandwidth", "By", 1.0),
    ("VGPU_LICENSE_STATUS", "gpu.vgpu.license", "1", 1.0),
    ("POWER_VIOLATION", "gpu.throttle.power", "s", NANOSECOND),
    ("THERMAL_VIOLATION", "gpu.throttle.thermal", "s", NANOSECOND),
    ("SYNC_BOOST_VIOLATION", "gpu.throttle.sync-boost", "s", NANOSECOND),
    ("BOARD_LIMIT_VIOLATION", "gpu.throttle.board-limit", "s", NANOSECOND),
    ("LOW_UTIL_VIOLATION", "gpu.throttle.low-utilization", "s", NANOSECOND),
    ("RELIABILITY_VIOLATION", "gpu.throttle.reliability", "s", NANOSECOND),
    ("ECC_SBE_VOL_TOTAL", "gpu.ecc.corrected", "{error}", 1.0),
    ("ECC_DBE_VOL_TOTAL", "gpu.ecc.uncorrected", "{error}", 1.0),
    ("ECC_SBE_AGG_TOTAL", "gpu.ecc.corrected.lifetime", "{error}", 1.0),
    ("ECC_DBE_AGG_TOTAL", "gpu.ecc.uncorrected.lifetime", "{error}", 1.0),
    ("RETIRED_SBE", "gpu.pages.retired.single-bit", "{page}", 1.0),
    ("RETIRED_DBE", "gpu.pages.retired.double-bit", "{page}", 1.0),
    ("RETIRED_PENDING", "gpu.pages.retired.pending", "{page}", 1.0),
    ("NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", "gpu.nvlink.errors.crc-flit", "{error}", 1.0),
    ("NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", "gpu.nvlink.errors.crc-data", "{error}", 1.0),
    ("NVLINK_REPLAY_ERROR_COUNT_TOTAL", "gpu.nvlink.errors.replay", "{error}", 1.0),
    ("NVLINK_RECOVERY_ERROR_COUNT_TOTAL", "gpu.nvlink.errors.recovery", "{error}", 1.0),
    ("FAN_SPEED", "gpu.fan", "1", 0.01),
    ("POWER_MGMT_LIMIT", "gpu.power.limit", "W", 1.0),
    ("SLOWDOWN_TEMP", "gpu.temperature.slowdown", "Cel", 1.0),
    ("SHUTDOWN_TEMP", "gpu.temperature.shutdown", "Cel", 1.0),
    ("PSTATE", "gpu.performance-state", "1", 1.0),
    ("CLOCK_THROTTLE_REASONS", "gpu.throttle.reasons", "1", 1.0),
];

/// Profiling field (without `DCGM_FI_PROF_`), canonical name, unit.
const PROFILING: [(&str, &str, &str); 12] = [
    ("GR_ENGINE_ACTIVE", "gpu.engine.active", "1"),
    ("SM_ACTIVE", "gpu.sm.active", "1"),
    ("SM_OCCUPANCY", "gpu.sm.occupancy", "1"),
    ("PIPE_TENSOR_ACTIVE", "gpu.pipe.tensor.active", "1"),
    ("PIPE_FP64_ACTIVE", "gpu.pipe.fp64.active", "1"),
    ("PIPE_FP32_ACTIVE", "gpu.pipe.fp32.active", "1"),
    ("PIPE_FP16_ACTIVE", "gpu.pipe.fp16.active", "1"),
    ("DRAM_ACTIVE", "gpu.memory.active", "1"),
    ("PCIE_TX_BYTES", "gpu.pcie.transmit", "By/s"),
    ("PCIE_RX_BYTES", "gpu.pcie.receive", "By/s"),
    ("NVLINK_TX_BYTES", "gpu.nvlink.transmit", "By/s"),
    ("NVLINK_RX_BYTES", "gpu.nvlink.receive", "By/s"),
];

/// The field of a series. What makes OpenTelemetry's metrics Prometheus' ends the name of every counter with `_total`.
fn field(series: &Series) -> &str {
    series.metric.strip_suffix("_total").unwrap_or(&series.metric)
}

pub(crate) fn interpret(target: &Target, series: &[Series], mapping: &mut MappingBuilder) {
    // A GPU whose XIDs are counted is judged by the counts: the gauge does not show a repeat, and both would say it twice.
    let counted: HashSet<&str> =
        series.iter().filter(|s| field(s) == "DCGM_EXP_XID_ERRORS_COUNT").filter_map(|s| label_of(s, "UUID")).collect();
    let mut host_of_target = None;
    for (index, one) in series.iter().enumerate() {
        let Some(uuid) = label_of(one, "UUID") else { continue };
        let (gpu, host) = entities(target, one, uuid, mapping);
        host_of_target.get_or_insert(host);
        if let Some(meaning) = meaning(one, counted.contains(uuid)) {
            mapping.meaning(index, gpu, in_slice(meaning, one));
        }
    }
    let Some(host) = host_of_target else { return };
    if let Some(up) = series.iter().position(|s| s.metric == "up") {
        mapping.meaning(up, host, telemetry_up());
    }
}

/// The exporter answers; when it does not, the GPUs are out of sight.
pub(crate) fn telemetry_up() -> Canonical {
    canonical("gpu.telemetry.up", "1").fault(fault_within(
        "gpu.telemetry.down",
        0.0,
        0.0,
        Severity::Warning,
        "the GPU exporter does not answer",
        "Look at the exporter and at the host it runs on; without it nothing is known of the GPUs.",
    ))
}

/// GPU and host, their relation, and what the labels tell of pods and power.
fn entities(target: &Target, series: &Series, uuid: &str, mapping: &mut MappingBuilder) -> (u32, u32) {
    let hostname =
        label_of(series, "Hostname").or_else(|| label_of(series, "hostname")).unwrap_or(host_of(&target.instance));
    let hostname = hostname.to_lowercase();
    let host = mapping.entity("host", vec![local("hostname", &hostname)], &hostname);
    let number = label_of(series, "gpu").unwrap_or("?");
    let mut keys = vec![unique("uuid", uuid), local("index", format!("{hostname}/{number}"))];
    if let Some(bus) = label_of(series, "pci_bus_id") {
        keys.push(local("pci", format!("{hostname}/{}", bus.to_lowercase())));
    }
    let gpu = mapping.entity("gpu", keys, format!("GPU {number} on {hostname}"));
    mapping.attribute(gpu, "model", label_of(series, "modelName").unwrap_or_default());
    mapping.attribute(gpu, "driver", label_of(series, "DCGM_FI_DRIVER_VERSION").unwrap_or_default());
    mapping.relation(host, gpu, RelationKind::Contains);
    if let Some(pod) = label_of(series, "pod").or_else(|| label_of(series, "exported_pod")) {
        let namespace =
            label_of(series, "namespace").or_else(|| label_of(series, "exported_namespace")).unwrap_or("default");
        let pod = mapping.entity("pod", vec![local("pod", format!("{namespace}/{pod}"))], format!("{namespace}/{pod}"));
        mapping.relation(pod, gpu, RelationKind::RunsOn);
    }
    if let Some(ups) = value_of(&target.labels, "powered_by") {
        let ups = mapping.entity("ups", vec![local("name", ups)], ups);
        mapping.relation(host, ups, RelationKind::PoweredBy);
    }
    (gpu, host)
}

/// Slices of a GPU (MIG) and links are told apart by dimensions.
fn in_slice(mut meaning: Canonical, series: &Series) -> Canonical {
    for (label, dimension) in [("GPU_I_ID", "slice"), ("nvlink", "link"), ("window_size_in_ms", "window")] {
        if let Some(value) = label_of(series, label) {
            meaning = meaning.dimension(dimension, value);
        }
    }
    meaning
}

fn meaning(series: &Series, xids_are_counted: bool) -> Option<Canonical> {
    let metric = field(series);
    if metric == "DCGM_EXP_XID_ERRORS_COUNT" {
        let number = label_of(series, "xid")?.parse().ok()?;
        return Some(
            canonical("gpu.xid.count", "{error}")
                .dimension("xid", format!("{number}"))
                .fault(xid::rule_for_count(number)),
        );
    }
    if metric == "DCGM_EXP_GPU_HEALTH_STATUS" {
        return Some(health(series));
    }
    if let Some(field) = metric.strip_prefix("DCGM_FI_PROF_") {
        let (_, name, unit) = PROFILING.iter().find(|(known, ..)| *known == field)?;
        return Some(without_blanks(canonical(name, unit)));
    }
    let field = metric.strip_prefix("DCGM_FI_DEV_")?;
    let (_, name, unit, scale) = FIELDS.iter().find(|(known, ..)| *known == field)?;
    let meaning = without_blanks(canonical(name, unit).scaled(*scale));
    Some(match field {
        "XID_ERRORS" if !xids_are_counted => meaning.faults(xid::rules_for_last_xid()),
        "ROW_REMAP_FAILURE" => meaning.fault(fault_within(
            "gpu.row-remap.failure",
            1.0,
            f64::INFINITY,
            Severity::Critical,
            "row remapping failed",
            "Drain the GPU and have it replaced: it has no spare rows left for a bad one.",
        )),
        "RETIRED_PENDING" | "ROW_REMAP_PENDING" => meaning.fault(fault_within(
            "gpu.row-remap.pending",
            1.0,
            f64::INFINITY,
            Severity::Warning,
            "bad memory waits for a reset",
            "Reset the GPU at the next occasion, so that the bad memory is taken out of use.",
        )),
        "ECC_DBE_VOL_TOTAL" => meaning.fault(fault_rises(
            "gpu.ecc.uncorrectable",
            ECC_REST_SECONDS,
            Severity::Critical,
            "uncorrectable memory errors",
            "Drain the GPU, reset it, and have it repaired when the errors come back.",
        )),
        "UNCORRECTABLE_REMAPPED_ROWS" => meaning.fault(fault_rises(
            "gpu.row-remap.uncorrectable",
            ECC_REST_SECONDS,
            Severity::Warning,
            "a row with uncorrectable errors was remapped",
            "Reset the GPU at the next occasion and watch whether more rows follow.",
        )),
        _ => meaning,
    })
}

/// DCGM's own verdict per watched part: 0 pass, 10 warning, 20 failure.
fn health(series: &Series) -> Canonical {
    let watched = label_of(series, "health_watch").unwrap_or("gpu");
    canonical("gpu.health", "1")
        .dimension("part", watched)
        .fault(fault_within(
            "gpu.health.warning",
            1.0,
            19.0,
            Severity::Warning,
            format!("DCGM warns of {watched}"),
            "See DCGM's health check for the details.",
        ))
        .fault(fault_within(
            "gpu.health.failure",
            20.0,
            f64::INFINITY,
            Severity::Critical,
            format!("DCGM reports a failure of {watched}"),
            "Drain the GPU and run DCGM's diagnostics.",
        ))
}

/// DCGM's sentinels for "no value": 2^63 - 16 and the three after it, 2^47 and the three after it, and, below what any
/// gauge reaches, 2^31 - 16 and the three after it. As floats the first four are one and the same number.
fn without_blanks(meaning: Canonical) -> Canonical {
    meaning
        .missing(9.223_372_036_854_77e18, f64::INFINITY)
        .missing(140_737_488_355_328.0, 140_737_488_355_331.0)
        .missing(2_147_483_632.0, 2_147_483_635.0)
}
