//! Prometheus' rule files: groups of recording and alerting rules in YAML.
//!
//! A file is taken as a whole or not at all: a half of somebody's alerts is worse than yesterday's. What is wrong is told with
//! its line, as many things at once as can be seen. Expressions and templates are texts here; whoever evaluates them checks
//! them. Format: Prometheus' guides "Recording rules" and "Alerting rules".

mod shape;
#[cfg(test)]
mod tests;

use shape::{FileShape, GroupShape, RuleShape, Text};
use std::collections::BTreeMap;
use tandem_domain::{
    rule::{Rule, RuleGroup, RuleKind, RuleProblem},
    time::duration_millis,
};

/// Longest rule file, in bytes: the largest collections of the community have some hundred kilobytes.
pub const MAX_FILE_BYTES: usize = 16 << 20;
/// Problems told of one file; who has more begins with these.
const MAX_TOLD: usize = 100;

/// Problems of a file, in its order.
#[derive(Default)]
struct Problems(Vec<RuleProblem>);

/// Where in a file something is.
#[derive(Clone, Copy)]
struct Place<'a> {
    line: usize,
    group: &'a str,
    rule: Option<&'a str>,
}

impl Problems {
    fn add(&mut self, place: Place<'_>, problem: impl Into<String>) {
        if self.0.len() < MAX_TOLD {
            self.0.push(RuleProblem {
                line: (place.line > 0).then_some(place.line),
                group: Some(place.group.to_owned()),
                rule: place.rule.map(str::to_owned),
                problem: problem.into(),
            });
        }
    }
}

/// Reads a rule file.
///
/// # Errors
/// Everything that is wrong with it; nothing of it is to be used then.
pub fn read(text: &str) -> Result<Vec<RuleGroup>, Vec<RuleProblem>> {
    let of_file = |line, problem| vec![RuleProblem { line, group: None, rule: None, problem }];
    if text.len() > MAX_FILE_BYTES {
        return Err(of_file(None, format!("the file is longer than {MAX_FILE_BYTES} bytes; split it")));
    }
    let shape: FileShape = shape::parse(text).map_err(|(line, problem)| of_file(line, problem))?;
    let mut problems = Problems::default();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups = Vec::new();
    for group in shape.groups.unwrap_or_default() {
        let (line, name) = (group.referenced.line() as usize, group.value.name.clone().unwrap_or_default().0);
        let place = Place { line, group: &name, rule: None };
        if name.is_empty() {
            problems.add(place, "a group must have a name");
        } else if let Some(first) = names.insert(name.clone(), line) {
            problems.add(place, format!("the name of a group is repeated in the same file, first in line {first}"));
        }
        groups.push(read_group(group.value, place, &mut problems));
    }
    if problems.0.is_empty() { Ok(groups) } else { Err(problems.0) }
}

/// A duration, or that it is none.
fn duration(text: Option<&Text>, key: &str, place: Place<'_>, problems: &mut Problems) -> Option<i64> {
    let text = text?;
    let read = duration_millis(&text.0);
    if read.is_none() {
        problems.add(place, format!("{key}: {:?} is no duration such as 30s, 5m or 1h30m", text.0));
    }
    read
}

fn read_group(shape: GroupShape, place: Place<'_>, problems: &mut Problems) -> RuleGroup {
    let interval = duration(shape.interval.as_ref(), "interval", place, problems);
    let offset = duration(shape.query_offset.as_ref(), "query_offset", place, problems);
    let shared = labels(shape.labels.unwrap_or_default(), place, problems);
    let mut rules = Vec::new();
    for rule in shape.rules.unwrap_or_default() {
        let line = rule.referenced.line() as usize;
        rules.extend(read_rule(rule.value, line, place, &shared, problems));
    }
    RuleGroup {
        name: place.group.to_owned(),
        interval_millis: interval.filter(|millis| *millis > 0),
        query_offset_millis: offset,
        limit: shape.limit.map_or(0, |limit| usize::try_from(limit).unwrap_or(0)),
        rules,
        line: place.line,
    }
}

fn read_rule(
    shape: RuleShape,
    line: usize,
    of_group: Place<'_>,
    shared: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Option<Rule> {
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.0.clone()).filter(|text| !text.is_empty());
    let (record, alert) = (text(&shape.record), text(&shape.alert));
    let name = record.clone().or_else(|| alert.clone());
    let place = Place { line, rule: name.as_deref(), ..of_group };
    let expr = text(&shape.expr).unwrap_or_default();
    if expr.trim().is_empty() {
        problems.add(place, "field 'expr' must be set in rule");
    }
    let for_millis = duration(shape.hold.as_ref(), "for", place, problems).unwrap_or(0);
    let keep = duration(shape.keep_firing_for.as_ref(), "keep_firing_for", place, problems).unwrap_or(0);
    let own = labels(shape.labels.unwrap_or_default(), place, problems);
    let annotations = shape.annotations.unwrap_or_default();
    for name in annotations.keys().filter(|name| !is_label_name(name)) {
        problems.add(place, format!("invalid annotation name: {name:?}"));
    }
    let kind = match (&record, &alert) {
        (Some(_), Some(_)) => {
            problems.add(place, "only one of 'record' and 'alert' must be set");
            return None;
        }
        (None, None) => {
            problems.add(place, "one of 'record' or 'alert' must be set");
            return None;
        }
        (Some(record), None) => {
            for (field, is_set) in
                [("for", for_millis > 0), ("keep_firing_for", keep > 0), ("annotations", !annotations.is_empty())]
            {
                if is_set {
                    problems.add(place, format!("invalid field '{field}' in recording rule"));
                }
            }
            if !is_metric_name(record) {
                problems.add(place, format!("invalid recording rule name: {record:?}"));
            }
            RuleKind::Recording
        }
        (None, Some(_)) => RuleKind::Alerting {
            for_millis,
            keep_firing_for_millis: keep,
            annotations: annotations.into_iter().map(|(name, text)| (name, text.0)).collect(),
        },
    };
    let mut labels = shared.clone();
    labels.extend(own);
    Some(Rule { name: name?, expr, labels, kind, line })
}

fn labels(given: BTreeMap<String, Text>, place: Place<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    for name in given.keys().filter(|name| !is_label_name(name) || *name == "__name__") {
        problems.add(place, format!("invalid label name: {name:?}"));
    }
    given.into_iter().map(|(name, text)| (name, text.0)).collect()
}

fn is_label_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_metric_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}
