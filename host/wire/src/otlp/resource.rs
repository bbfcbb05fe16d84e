//! Resources as targets, and attributes as labels.

use super::{
    message::{KeyValue, Resource, Scope},
    names,
};
use crate::{
    limits::WireLimits,
    rejected::{Reason, Rejection},
};
use std::collections::BTreeMap;
use tandem_domain::{series::Labels, target::TargetKey};

/// What the operator may choose, with Prometheus' defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Attributes of the resource that become labels of each of its series.
    pub promote: Vec<String>,
    /// Whether series carry `otel_scope_name` and `otel_scope_version`.
    pub scope_labels: bool,
}

/// Who sends: a service instance as a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceInfo {
    /// Job is `service.namespace/service.name`, instance is `service.instance.id`; either may be empty.
    pub target: TargetKey,
    /// All other attributes under the names of labels; also told as series `target_info`.
    pub labels: Labels,
}

/// Attributes as labels, by normalised name. Those that become one name are joined by `;` in the order of their own names,
/// as the specification says.
pub(super) fn labels(attributes: &[KeyValue<'_>], limits: &WireLimits) -> Result<BTreeMap<String, String>, Rejection> {
    if attributes.len() > limits.labels {
        let text = format!("{} attributes, and {} are taken", attributes.len(), limits.labels);
        return Err(Rejection { reason: Reason::TooManyLabels, text });
    }
    let mut sorted: Vec<_> = attributes.iter().filter(|attribute| !attribute.key.is_empty()).collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for attribute in sorted {
        let value = attribute.value.text();
        labels
            .entry(names::label(&attribute.key))
            .and_modify(|earlier| {
                earlier.push(';');
                earlier.push_str(&value);
            })
            .or_insert(value);
    }
    Ok(labels)
}

fn attribute(resource: &Resource<'_>, key: &str) -> String {
    let found = resource.attributes.iter().find(|attribute| attribute.key == key);
    found.map(|attribute| attribute.value.text()).unwrap_or_default()
}

/// The target of a resource. Attributes beyond the limits are left out: they describe, and cost no point.
pub(super) fn info(resource: &Resource<'_>, limits: &WireLimits) -> ResourceInfo {
    let (namespace, name) = (attribute(resource, "service.namespace"), attribute(resource, "service.name"));
    // Both stand in each key of the resource's series, so that a long one would be read over and over.
    let held = |text: String| crate::log_entry::cut(text, limits.value_bytes);
    let job = match (namespace.is_empty(), name.is_empty()) {
        (false, false) => format!("{namespace}/{name}"),
        _ => name,
    };
    let identity = ["service.namespace", "service.name", "service.instance.id"];
    let others: Vec<KeyValue<'_>> = resource
        .attributes
        .iter()
        .filter(|attribute| !identity.contains(&attribute.key.as_ref()))
        .take(limits.labels)
        .map(|attribute| KeyValue { key: attribute.key.clone(), value: text_value(attribute.value.text()) })
        .collect();
    let described = labels(&others, limits).unwrap_or_default();
    let fitting = described
        .into_iter()
        .filter(|(name, value)| name.len() <= limits.name_bytes && value.len() <= limits.value_bytes);
    let instance = held(attribute(resource, "service.instance.id"));
    ResourceInfo { target: TargetKey { job: held(job), instance }, labels: Labels::new(fitting) }
}

fn text_value(text: String) -> super::message::AnyValue<'static> {
    super::message::AnyValue { string_value: Some(text.into()), ..Default::default() }
}

/// The labels that each series of a scope carries beside those of its points; too long ones are left out.
pub(super) fn common(
    resource: &Resource<'_>,
    scope: &Scope<'_>,
    options: &Options,
    limits: &WireLimits,
) -> Vec<(String, String)> {
    let promoted = options.promote.iter().map(|key| (names::label(key), attribute(resource, key)));
    let mut common: Vec<(String, String)> = promoted.filter(|(_, value)| !value.is_empty()).collect();
    if options.scope_labels {
        for (name, value) in [("otel_scope_name", &scope.name), ("otel_scope_version", &scope.version)] {
            if !value.is_empty() {
                common.push((name.to_owned(), value.to_string()));
            }
        }
    }
    common.retain(|(_, value)| value.len() <= limits.value_bytes);
    common
}
