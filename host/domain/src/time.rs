//! Moments. Clocks are read at the edge (`server`) and passed in.

use serde::{Deserialize, Serialize};

/// A moment in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest moment that can be written down.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest moment that can be written down.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// Milliseconds from `earlier` to `self`; negative when `earlier` is later.
    pub fn millis_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `millis` later (earlier when negative).
    pub fn plus_millis(self, millis: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(millis))
    }
}

/// Where rooms learn what time it is. The server passes the system's clock, tests pass their own.
pub trait Clock: Send + Sync {
    /// The current moment.
    fn now(&self) -> Timestamp;
}

/// Units of durations as Prometheus writes them, longest first, in milliseconds. A year has 365 days.
const UNITS: [(&str, i64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration as Prometheus writes it (`5m`, `1h30m`, `0`), in milliseconds: each unit once, longer ones first.
pub fn duration_millis(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let (mut total, mut rest, mut units) = (0_i64, text, &UNITS[..]);
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit_end = rest[number..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| number + end);
        let place = units.iter().position(|(unit, _)| *unit == &rest[number..unit_end])?;
        total = total.checked_add(rest[..number].parse::<i64>().ok()?.checked_mul(units[place].1)?)?;
        (units, rest) = (&units[place + 1..], &rest[unit_end..]);
    }
    (!text.is_empty()).then_some(total)
}

/// Writes a duration as Prometheus does, largest units first.
pub fn duration_text(millis: i64) -> String {
    let mut rest = millis.max(0);
    if rest == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (unit, size) in UNITS {
        // Years and weeks only where nothing is left over, as months of them are no help to anybody.
        if matches!(unit, "y" | "w") && rest % size != 0 {
            continue;
        }
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_prometheus_does() {
        let read = [("5m", 300_000), ("1h30m", 5_400_000), ("0", 0), ("1d", 86_400_000), ("1m1ms", 60_001)];
        for (text, millis) in read {
            assert_eq!(duration_millis(text), Some(millis), "{text}");
        }
        for text in ["", "5", "m", "1m1h", "1m1m", "1.5m", "-5m", "5 m", "99999999999999y"] {
            assert_eq!(duration_millis(text), None, "{text}");
        }
        for text in ["5m", "1h30m", "1d", "1m1ms", "2w", "1y"] {
            assert_eq!(duration_text(duration_millis(text).expect("read")), text);
        }
    }
}
