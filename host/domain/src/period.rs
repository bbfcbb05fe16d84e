//! Durations as people write them in the config: `15s`, `500ms`, `2m`, `1h`, `7d`.

use serde::{Deserialize, Deserializer, de};
use std::time::Duration;

/// A duration from the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads `15s`, `500ms`, `2m`, `1h`, `7d`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(number.checked_mul(millis)?)))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!("{text:?} is not a duration; write it like \"15s\", \"500ms\" or \"2m\""))
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
        assert_eq!(Period::parse("1d"), Some(Period::seconds(86_400)));
        assert_eq!(Period::parse("15"), None);
        assert_eq!(Period::parse("s"), None);
        assert_eq!(Period::parse("99999999999999999999h"), None);
    }
}
