//! Between generated types and domain types. What guests say is untrusted: lengths, ranges, counts and numbers are checked
//! here, and a breach names plugin, function and field. What goes to guests is ours and is only rewritten.

pub(crate) mod about;
pub(crate) mod cause;
pub(crate) mod collection;
pub(crate) mod correlation;
pub(crate) mod detection;
pub(crate) mod drift;
pub(crate) mod mapping;
pub(crate) mod serving;

use crate::bindings::wit;
use std::fmt::Display;
use tandem_domain::{
    Failure, FailureCode, Severity, Timestamp,
    entity::{EntityDraft, IdentityKey, KeyStrength},
    relation::RelationKind,
    series::{Labels, MetricType, Points, SeriesDescription},
    topology::{RelationDraft, TopologyDraft},
};

/// Longest name: of a metric, label, kind, code.
pub(crate) const MAX_NAME_BYTES: usize = 512;

/// Longest text for people: title, advice, message, label value.
pub(crate) const MAX_TEXT_BYTES: usize = 8 << 10;

/// Labels of one series or attributes of one entity; Prometheus users complain from about 30 on.
pub(crate) const MAX_LABELS: usize = 256;

/// Entities in one answer: a full rack of GPUs with all its parts is some thousand.
pub(crate) const MAX_ENTITIES: usize = 20_000;

/// Relations in one answer.
pub(crate) const MAX_RELATIONS: usize = 100_000;

/// Keys by which one entity is known.
pub(crate) const MAX_IDENTITY_KEYS: usize = 64;

/// Names whose answer is being checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check<'a> {
    /// The plugin.
    pub(crate) plugin: &'a str,
    /// The function that answered.
    pub(crate) function: &'a str,
}

