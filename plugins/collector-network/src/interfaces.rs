//! Interfaces of this machine: `/proc/net/dev` and `/sys/class/net`, under node_exporter's names.

use tandem_sdk::{
    gathering::Gathering,
    host::{Files, passing_failure},
    types::{Failure, FailureCode},
};

/// The files of an interface that are read (Documentation/ABI/testing/sysfs-class-net).
pub(crate) const FILES: [&str; 11] = [
    "operstate",
    "carrier",
    "carrier_changes",
    "carrier_up_count",
    "carrier_down_count",
    "speed",
    "mtu",
    "address",
    "duplex",
    "flags",
    "ifalias",
];

/// `IFF_UP` of `linux/if.h`: the interface is administratively up.
const FLAG_UP: u32 = 1;
/// Speeds are told in Mbit/s.
const BYTES_PER_SECOND_PER_MEGABIT: f64 = 125_000.0;
/// Bound of interfaces that are read.
const MAXIMUM_INTERFACES: usize = 256;
/// Beginnings of names of interfaces that come and go with containers; their traffic is seen on the card and the bridge.
pub(crate) const OF_CONTAINERS: [&str; 3] = ["veth", "cali", "lxc"];

/// The columns of `/proc/net/dev` (net/core/net-procfs.c), as node_exporter names them.
const COLUMNS: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];

/// Counters and state of each interface.
pub(crate) fn collect(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    let text = files.read_text("/proc/net/dev")?;
    let mut seen = 0;
    for line in text.lines() {
        // The name may touch the first number: `eth0:123`.
        let Some((device, counters)) = line.rsplit_once(':') else { continue };
        let device = device.trim();
        if OF_CONTAINERS.iter().any(|beginning| device.starts_with(beginning)) || seen == MAXIMUM_INTERFACES {
            continue;
        }
        let counters: Vec<f64> = counters.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
        if counters.len() != COLUMNS.len() {
            let message = format!("/proc/net/dev: the line of {device} has {} columns, expected 16", counters.len());
            return Err(passing_failure(FailureCode::Malformed, message));
        }
        seen += 1;
        for (column, value) in COLUMNS.iter().zip(counters) {
            g.counter(&format!("node_network_{column}_total"), &[("device", device)], value);
        }
        state(files, g, device);
    }
    Ok(())
}

/// What sysfs tells of one interface. A file that cannot be read (such as `carrier` of an interface that is switched off)
/// tells nothing.
fn state(files: &dyn Files, g: &mut Gathering, device: &str) {
    let text = |file: &str| {
        let text = files.read_text(&format!("/sys/class/net/{device}/{file}")).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let number = |file: &str| text(file)?.parse::<f64>().ok();
    let labels = [("device", device)];
    let Some(operstate) = text("operstate") else { return };
    g.gauge("node_network_up", &labels, f64::from(u8::from(operstate == "up")));
    let flags = text("flags").and_then(|flags| u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
    let adminstate = flags.map_or("", |flags| if flags & FLAG_UP == FLAG_UP { "up" } else { "down" });
    let [address, duplex, alias] = ["address", "duplex", "ifalias"].map(|file| text(file).unwrap_or_default());
    g.info(
        "node_network_info",
        &[
            ("address", &address),
            ("adminstate", adminstate),
            ("device", device),
            ("duplex", &duplex),
            ("ifalias", &alias),
            ("operstate", &operstate),
        ],
    );
    if let Some(carrier) = number("carrier") {
        g.gauge("node_network_carrier", &labels, carrier);
    }
    for (file, metric) in [
        ("carrier_changes", "node_network_carrier_changes_total"),
        ("carrier_up_count", "node_network_carrier_up_changes_total"),
        ("carrier_down_count", "node_network_carrier_down_changes_total"),
    ] {
        if let Some(count) = number(file) {
            g.counter(metric, &labels, count);
        }
    }
    // A port that never had a carrier since the start is unplugged, and no fault.
    if number("carrier_up_count").is_some_and(|count| count > 0.0) {
        g.info("tandem_network_had_carrier_info", &labels);
    }
    if let Some(megabits) = number("speed").filter(|speed| *speed > 0.0) {
        g.gauge("node_network_speed_bytes", &labels, megabits * BYTES_PER_SECOND_PER_MEGABIT);
    }
    if let Some(mtu) = number("mtu") {
        g.gauge("node_network_mtu_bytes", &labels, mtu);
    }
}
