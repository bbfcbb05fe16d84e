//! Functions of one value at a time: of numbers, and of moments as calendars have them (UTC).

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};

const KNOWN: [&str; 38] = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "clamp",
    "clamp_max",
    "clamp_min",
    "cos",
    "cosh",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "deg",
    "exp",
    "floor",
    "hour",
    "ln",
    "log10",
    "log2",
    "minute",
    "month",
    "rad",
    "round",
    "sgn",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "year",
    "second",
    "trunc",
    "cbrt",
];

pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

fn calendar(name: &str, seconds: f64) -> f64 {
    let Ok(moment) = Timestamp::from_second(seconds as i64) else { return f64::NAN };
    let date = TimeZone::UTC.to_datetime(moment);
    match name {
        "day_of_month" => f64::from(date.day()),
        "day_of_week" => f64::from(date.weekday().since(Weekday::Sunday)),
        "day_of_year" => f64::from(date.day_of_year()),
        "days_in_month" => f64::from(date.days_in_month()),
        "hour" => f64::from(date.hour()),
        "minute" => f64::from(date.minute()),
        "month" => f64::from(date.month()),
        _ => f64::from(date.year()),
    }
}

/// The value; none where the bounds of a clamp contradict each other.
pub(super) fn of(name: &str, value: f64, more: &[f64]) -> Option<f64> {
    let parameter = |place: usize, otherwise: f64| more.get(place).copied().unwrap_or(otherwise);
    // A comparison with NaN must give NaN, which `max` and `min` of numbers do not.
    let at_least = |value: f64, least: f64| if value.is_nan() || least.is_nan() { f64::NAN } else { value.max(least) };
    let at_most = |value: f64, most: f64| if value.is_nan() || most.is_nan() { f64::NAN } else { value.min(most) };
    Some(match name {
        "abs" => value.abs(),
        "acos" => value.acos(),
        "acosh" => value.acosh(),
        "asin" => value.asin(),
        "asinh" => value.asinh(),
        "atan" => value.atan(),
        "atanh" => value.atanh(),
        "cbrt" => value.cbrt(),
        "ceil" => value.ceil(),
        "clamp" => {
            let (least, most) = (parameter(0, f64::NAN), parameter(1, f64::NAN));
            if least > most {
                return None;
            }
            at_least(at_most(value, most), least)
        }
        "clamp_max" => at_most(value, parameter(0, f64::NAN)),
        "clamp_min" => at_least(value, parameter(0, f64::NAN)),
        "cos" => value.cos(),
        "cosh" => value.cosh(),
        "deg" => value.to_degrees(),
        "exp" => value.exp(),
        "floor" => value.floor(),
        "ln" => value.ln(),
        "log10" => value.log10(),
        "log2" => value.log2(),
        "rad" => value.to_radians(),
        "round" => {
            let inverse = 1.0 / parameter(0, 1.0);
            (value * inverse + 0.5).floor() / inverse
        }
        "sgn" if value == 0.0 || value.is_nan() => value,
        "sgn" => value.signum(),
        "sin" => value.sin(),
        "sinh" => value.sinh(),
        "sqrt" => value.sqrt(),
        "tan" => value.tan(),
        "tanh" => value.tanh(),
        "trunc" => value.trunc(),
        _ => calendar(name, value),
    })
}