impl Check<'_> {
    /// An answer that does not keep the contract.
    pub(crate) fn breach(&self, field: impl Display, what: impl Display) -> Failure {
        Failure::lasting(
            FailureCode::Malformed,
            format!(
                "plugin {}, {}: {field} {what}; the plugin does not keep the contract, use a version that does or tell its author",
                self.plugin, self.function
            ),
        )
    }

    /// A count that is bounded.
    pub(crate) fn count(&self, field: impl Display, count: usize, max: usize) -> Result<(), Failure> {
        if count > max {
            return Err(self.breach(field, format_args!("has {count} entries, at most {max} are accepted")));
        }
        Ok(())
    }

    /// A name that is there and of sane length.
    pub(crate) fn name(&self, field: impl Display, name: String) -> Result<String, Failure> {
        if name.trim().is_empty() {
            return Err(self.breach(field, "is empty"));
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(
                self.breach(field, format_args!("has {} bytes, at most {MAX_NAME_BYTES} are accepted", name.len()))
            );
        }
        if name.chars().any(char::is_control) {
            return Err(self.breach(field, "holds control characters"));
        }
        Ok(name)
    }

    /// A text of sane length; may be empty.
    pub(crate) fn text(&self, field: impl Display, text: String) -> Result<String, Failure> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(
                self.breach(field, format_args!("has {} bytes, at most {MAX_TEXT_BYTES} are accepted", text.len()))
            );
        }
        Ok(text)
    }

    /// An index into a list beside it.
    pub(crate) fn index(&self, field: impl Display, index: u32, length: usize) -> Result<usize, Failure> {
        usize::try_from(index)
            .ok()
            .filter(|index| *index < length)
            .ok_or_else(|| self.breach(field, format_args!("is {index}, but there are only {length}")))
    }

    /// A number that is one.
    pub(crate) fn finite(&self, field: impl Display, value: f64) -> Result<f64, Failure> {
        if value.is_finite() {
            Ok(value)
        } else {
            Err(self.breach(field, format_args!("is {value}, not a finite number")))
        }
    }

    /// Columns that must have the same length.
    pub(crate) fn same_length(&self, field: impl Display, length: usize, expected: usize) -> Result<(), Failure> {
        if length != expected {
            return Err(self.breach(field, format_args!("has {length} values where {expected} are due")));
        }
        Ok(())
    }

    /// Moments that ascend strictly.
    pub(crate) fn ascending(&self, field: impl Display, at: &[i64]) -> Result<(), Failure> {
        match at.windows(2).position(|pair| pair[0] >= pair[1]) {
            Some(position) => Err(self
                .breach(field, format_args!("does not ascend: {} is followed by {}", at[position], at[position + 1]))),
            None => Ok(()),
        }
    }

    /// Labels; each name is there.
    pub(crate) fn labels(&self, field: impl Display + Copy, labels: Vec<wit::Label>) -> Result<Labels, Failure> {
        self.pairs(field, labels).map(Labels::new)
    }

    /// Name and value pairs in their order.
    pub(crate) fn pairs(
        &self,
        field: impl Display + Copy,
        labels: Vec<wit::Label>,
    ) -> Result<Vec<(String, String)>, Failure> {
        self.count(field, labels.len(), MAX_LABELS)?;
        labels
            .into_iter()
            .map(|label| {
                let value = self.text(format_args!("{field} `{}`", shortened(&label.name)), label.value)?;
                Ok((self.name(format_args!("{field} name"), label.name)?, value))
            })
            .collect()
    }

    /// A failure that a guest answered, with the plugin and function before its text.
    pub(crate) fn failure(&self, failure: wit::Failure) -> Failure {
        let code = match failure.code {
            wit::FailureCode::Unreachable => FailureCode::Unreachable,
            wit::FailureCode::Refused => FailureCode::Refused,
            wit::FailureCode::Malformed => FailureCode::Malformed,
            wit::FailureCode::Misconfigured => FailureCode::Misconfigured,
            wit::FailureCode::Unsupported => FailureCode::Unsupported,
            wit::FailureCode::Internal => FailureCode::Internal,
        };
        let said = if failure.message.trim().is_empty() { "it gave no reason" } else { failure.message.as_str() };
        Failure {
            code,
            message: format!("plugin {}, {}: {}", self.plugin, self.function, shortened_to(said, MAX_TEXT_BYTES)),
            retry: failure.retry,
        }
    }

    /// A failure of the host's own, with the plugin and function before its text.
    pub(crate) fn placed(&self, failure: Failure) -> Failure {
        Failure { message: format!("plugin {}, {}: {}", self.plugin, self.function, failure.message), ..failure }
    }

    /// Entities and relations among them.
    pub(crate) fn topology(
        &self,
        entities: Vec<wit::Entity>,
        relations: Vec<wit::Relation>,
    ) -> Result<TopologyDraft, Failure> {
        self.count("entities", entities.len(), MAX_ENTITIES)?;
        self.count("relations", relations.len(), MAX_RELATIONS)?;
        let entities = entities
            .into_iter()
            .enumerate()
            .map(|(i, entity)| self.entity(i, entity))
            .collect::<Result<Vec<_>, _>>()?;
        let relations = relations
            .into_iter()
            .enumerate()
            .map(|(i, relation)| {
                self.index(format_args!("relations[{i}].dependent"), relation.dependent, entities.len())?;
                self.index(format_args!("relations[{i}].dependency"), relation.dependency, entities.len())?;
                if relation.dependent == relation.dependency {
                    return Err(self.breach(format_args!("relations[{i}]"), "makes an entity depend on itself"));
                }
                Ok(RelationDraft {
                    dependent: relation.dependent,
                    dependency: relation.dependency,
                    kind: relation_kind(relation.kind),
                })
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        Ok(TopologyDraft { entities, relations })
    }

    fn entity(&self, i: usize, entity: wit::Entity) -> Result<EntityDraft, Failure> {
        let kind = self.name(format_args!("entities[{i}].kind"), entity.kind)?;
        if !kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err(self.breach(
                format_args!("entities[{i}].kind"),
                format_args!("is `{kind}`, a kind is written in lower case letters, digits and dashes"),
            ));
        }
        if entity.keys.is_empty() {
            return Err(
                self.breach(format_args!("entities[{i}].keys"), "is empty, an entity needs a key to be known by")
            );
        }
        self.count(format_args!("entities[{i}].keys"), entity.keys.len(), MAX_IDENTITY_KEYS)?;
        let keys = entity
            .keys
            .into_iter()
            .enumerate()
            .map(|(k, key)| {
                Ok(IdentityKey {
                    scheme: self.name(format_args!("entities[{i}].keys[{k}].scheme"), key.scheme)?,
                    value: self.name(format_args!("entities[{i}].keys[{k}].value"), key.value)?,
                    strength: match key.strength {
                        wit::KeyStrength::Unique => KeyStrength::Unique,
                        wit::KeyStrength::Local => KeyStrength::Local,
                    },
                })
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        Ok(EntityDraft {
            kind,
            keys,
            name: self.name(format_args!("entities[{i}].name"), entity.name)?,
            attributes: self.labels(format_args!("entities[{i}].attributes"), entity.attributes)?,
        })
    }

    /// One series as a guest describes it.
    pub(crate) fn series(&self, i: usize, series: wit::Series) -> Result<SeriesDescription, Failure> {
        Ok(SeriesDescription {
            metric: self.name(format_args!("series[{i}].metric"), series.metric)?,
            metric_type: metric_type(series.metric_type),
            unit: self.text(format_args!("series[{i}].unit"), series.unit)?,
            labels: self.labels(format_args!("series[{i}].labels"), series.labels)?,
        })
    }
}

/// A text for a message about itself.
pub(crate) fn shortened(text: &str) -> &str {
    shortened_to(text, 64)
}

fn shortened_to(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes.min(text.len()))]
}

