//! HTTP for guests: `wasi:http/outgoing-handler` behind the trait `Http`.
#![cfg_attr(not(target_arch = "wasm32"), allow(unused))]

use crate::{
    bindings::imports::wasi::{
        http::{
            outgoing_handler,
            types::{ErrorCode, Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme},
        },
        io::streams::{OutputStream, StreamError},
    },
    host::{Http, HttpRequest, HttpResponse, failure, passing_failure},
    types::{Failure, FailureCode},
};

/// Bytes written at once; the interface takes no more.
const WRITE_BYTES: usize = 4096;
/// Bytes read at once.
const READ_BYTES: u64 = 64 << 10;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// The real thing, for the wasm build.
#[doc(hidden)]
pub struct GuestHttp;

impl Http for GuestHttp {
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let timeout = u64::from(request.timeout_ms) * NANOSECONDS_PER_MILLISECOND;
        let options = RequestOptions::new();
        // A host that does not know a timeout says so and uses its own.
        let _ = options.set_connect_timeout(Some(timeout));
        let _ = options.set_first_byte_timeout(Some(timeout));
        let _ = options.set_between_bytes_timeout(Some(timeout));
        let outgoing = outgoing(&request)?;
        let body = outgoing.body().map_err(|()| malformed(&request, "its body was taken twice"))?;
        let pending = outgoing_handler::handle(outgoing, Some(options)).map_err(|code| refused(&request, &code))?;
        write_body(&request, body)?;
        pending.subscribe().block();
        let response = match pending.get() {
            Some(Ok(Ok(response))) => response,
            Some(Ok(Err(code))) => return Err(refused(&request, &code)),
            Some(Err(())) | None => return Err(malformed(&request, "its answer was taken twice")),
        };
        let headers = response.headers().entries();
        let headers = headers.into_iter().map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned())).collect();
        let body = read_body(&request, response.consume().map_err(|()| malformed(&request, "its body was taken twice"))?)?;
        Ok(HttpResponse { status: response.status(), headers, body })
    }
}

fn outgoing(request: &HttpRequest) -> Result<OutgoingRequest, Failure> {
    let (scheme, rest) = request.url.split_once("://").ok_or_else(|| malformed(request, "the address has no scheme"))?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => return Err(malformed(request, &format!("the scheme {other:?} is not HTTP's"))),
    };
    let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let fields: Vec<(String, Vec<u8>)> = request.headers.iter().map(|(n, v)| (n.to_lowercase(), v.clone().into_bytes())).collect();
    let headers = Fields::from_list(&fields).map_err(|_| malformed(request, "a header is not allowed"))?;
    let outgoing = OutgoingRequest::new(headers);
    let wrong = |()| malformed(request, "method or address cannot be written down");
    outgoing.set_method(&method(&request.method)).map_err(wrong)?;
    outgoing.set_scheme(Some(&scheme)).map_err(wrong)?;
    outgoing.set_authority(Some(authority)).map_err(wrong)?;
    outgoing.set_path_with_query(Some(&path)).map_err(wrong)?;
    Ok(outgoing)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.into()),
    }
}

fn write_body(request: &HttpRequest, body: OutgoingBody) -> Result<(), Failure> {
    let stream: OutputStream = body.write().map_err(|()| malformed(request, "its body was taken twice"))?;
    for part in request.body.chunks(WRITE_BYTES) {
        stream.blocking_write_and_flush(part).map_err(|_| broken(request, "the connection broke while sending"))?;
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|code| refused(request, &code))
}

fn read_body(request: &HttpRequest, body: IncomingBody) -> Result<Vec<u8>, Failure> {
    let stream = body.stream().map_err(|()| malformed(request, "its body was taken twice"))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(part) => bytes.extend(part),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(_)) => return Err(broken(request, "the connection broke while reading")),
        }
    }
}

/// The address without what may be secret.
fn shown(request: &HttpRequest) -> &str {
    let url = request.url.split('?').next().unwrap_or_default();
    url.rsplit_once('@').map_or(url, |(_, rest)| rest)
}

fn malformed(request: &HttpRequest, what: &str) -> Failure {
    failure(FailureCode::Malformed, format!("{} {}: {what}", request.method, shown(request)))
}

fn broken(request: &HttpRequest, what: &str) -> Failure {
    passing_failure(FailureCode::Unreachable, format!("{} {}: {what}", request.method, shown(request)))
}

fn refused(request: &HttpRequest, code: &ErrorCode) -> Failure {
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
            failure(FailureCode::Refused, format!("{} {}: the host does not grant this address", request.method, shown(request)))
        }
        ErrorCode::InternalError(Some(text)) => passing_failure(FailureCode::Unreachable, text.clone()),
        other => passing_failure(FailureCode::Unreachable, format!("{} {}: {other:?}", request.method, shown(request))),
    }
}
