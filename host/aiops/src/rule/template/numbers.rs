//! Numbers as Prometheus' templates and answers write them.

use jiff::Timestamp;

/// Significant digits of what is written for people.
const DIGITS: usize = 4;
/// From this power of ten on Go writes the shortest form with an exponent.
const SHORTEST_EXPONENT: i32 = 6;
/// Prefixes above one, a thousand each.
const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
/// Prefixes below one, a thousandth each.
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// Prefixes above one, 1024 each.
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// Go's `%.4g`: so many significant digits, without trailing zeros, with an exponent where the number is far from one.
fn significant(value: f64) -> String {
    if !value.is_finite() {
        return go_float(value);
    }
    let scientific = format!("{value:.*e}", DIGITS - 1);
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS as i32).contains(&exponent) {
        let decimals = usize::try_from(DIGITS as i32 - 1 - exponent).unwrap_or(0);
        return trimmed(&format!("{value:.decimals$}")).to_owned();
    }
    format!("{}e{}{:02}", trimmed(digits), if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// Go's shortest form with an exponent (`1e+00`), in which Prometheus tells the values of alerts.
pub fn go_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e').map(|(digits, exponent)| (digits, exponent.parse::<i32>().unwrap_or(0))) {
        Some((digits, exponent)) => {
            format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        None => scientific,
    }
}

/// Go's shortest form (`%v`): with an exponent below 0.0001 and from a million on.
pub(super) fn shortest(value: f64) -> String {
    if !value.is_finite() {
        return go_float(value);
    }
    let scientific = go_float(value);
    let exponent = scientific.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()).unwrap_or(0);
    if (-4..SHORTEST_EXPONENT).contains(&exponent) { value.to_string() } else { scientific }
}

/// With the prefix that leaves one to three digits before the point.
fn prefixed(mut value: f64, fits: fn(f64) -> bool, prefixes: [&'static str; 8], next_of: fn(f64) -> f64) -> String {
    let mut prefix = "";
    for next in prefixes {
        if fits(value.abs()) {
            break;
        }
        prefix = next;
        value = next_of(value);
    }
    format!("{}{prefix}", significant(value))
}

/// `1234567` as `1.235M`.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return significant(value);
    }
    if value.abs() >= 1.0 {
        return prefixed(value, |size| size < 1000.0, LARGE, |value| value / 1000.0);
    }
    prefixed(value, |size| size >= 1.0, SMALL, |value| value * 1000.0)
}

/// `1048576` as `1Mi`.
pub(super) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return significant(value);
    }
    prefixed(value, |size| size < 1024.0, BINARY, |value| value / 1024.0)
}

/// Seconds as `1h 2m 3s`.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return significant(value);
    }
    if value == 0.0 {
        return "0s".into();
    }
    if value.abs() < 1.0 {
        return format!("{}s", prefixed(value, |size| size >= 1.0, SMALL, |value| value * 1000.0));
    }
    let (sign, size) = if value < 0.0 { ("-", -value) } else { ("", value) };
    let whole = size as i64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3_600 % 24, whole / 86_400);
    if days != 0 {
        return format!("{sign}{days}d {hours}h {minutes}m {seconds}s");
    }
    if hours != 0 {
        return format!("{sign}{hours}h {minutes}m {seconds}s");
    }
    if minutes != 0 {
        return format!("{sign}{minutes}m {seconds}s");
    }
    format!("{sign}{}s", significant(size))
}

/// A share as `12.34%`.
pub(super) fn humanize_percentage(value: f64) -> String {
    format!("{}%", significant(value * 100.0))
}

/// Unix seconds as Go prints a moment in UTC; numbers that are no moment as numbers.
pub(super) fn moment(value: f64) -> String {
    let millis = value * 1000.0;
    if !value.is_finite() || millis.abs() > 8e15 {
        return significant(value);
    }
    let Ok(at) = Timestamp::from_millisecond(millis as i64) else { return significant(value) };
    let fraction = at.subsec_millisecond();
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:03}").trim_end_matches('0').into() };
    format!("{}{fraction} +0000 UTC", at.strftime("%Y-%m-%d %H:%M:%S"))
}
