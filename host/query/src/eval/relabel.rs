//! `label_replace` and `label_join`.

use crate::{
    QueryError,
    labels::{METRIC_NAME, with},
    value::{StepSeries, merged},
};
use regex::Regex;

/// With a label set; a name that is set stays.
fn relabelled(one: StepSeries, target: &str, value: &str) -> StepSeries {
    let drops_name = one.drops_name && target != METRIC_NAME;
    StepSeries { labels: with(&one.labels, target, value), drops_name, values: one.values }
}

/// Series, target label, replacement, source label, pattern (anchored at both ends).
pub(super) fn replace(series: Vec<StepSeries>, texts: &[String]) -> Result<Vec<StepSeries>, QueryError> {
    let [target, replacement, source, pattern] = texts else {
        return Err(QueryError::bad("label_replace takes a vector and four strings"));
    };
    let pattern = Regex::new(&format!("^(?s:{pattern})$"))
        .map_err(|_| QueryError::execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
    if target.is_empty() {
        return Err(QueryError::execution(format!("invalid destination label name in label_replace(): {target}")));
    }
    let all = series.into_iter().map(|one| {
        let value = one.labels.get(source).unwrap_or_default();
        let Some(found) = pattern.captures(value) else { return one };
        let mut replaced = String::new();
        found.expand(replacement, &mut replaced);
        relabelled(one, target, &replaced)
    });
    merged(all.collect())
}

/// Series, target label, separator, source labels.
pub(super) fn join(series: Vec<StepSeries>, texts: &[String]) -> Result<Vec<StepSeries>, QueryError> {
    let [target, separator, sources @ ..] = texts else {
        return Err(QueryError::bad("label_join takes a vector and at least two strings"));
    };
    if target.is_empty() {
        return Err(QueryError::execution(format!("invalid destination label name in label_join(): {target}")));
    }
    if let Some(source) = sources.iter().find(|source| source.is_empty()) {
        return Err(QueryError::execution(format!("invalid source label name in label_join(): {source}")));
    }
    let all = series.into_iter().map(|one| {
        let values: Vec<&str> = sources.iter().map(|source| one.labels.get(source).unwrap_or_default()).collect();
        let joined = values.join(separator);
        relabelled(one, target, &joined)
    });
    merged(all.collect())
}