pub(crate) fn severity(severity: wit::Severity) -> Severity {
    match severity {
        wit::Severity::Info => Severity::Info,
        wit::Severity::Warning => Severity::Warning,
        wit::Severity::Critical => Severity::Critical,
    }
}

pub(crate) fn severity_out(severity: Severity) -> wit::Severity {
    match severity {
        Severity::Info => wit::Severity::Info,
        Severity::Warning => wit::Severity::Warning,
        Severity::Critical => wit::Severity::Critical,
    }
}

fn metric_type(metric_type: wit::MetricType) -> MetricType {
    match metric_type {
        wit::MetricType::Counter => MetricType::Counter,
        wit::MetricType::Gauge => MetricType::Gauge,
        wit::MetricType::Histogram => MetricType::Histogram,
        wit::MetricType::Summary => MetricType::Summary,
        wit::MetricType::Info => MetricType::Info,
        wit::MetricType::Unknown => MetricType::Unknown,
    }
}

pub(crate) fn metric_type_out(metric_type: MetricType) -> wit::MetricType {
    match metric_type {
        MetricType::Counter => wit::MetricType::Counter,
        MetricType::Gauge => wit::MetricType::Gauge,
        MetricType::Histogram => wit::MetricType::Histogram,
        MetricType::Summary => wit::MetricType::Summary,
        MetricType::Info => wit::MetricType::Info,
        MetricType::Unknown => wit::MetricType::Unknown,
    }
}

fn relation_kind(kind: wit::RelationKind) -> RelationKind {
    match kind {
        wit::RelationKind::RunsOn => RelationKind::RunsOn,
        wit::RelationKind::Contains => RelationKind::Contains,
        wit::RelationKind::PoweredBy => RelationKind::PoweredBy,
        wit::RelationKind::ConnectedTo => RelationKind::ConnectedTo,
        wit::RelationKind::StoredOn => RelationKind::StoredOn,
        wit::RelationKind::DependsOn => RelationKind::DependsOn,
    }
}

/// For guests.
pub(crate) fn relation_kind_out(kind: RelationKind) -> wit::RelationKind {
    match kind {
        RelationKind::RunsOn => wit::RelationKind::RunsOn,
        RelationKind::Contains => wit::RelationKind::Contains,
        RelationKind::PoweredBy => wit::RelationKind::PoweredBy,
        RelationKind::ConnectedTo => wit::RelationKind::ConnectedTo,
        RelationKind::StoredOn => wit::RelationKind::StoredOn,
        RelationKind::DependsOn => wit::RelationKind::DependsOn,
    }
}

/// For guests.
pub(crate) fn failure_out(failure: &Failure) -> wit::Failure {
    wit::Failure {
        code: match failure.code {
            FailureCode::Unreachable => wit::FailureCode::Unreachable,
            FailureCode::Refused => wit::FailureCode::Refused,
            FailureCode::Malformed => wit::FailureCode::Malformed,
            FailureCode::Misconfigured => wit::FailureCode::Misconfigured,
            FailureCode::Unsupported => wit::FailureCode::Unsupported,
            FailureCode::Internal => wit::FailureCode::Internal,
        },
        message: failure.message.clone(),
        retry: failure.retry,
    }
}

/// For guests.
pub(crate) fn labels_out(labels: &Labels) -> Vec<wit::Label> {
    labels.iter().map(|(name, value)| wit::Label { name: name.to_owned(), value: value.to_owned() }).collect()
}

/// For guests.
pub(crate) fn points_out(series: u32, points: Points) -> wit::Points {
    wit::Points { series, at: moments_out(&points.at), value: points.value }
}

/// For guests.
pub(crate) fn moments_out(at: &[Timestamp]) -> Vec<i64> {
    at.iter().map(|moment| moment.0).collect()
}

pub(crate) fn moments(at: Vec<i64>) -> Vec<Timestamp> {
    at.into_iter().map(Timestamp).collect()
}
