//! Log records as log entries.

use super::{
    Encoding, OtlpError,
    message::{LogRecord, LogsRequest, Resource, Scope},
    moment,
    protobuf::{self, Budget},
    resource::{self, ResourceInfo},
};
use crate::{
    limits::WireLimits,
    log_entry::{LogEntry, cut},
    protobuf::{Malformed, Reader},
    rejected::{Reason, Rejection, Rejections},
};
use tandem_domain::{Severity, Timestamp, series::Labels};

/// A request as log entries.
#[derive(Debug, Default)]
pub struct LogsBatch {
    /// Who sends.
    pub resources: Vec<ResourceInfo>,
    /// Index into `resources`, and the entry.
    pub entries: Vec<(u32, LogEntry)>,
    /// Records that cannot be used, by reason.
    pub rejections: Rejections,
}

/// Decodes an opened body; `now` stands in for records that say no time. A record's attributes and text are cut to the
/// limits, since a log line is worth more shortened than lost.
///
/// # Errors
/// When it is no request at all.
pub fn decode_logs(
    encoding: Encoding,
    body: &[u8],
    now: Timestamp,
    limits: &WireLimits,
) -> Result<LogsBatch, OtlpError> {
    let mut converter =
        Converter { batch: LogsBatch::default(), now, limits, service: String::new(), host: String::new() };
    match encoding {
        Encoding::Protobuf => {
            let mut budget = Budget(limits.items);
            let mut reader = Reader::new(body);
            let no_request = |error: Malformed| OtlpError::NoRequest(error.to_string());
            while let Some((number, field)) = reader.field().map_err(no_request)? {
                if number == 1 {
                    let group = field.message().map_err(no_request)?;
                    if let Err(error) = converter.group(group, &mut budget) {
                        converter.reject(&error);
                    }
                }
            }
        }
        Encoding::Json => converter.json(body)?,
    }
    Ok(converter.batch)
}

struct Converter<'l> {
    batch: LogsBatch,
    now: Timestamp,
    limits: &'l WireLimits,
    service: String,
    host: String,
}

impl Converter<'_> {
    fn reject(&mut self, error: &dyn std::fmt::Display) {
        let text = format!("a log record is malformed: {error}");
        self.batch.rejections.add(Rejection { reason: Reason::Malformed, text }, 1);
    }

    fn json(&mut self, body: &[u8]) -> Result<(), OtlpError> {
        if body.len() > self.limits.json_bytes {
            return Err(OtlpError::TooLong { limit: self.limits.json_bytes });
        }
        let request: LogsRequest<'_> =
            serde_json::from_slice(body).map_err(|error| OtlpError::NoRequest(error.to_string()))?;
        for group in &request.resource_logs {
            self.begin(&group.resource);
            for scoped in &group.scope_logs {
                for raw in &scoped.log_records {
                    match serde_json::from_str(raw.get()) {
                        Ok(record) => self.record(&scoped.scope, &record),
                        Err(error) => self.reject(&error),
                    }
                }
            }
        }
        Ok(())
    }

    fn group(&mut self, group: Reader<'_>, budget: &mut Budget) -> Result<(), Malformed> {
        let mut sender = Resource::default();
        let mut first = group;
        while let Some((number, field)) = first.field()? {
            if number == 1 {
                sender = protobuf::resource(field.message()?, budget)?;
            }
        }
        self.begin(&sender);
        let mut second = group;
        while let Some((number, field)) = second.field()? {
            if number == 2 {
                self.scope(field.message()?, budget)?;
            }
        }
        Ok(())
    }

    fn scope(&mut self, scoped: Reader<'_>, budget: &mut Budget) -> Result<(), Malformed> {
        let mut scope = Scope::default();
        let mut first = scoped;
        while let Some((number, field)) = first.field()? {
            if number == 1 {
                scope = protobuf::scope(field.message()?)?;
            }
        }
        let mut second = scoped;
        while let Some((number, field)) = second.field()? {
            if number != 2 {
                continue;
            }
            match protobuf::log_record(field.message()?, budget) {
                Ok(record) => self.record(&scope, &record),
                Err(error) => self.reject(&error),
            }
        }
        Ok(())
    }

    fn begin(&mut self, sender: &Resource<'_>) {
        // A resource without records is forgotten, so that a body of nothing else takes no memory.
        let used = self.batch.entries.last().map_or(0, |(resource, _)| *resource as usize + 1);
        self.batch.resources.truncate(used);
        let info = resource::info(sender, self.limits);
        self.host = info.labels.get("host_name").unwrap_or_default().to_owned();
        self.service = info.target.job.clone();
        self.batch.resources.push(info);
    }

    fn record(&mut self, scope: &Scope<'_>, record: &LogRecord<'_>) {
        if self.batch.entries.len() >= self.limits.items {
            let text = format!("a request may hold {} records; send the rest in another", self.limits.items);
            return self.batch.rejections.add(Rejection { reason: Reason::TooMany, text }, 1);
        }
        let at = match (record.time_unix_nano, record.observed_time_unix_nano) {
            (0, 0) => self.now,
            (0, observed) => moment(observed),
            (nanos, _) => moment(nanos),
        };
        let (severity, name) = severity(record.severity_number);
        let level = if record.severity_text.is_empty() { name } else { &record.severity_text };
        let own = [
            ("trace_id", record.trace_id.to_ascii_lowercase()),
            ("span_id", record.span_id.to_ascii_lowercase()),
            ("event_name", record.event_name.to_string()),
            ("otel.scope.name", scope.name[..scope.name.floor_char_boundary(self.limits.value_bytes)].to_owned()),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        let sent = record.attributes.iter().map(|attribute| (attribute.key.to_string(), attribute.value.text()));
        let kept = own
            .chain(sent)
            .filter(|(name, _)| !name.is_empty() && name.len() <= self.limits.name_bytes)
            .take(self.limits.labels)
            .map(|(name, value)| (name, cut(value, self.limits.value_bytes)));
        let entry = LogEntry {
            at,
            severity,
            level: cut(level.to_owned(), self.limits.name_bytes),
            host: self.host.clone(),
            app: self.service.clone(),
            text: cut(record.body.text(), self.limits.text_bytes),
            attributes: Labels::new(kept),
        };
        self.batch.entries.push((self.batch.resources.len().saturating_sub(1) as u32, entry));
    }
}

/// OTLP's 24 grades in our three: a warning is one, an error needs somebody in working hours unless it is fatal.
fn severity(number: i32) -> (Severity, &'static str) {
    match number {
        1..=4 => (Severity::Info, "TRACE"),
        5..=8 => (Severity::Info, "DEBUG"),
        9..=12 => (Severity::Info, "INFO"),
        13..=16 => (Severity::Warning, "WARN"),
        17..=20 => (Severity::Warning, "ERROR"),
        21..=24 => (Severity::Critical, "FATAL"),
        _ => (Severity::Info, ""),
    }
}
