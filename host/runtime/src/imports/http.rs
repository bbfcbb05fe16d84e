//! `wasi:http/outgoing-handler`: requests are gathered whole and handed to the house's one client with the grant of the call.

use super::denial::Denials;
use crate::secrets::Secrets;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tandem_domain::{
    FailureCode,
    http::{HttpClient, HttpGrant, HttpRequest},
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Longest request body, in bytes; what collectors and targets send is small.
const MAX_REQUEST_BYTES: usize = 4 << 20;
/// Longest answer, in bytes after decompression.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Time for an exchange when the guest does not say; the call's own deadline comes on top.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long one instance has waited for others, so that a slow target is not taken for a slow guest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<Mutex<(Duration, Vec<Instant>)>>);

impl Waiting {
    fn begin(&self) {
        self.0.lock().1.push(Instant::now());
    }

    /// One exchange is over; of several under way it does not matter which.
    fn end(&self) {
        let mut waiting = self.0.lock();
        if let Some(since) = waiting.1.pop() {
            waiting.0 += since.elapsed();
        }
    }

    /// Over all exchanges, the one under way included.
    pub(crate) fn so_far(&self) -> Duration {
        let waiting = self.0.lock();
        waiting.0 + waiting.1.first().map_or(Duration::ZERO, Instant::elapsed)
    }
}

/// The way out of one instance.
pub(crate) struct OutboundHttp {
    client: Option<Arc<dyn HttpClient>>,
    grant: HttpGrant,
    secrets: Secrets,
    denials: Denials,
    pub(super) waiting: Waiting,
}

type Worker = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Worker), Error>> + Send>;

impl OutboundHttp {
    pub(super) fn new(
        client: Option<Arc<dyn HttpClient>>,
        grant: HttpGrant,
        secrets: Secrets,
        denials: Denials,
    ) -> Self {
        Self { client, grant, secrets, denials, waiting: Waiting::default() }
    }
}

impl WasiHttpHooks for OutboundHttp {
    fn send_request(&mut self, request: http::Request<WasiBody>, options: Option<RequestOptions>, _: Worker) -> Sent {
        let (client, grant) = (self.client.clone(), self.grant.clone());
        let (denials, secrets, waiting) = (self.denials.clone(), self.secrets.clone(), self.waiting.clone());
        Box::new(async move {
            let Some(client) = client else { return Err(Error::HttpRequestDenied) };
            let mut request = gather(request, options).await?;
            for (_, value) in &mut request.headers {
                *value = secrets.fill(value).map_err(|failure| {
                    denials.note(failure);
                    Error::HttpRequestDenied
                })?;
            }
            waiting.begin();
            let answer = client.send(&grant, request).await;
            waiting.end();
            let answer = answer.map_err(|failure| {
                if failure.code != FailureCode::Refused {
                    return Error::InternalError(Some(failure.message));
                }
                denials.note(failure);
                Error::HttpRequestDenied
            })?;
            let mut builder = http::Response::builder().status(answer.status);
            for (name, value) in &answer.headers {
                // The body is whole and plain by now, whatever the headers said.
                if !["content-encoding", "content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
                    builder = builder.header(name, value.as_slice());
                }
            }
            let body = Full::new(Bytes::from(answer.body)).map_err(|never| match never {}).boxed_unsync();
            let response = builder.body(body).map_err(|error| Error::InternalError(Some(error.to_string())))?;
            let idle: Worker = Box::new(async { Ok(()) });
            Ok((response, idle))
        })
    }
}

async fn gather(request: http::Request<WasiBody>, options: Option<RequestOptions>) -> Result<HttpRequest, Error> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_REQUEST_BYTES)
        .collect()
        .await
        .map_err(|_| Error::HttpRequestBodySize(Some(MAX_REQUEST_BYTES as u64)))?;
    let timeout = options.and_then(|options| options.first_byte_timeout).unwrap_or(DEFAULT_TIMEOUT);
    Ok(HttpRequest {
        method: parts.method.to_string(),
        url: parts.uri.to_string(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
        body: body.to_bytes().to_vec(),
        timeout: timeout.min(DEFAULT_TIMEOUT),
        max_response_bytes: MAX_ANSWER_BYTES,
        follow_redirects: false,
    })
}
