//! What a page declares of its metric families.

use crate::families::part_of;
use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::DefaultHasher},
    hash::Hasher,
};
use tandem_domain::series::MetricType;

/// Families of one page that are remembered; a page with more has a family per series, and types no longer tell anything.
const MAX_FAMILIES: usize = 500_000;

#[derive(Debug, Clone, PartialEq, Default)]
struct Family<'p> {
    metric_type: Option<MetricType>,
    unit: &'p str,
    /// As written, with its escapes.
    help: Option<&'p str>,
}

/// What a page declares of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared<'p> {
    /// Its name.
    pub family: &'p str,
    /// Its type.
    pub metric_type: MetricType,
    /// Its unit, or empty.
    pub unit: &'p str,
    /// For people, or empty.
    pub help: Cow<'p, str>,
}

/// The families of a page by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Families<'p> {
    by_name: HashMap<&'p str, Family<'p>>,
    /// Over all types and units that were declared, in their order.
    declarations: u64,
    /// Over all lines of help too.
    texts: u64,
    /// The name of the last sample: the next is mostly of the same.
    last: &'p str,
}

impl<'p> Families<'p> {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn declarations(&self) -> u64 {
        self.declarations
    }

    /// A number over all that is declared, help included.
    pub(super) fn texts(&self) -> u64 {
        self.texts
    }

    /// The families of which anything is declared, in no order.
    pub(super) fn declared(&self) -> impl Iterator<Item = Declared<'p>> {
        let is_declared =
            |family: &Family<'_>| family.metric_type.is_some() || family.help.is_some() || !family.unit.is_empty();
        self.by_name.iter().filter(move |(_, family)| is_declared(family)).map(|(name, family)| Declared {
            family: name,
            metric_type: family.metric_type.unwrap_or(MetricType::Unknown),
            unit: family.unit,
            help: unescaped(family.help.unwrap_or_default()),
        })
    }

    fn entry(&mut self, name: &'p str) -> Option<&mut Family<'p>> {
        if self.by_name.len() >= MAX_FAMILIES && !self.by_name.contains_key(name) {
            return None;
        }
        Some(self.by_name.entry(name).or_default())
    }

    /// Takes in a `# TYPE`, `# UNIT` or `# HELP` line; whether it is one.
    pub(super) fn note(&mut self, comment: &'p str) -> bool {
        let mut words = comment.split_ascii_whitespace();
        let (keyword, Some(name)) = (words.next().unwrap_or_default(), words.next()) else { return false };
        let rest = words.next().unwrap_or_default();
        if !["TYPE", "UNIT", "HELP"].contains(&keyword) {
            return false;
        }
        let joined = |earlier: u64| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(earlier);
            hasher.write(comment.as_bytes());
            hasher.finish()
        };
        self.texts = joined(self.texts);
        if keyword != "HELP" {
            self.declarations = joined(self.declarations);
        }
        let Some(family) = self.entry(name.trim_matches('"')) else { return true };
        match keyword {
            "TYPE" => family.metric_type = Some(metric_type(rest)),
            "UNIT" => family.unit = rest,
            _ => family.help = Some(help_of(comment, name)),
        }
        true
    }

    /// Counts the family of a sample, which need not be declared.
    pub(super) fn show(&mut self, series: &'p str) {
        let metric = raw_name(series);
        if metric == self.last {
            return;
        }
        self.last = metric;
        if self.part_of(metric).is_none() {
            self.entry(metric);
        }
    }

    /// The declared family that a name is a part of, with the type of the part.
    fn part_of(&self, metric: &str) -> Option<(&Family<'p>, MetricType)> {
        let (name, metric_type) = part_of(metric, |name| self.by_name.get(name)?.metric_type)?;
        Some((self.by_name.get(name)?, metric_type))
    }

    /// The type and unit that the family of a name declares.
    pub(super) fn of(&self, metric: &str) -> (MetricType, &'p str) {
        if let Some((family, metric_type)) = self.part_of(metric) {
            return (metric_type, family.unit);
        }
        match self.by_name.get(metric) {
            Some(family) => (family.metric_type.unwrap_or(MetricType::Unknown), family.unit),
            None => (MetricType::Unknown, ""),
        }
    }
}

/// The text of a `# HELP` line of a name.
fn help_of<'p>(comment: &'p str, name: &str) -> &'p str {
    let named = comment.trim_ascii_start().strip_prefix("HELP").unwrap_or_default().trim_ascii_start();
    named.strip_prefix(name).unwrap_or_default().trim_ascii_start()
}

/// A help without its escapes: of line breaks, strokes and, in OpenMetrics, quotes.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some(escaped @ ('n' | '\\' | '"'))) => {
                plain.push(if escaped == 'n' { '\n' } else { escaped });
                chars.next();
            }
            _ => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// The name of a series as written: before its labels, or the first quoted text among them.
fn raw_name(series: &str) -> &str {
    let end = memchr::memchr3(b'{', b' ', b'\t', series.as_bytes()).unwrap_or(series.len());
    if end > 0 {
        return &series[..end];
    }
    series.split('"').nth(1).unwrap_or_default()
}

fn metric_type(word: &str) -> MetricType {
    match word {
        "counter" => MetricType::Counter,
        "gauge" | "stateset" => MetricType::Gauge,
        "histogram" | "gaugehistogram" => MetricType::Histogram,
        "summary" => MetricType::Summary,
        "info" => MetricType::Info,
        _ => MetricType::Unknown,
    }
}
