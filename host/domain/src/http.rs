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

/// The one way out over HTTP. Resolves once, checks the address against the grant, connects to that address.
pub trait HttpClient: Send + Sync {
    /// Sends one request.
    ///
    /// # Errors
    /// `Refused` when the grant does not cover the address or a redirect (the message prints the line to add),
    /// `Unreachable` when nothing answers in time, `Malformed` when the answer is not HTTP or too long.
    fn send<'a>(&'a self, grant: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>>;
}
