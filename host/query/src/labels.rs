//! Labels taken away, added and grouped by.

use promql_parser::parser::LabelModifier;
use tandem_domain::series::Labels;

/// The label that is a series' name.
pub const METRIC_NAME: &str = "__name__";

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Without some.
pub(crate) fn without(labels: &Labels, names: &[&str]) -> Labels {
    labels.iter().filter(|(name, _)| !names.contains(name)).map(owned).collect()
}

/// Without the name.
pub(crate) fn nameless(labels: &Labels) -> Labels {
    without(labels, &[METRIC_NAME])
}

/// With one set; an empty value takes it away.
pub(crate) fn with(labels: &Labels, name: &str, value: &str) -> Labels {
    let others = labels.iter().filter(|(known, _)| *known != name).map(owned);
    others.chain([(name.to_owned(), value.to_owned())]).collect()
}

/// The labels that a grouping keeps; without one, none.
pub(crate) fn grouped(labels: &Labels, modifier: Option<&LabelModifier>) -> Labels {
    match modifier {
        None => Labels::default(),
        Some(LabelModifier::Include(kept)) => {
            labels.iter().filter(|(name, _)| kept.labels.iter().any(|k| k == name)).map(owned).collect()
        }
        Some(LabelModifier::Exclude(dropped)) => labels
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME && !dropped.labels.iter().any(|d| d == name))
            .map(owned)
            .collect(),
    }
}
