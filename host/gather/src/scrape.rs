//! One scrape: fetch, parse, hold to the limits.

use crate::{
    ScrapeConfig,
    intake::{Visit, too_much},
    metrics::GatherMetrics,
};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    http::{HttpClient, HttpGrant, HttpRequest},
};
use tandem_wire::exposition;

/// Longest page, in bytes after decompression: a kube-state-metrics of a large cluster is some 100 MiB.
const MAX_PAGE_BYTES: usize = 128 << 20;
/// Samples may carry moments this far from now, in milliseconds; beyond it the exporter's clock is wrong.
const MAX_CLOCK_SKEW_MILLIS: i64 = 10 * 60_000;
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// An endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub url: String,
    pub config: ScrapeConfig,
}

pub(crate) async fn scrape(
    http: &dyn HttpClient,
    grant: &HttpGrant,
    endpoint: &Endpoint,
    now: Timestamp,
    metrics: &GatherMetrics,
) -> Result<Visit, Failure> {
    let timeout = endpoint.config.timeout();
    let headers = [
        ("accept", ACCEPT.to_owned()),
        ("accept-encoding", "gzip".to_owned()),
        ("x-prometheus-scrape-timeout-seconds", timeout.as_secs_f64().to_string()),
    ];
    let request = HttpRequest {
        method: "GET".into(),
        url: endpoint.url.clone(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect(),
        body: Vec::new(),
        timeout,
        max_response_bytes: MAX_PAGE_BYTES,
        follow_redirects: true,
    };
    let answer = http.send(grant, request).await?;
    if answer.status != 200 {
        return Err(Failure::passing(
            FailureCode::Refused,
            format!(
                "{} answered with status {}; it should answer 200 with a metrics page",
                endpoint.url, answer.status
            ),
        ));
    }
    let page = exposition::parse(&answer.body)
        .map_err(|error| Failure::passing(FailureCode::Malformed, format!("{}: {error}", endpoint.url)))?;
    if page.rejected > 0 {
        metrics.rejected(page.rejected as u64);
        let first = page.rejections.first().map(|r| format!("line {}: {}", r.line, r.reason)).unwrap_or_default();
        tracing::debug!(
            url = endpoint.url,
            rejected = page.rejected,
            "lines of a metrics page could not be used, the first at {first}"
        );
    }
    if let Some(limit) = endpoint.config.sample_limit.filter(|limit| page.samples.len() > *limit) {
        return Err(too_much(format!(
            "{} gives {} samples and its sample_limit is {limit}; raise the limit or have the exporter give less",
            endpoint.url,
            page.samples.len()
        )));
    }
    let moment =
        |at: Option<Timestamp>| at.filter(|at| at.millis_since(now).abs() <= MAX_CLOCK_SKEW_MILLIS).unwrap_or(now);
    let samples = page.samples.into_iter().map(|sample| (sample.series, moment(sample.at), sample.value)).collect();
    Ok(Visit { samples, ..Visit::default() })
}
