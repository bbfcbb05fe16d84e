//! Points to lines.

use super::{Field, Point, Precision};
use std::fmt::Write as _;

/// A point that cannot be written so that it reads back as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a point cannot be written: {0}")]
pub struct Unwritable(pub &'static str);

/// Appends a point as one line without its end. Moments are rounded down to the precision; without one none is written.
///
/// # Errors
/// When a name or a tag's value is empty, has a control character or ends with a backslash, a float is not finite, or
/// there is no field.
pub fn encode(point: &Point<'_>, precision: Precision, line: &mut String) -> Result<(), Unwritable> {
    escaped(line, &point.measurement, ", ")?;
    for (name, value) in &point.tags {
        line.push(',');
        escaped(line, name, ",= ")?;
        line.push('=');
        escaped(line, value, ",= ")?;
    }
    let mut separator = ' ';
    for (name, value) in &point.fields {
        line.push(separator);
        separator = ',';
        escaped(line, name, ",= ")?;
        line.push('=');
        // Writing to a string cannot fail.
        let _ = match value {
            Field::Float(value) if !value.is_finite() => return Err(Unwritable("a float is not finite")),
            Field::Float(value) => write!(line, "{}", float(*value)),
            Field::Integer(value) => write!(line, "{value}i"),
            Field::Unsigned(value) => write!(line, "{value}u"),
            Field::Boolean(value) => write!(line, "{value}"),
            Field::Text(text) => write!(line, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        };
    }
    if separator == ' ' {
        return Err(Unwritable("there is no field"));
    }
    if let Some(nanos) = point.nanos {
        let _ = write!(line, " {}", nanos.div_euclid(precision.nanos()));
    }
    Ok(())
}

fn escaped(line: &mut String, text: &str, special: &str) -> Result<(), Unwritable> {
    if text.is_empty() {
        return Err(Unwritable("a name or a tag's value is empty"));
    }
    if text.ends_with('\\') {
        return Err(Unwritable("a name or a tag's value ends with a backslash"));
    }
    for c in text.chars() {
        if c.is_ascii_control() {
            return Err(Unwritable("a name or a tag's value has a control character"));
        }
        if special.contains(c) {
            line.push('\\');
        }
        line.push(c);
    }
    Ok(())
}

/// The shortest digits that read back, with an exponent for what is very small or very large.
fn float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e6).contains(&magnitude) {
        return value.to_string();
    }
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}
