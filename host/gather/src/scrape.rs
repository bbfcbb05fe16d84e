//! One scrape: fetch, parse, hold to the limits.

use crate::{
    ScrapeConfig,
    intake::{Visit, too_much},
    limits::{Rejections, Sample, Tally},
};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    http::{HttpClient, HttpGrant, HttpRequest},
    series::{Labels, SeriesDescription},
    target::TargetKey,
};
use tandem_wire::exposition;

/// Longest page, in bytes after decompression: a kube-state-metrics of a large cluster is some 100 MiB.
const MAX_PAGE_BYTES: usize = 128 << 20;
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
    visited: &TargetKey,
    now: Timestamp,
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
    let format = exposition::Format::of(content_type(&answer.headers));
    let page = exposition::parse(&answer.body, format)
        .map_err(|error| Failure::passing(FailureCode::Malformed, format!("{}: {error}", endpoint.url)))?;
    let mut rejections = Rejections::default();
    if page.rejected > 0 {
        let first = page.rejections.first().map(|r| format!("line {}: {}", r.line, r.reason)).unwrap_or_default();
        rejections.lines = Tally { count: page.rejected as u64, first };
    }
    if let Some(limit) = endpoint.config.sample_limit.filter(|limit| page.samples.len() > *limit) {
        return Err(too_much(format!(
            "{} gives {} samples and its sample_limit is {limit}; raise the limit or have the exporter give less",
            endpoint.url,
            page.samples.len()
        )));
    }
    let mut samples = Vec::with_capacity(page.samples.len());
    for sample in &page.samples {
        let series = match page.describe(sample) {
            Ok(series) => series,
            Err(rejected) => {
                rejections.lines.note(|| format!("line {}: {}", rejected.line, rejected.reason));
                continue;
            }
        };
        let (target, series) = match endpoint.config.honor_labels {
            true => honored(series, visited),
            false => (None, series),
        };
        samples.push(Sample { target, series, at: sample.at.unwrap_or(now), value: sample.value });
    }
    Ok(Visit { samples, rejections, ..Visit::default() })
}

fn content_type(headers: &[(String, Vec<u8>)]) -> Option<&str> {
    let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"))?;
    std::str::from_utf8(value).ok()
}

/// The target that a series' own `job` and `instance` name, when it is another than the visited one, and the series without
/// them: who passes on what others measured says so by these labels.
fn honored(series: SeriesDescription, visited: &TargetKey) -> (Option<TargetKey>, SeriesDescription) {
    let (job, instance) = (series.labels.get("job"), series.labels.get("instance"));
    if job.is_none() && instance.is_none() {
        return (None, series);
    }
    let target = TargetKey {
        job: job.unwrap_or(&visited.job).to_owned(),
        instance: instance.unwrap_or(&visited.instance).to_owned(),
    };
    let others = series.labels.iter().filter(|(name, _)| !["job", "instance"].contains(name));
    let labels: Labels = others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    ((target != *visited).then_some(target), SeriesDescription { labels, ..series })
}
