//! The kernel's own figures under `/proc`: processor, load, memory, paging, pressure. Names and labels are those of
//! node_exporter 1.10, so that one mapper serves collected and scraped series.

use tandem_sdk::{
    gathering::Gathering,
    host::Files,
    types::{Failure, FailureCode},
};

/// Ticks per second of the times in `/proc/stat`: `USER_HZ`, which is 100 on every architecture that Linux runs on but
/// Alpha and Itanium (proc_stat(5), `include/asm-generic/param.h`).
const TICKS_PER_SECOND: f64 = 100.0;
/// Modes of `/proc/stat`'s columns, in their order (proc_stat(5)).
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
/// Counters of `/proc/vmstat` that are kept; the file has some 180 others.
const VMSTAT: [&str; 7] = ["oom_kill", "pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault"];

/// `/proc/stat`: time by processor and mode, and the machine's counters.
pub(crate) fn stat(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    let text = files.read_text("/proc/stat")?;
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let Some(key) = fields.next() else { continue };
        if let Some(cpu) = key.strip_prefix("cpu").filter(|cpu| !cpu.is_empty()) {
            let columns: Vec<f64> = fields.map_while(|field| field.parse().ok()).collect();
            for (mode, ticks) in MODES.iter().zip(&columns) {
                g.counter("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], ticks / TICKS_PER_SECOND);
            }
            for (mode, ticks) in ["user", "nice"].iter().zip(columns.iter().skip(MODES.len())) {
                g.counter("node_cpu_guest_seconds_total", &[("cpu", cpu), ("mode", mode)], ticks / TICKS_PER_SECOND);
            }
            continue;
        }
        let Some(value) = fields.next().and_then(|field| field.parse::<f64>().ok()) else { continue };
        match key {
            "ctxt" => g.counter("node_context_switches_total", &[], value),
            "intr" => g.counter("node_intr_total", &[], value),
            "processes" => g.counter("node_forks_total", &[], value),
            "procs_running" => g.gauge("node_procs_running", &[], value),
            "procs_blocked" => g.gauge("node_procs_blocked", &[], value),
            "btime" => g.gauge("node_boot_time_seconds", &[], value),
            _ => {}
        }
    }
    found(g, "node_cpu_seconds_total", "/proc/stat")
}

/// `/proc/loadavg`.
pub(crate) fn load(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    let text = files.read_text("/proc/loadavg")?;
    for (metric, field) in ["node_load1", "node_load5", "node_load15"].iter().zip(text.split_ascii_whitespace()) {
        let value = field.parse().map_err(|_| malformed("/proc/loadavg", field))?;
        g.gauge(metric, &[], value);
    }
    found(g, "node_load15", "/proc/loadavg")
}

/// `/proc/meminfo`, in bytes; brackets in names become underscores, as node_exporter does it.
pub(crate) fn memory(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    let text = files.read_text("/proc/meminfo")?;
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let mut fields = rest.split_ascii_whitespace();
        let Some(value) = fields.next().and_then(|field| field.parse::<f64>().ok()) else { continue };
        let name = name.replace('(', "_").replace(')', "");
        match fields.next() {
            Some("kB") => g.gauge(&format!("node_memory_{name}_bytes"), &[], value * 1024.0),
            _ => g.gauge(&format!("node_memory_{name}"), &[], value),
        }
    }
    found(g, "node_memory_MemTotal_bytes", "/proc/meminfo")
}

/// `/proc/vmstat`.
pub(crate) fn vmstat(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    let text = files.read_text("/proc/vmstat")?;
    for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        if VMSTAT.contains(&name) {
            let value = value.trim().parse().map_err(|_| malformed("/proc/vmstat", value))?;
            g.counter(&format!("node_vmstat_{name}"), &[], value);
        }
    }
    found(g, "node_vmstat_pgfault", "/proc/vmstat")
}

/// `/proc/pressure`: how long some or all tasks waited. A kernel without pressure accounting has no such folder, and then
/// there is nothing to read.
pub(crate) fn pressure(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    for resource in ["cpu", "memory", "io", "irq"] {
        let Ok(text) = files.read_text(&format!("/proc/pressure/{resource}")) else { continue };
        for line in text.lines() {
            let Some((who, rest)) = line.split_once(' ') else { continue };
            let total = rest.split_ascii_whitespace().find_map(|field| field.strip_prefix("total="));
            let Some(microseconds) = total.and_then(|total| total.parse::<f64>().ok()) else { continue };
            let what = match (resource, who) {
                // The processor's "full" line says nothing for the machine as a whole and is kept at zero.
                ("cpu", "full") => continue,
                (_, "some") => "waiting",
                _ => "stalled",
            };
            g.counter(&format!("node_pressure_{resource}_{what}_seconds_total"), &[], microseconds / 1e6);
        }
    }
    Ok(())
}

fn found(g: &Gathering, metric: &str, path: &str) -> Result<(), Failure> {
    if g.has(metric) { Ok(()) } else { Err(malformed(path, "nothing that was expected")) }
}

fn malformed(path: &str, what: &str) -> Failure {
    Failure {
        code: FailureCode::Malformed,
        message: format!(
            "{path} holds {what:?}, which is not what the kernel documents; this machine's /proc is unusual"
        ),
        retry: true,
    }
}
