//! A series from the pairs any door brings, held to the limits.

use crate::{
    limits::WireLimits,
    rejected::{Reason, Rejection, shortened},
};
use tandem_domain::series::{Labels, MetricType, SeriesDescription};

/// Characters of a name that are told of it.
const MAX_TOLD_CHARS: usize = 60;

/// A series from pairs of which one is `__name__`, held to the limits.
///
/// # Errors
/// When it has no name, a label twice, or labels beyond `limits`.
pub(crate) fn describe(mut pairs: Vec<(&str, &str)>, limits: &WireLimits) -> Result<SeriesDescription, Rejection> {
    pairs.sort_unstable_by_key(|(name, _)| *name);
    let metric = pairs.iter().find(|(name, _)| *name == "__name__").map_or("", |(_, value)| value);
    let told = shortened(metric, MAX_TOLD_CHARS);
    let refuse = |reason, text: String| Err(Rejection { reason, text });
    if metric.is_empty() {
        return refuse(Reason::NoName, format!("a series with {} labels has no __name__", pairs.len()));
    }
    if metric.len() > limits.name_bytes {
        return refuse(Reason::BadName, format!("{told}: the name is longer than {} bytes", limits.name_bytes));
    }
    if pairs.len() - 1 > limits.labels {
        return refuse(
            Reason::TooManyLabels,
            format!("{told} has {} labels, and {} are taken", pairs.len() - 1, limits.labels),
        );
    }
    if let Some(pair) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let name = shortened(pair[0].0, MAX_TOLD_CHARS);
        return refuse(Reason::DuplicateLabel, format!("{told} has label {name} twice"));
    }
    for (name, value) in &pairs {
        let shown = shortened(name, MAX_TOLD_CHARS);
        if name.is_empty() || name.len() > limits.name_bytes {
            let bytes = limits.name_bytes;
            return refuse(Reason::BadName, format!("{told}: label {shown:?} is empty or longer than {bytes} bytes"));
        }
        if value.len() > limits.value_bytes {
            let bytes = limits.value_bytes;
            return refuse(
                Reason::LabelsTooLong,
                format!("{told}: the value of label {shown} is longer than {bytes} bytes"),
            );
        }
    }
    if pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > limits.label_bytes {
        let bytes = limits.label_bytes;
        return refuse(Reason::LabelsTooLong, format!("{told}: its labels are longer than {bytes} bytes together"));
    }
    let others = pairs.iter().filter(|(name, _)| *name != "__name__");
    Ok(SeriesDescription {
        metric: metric.to_owned(),
        metric_type: MetricType::Unknown,
        unit: String::new(),
        labels: Labels::new(others.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))),
    })
}
