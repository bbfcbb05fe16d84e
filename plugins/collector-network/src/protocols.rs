//! Counters of the machine's protocols: `/proc/net/snmp`, `netstat` and `softnet_stat`, and connection tracking, under
//! node_exporter's names.

use tandem_sdk::{
    gathering::Gathering,
    host::{Files, passing_failure},
    types::{Failure, FailureCode},
};

/// What is kept of some three hundred counters: node_exporter's default choice, without the parts for IPv6.
const KEPT: [(&str, &[&str]); 6] = [
    ("IpExt", &["InOctets", "OutOctets"]),
    ("Icmp", &["InMsgs", "OutMsgs", "InErrors"]),
    ("Tcp", &["ActiveOpens", "PassiveOpens", "InSegs", "OutSegs", "RetransSegs", "InErrs", "OutRsts", "CurrEstab"]),
    (
        "TcpExt",
        &[
            "ListenDrops",
            "ListenOverflows",
            "SyncookiesFailed",
            "SyncookiesRecv",
            "SyncookiesSent",
            "TCPSynRetrans",
            "TCPTimeouts",
            "TCPOFOQueue",
            "TCPRcvQDrop",
        ],
    ),
    ("Udp", &["InDatagrams", "OutDatagrams", "InErrors", "NoPorts", "RcvbufErrors", "SndbufErrors"]),
    ("UdpLite", &["InErrors"]),
];
/// The one value among them that goes down too.
const CURRENT_CONNECTIONS: &str = "CurrEstab";

/// `/proc/net/snmp` and `/proc/net/netstat`: a line of names, then a line of values, for each protocol.
pub(crate) fn netstat(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    for path in ["/proc/net/snmp", "/proc/net/netstat"] {
        let text = files.read_text(path)?;
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.chunks(2) {
            let [names, values] = pair else { continue };
            let (Some((protocol, names)), Some((again, values))) = (names.split_once(':'), values.split_once(':'))
            else {
                return Err(malformed(path));
            };
            if protocol != again {
                return Err(malformed(path));
            }
            let Some((_, kept)) = KEPT.iter().find(|(known, _)| *known == protocol) else { continue };
            for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
                let Some(value) = kept.contains(&name).then(|| value.parse().ok()).flatten() else { continue };
                let metric = format!("node_netstat_{protocol}_{name}");
                if name == CURRENT_CONNECTIONS {
                    g.gauge(&metric, &[], value);
                } else {
                    g.counter(&metric, &[], value);
                }
            }
        }
    }
    Ok(())
}

/// `/proc/net/softnet_stat`: one line of hexadecimal columns per processor (net/core/net-procfs.c, `softnet_seq_show`).
pub(crate) fn softnet(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    let path = "/proc/net/softnet_stat";
    let text = files.read_text(path)?;
    for (line_number, line) in text.lines().enumerate() {
        let columns: Vec<u32> =
            line.split_ascii_whitespace().map_while(|hex| u32::from_str_radix(hex, 16).ok()).collect();
        let [processed, dropped, squeezed, ..] = columns.as_slice() else { return Err(malformed(path)) };
        // Kernels since 5.10 tell the processor's number; before, lines were in the order of the processors.
        let cpu = columns.get(12).map_or_else(|| line_number.to_string(), u32::to_string);
        for (name, value) in [("processed", processed), ("dropped", dropped), ("times_squeezed", squeezed)] {
            g.counter(&format!("node_softnet_{name}_total"), &[("cpu", &cpu)], f64::from(*value));
        }
    }
    Ok(())
}

/// Connections tracked by the packet filter; a machine without it has no such files.
pub(crate) fn connection_tracking(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    for (file, metric) in [("count", "node_nf_conntrack_entries"), ("max", "node_nf_conntrack_entries_limit")] {
        let text = files.read_text(&format!("/proc/sys/net/netfilter/nf_conntrack_{file}"));
        if let Some(value) = text.ok().and_then(|text| text.trim().parse().ok()) {
            g.gauge(metric, &[], value);
        }
    }
    Ok(())
}

fn malformed(path: &str) -> Failure {
    passing_failure(
        FailureCode::Malformed,
        format!("{path} does not look as the kernel documents it; this machine's /proc is unusual"),
    )
}
