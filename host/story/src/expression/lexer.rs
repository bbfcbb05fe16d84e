//! Signs of an expression.

use crate::error::Problem;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sign {
    Number(f64),
    /// With dots: `gpu.max.busy`.
    Name(String),
    /// An operator, a bracket or a comma.
    Mark(&'static str),
}

/// Longer ones first, so that `<=` is not `<`.
const MARKS: [&str; 19] =
    ["<=", ">=", "==", "!=", "&&", "||", "+", "-", "*", "/", "^", "<", ">", "!", "(", ")", ",", "?", ":"];

pub(crate) fn signs(text: &str) -> Result<Vec<Sign>, Problem> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let used = if first.is_ascii_digit() || first == '.' {
            let (number, used) = number(rest)?;
            found.push(Sign::Number(number));
            used
        } else if first.is_ascii_alphabetic() || first == '_' {
            let name = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.');
            let used = rest.find(name).unwrap_or(rest.len());
            found.push(Sign::Name(rest[..used].to_owned()));
            used
        } else {
            let mark = MARKS.iter().find(|mark| rest.starts_with(**mark));
            let mark = mark.ok_or_else(|| format!("{first:?} means nothing in an expression"))?;
            found.push(Sign::Mark(mark));
            mark.len()
        };
        rest = rest[used..].trim_start();
    }
    Ok(found)
}

fn number(text: &str) -> Result<(f64, usize), Problem> {
    let bytes = text.as_bytes();
    let digits =
        |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.' || **b == b'_').count();
    let mut used = digits(0);
    if bytes.get(used).is_some_and(|b| matches!(b, b'e' | b'E')) {
        let sign = usize::from(bytes.get(used + 1).is_some_and(|b| matches!(b, b'+' | b'-')));
        let exponent = digits(used + 1 + sign);
        if exponent > 0 {
            used += 1 + sign + exponent;
        }
    }
    let written = text[..used].replace('_', "");
    let read = written.parse::<f64>().ok().filter(|number| number.is_finite());
    Ok((read.ok_or_else(|| format!("{:?} is no number", &text[..used]))?, used))
}
