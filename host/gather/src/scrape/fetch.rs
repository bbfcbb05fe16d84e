//! One page from one target.

use super::{client::ClientConfig, target::Planned};
use tandem_domain::{
    Failure, FailureCode,
    http::{HttpClient, HttpRequest},
};
use tandem_wire::exposition::Format;

/// What is read, the liked first: OpenMetrics says units and when counters began, the newer text format has names of any
/// letters.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                      application/openmetrics-text;version=0.0.1;q=0.5,\
                      text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// A page as it came.
pub(super) struct Fetched {
    pub body: Vec<u8>,
    pub format: Format,
}

/// Asks a target for its page of at most so many bytes.
pub(super) async fn fetch(
    http: &dyn HttpClient,
    client: &ClientConfig,
    planned: &Planned,
    max_response_bytes: usize,
) -> Result<Fetched, Failure> {
    let prepared = client.prepare(&planned.address).await?;
    let timeout = planned.timeout.as_secs_f64().to_string();
    let mut headers = prepared.headers;
    for (name, value) in
        [("accept", ACCEPT), ("accept-encoding", "gzip"), ("x-prometheus-scrape-timeout-seconds", timeout.as_str())]
    {
        headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }
    let request = HttpRequest {
        method: "GET".into(),
        url: planned.url.clone(),
        headers,
        body: Vec::new(),
        timeout: planned.timeout,
        max_response_bytes,
        follow_redirects: client.follow_redirects,
    };
    let answer = http.send(&prepared.grant, request).await?;
    if answer.status != 200 {
        return Err(Failure::passing(
            FailureCode::Refused,
            format!("{} answered with status {}; it should answer 200 with a metrics page", planned.url, answer.status),
        ));
    }
    let format = Format::of(content_type(&answer.headers));
    Ok(Fetched { body: answer.body, format })
}

fn content_type(headers: &[(String, Vec<u8>)]) -> Option<&str> {
    let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"))?;
    std::str::from_utf8(value).ok()
}
