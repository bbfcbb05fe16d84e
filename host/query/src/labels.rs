//! Labels taken away, added and grouped by.

use crate::language::tree::Grouping;
use tandem_domain::series::Labels;

/// The label that is a series' name.
pub const METRIC_NAME: &str = "__name__";
/// Labels that say what the values of a series are: they go when the values change.
const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Without some.
pub(crate) fn without(labels: &Labels, names: &[&str]) -> Labels {
    labels.iter().filter(|(name, _)| !names.contains(name)).map(owned).collect()
}

/// Without the name, type and unit.
pub(crate) fn nameless(labels: &Labels) -> Labels {
    without(labels, &METADATA)
}

/// With one set; an empty value takes it away.
pub(crate) fn with(labels: &Labels, name: &str, value: &str) -> Labels {
    let others = labels.iter().filter(|(known, _)| *known != name).map(owned);
    others.chain([(name.to_owned(), value.to_owned())]).collect()
}

fn by(labels: &Labels, names: &[String]) -> Labels {
    labels.iter().filter(|(name, _)| names.iter().any(|known| known == name)).map(owned).collect()
}

/// The labels that a group of an aggregation has.
pub(crate) fn grouped(labels: &Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::By(names) if names.is_empty() => Labels::default(),
        Grouping::By(names) => by(labels, names),
        Grouping::Without(names) => {
            let is_dropped = |name: &str| METADATA.contains(&name) || names.iter().any(|known| known == name);
            labels.iter().filter(|(name, _)| !is_dropped(name)).map(owned).collect()
        }
    }
}

/// The labels by which two sides are matched.
pub(crate) fn signature(labels: &Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::By(names) => by(labels, names),
        Grouping::Without(names) => {
            let is_dropped = |name: &str| name == METRIC_NAME || names.iter().any(|known| known == name);
            labels.iter().filter(|(name, _)| !is_dropped(name)).map(owned).collect()
        }
    }
}

/// The name, or nothing.
pub(crate) fn metric_name(labels: &Labels) -> &str {
    labels.get(METRIC_NAME).unwrap_or_default()
}

/// Labels as they are written: `{__name__="m", a="b"}`.
pub(crate) fn label_text(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
