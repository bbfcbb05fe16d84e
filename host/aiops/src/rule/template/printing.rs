//! Go's ways of writing values out. The crate's own write floats without exponents.

use super::{
    functions::{Answer, fault, text},
    numbers,
};
use gotmpl::{Template, Value};
use std::{collections::HashMap, sync::LazyLock};

/// Values that `printf` takes beside its format.
const MAX_PRINTED: usize = 16;

/// The crate's `printf` for so many values.
static FORMATTED: LazyLock<Vec<Option<Template>>> = LazyLock::new(|| {
    let source = |count: usize| {
        let values: String = (0..count).map(|place| format!(" (index .values {place})")).collect();
        format!("{{{{printf .format{values}}}}}")
    };
    (0..=MAX_PRINTED).map(|count| Template::new("").parse(&source(count)).ok()).collect()
});

/// The crate's own functions that escape one text.
static ESCAPES: LazyLock<HashMap<&str, Template>> = LazyLock::new(|| {
    let names = ["html", "js"].into_iter();
    names.filter_map(|name| Some((name, Template::new("").parse(&format!("{{{{{name} .}}}}")).ok()?))).collect()
});

fn shown(value: &Value) -> String {
    match value {
        Value::Float(number) => numbers::shortest(*number),
        other => other.to_string(),
    }
}

/// What a value is written as where a template shows it.
pub(super) fn written(args: &[Value]) -> Answer {
    match args.first() {
        Some(number @ Value::Float(_)) => Ok(text(shown(number))),
        Some(Value::Nil) | None => Ok(text("<no value>")),
        Some(other) => Ok(other.clone()),
    }
}

/// Go's `Sprint`: a space between two values of which neither is a text.
pub(super) fn joined(args: &[Value]) -> String {
    let mut joined = String::new();
    let mut after_text = true;
    for value in args {
        let is_text = matches!(value, Value::String(_));
        if !after_text && !is_text {
            joined.push(' ');
        }
        joined.push_str(&shown(value));
        after_text = is_text;
    }
    joined
}

pub(super) fn print(args: &[Value]) -> Answer {
    Ok(text(joined(args)))
}

pub(super) fn print_line(args: &[Value]) -> Answer {
    Ok(text(format!("{}\n", args.iter().map(shown).collect::<Vec<String>>().join(" "))))
}

/// A text made harmless where a language is written, by the function of that name.
pub(super) fn escaped(name: &str, args: &[Value]) -> Answer {
    let template = ESCAPES.get(name).ok_or_else(|| fault(format!("function {name:?} not defined")))?;
    Ok(text(template.execute_to_string(&text(joined(args)))?))
}

/// Which values are written by a plain `%v`.
fn plain_verbs(format: &str) -> Vec<usize> {
    let (mut plain, mut place) = (Vec::new(), 0);
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            continue;
        }
        let mut is_plain = true;
        for letter in letters.by_ref() {
            match letter {
                '-' | ' ' | '0'..='9' => {}
                '+' | '#' | '.' => is_plain = false,
                '*' => place += 1,
                '%' => break,
                verb => {
                    if verb == 'v' && is_plain {
                        plain.push(place);
                    }
                    place += 1;
                    break;
                }
            }
        }
    }
    plain
}

pub(super) fn print_formatted(args: &[Value]) -> Answer {
    let Some((Value::String(format), values)) = args.split_first() else {
        return Err(fault("printf needs a format"));
    };
    let mut values = values.to_vec();
    for place in plain_verbs(format) {
        if let Some(number @ Value::Float(_)) = values.get(place) {
            values[place] = text(shown(number));
        }
    }
    let template = FORMATTED.get(values.len()).and_then(Option::as_ref);
    let template = template.ok_or_else(|| fault(format!("printf takes at most {MAX_PRINTED} values")))?;
    let data = super::structure([("format", Value::String(format.clone())), ("values", Value::List(values.into()))]);
    Ok(text(template.execute_to_string(&data)?))
}
