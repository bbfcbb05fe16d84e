//! HTTP as plugins see it, and `wasi:http/outgoing-handler` behind it. Calls block; the host's deadline covers them.

use crate::{
    bindings::wasi_http::wasi::{
        http::{
            outgoing_handler,
            types::{ErrorCode, Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme},
        },
        io::streams::StreamError,
    },
    types::Failure,
};

/// Bytes written at once; `blocking-write-and-flush` takes no more.
const WRITE_BYTES: usize = 4096;
/// Bytes asked for at once: enough that a page of metrics takes few calls.
const READ_BYTES: u64 = 64 << 10;
/// The longest body that is read: a collector's sandbox has 64 MiB, and parsing takes several times the text.
const MAX_BODY_BYTES: usize = 8 << 20;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;
/// The timeout of a request that names none: short of the shortest sensible collection interval.
const DEFAULT_TIMEOUT_MS: u32 = 10_000;

/// Sends HTTP requests. Natively, `testing::FixtureHost` answers.
pub trait Http {
    /// Sends a request and waits for the whole answer. An answer of any status is an answer.
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failure>;
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpRequest {
    /// `GET`, `POST` …
    pub method: String,
    /// `http://` or `https://` with host, path and query.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Vec<u8>,
    /// For connecting, for the first byte, and between bytes.
    pub timeout_ms: u32,
}

impl HttpRequest {
    /// A request without headers and body.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { method: method.into(), url: url.into(), headers, body, timeout_ms: DEFAULT_TIMEOUT_MS }
    }

    /// A `GET` request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Method and address, without what may be secret.
    fn shown(&self) -> String {
        let url = self.url.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let rest = match rest.split_once('/') {
            Some((authority, path)) => format!("{}/{path}", authority.rsplit('@').next().unwrap_or_default()),
            None => rest.rsplit('@').next().unwrap_or_default().to_owned(),
        };
        format!("{} {scheme}://{rest}", self.method)
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Names and values; bytes that are no UTF-8 become the replacement character.
    pub headers: Vec<(String, String)>,
    /// The body whole.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The body as text; bytes that are no UTF-8 become the replacement character.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body read as JSON, or what is wrong with it.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::malformed(format!("the answer is not as expected: {error}")))
    }
}

/// An address cut as `wasi:http` wants it.
#[derive(Debug, PartialEq)]
struct Address<'u> {
    is_https: bool,
    authority: &'u str,
    path_with_query: String,
}

impl<'u> Address<'u> {
    fn parse(url: &'u str) -> Result<Self, String> {
        let url = url.split('#').next().unwrap_or(url);
        let (scheme, rest) = url.split_once("://").ok_or("it has no scheme; it must begin with http:// or https://")?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            other => return Err(format!("its scheme is {other:?}; it must be http or https")),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() {
            return Err("it names no host".into());
        }
        if authority.contains('@') {
            return Err("it holds a user and password; send them as a header".into());
        }
        let path_with_query = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_https, authority, path_with_query })
    }
}

/// HTTP through the host.
pub(crate) struct WasiHttp;

impl Http for WasiHttp {
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let timeout = Some(u64::from(request.timeout_ms) * NANOSECONDS_PER_MILLISECOND);
        let options = RequestOptions::new();
        // A host that does not know one of the timeouts says so, and uses its own.
        let _ = options.set_connect_timeout(timeout);
        let _ = options.set_first_byte_timeout(timeout);
        let _ = options.set_between_bytes_timeout(timeout);
        let outgoing = outgoing(&request)?;
        let body = outgoing.body().map_err(|()| Failure::internal("the request's body was taken twice"))?;
        let pending = outgoing_handler::handle(outgoing, Some(options)).map_err(|code| failed(&request, &code))?;
        write_body(&request, body)?;
        pending.subscribe().block();
        let response = match pending.get() {
            Some(Ok(Ok(response))) => response,
            Some(Ok(Err(code))) => return Err(failed(&request, &code)),
            Some(Err(())) | None => return Err(Failure::internal("the answer was taken twice")),
        };
        let headers = response.headers().entries();
        let headers = headers.into_iter().map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()));
        let headers = headers.collect();
        let status = response.status();
        let body = response.consume().map_err(|()| Failure::internal("the answer's body was taken twice"))?;
        Ok(HttpResponse { status, headers, body: read_body(&request, body)? })
    }
}

