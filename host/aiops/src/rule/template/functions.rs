//! The functions of Prometheus' templates.

use super::{
    bounds::{self, Work},
    fields::{self, FIELD, WRITTEN},
    map_of, numbers, printing, structure,
};
use gotmpl::{FuncMap, TemplateError, Value, ValueFunc};
use std::{collections::BTreeMap, sync::Arc};
use tandem_domain::{series::Labels, time::duration_millis};

/// Answers a query with series and their values, or says why not.
pub type QueryFn = Arc<dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String> + Send + Sync>;

/// What the templates of one evaluation can reach.
#[derive(Clone)]
pub struct Surroundings {
    /// Labels of the whole server.
    pub external_labels: Labels,
    /// Where people reach the server, without a `/` at the end.
    pub external_url: String,
    /// Asks the data as the rule's expression did.
    pub query: QueryFn,
}

pub(super) type Answer = Result<Value, TemplateError>;

/// Go's own functions.
const BUILT_IN: [&str; 18] = [
    "and", "or", "not", "len", "index", "slice", "call", "print", "printf", "println", "html", "js", "urlquery", "eq",
    "ne", "lt", "le", "gt",
];
/// Prometheus' own, and the last of Go's.
const OWN: [&str; 27] = [
    "ge",
    "args",
    "externalURL",
    "first",
    "graphLink",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "label",
    "match",
    "parseDuration",
    "pathPrefix",
    "query",
    "reReplaceAll",
    "safeHtml",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "toLower",
    "toTime",
    "toUpper",
    "value",
];

/// Whether there is a function of that name.
pub(super) fn is_known(name: &str) -> bool {
    BUILT_IN.contains(&name) || OWN.contains(&name)
}

pub(super) fn fault(text: impl Into<String>) -> TemplateError {
    TemplateError::Exec(text.into())
}

pub(super) fn text(value: impl Into<String>) -> Value {
    Value::String(value.into().into())
}

fn text_of(value: Option<&Value>) -> Result<&str, TemplateError> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(fault(format!("expected string; found {}", other.type_name()))),
        None => Err(fault("an argument is missing")),
    }
}

