//! Moments as they are written over HTTP: RFC 3339 in answers; RFC 3339 or Unix seconds in requests.

use tandem_domain::Timestamp;

/// RFC 3339 in UTC with milliseconds when there are any. A moment outside the calendar is written at its end.
pub(crate) fn write(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .unwrap_or(if at.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX })
        .to_string()
}

/// [`write`] for a moment that may be absent.
pub(crate) fn write_some(at: Option<Timestamp>) -> Option<String> {
    at.map(write)
}

/// Reads RFC 3339 or Unix seconds (a fraction is allowed).
pub(crate) fn read(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = seconds * 1000.0;
        return (millis.is_finite() && millis.abs() < 9e15).then_some(Timestamp(millis.round() as i64));
    }
    text.parse::<jiff::Timestamp>().ok().map(|moment| Timestamp(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_a_moment_are_read() {
        assert_eq!(read("1700000000.25"), Some(Timestamp(1_700_000_000_250)));
        assert_eq!(read("2023-11-14T22:13:20.25Z"), Some(Timestamp(1_700_000_000_250)));
        assert_eq!(read("2023-11-14T23:13:20.25+01:00"), Some(Timestamp(1_700_000_000_250)));
        assert_eq!(read("yesterday"), None);
        assert_eq!(read("NaN"), None);
        assert_eq!(read(&write(Timestamp(1_700_000_000_250))), Some(Timestamp(1_700_000_000_250)));
    }
}
