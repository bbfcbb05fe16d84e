//! What a signal is about, told by its class and the words of its name, and which direction of it hurts.

use tandem_sdk::root_cause::SignalClass;

/// What a signal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// What users get wrong or not at all: errors, availability, accuracy.
    Errors,
    /// How long they wait.
    Latency,
    /// How much is asked of it.
    Traffic,
    /// Its own resources and condition.
    Inside,
}

impl Family {
    /// All of them, in the order of their index.
    pub(crate) const ALL: [Family; 4] = [Family::Errors, Family::Latency, Family::Traffic, Family::Inside];

    /// Its place in tables by family.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// What a signal is about, and how much each of its directions counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    pub(crate) family: Family,
    /// Weight of a rise, 0 to 1.
    pub(crate) up: f64,
    /// Weight of a fall.
    pub(crate) down: f64,
}

/// Words of names, in the form in which `words` cuts them.
const ERRORS: [&str; 14] = [
    "error",
    "errors",
    "err",
    "errs",
    "fail",
    "failed",
    "failure",
    "failures",
    "5xx",
    "timeouts",
    "rejected",
    "exceptions",
    "unavailable",
    "nulls",
];
const GOOD: [&str; 11] = [
    "availability",
    "available",
    "success",
    "successes",
    "accuracy",
    "auc",
    "f1",
    "precision",
    "recall",
    "quality",
    "up",
];
const LATENCY: [&str; 13] = [
    "latency", "lat", "duration", "ttft", "itl", "wait", "waiting", "queue", "delay", "rtt", "response", "elapsed",
    "seconds",
];
const TRAFFIC: [&str; 14] = [
    "requests",
    "request",
    "rps",
    "qps",
    "throughput",
    "lod",
    "load",
    "tokens",
    "calls",
    "ops",
    "hits",
    "sessions",
    "inflight",
    "count",
];
/// Words that make a signal one of the inside, whatever else its name says (`memory.available`, `disk.read.latency`).
const INSIDE: [&str; 26] = [
    "cpu",
    "mem",
    "memory",
    "ram",
    "gpu",
    "disk",
    "filesystem",
    "swap",
    "temperature",
    "temp",
    "power",
    "voltage",
    "fan",
    "clock",
    "utilization",
    "heap",
    "threads",
    "fds",
    "battery",
    "ecc",
    "wear",
    "sectors",
    "carrier",
    "throttle",
    "socket",
    "sockets",
];
/// A fall of traffic hurts when nobody can get through, a rise when it is too much; both are as often a mere change of load.
const TRAFFIC_WEIGHT: f64 = 0.3;
/// What gets faster or fails less is odd but hurts nobody.
const RELIEF_WEIGHT: f64 = 0.2;

fn words(name: &str) -> impl Iterator<Item = String> + '_ {
    name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase)
}

/// Reads a signal.
pub(crate) fn read(name: &str, class: SignalClass) -> Reading {
    // Dimensions tell whose it is and not what: a latency by GPU is one.
    let name = name.split('{').next().unwrap_or_default();
    let has = |list: &[&str]| words(name).any(|word| list.contains(&word.as_str()));
    let inside = Reading { family: Family::Inside, up: 1.0, down: 1.0 };
    match class {
        SignalClass::Internal => return inside,
        SignalClass::Unknown if has(&INSIDE) => return inside,
        SignalClass::Unknown | SignalClass::External => {}
    }
    if has(&ERRORS) {
        Reading { family: Family::Errors, up: 1.0, down: RELIEF_WEIGHT }
    } else if has(&GOOD) {
        Reading { family: Family::Errors, up: RELIEF_WEIGHT, down: 1.0 }
    } else if has(&LATENCY) {
        Reading { family: Family::Latency, up: 1.0, down: RELIEF_WEIGHT }
    } else if has(&TRAFFIC) {
        Reading { family: Family::Traffic, up: TRAFFIC_WEIGHT, down: TRAFFIC_WEIGHT }
    } else if class == SignalClass::External {
        Reading { family: Family::Latency, up: 1.0, down: 1.0 }
    } else {
        inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_signal_is_about() {
        for (name, family) in [
            ("cpu", Family::Inside),
            ("lat_90", Family::Latency),
            ("latency_p99", Family::Latency),
            ("model.queue.time", Family::Latency),
            ("availability_average", Family::Errors),
            ("model.errors", Family::Errors),
            ("model.accuracy", Family::Errors),
            ("requests_sum", Family::Traffic),
            ("gpu.clock.sm", Family::Inside),
            ("disk.read.latency", Family::Inside),
            ("memory.available", Family::Inside),
            ("something", Family::Inside),
            ("model.latency{gpu=GPU-1}", Family::Latency),
        ] {
            assert_eq!(read(name, SignalClass::Unknown).family, family, "{name}");
        }
    }

    #[test]
    fn the_class_goes_before_the_name_and_only_what_hurts_counts_whole() {
        assert_eq!(read("latency", SignalClass::Internal).family, Family::Inside);
        assert_eq!(read("cpu.errors", SignalClass::External).family, Family::Errors);
        let (errors, good) = (read("errors", SignalClass::Unknown), read("availability", SignalClass::Unknown));
        assert!(errors.up > errors.down && good.down > good.up);
    }
}
