//! Signals that are driven from above: who is asked for more moves more bytes, draws more power, turns its fans faster. That is a
//! consequence, and explains nothing of whoever asked. Told by the last words of a canonical name (`interface.receive.bytes`).

/// What goes to and fro with what is asked for: neither a rise nor a fall of it harms anybody above.
const WORK: [&str; 36] = [
    "accepted",
    "bandwidth",
    "broadcast",
    "buffers",
    "bytes",
    "cached",
    "context-switches",
    "dirty",
    "discards",
    "established",
    "entries",
    "flushes",
    "forks",
    "in-use",
    "interrupts",
    "io",
    "lifetime",
    "merged",
    "minor",
    "multicast",
    "now",
    "octets",
    "open",
    "opened",
    "packets",
    "processed",
    "read",
    "reads",
    "receive",
    "received",
    "running",
    "time-wait",
    "transmit",
    "transmitted",
    "writeback",
    "writes",
];
/// What a machine spends on it: more is a consequence, and so is less, but where it comes nearly to an end something has stopped.
const EFFORT: [&str; 9] = ["current", "duty", "energy", "fan", "instant", "load", "power", "speed", "temperature"];
/// Words of a signal or its suspect that tell of the air that comes in: its warmth is nobody's work.
const AIR: [&str; 4] = ["ambient", "inlet", "intake", "room"];
/// What is left of a stock: less of it harms nobody as long as most of it is there.
const STOCK: [&str; 2] = ["available", "free"];
/// Of these the free part falls as the rest is used for what can be given back at once.
const GIVEN_BACK: &str = "memory.free";
/// How much is waited: more may be too much, and less is a relief. (Of a processor that falls idle while its like work more the same
/// cannot be said: theirs is the work it leaves undone.)
const WAITING: [&str; 5] = ["io.time", "latency", "stalled", "waiting", "weighted"];
/// What lies in front of `speed` where that is a fan's.
const FAN: &str = "fan";

/// How a signal is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driven {
    /// Not at all: it may say by itself that something is wrong.
    No,
    /// In both directions.
    Work,
    /// Unless it comes nearly to an end.
    Effort,
    /// In its falls.
    Waiting,
    /// In its falls, as long as most of it is left.
    Stock,
}

/// Reads it from a name and from whose signal it is; a name without a dot is not canonical and is not driven.
pub(crate) fn read(name: &str, suspect: &str) -> Driven {
    let tells_of_air = |text: &str| AIR.iter().any(|word| text.to_ascii_lowercase().contains(word));
    if tells_of_air(name) || tells_of_air(suspect) {
        return Driven::No;
    }
    let name = name.split('{').next().unwrap_or_default();
    let Some((_, rest)) = name.split_once('.') else { return Driven::No };
    if name.ends_with(GIVEN_BACK) {
        return Driven::Work;
    }
    let mut words = rest.rsplit('.');
    let last = words.next().unwrap_or_default();
    // A link that has become slower is no fan.
    let is_of_link = last == "speed" && !rest.contains(FAN);
    if WORK.contains(&last) {
        Driven::Work
    } else if EFFORT.contains(&last) && !is_of_link {
        Driven::Effort
    } else if STOCK.contains(&last) {
        Driven::Stock
    } else if WAITING.iter().any(|word| rest.ends_with(word)) {
        Driven::Waiting
    } else {
        Driven::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_what_is_asked_is_told_from_what_is_amiss() {
        for (name, driven) in [
            ("interface.receive.bytes", Driven::Work),
            ("interface.receive.errors", Driven::No),
            ("interface.transmit.drops", Driven::No),
            ("interface.speed", Driven::No),
            ("gpu.pcie.transmit", Driven::Work),
            ("gpu.nvlink.errors.replay", Driven::No),
            ("gpu.power", Driven::Effort),
            ("gpu.power.limit", Driven::No),
            ("gpu.utilization", Driven::No),
            ("gpu.clock.sm", Driven::No),
            ("power-supply.power", Driven::Effort),
            ("power-supply.voltage", Driven::No),
            ("power-supply.failed", Driven::No),
            ("ups.load", Driven::Effort),
            ("ups.input.voltage", Driven::No),
            ("sensor.fan.speed{id=FAN0}", Driven::Effort),
            ("sensor.temperature", Driven::Effort),
            ("sensor.temperature{id=Inlet Temp}", Driven::No),
            ("gpu.temperature.slowdown", Driven::No),
            ("host.memory.cached", Driven::Work),
            ("host.memory.free", Driven::Work),
            ("host.memory.available", Driven::Stock),
            ("filesystem.free", Driven::Stock),
            ("host.context-switches", Driven::Work),
            ("host.pressure.cpu.waiting", Driven::Waiting),
            ("host.tcp.retransmitted", Driven::No),
            ("disk.reads", Driven::Work),
            ("disk.read.latency", Driven::Waiting),
            ("disk.io.time", Driven::Waiting),
            ("host.cpu.time{mode=idle}", Driven::No),
            ("load", Driven::No),
            ("cpu", Driven::No),
        ] {
            assert_eq!(read(name, "host:1"), driven, "{name}");
        }
    }
}
