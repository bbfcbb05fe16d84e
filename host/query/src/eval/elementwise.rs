//! Functions of one value at a time: of numbers, and of moments as calendars have them (UTC).

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};

/// A function of a value and of further numbers; none where the bounds of a clamp contradict each other.
pub(super) type Function = fn(f64, &[f64]) -> Option<f64>;

/// Something of the date of a moment in seconds; NaN beyond the years that calendars have.
fn calendar(seconds: f64, of: fn(jiff::civil::DateTime) -> f64) -> Option<f64> {
    let moment = Timestamp::from_second(seconds as i64).ok().filter(|_| !seconds.is_nan());
    Some(moment.map_or(f64::NAN, |moment| of(TimeZone::UTC.to_datetime(moment))))
}

fn parameter(more: &[f64], place: usize, otherwise: f64) -> f64 {
    more.get(place).copied().unwrap_or(otherwise)
}

/// The larger; NaN with NaN, but for infinity, than which nothing is larger.
pub(super) fn at_least(value: f64, least: f64) -> f64 {
    if value == f64::INFINITY || least == f64::INFINITY {
        return f64::INFINITY;
    }
    if value.is_nan() || least.is_nan() { f64::NAN } else { value.max(least) }
}

/// The smaller; NaN with NaN, but for the negative infinity, than which nothing is smaller.
pub(super) fn at_most(value: f64, most: f64) -> f64 {
    if value == f64::NEG_INFINITY || most == f64::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    if value.is_nan() || most.is_nan() { f64::NAN } else { value.min(most) }
}

/// The function of a name.
pub(super) fn resolved(name: &str) -> Option<Function> {
    Some(match name {
        "abs" => |v, _| Some(v.abs()),
        "acos" => |v, _| Some(v.acos()),
        "acosh" => |v, _| Some(v.acosh()),
        "asin" => |v, _| Some(v.asin()),
        "asinh" => |v, _| Some(v.asinh()),
        "atan" => |v, _| Some(v.atan()),
        "atanh" => |v, _| Some(v.atanh()),
        "ceil" => |v, _| Some(v.ceil()),
        "clamp" => |v, more| {
            let (least, most) = (parameter(more, 0, f64::NAN), parameter(more, 1, f64::NAN));
            if most < least { None } else { Some(at_least(at_most(v, most), least)) }
        },
        "clamp_max" => |v, more| Some(at_most(v, parameter(more, 0, f64::NAN))),
        "clamp_min" => |v, more| Some(at_least(v, parameter(more, 0, f64::NAN))),
        "cos" => |v, _| Some(v.cos()),
        "cosh" => |v, _| Some(v.cosh()),
        "deg" => |v, _| Some(v * 180.0 / std::f64::consts::PI),
        "exp" => |v, _| Some(v.exp()),
        "floor" => |v, _| Some(v.floor()),
        "ln" => |v, _| Some(v.ln()),
        "log10" => |v, _| Some(v.log10()),
        "log2" => |v, _| Some(v.log2()),
        "rad" => |v, _| Some(v * std::f64::consts::PI / 180.0),
        "round" => |v, more| {
            let inverse = 1.0 / parameter(more, 0, 1.0);
            Some((v * inverse + 0.5).floor() / inverse)
        },
        "sgn" => |v, _| Some(if v == 0.0 || v.is_nan() { v } else { v.signum() }),
        "sin" => |v, _| Some(v.sin()),
        "sinh" => |v, _| Some(v.sinh()),
        "sqrt" => |v, _| Some(v.sqrt()),
        "tan" => |v, _| Some(v.tan()),
        "tanh" => |v, _| Some(v.tanh()),
        _ => return of_calendar(name),
    })
}

fn of_calendar(name: &str) -> Option<Function> {
    Some(match name {
        "day_of_month" => |v, _| calendar(v, |date| f64::from(date.day())),
        "day_of_week" => |v, _| calendar(v, |date| f64::from(date.weekday().since(Weekday::Sunday))),
        "day_of_year" => |v, _| calendar(v, |date| f64::from(date.day_of_year())),
        "days_in_month" => |v, _| calendar(v, |date| f64::from(date.days_in_month())),
        "hour" => |v, _| calendar(v, |date| f64::from(date.hour())),
        "minute" => |v, _| calendar(v, |date| f64::from(date.minute())),
        "month" => |v, _| calendar(v, |date| f64::from(date.month())),
        "year" => |v, _| calendar(v, |date| f64::from(date.year())),
        _ => return None,
    })
}