fn outgoing(request: &HttpRequest) -> Result<OutgoingRequest, Failure> {
    let wrong = |why: &str| Failure::misconfigured(format!("{}: {why}", request.shown()));
    let address = Address::parse(&request.url).map_err(|why| wrong(&why))?;
    let fields: Vec<(String, Vec<u8>)> =
        request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone().into_bytes())).collect();
    let headers = Fields::from_list(&fields).map_err(|error| wrong(&format!("a header cannot be sent: {error:?}")))?;
    let outgoing = OutgoingRequest::new(headers);
    let scheme = if address.is_https { Scheme::Https } else { Scheme::Http };
    outgoing
        .set_method(&method(&request.method))
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(address.authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(&address.path_with_query)))
        .map_err(|()| wrong("the method or address has signs that HTTP does not allow"))?;
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
    if !request.body.is_empty() {
        let stream = body.write().map_err(|()| Failure::internal("the request's body was taken twice"))?;
        for part in request.body.chunks(WRITE_BYTES) {
            stream.blocking_write_and_flush(part).map_err(|error| broken(request, "sending", &error))?;
        }
    }
    OutgoingBody::finish(body, None).map_err(|code| failed(request, &code))
}

fn read_body(request: &HttpRequest, body: IncomingBody) -> Result<Vec<u8>, Failure> {
    let stream = body.stream().map_err(|()| Failure::internal("the answer's body was taken twice"))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(part) => bytes.extend_from_slice(&part),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(broken(request, "reading", &error)),
        }
        if bytes.len() > MAX_BODY_BYTES {
            let limit = MAX_BODY_BYTES >> 20;
            return Err(Failure::malformed(format!("{}: the answer is longer than {limit} MiB", request.shown())));
        }
    }
}

fn broken(request: &HttpRequest, doing: &str, error: &StreamError) -> Failure {
    let why = match error {
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
        StreamError::Closed => "it was closed".into(),
    };
    Failure::unreachable(format!("{}: the connection broke while {doing}: {why}", request.shown()))
}

/// The host's and the network's words, in a failure's codes.
fn failed(request: &HttpRequest, code: &ErrorCode) -> Failure {
    let shown = request.shown();
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
            Failure::refused(format!("{shown}: the host does not grant this address to the plugin"))
        }
        ErrorCode::InternalError(Some(why)) => Failure::unreachable(format!("{shown}: {why}")),
        ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestUriTooLong | ErrorCode::HttpRequestMethodInvalid => {
            Failure::misconfigured(format!("{shown}: the address or method is not valid"))
        }
        ErrorCode::HttpProtocolError | ErrorCode::HttpResponseIncomplete | ErrorCode::HttpUpgradeFailed => {
            Failure::malformed(format!("{shown}: the answer is not proper HTTP ({code:?})"))
        }
        other => Failure::unreachable(format!("{shown}: {}", in_words(other))),
    }
}

/// Why the other side could not be reached; the rarer reasons by their names in `wasi:http`.
fn in_words(code: &ErrorCode) -> String {
    match code {
        ErrorCode::ConnectionRefused => "the connection was refused".into(),
        ErrorCode::ConnectionTerminated => "the connection was cut".into(),
        ErrorCode::ConnectionTimeout => "connecting took too long".into(),
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => "the answer took too long".into(),
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) => "the name cannot be resolved".into(),
        ErrorCode::TlsCertificateError => "the certificate is not trusted".into(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut_as_wasi_wants_them() {
        let address = Address::parse("https://bmc-07.example:8443/redfish/v1?a=b#top").expect("a good address");
        assert!(address.is_https);
        assert_eq!((address.authority, address.path_with_query.as_str()), ("bmc-07.example:8443", "/redfish/v1?a=b"));
        assert_eq!(Address::parse("http://h").expect("no path").path_with_query, "/");
        assert_eq!(Address::parse("http://h?x=1").expect("only a query").path_with_query, "/?x=1");
        for wrong in ["host/path", "ftp://host/", "http:///path", "http://me:secret@host/"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn messages_hold_neither_passwords_nor_queries() {
        assert_eq!(HttpRequest::get("http://me:pw@host:1/a/b?token=x").shown(), "GET http://host:1/a/b");
        assert_eq!(HttpRequest::get("http://me:pw@host?token=x").shown(), "GET http://host");
    }
}
