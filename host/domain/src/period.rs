//! Durations as people write them in the config: `15s`, `500ms`, `1m30s`, `1h`, `1d`.

use serde::{Deserialize, Deserializer, de};
use std::{fmt, time::Duration};

/// Units with their milliseconds, the longest first, as Prometheus knows them: a year has 365 days.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A duration from the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads `15s`, `500ms`, `1m30s`: numbers with units, each unit at most once and the longer before the shorter.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let (mut millis, mut next_unit) = (0_u64, 0);
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let (number, after) = rest.split_at(digits);
            let unit_bytes = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_bytes);
            let place = UNITS.iter().position(|(name, _)| *name == unit).filter(|place| *place >= next_unit)?;
            let number: u64 = number.parse().ok()?;
            millis = millis.checked_add(number.checked_mul(UNITS[place].1)?)?;
            (rest, next_unit) = (after, place + 1);
        }
        Some(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        // Weeks and years are hard to read where days are meant.
        for (name, unit) in UNITS.into_iter().filter(|(name, _)| !["y", "w"].contains(name)) {
            if millis >= unit {
                write!(f, "{}{name}", millis / unit)?;
                millis %= unit;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!("{text:?} is not a duration; write it like \"15s\", \"500ms\" or \"1m30s\""))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(Period::parse("500ms"), Some(Period(Duration::from_millis(500))));
        assert_eq!(Period::parse("2m"), Some(Period::seconds(120)));
        assert_eq!(Period::parse("1m30s"), Some(Period::seconds(90)));
        assert_eq!(Period::parse("1d"), Some(Period::seconds(86_400)));
        for wrong in ["15", "s", "", "30s1m", "1s1s", "1 s", "-1s", "99999999999999999999h"] {
            assert_eq!(Period::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["15s", "500ms", "1m30s", "1d2h", "0s", "10s1ms"] {
            assert_eq!(Period::parse(text).expect("read").to_string(), text);
        }
    }
}
