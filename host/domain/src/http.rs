//! Outbound HTTP as rooms and the runtime ask for it; `egress` answers.

use crate::{Failure, ports::BoxFuture};
use std::time::Duration;

/// A pattern of addresses that may be reached: `host`, `host:port`, `*.suffix`, an address, or a CIDR.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpGrant {
    /// Patterns; empty allows nothing.
    pub allow: Vec<String>,
    /// Certificates (PEM) of an own authority to trust for these hosts, beside the public ones.
    pub authority_pem: Option<String>,
    /// How TLS is spoken with these hosts.
    pub tls: TlsOptions,
}

/// How TLS is spoken where the usual way does not do.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsOptions {
    /// Only the grant's own authority is trusted, and no public one.
    pub own_authority_only: bool,
    /// Certificate and key (PEM) by which the client shows who it is.
    pub identity_pem: Option<String>,
    /// The name that the server's certificate must hold, when it is another than the address's host. A name, no address.
    pub server_name: Option<String>,
    /// Takes any certificate: whoever answers is believed.
    pub accept_any_certificate: bool,
    /// The lowest version spoken; 1.2 when none is given.
    pub least_version: Option<TlsVersion>,
}

impl std::fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The identity holds a private key.
        f.debug_struct("TlsOptions")
            .field("own_authority_only", &self.own_authority_only)
            .field("identity_pem", &self.identity_pem.as_ref().map(|_| "hidden"))
            .field("server_name", &self.server_name)
            .field("accept_any_certificate", &self.accept_any_certificate)
            .field("least_version", &self.least_version)
            .finish()
    }
}

/// Versions of TLS that are spoken at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// 1.2.
    V1_2,
    /// 1.3.
    V1_3,
}

/// A request with a body that is already whole.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// `GET`, `POST` …
    pub method: String,
    /// Absolute.
    pub url: String,
    /// Name and value.
    pub headers: Vec<(String, Vec<u8>)>,
    /// May be empty.
    pub body: Vec<u8>,
    /// For the whole exchange.
    pub timeout: Duration,
    /// Longest answer body accepted, in bytes, after decompression.
    pub max_response_bytes: usize,
    /// Whether redirects are followed (each checked against the grant again).
    pub follow_redirects: bool,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct HttpResponse {
    /// Such as 200.
    pub status: u16,
    /// Name and value.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Decompressed.
    pub body: Vec<u8>,
}

/// The body of an answer, as it comes.
pub trait BodyParts: Send {
    /// The next part; none at the end. It waits as long as the server says nothing.
    ///
    /// # Errors
    /// `Unreachable` when the exchange breaks.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, Failure>>;
}

/// An answer whose body is still to be read.
pub struct HttpStream {
    /// Such as 200.
    pub status: u16,
    /// Name and value.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Decompressed.
    pub body: Box<dyn BodyParts>,
}

/// Answers that have no end, such as a watch on Kubernetes' objects.
pub trait HttpStreams: Send + Sync {
    /// Sends one request; answers when the head of the answer is there. The request's timeout counts until then, and its limit
    /// of bytes does not count.
    ///
    /// # Errors
    /// As [`HttpClient::send`].
    fn open<'a>(&'a self, grant: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpStream, Failure>>;
}

/// The one way out over HTTP. Resolves once, checks the address against the grant, connects to that address.
pub trait HttpClient: Send + Sync {
    /// Sends one request.
    ///
    /// # Errors
    /// `Refused` when the grant does not cover the address or a redirect (the message prints the line to add),
    /// `Unreachable` when nothing answers in time, `Malformed` when the answer is not HTTP or too long.
    fn send<'a>(&'a self, grant: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>>;
}
