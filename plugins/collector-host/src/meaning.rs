//! The meaning of node_exporter's host series. `up` is this mapper's where node_exporter's own series stand beside it.

use crate::sensor_meaning;
use tandem_sdk::{
    machine::Machine,
    mapper::{Mapping, Target},
    mapping::{Canonical, MappingBuilder, canonical, fault_rises, fault_within, label_of},
    types::{Series, Severity},
};

/// How long after the last kill the fault counts as over, in seconds: a quarter of an hour shows whether the cause is gone.
const OOM_REST_SECONDS: u32 = 900;
/// How long after the last uncorrectable error the fault counts as over, in seconds: bad memory errs again within the hour.
const MEMORY_ERROR_REST_SECONDS: u32 = 3600;

/// Metric, canonical name, unit; sent in canonical units already.
const PLAIN: [(&str, &str, &str); 37] = [
    ("node_load1", "host.load.1m", "1"),
    ("node_load5", "host.load.5m", "1"),
    ("node_load15", "host.load.15m", "1"),
    ("node_boot_time_seconds", "host.boot.time", "s"),
    ("node_procs_running", "host.processes.running", "{process}"),
    ("node_procs_blocked", "host.processes.blocked", "{process}"),
    ("node_context_switches_total", "host.context-switches", "{switch}"),
    ("node_intr_total", "host.interrupts", "{interrupt}"),
    ("node_forks_total", "host.forks", "{process}"),
    ("node_filefd_allocated", "host.files.open", "{file}"),
    ("node_filefd_maximum", "host.files.limit", "{file}"),
    ("node_entropy_available_bits", "host.entropy", "{bit}"),
    ("node_timex_offset_seconds", "host.clock.offset", "s"),
    ("node_timex_maxerror_seconds", "host.clock.maximum-error", "s"),
    ("node_timex_sync_status", "host.clock.synchronised", "1"),
    ("node_vmstat_oom_kill", "host.memory.oom-kills", "{kill}"),
    ("node_vmstat_pgfault", "host.memory.faults.minor", "{fault}"),
    ("node_vmstat_pgmajfault", "host.memory.faults.major", "{fault}"),
    ("node_vmstat_pswpin", "host.swap.in", "{page}"),
    ("node_vmstat_pswpout", "host.swap.out", "{page}"),
    ("node_memory_MemTotal_bytes", "host.memory.total", "By"),
    ("node_memory_MemFree_bytes", "host.memory.free", "By"),
    ("node_memory_MemAvailable_bytes", "host.memory.available", "By"),
    ("node_memory_Buffers_bytes", "host.memory.buffers", "By"),
    ("node_memory_Cached_bytes", "host.memory.cached", "By"),
    ("node_memory_Slab_bytes", "host.memory.slab", "By"),
    ("node_memory_Dirty_bytes", "host.memory.dirty", "By"),
    ("node_memory_Writeback_bytes", "host.memory.writeback", "By"),
    ("node_memory_AnonPages_bytes", "host.memory.anonymous", "By"),
    ("node_memory_Shmem_bytes", "host.memory.shared", "By"),
    ("node_memory_Committed_AS_bytes", "host.memory.committed", "By"),
    ("node_memory_HardwareCorrupted_bytes", "host.memory.corrupted", "By"),
    ("node_memory_SwapTotal_bytes", "host.swap.total", "By"),
    ("node_memory_SwapFree_bytes", "host.swap.free", "By"),
    ("node_pressure_cpu_waiting_seconds_total", "host.pressure.cpu.waiting", "s"),
    ("node_pressure_io_waiting_seconds_total", "host.pressure.io.waiting", "s"),
    ("node_pressure_io_stalled_seconds_total", "host.pressure.io.stalled", "s"),
];
/// As [`PLAIN`], with dimensions: label names that are kept.
const WITH_DIMENSIONS: [(&str, &str, &str, &[&str]); 10] = [
    ("node_cpu_seconds_total", "host.cpu.time", "s", &["cpu", "mode"]),
    ("node_cpu_guest_seconds_total", "host.cpu.guest-time", "s", &["cpu", "mode"]),
    ("node_cpu_scaling_frequency_hertz", "host.cpu.frequency", "Hz", &["cpu"]),
    ("node_cpu_core_throttles_total", "host.cpu.throttles.core", "{event}", &["package", "core"]),
    ("node_cpu_package_throttles_total", "host.cpu.throttles.package", "{event}", &["package"]),
    ("node_pressure_memory_waiting_seconds_total", "host.pressure.memory.waiting", "s", &[]),
    ("node_pressure_memory_stalled_seconds_total", "host.pressure.memory.stalled", "s", &[]),
    ("node_pressure_irq_stalled_seconds_total", "host.pressure.irq.stalled", "s", &[]),
    ("node_pcidevice_current_link_width", "host.pci.link.width", "{lane}", &["segment", "bus", "device", "function"]),
    (
        "node_pcidevice_current_link_transfers_per_second",
        "host.pci.link.transfers",
        "Hz",
        &["segment", "bus", "device", "function"],
    ),
];

