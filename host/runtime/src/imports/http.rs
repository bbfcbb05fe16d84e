//! `wasi:http/outgoing-handler`: requests are gathered whole and handed to the house's one client with the grant of the call.

use super::denial::Denials;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use std::{sync::Arc, time::Duration};
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

/// The way out of one instance.
pub(crate) struct OutboundHttp {
    client: Option<Arc<dyn HttpClient>>,
    grant: HttpGrant,
    denials: Denials,
}

type Worker = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Worker), Error>> + Send>;

impl OutboundHttp {
    pub(super) fn new(client: Option<Arc<dyn HttpClient>>, grant: HttpGrant, denials: Denials) -> Self {
        Self { client, grant, denials }
    }
}

impl WasiHttpHooks for OutboundHttp {
    fn send_request(&mut self, request: http::Request<WasiBody>, options: Option<RequestOptions>, _: Worker) -> Sent {
        let (client, grant) = (self.client.clone(), self.grant.clone());
        let denials = self.denials.clone();
        Box::new(async move {
            let Some(client) = client else { return Err(Error::HttpRequestDenied) };
            let request = gather(request, options).await?;
            let answer = client.send(&grant, request).await.map_err(|failure| {
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
