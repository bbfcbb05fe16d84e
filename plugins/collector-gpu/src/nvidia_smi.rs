//! nvidia_gpu_exporter: nvidia-smi's fields, already in base units, known by the GPU's UUID.

use crate::{dcgm::telemetry_up, xid};
use std::collections::HashMap;
use tandem_sdk::{
    mapper::Target,
    mapping::{
        Canonical, MappingBuilder, canonical, fault_rises, fault_within, host_of, is_loopback, label_of, local, unique,
        value_of,
    },
    types::{RelationKind, Series, Severity},
};

/// How long after the last uncorrectable error the fault counts as over, in seconds.
const ECC_REST_SECONDS: u32 = 3600;

/// Metric (without `nvidia_smi_`), canonical name, unit.
const FIELDS: [(&str, &str, &str); 30] = [
    ("utilization_gpu_ratio", "gpu.utilization", "1"),
    ("utilization_memory_ratio", "gpu.memory.copy.utilization", "1"),
    ("utilization_encoder_ratio", "gpu.encoder.utilization", "1"),
    ("utilization_decoder_ratio", "gpu.decoder.utilization", "1"),
    ("memory_used_bytes", "gpu.memory.used", "By"),
    ("memory_free_bytes", "gpu.memory.free", "By"),
    ("memory_total_bytes", "gpu.memory.total", "By"),
    ("memory_reserved_bytes", "gpu.memory.reserved", "By"),
    ("temperature_gpu", "gpu.temperature", "Cel"),
    ("temperature_memory", "gpu.memory.temperature", "Cel"),
    ("power_draw_watts", "gpu.power", "W"),
    ("power_draw_instant_watts", "gpu.power.instant", "W"),
    ("power_draw_average_watts", "gpu.power.average", "W"),
    ("enforced_power_limit_watts", "gpu.power.limit", "W"),
    ("clocks_current_sm_clock_hz", "gpu.clock.sm", "Hz"),
    ("clocks_current_memory_clock_hz", "gpu.clock.memory", "Hz"),
    ("fan_speed_ratio", "gpu.fan", "1"),
    ("pstate", "gpu.performance-state", "1"),
    ("energy_joules_total", "gpu.energy", "J"),
    ("clocks_event_reasons_counters_hw_thermal_slowdown_seconds", "gpu.throttle.thermal", "s"),
    ("clocks_event_reasons_counters_sw_power_cap_seconds", "gpu.throttle.power", "s"),
    ("clocks_event_reasons_counters_sync_boost_seconds", "gpu.throttle.sync-boost", "s"),
    ("ecc_errors_corrected_volatile_total", "gpu.ecc.corrected", "{error}"),
    ("ecc_errors_uncorrected_volatile_total", "gpu.ecc.uncorrected", "{error}"),
    ("remapped_rows_correctable", "gpu.row-remap.correctable", "{row}"),
    ("remapped_rows_uncorrectable", "gpu.row-remap.uncorrectable", "{row}"),
    ("remapped_rows_failure", "gpu.row-remap.failure", "1"),
    ("remapped_rows_pending", "gpu.row-remap.pending", "1"),
    ("gpu_recovery_action", "gpu.recovery-action", "1"),
    ("xid_errors_total", "gpu.xid.count", "{error}"),
];

pub(crate) fn interpret(target: &Target, series: &[Series], mapping: &mut MappingBuilder) {
    let hostname = host_name(target);
    let host = hostname.as_ref().map(|name| mapping.entity("host", vec![local("hostname", name)], name));
    if let (Some(host), Some(ups)) = (host, value_of(&target.labels, "powered_by")) {
        let ups = mapping.entity("ups", vec![local("name", ups)], ups);
        mapping.relation(host, ups, RelationKind::PoweredBy);
    }
    let names = names(series);
    let mut first_gpu = None;
    for (index, one) in series.iter().enumerate() {
        let Some(uuid) = label_of(one, "uuid") else { continue };
        let called = names.get(uuid).copied().unwrap_or("GPU");
        let place = hostname.as_deref().unwrap_or(&target.instance);
        let gpu = mapping.entity(
            "gpu",
            vec![unique("uuid", format!("GPU-{}", uuid.trim_start_matches("GPU-")))],
            format!("{called} on {place}"),
        );
        first_gpu.get_or_insert(gpu);
        if let Some(host) = host {
            mapping.relation(host, gpu, RelationKind::Contains);
        }
        if one.metric == "nvidia_smi_gpu_info" {
            mapping.attribute(gpu, "model", label_of(one, "name").unwrap_or_default());
            mapping.attribute(gpu, "driver", label_of(one, "driver_version").unwrap_or_default());
        }
        if let Some(meaning) = meaning(one) {
            mapping.meaning(index, gpu, meaning);
        }
    }
    let up = series.iter().position(|s| s.metric == "up");
    if let (Some(up), Some(whose)) = (up, host.or(first_gpu)) {
        mapping.meaning(up, whose, telemetry_up());
    }
}

/// The machine behind the exporter: what the operator says, else the address, unless that only says "here".
fn host_name(target: &Target) -> Option<String> {
    let given = ["node", "hostname"].iter().find_map(|name| value_of(&target.labels, name));
    let address = Some(host_of(&target.instance)).filter(|host| !is_loopback(host));
    given.or(address).map(str::to_lowercase)
}

fn names(series: &[Series]) -> HashMap<&str, &str> {
    let infos = series.iter().filter(|one| one.metric == "nvidia_smi_gpu_info");
    infos.filter_map(|one| Some((label_of(one, "uuid")?, label_of(one, "name")?))).collect()
}

fn meaning(series: &Series) -> Option<Canonical> {
    let field = series.metric.strip_prefix("nvidia_smi_")?;
    let (_, name, unit) = FIELDS.iter().find(|(known, ..)| *known == field)?;
    let meaning = canonical(name, unit);
    Some(match field {
        "remapped_rows_failure" => meaning.fault(fault_within(
            "gpu.row-remap.failure",
            1.0,
            f64::INFINITY,
            Severity::Critical,
            "row remapping failed",
            "Drain the GPU and have it replaced: it has no spare rows left for a bad one.",
        )),
        "remapped_rows_pending" => meaning.fault(fault_within(
            "gpu.row-remap.pending",
            1.0,
            f64::INFINITY,
            Severity::Warning,
            "bad memory waits for a reset",
            "Reset the GPU at the next occasion, so that the bad memory is taken out of use.",
        )),
        "ecc_errors_uncorrected_volatile_total" => meaning.fault(fault_rises(
            "gpu.ecc.uncorrectable",
            ECC_REST_SECONDS,
            Severity::Critical,
            "uncorrectable memory errors",
            "Drain the GPU, reset it, and have it repaired when the errors come back.",
        )),
        // 0 none, 1 reset, 2 reboot, 3 drain peer-to-peer, 4 drain and reset (nvidia-smi's own recommendation).
        "gpu_recovery_action" => meaning.fault(fault_within(
            "gpu.recovery-action",
            1.0,
            f64::INFINITY,
            Severity::Critical,
            "the driver asks for a recovery action",
            "Run nvidia-smi for the action it asks for: reset, reboot, or drain.",
        )),
        "xid_errors_total" => match label_of(series, "xid").and_then(|xid| xid.parse().ok()) {
            Some(number) => {
                let mut rule = xid::rule_for_count(number);
                rule.condition = tandem_sdk::mapper::Condition::Rises(ECC_REST_SECONDS);
                meaning.dimension("xid", number.to_string()).fault(rule)
            }
            None => meaning.fault(xid::rule_for_total()),
        },
        _ => meaning,
    })
}