/// The mapping of one target.
pub(crate) fn interpret(target: &Target, series: &[Series]) -> Mapping {
    let mut mapping = MappingBuilder::default();
    let is_ours = |s: &Series| s.metric.starts_with("node_") && s.metric != "node_exporter_build_info";
    if !series.iter().any(|s| is_ours(s) || s.metric == "tandem_host_info") {
        return mapping.finish();
    }
    let machine = Machine::of(target, series);
    let host = machine.entity(&mut mapping);
    let system = series.iter().rev().find(|s| s.metric == "node_os_info").and_then(|s| label_of(s, "pretty_name"));
    mapping.attribute(host, "system", system.unwrap_or_default());
    for (index, one) in series.iter().enumerate() {
        if let Some(meaning) = meaning(one) {
            mapping.meaning(index, host, meaning);
        }
    }
    sensor_meaning::interpret(&machine, host, series, &mut mapping);
    mapping.finish()
}

fn meaning(series: &Series) -> Option<Canonical> {
    let metric = series.metric.as_str();
    if metric == "up" {
        return Some(telemetry_up());
    }
    if let Some(rest) = metric.strip_prefix("node_edac_") {
        return memory_errors(rest, series);
    }
    if let Some((_, name, unit)) = PLAIN.iter().find(|(known, ..)| *known == metric) {
        return Some(with_faults(metric, canonical(name, unit)));
    }
    let (_, name, unit, dimensions) = WITH_DIMENSIONS.iter().find(|(known, ..)| *known == metric)?;
    Some(with_dimensions(canonical(name, unit), series, dimensions))
}

/// The exporter answers; when it does not, the host may be down or only out of sight.
fn telemetry_up() -> Canonical {
    canonical("host.telemetry.up", "1").fault(fault_within(
        "host.telemetry.down",
        0.0,
        0.0,
        Severity::Warning,
        "the host's exporter does not answer",
        "See whether the host itself answers; if it does, start node_exporter again, else look at its power and network.",
    ))
}

fn with_faults(metric: &str, meaning: Canonical) -> Canonical {
    match metric {
        "node_vmstat_oom_kill" => meaning.fault(fault_rises(
            "host.oom-kill",
            OOM_REST_SECONDS,
            Severity::Warning,
            "the kernel killed a process for want of memory",
            "Find in the kernel log which process was killed, and give the host more memory or the process a limit.",
        )),
        "node_memory_HardwareCorrupted_bytes" => meaning.fault(fault_within(
            "host.memory.corrupted",
            1.0,
            f64::INFINITY,
            Severity::Warning,
            "memory was taken out of use because it is bad",
            "Find the memory module in the machine's event log and have it replaced at the next occasion.",
        )),
        _ => meaning,
    }
}

/// Memory errors: the controller's total carries the fault, rows and channels say where.
fn memory_errors(rest: &str, series: &Series) -> Option<Canonical> {
    let is_row = rest.starts_with("csrow_") || rest.starts_with("channel_") || rest.starts_with("dimm_");
    let what = match rest {
        _ if rest.ends_with("uncorrectable_errors_total") => "uncorrectable",
        _ if rest.ends_with("correctable_errors_total") => "correctable",
        _ => return None,
    };
    let name = if is_row { format!("host.memory.errors.{what}.by-row") } else { format!("host.memory.errors.{what}") };
    let labels = ["controller", "csrow", "channel", "dimm", "dimm_label"];
    let meaning = with_dimensions(canonical(&name, "{error}"), series, &labels);
    if is_row || what == "correctable" {
        return Some(meaning);
    }
    Some(meaning.fault(fault_rises(
        "host.memory.uncorrectable",
        MEMORY_ERROR_REST_SECONDS,
        Severity::Critical,
        "uncorrectable memory errors",
        "Move the work off this host, find the module by controller and row, and have it replaced.",
    )))
}

/// Keeps the named labels as dimensions.
pub(crate) fn with_dimensions(mut meaning: Canonical, series: &Series, labels: &[&str]) -> Canonical {
    for label in labels {
        if let Some(value) = label_of(series, label) {
            meaning = meaning.dimension(label, value);
        }
    }
    meaning
}