/// Numbers, and texts that are numbers.
fn number_of(value: Option<&Value>) -> Result<f64, TemplateError> {
    match value {
        Some(Value::Float(number)) => Ok(*number),
        Some(Value::Int(number)) => Ok(*number as f64),
        Some(Value::String(text)) => {
            text.trim().parse().map_err(|_| fault(format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")))
        }
        _ => Err(fault("can't convert to float")),
    }
}

fn list_of(value: Option<&Value>) -> Result<&Arc<[Value]>, TemplateError> {
    match value {
        Some(Value::List(list)) => Ok(list),
        _ => Err(fault("expected the result of a query")),
    }
}

/// The label of a sample.
fn label_of(name: &str, sample: Option<&Value>) -> Answer {
    match sample {
        Some(sample) => fields::field(&[fields::field(&[sample.clone(), text("Labels")])?, text(name)]),
        None => Err(fault("a sample is missing")),
    }
}

/// A function of one text.
fn of_text(of: fn(&str) -> String) -> ValueFunc {
    Arc::new(move |args: &[Value]| Ok(text(of(text_of(args.first())?))))
}

/// A function of one number.
fn of_number(of: fn(f64) -> String) -> ValueFunc {
    Arc::new(move |args: &[Value]| Ok(text(of(number_of(args.first())?))))
}

/// All functions that are not Go's own, held to the work of an expansion.
pub(super) fn all(around: &Surroundings, work: &Arc<Work>) -> FuncMap {
    let mut all = FuncMap::new();
    let mut add = |name: &str, function: ValueFunc| drop(all.insert(name.to_owned(), bounds::held(function, work)));
    add(FIELD, Arc::new(fields::field));
    add(WRITTEN, Arc::new(printing::written));
    add("print", Arc::new(printing::print));
    add("println", Arc::new(printing::print_line));
    add("printf", Arc::new(printing::print_formatted));
    add("html", Arc::new(|args| printing::escaped("html", args)));
    add("js", Arc::new(|args| printing::escaped("js", args)));
    add("urlquery", Arc::new(|args| Ok(text(query_escaped(&printing::joined(args))))));
    add("index", Arc::new(index));
    add("humanize", of_number(numbers::humanize));
    add("humanize1024", of_number(numbers::humanize_1024));
    add("humanizeDuration", of_number(numbers::humanize_duration));
    add("humanizePercentage", of_number(numbers::humanize_percentage));
    add("humanizeTimestamp", of_number(numbers::moment));
    add("toTime", of_number(numbers::moment));
    add("title", of_text(title));
    add("toUpper", of_text(|text| text.to_uppercase()));
    add("toLower", of_text(|text| text.to_lowercase()));
    add("safeHtml", of_text(str::to_owned));
    add("stripPort", of_text(|address| host_and_port(address).map_or(address, |(host, _)| host).to_owned()));
    add("stripDomain", of_text(strip_domain));
    add("graphLink", of_text(|expr| format!("/graph?g0.expr={}&g0.tab=0", query_escaped(expr))));
    add("tableLink", of_text(|expr| format!("/graph?g0.expr={}&g0.tab=1", query_escaped(expr))));
    add("parseDuration", Arc::new(parse_duration));
    let (matching, replacing) = (work.clone(), work.clone());
    add("match", Arc::new(move |args| fits(&matching, args)));
    add("reReplaceAll", Arc::new(move |args| replace_all(&replacing, args)));
    add("first", Arc::new(first));
    add("label", Arc::new(|args| label_of(text_of(args.first())?, args.get(1))));
    add("strvalue", Arc::new(|args| label_of("__value__", args.first())));
    add("value", Arc::new(|args| fields::field(&[args.first().cloned().unwrap_or(Value::Nil), text("Value")])));
    add("sortByLabel", Arc::new(sort_by_label));
    add("args", Arc::new(numbered));
    let (url, query) = (around.external_url.clone(), around.query.clone());
    let path = path_of(&url).to_owned();
    add("externalURL", Arc::new(move |_| Ok(text(url.as_str()))));
    add("pathPrefix", Arc::new(move |_| Ok(text(path.as_str()))));
    add("query", Arc::new(move |args| queried(&query, text_of(args.first())?)));
    all
}

fn queried(query: &QueryFn, expr: &str) -> Answer {
    let found = query(expr).map_err(fault)?;
    let sample =
        |(labels, value): (Labels, f64)| structure([("Labels", map_of(&labels)), ("Value", Value::Float(value))]);
    Ok(Value::List(found.into_iter().map(sample).collect::<Vec<Value>>().into()))
}

/// Go's `index`, whose maps of texts answer an empty text for what they do not hold.
fn index(args: &[Value]) -> Answer {
    let Some((of, places)) = args.split_first() else { return Err(fault("index of nothing")) };
    places.iter().try_fold(of.clone(), |of, place| match (&of, place) {
        (Value::Map(_), Value::String(_)) => fields::field(&[of.clone(), place.clone()]),
        _ => of.index(place),
    })
}

fn first(args: &[Value]) -> Answer {
    list_of(args.first())?.first().cloned().ok_or_else(|| fault("first() called on vector with no elements"))
}

fn sort_by_label(args: &[Value]) -> Answer {
    let label = text_of(args.first())?;
    let mut samples = Vec::new();
    for sample in list_of(args.get(1))?.iter() {
        samples.push((label_of(label, Some(sample))?.to_string(), sample.clone()));
    }
    samples.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Value::List(samples.into_iter().map(|(_, sample)| sample).collect::<Vec<Value>>().into()))
}

/// Arguments by the names `arg0`, `arg1` …, to be given to a template.
fn numbered(args: &[Value]) -> Answer {
    let entries = args.iter().enumerate().map(|(place, value)| (Arc::from(format!("arg{place}")), value.clone()));
    Ok(Value::Map(Arc::new(entries.collect::<BTreeMap<Arc<str>, Value>>())))
}

fn fits(work: &Work, args: &[Value]) -> Answer {
    Ok(Value::Bool(work.expression(text_of(args.first())?)?.is_match(text_of(args.get(1))?)))
}

fn replace_all(work: &Work, args: &[Value]) -> Answer {
    let (found, replacement) = (work.expression(text_of(args.first())?)?, text_of(args.get(1))?);
    let (given, references) = (text_of(args.get(2))?, replacement.matches('$').count());
    let (mut replaced, mut done) = (String::new(), 0);
    for groups in found.captures_iter(given) {
        let Some(whole) = groups.get(0) else { continue };
        replaced.push_str(&given[done..whole.start()]);
        // A reference brings at the most what was found.
        bounds::within(replaced.len() + replacement.len() + references * whole.len())?;
        groups.expand(replacement, &mut replaced);
        done = whole.end();
    }
    replaced.push_str(&given[done..]);
    Ok(text(replaced))
}

fn parse_duration(args: &[Value]) -> Answer {
    let given = text_of(args.first())?;
    let millis = duration_millis(given).ok_or_else(|| fault(format!("not a valid duration string: {given:?}")))?;
    Ok(Value::Float(millis as f64 / 1000.0))
}

/// Every word with a capital, as Go's `strings.Title`.
fn title(given: &str) -> String {
    let mut begins = true;
    let mut titled = String::with_capacity(given.len());
    for letter in given.chars() {
        if begins {
            titled.extend(letter.to_uppercase())
        } else {
            titled.push(letter)
        }
        begins =
            if letter.is_ascii() { !(letter.is_ascii_alphanumeric() || letter == '_') } else { letter.is_whitespace() };
    }
    titled
}

/// Host and port of `host:port`, the host without the brackets of IPv6.
fn host_and_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').map(|host| (host, port)),
        None => (!host.contains([':', '[', ']'])).then_some((host, port)),
    }
}

/// A host without its domain; addresses stay as they are.
fn strip_domain(address: &str) -> String {
    let (host, port) = host_and_port(address).map_or((address, None), |(host, port)| (host, Some(port)));
    if host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() {
        return address.to_owned();
    }
    let host = host.split('.').next().unwrap_or_default();
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The path of an address such as `http://host/path`.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

/// As Go escapes the values of queries.
pub(crate) fn query_escaped(given: &str) -> String {
    let mut escaped = String::with_capacity(given.len());
    for byte in given.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte as char),
            b' ' => escaped.push('+'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
