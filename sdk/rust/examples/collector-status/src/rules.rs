//! From a status page to series, and from series to their meaning.

use tandem_sdk::{
    collector::Collection,
    mapper::Mapping,
    mapping::{MappingBuilder, canonical, fault_within, label_of, local},
    types::{Entity, Failure, MetricType, Points, Series, Severity, Timestamp, label},
};

/// The page: `{"service": "chat", "healthy": true, "queue_depth": 3, "requests": 120}`.
#[derive(Debug, serde::Deserialize)]
pub struct Page {
    service: String,
    healthy: bool,
    queue_depth: f64,
    requests: f64,
}

/// The series of a page, and the service. The cursor counts the calls, in decimal digits.
pub fn collection(now: Timestamp, page: &Page, cursor: &[u8]) -> Result<Collection, Failure> {
    let calls =
        if cursor.is_empty() { Some(0) } else { str::from_utf8(cursor).ok().and_then(|text| text.parse().ok()) };
    let calls: u32 = calls.ok_or_else(|| Failure::malformed("the cursor is no number"))?;
    let calls = calls.saturating_add(1);
    let values = [
        ("status_healthy", MetricType::Gauge, f64::from(u8::from(page.healthy))),
        ("status_queue_depth", MetricType::Gauge, page.queue_depth),
        ("status_requests_total", MetricType::Counter, page.requests),
        ("status_calls_total", MetricType::Counter, f64::from(calls)),
    ];
    let mut collection = Collection {
        series: Vec::new(),
        points: Vec::new(),
        entities: vec![Entity {
            kind: "service".into(),
            keys: vec![local("name", &page.service)],
            name: page.service.clone(),
            attributes: Vec::new(),
        }],
        relations: Vec::new(),
        events: Vec::new(),
        cursor: calls.to_string().into_bytes(),
    };
    for (index, (metric, metric_type, value)) in (0u32..).zip(values) {
        let labels = vec![label("service", &page.service)];
        collection.series.push(Series { metric: metric.into(), metric_type, unit: String::new(), labels });
        collection.points.push(Points { series: index, at: vec![now], value: vec![value] });
    }
    Ok(collection)
}

/// The meaning of the page's series.
pub fn interpret(series: &[Series]) -> Mapping {
    let mut mapping = MappingBuilder::default();
    for (index, one) in series.iter().enumerate() {
        let Some(service) = label_of(one, "service") else { continue };
        let meaning = match one.metric.as_str() {
            "status_healthy" => canonical("service.healthy", "1").fault(fault_within(
                "service.unhealthy",
                0.0,
                0.0,
                Severity::Critical,
                "the service calls itself unhealthy",
                "Look at the service's own log.",
            )),
            "status_queue_depth" => canonical("service.queue.depth", "{request}"),
            "status_requests_total" => canonical("service.requests", "{request}"),
            _ => continue,
        };
        let entity = mapping.entity("service", vec![local("name", service)], service);
        mapping.meaning(index, entity, meaning);
    }
    mapping.finish()
}
