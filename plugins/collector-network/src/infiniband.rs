//! InfiniBand and RoCE ports: `/sys/class/infiniband` (Documentation/ABI/stable/sysfs-class-infiniband), under
//! node_exporter's names.

use tandem_sdk::{gathering::Gathering, host::Files, types::Failure};

/// The files of a card that are read.
pub(crate) const FILES: [&str; 3] = ["board_id", "fw_ver", "hca_type"];
/// The files of a port that are read.
pub(crate) const PORT_FILES: [&str; 4] = ["ports/*/state", "ports/*/phys_state", "ports/*/rate", "ports/*/counters/*"];

/// Bound of cards, and of ports of each.
const MAXIMUM_PORTS: usize = 64;
/// Data counters count words of four bytes.
const BYTES_PER_WORD: f64 = 4.0;
/// Rates are told as `100 Gb/sec (4X EDR)`.
const BYTES_PER_SECOND_PER_GIGABIT: f64 = 125_000_000.0;

/// File of a counter, metric without beginning and end, scale.
const COUNTERS: [(&str, &str, f64); 14] = [
    ("excessive_buffer_overrun_errors", "excessive_buffer_overrun_errors", 1.0),
    ("link_downed", "link_downed", 1.0),
    ("link_error_recovery", "link_error_recovery", 1.0),
    ("local_link_integrity_errors", "local_link_integrity_errors", 1.0),
    ("port_rcv_data", "port_data_received_bytes", BYTES_PER_WORD),
    ("port_xmit_data", "port_data_transmitted_bytes", BYTES_PER_WORD),
    ("port_rcv_packets", "port_packets_received", 1.0),
    ("port_xmit_packets", "port_packets_transmitted", 1.0),
    ("port_rcv_errors", "port_errors_received", 1.0),
    ("port_xmit_discards", "port_discards_transmitted", 1.0),
    ("port_xmit_wait", "port_transmit_wait", 1.0),
    ("port_rcv_remote_physical_errors", "port_receive_remote_physical_errors", 1.0),
    ("port_rcv_constraint_errors", "port_constraint_errors_received", 1.0),
    ("symbol_error", "symbol_error", 1.0),
];

/// Each card and each of its ports; a machine without InfiniBand has no such folder.
pub(crate) fn collect(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    let text = |path: &str| {
        let text = files.read_text(path).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    for device in files.names("/sys/class/infiniband").unwrap_or_default().iter().take(MAXIMUM_PORTS) {
        let card = format!("/sys/class/infiniband/{device}");
        let [board, firmware, kind] = FILES.map(|file| text(&format!("{card}/{file}")).unwrap_or_default());
        let labels =
            [("board_id", board.as_str()), ("device", device), ("firmware_version", &firmware), ("hca_type", &kind)];
        g.info("node_infiniband_info", &labels);
        for port in files.names(&format!("{card}/ports")).unwrap_or_default().iter().take(MAXIMUM_PORTS) {
            let labels = [("device", device.as_str()), ("port", port.as_str())];
            let of_port = |file: &str| text(&format!("{card}/ports/{port}/{file}"));
            for (file, metric) in
                [("state", "node_infiniband_state_id"), ("phys_state", "node_infiniband_physical_state_id")]
            {
                // Told as `4: ACTIVE`.
                let id = of_port(file).and_then(|state| state.split(':').next()?.trim().parse().ok());
                if let Some(id) = id {
                    g.gauge(metric, &labels, id);
                }
            }
            let gigabits = of_port("rate").and_then(|rate| rate.split(' ').next()?.parse::<f64>().ok());
            if let Some(gigabits) = gigabits {
                g.gauge("node_infiniband_rate_bytes_per_second", &labels, gigabits * BYTES_PER_SECOND_PER_GIGABIT);
            }
            for (file, name, scale) in COUNTERS {
                if let Some(value) = of_port(&format!("counters/{file}")).and_then(|value| value.parse::<f64>().ok()) {
                    g.counter(&format!("node_infiniband_{name}_total"), &labels, value * scale);
                }
            }
        }
    }
    Ok(())
}
