//! The way through a request, in JSON and in protobuf: resources, their scopes, and the metrics of each.

use super::{Converter, Counting, Head};
use crate::{
    otlp::{
        OtlpError,
        message::{MetricsRequest, Resource, Scope},
        names,
        protobuf::{self, Budget},
        resource,
    },
    protobuf::{Malformed, Reader},
    rejected::{Reason, Rejection},
};
use tandem_domain::series::MetricType;

fn malformed(error: &dyn std::fmt::Display) -> Rejection {
    Rejection { reason: Reason::Malformed, text: format!("a metric is malformed: {error}") }
}

impl Converter<'_> {
    pub(super) fn json(&mut self, body: &[u8]) -> Result<(), OtlpError> {
        if body.len() > self.limits.json_bytes {
            return Err(OtlpError::TooLong { limit: self.limits.json_bytes });
        }
        let request: MetricsRequest<'_> =
            serde_json::from_slice(body).map_err(|error| OtlpError::NoRequest(error.to_string()))?;
        for group in &request.resource_metrics {
            self.begin(&group.resource);
            for scoped in &group.scope_metrics {
                self.enter(&group.resource, &scoped.scope);
                for raw in &scoped.metrics {
                    match serde_json::from_str(raw.get()) {
                        Ok(metric) => self.metric(&metric),
                        Err(error) => self.batch.rejections.add(malformed(&error), 1),
                    }
                }
            }
            self.end();
        }
        Ok(())
    }

    pub(super) fn protobuf(&mut self, body: &[u8], budget: &mut Budget) -> Result<(), Malformed> {
        let mut reader = Reader::new(body);
        while let Some((number, field)) = reader.field()? {
            if number == 1
                && let Err(error) = self.group(field.message()?, budget)
            {
                self.batch.rejections.add(malformed(&error), 1);
            }
        }
        Ok(())
    }

    /// The metrics of one resource, which is looked for first, since a message's fields come in any order.
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
        let mut scopes = || -> Result<(), Malformed> {
            while let Some((number, field)) = second.field()? {
                if number == 2 {
                    self.scope(&sender, field.message()?, budget)?;
                }
            }
            Ok(())
        };
        let read = scopes();
        self.end();
        read
    }

    fn scope(&mut self, sender: &Resource<'_>, scoped: Reader<'_>, budget: &mut Budget) -> Result<(), Malformed> {
        let mut scope = Scope::default();
        let mut first = scoped;
        while let Some((number, field)) = first.field()? {
            if number == 1 {
                scope = protobuf::scope(field.message()?)?;
            }
        }
        self.enter(sender, &scope);
        let mut second = scoped;
        while let Some((number, field)) = second.field()? {
            if number != 2 {
                continue;
            }
            match protobuf::metric(field.message()?, budget) {
                Ok(metric) => self.metric(&metric),
                Err(error) => self.batch.rejections.add(malformed(&error), 1),
            }
        }
        Ok(())
    }

    fn enter(&mut self, sender: &Resource<'_>, scope: &Scope<'_>) {
        self.common = resource::common(sender, scope, self.options, self.limits);
        self.scraped = names::is_scraping(&scope.name);
    }

    fn begin(&mut self, sender: &Resource<'_>) {
        self.batch.resources.push(resource::info(sender, self.limits));
        self.latest = None;
    }

    /// Tells the resource itself, at the moment of its latest point; one without points is forgotten.
    fn end(&mut self) {
        if self.latest.is_none() {
            self.batch.resources.pop();
        }
        let (Some(info), Some(at)) = (self.batch.resources.last(), self.latest) else { return };
        let known = !info.target.job.is_empty() || !info.target.instance.is_empty();
        if info.labels.is_empty() || !known {
            return;
        }
        let labels = info.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let head = Head {
            name: "target_info",
            unit: "",
            metric_type: MetricType::Info,
            labels,
            at,
            counting: Counting::Total,
            stale: false,
        };
        // It was held to the limits as a resource; what is left is the bound of the whole, and then it is not missed.
        let _ = self.emit(&head, "", None, 1.0);
    }
}
