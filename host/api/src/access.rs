//! Who may do what, and which web pages may reach the server at all.
//!
//! Every route names its permission in the one table in `routes`. For now there is one principal, the local operator, who
//! holds every permission and exists only on loopback; tokens and roles come in at [`Access::principal`].

use crate::error::{ApiError, ErrorCode};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::SocketAddr, sync::Arc};

/// A right over the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Liveness, readiness and own metrics.
    ReadHealth,
    /// Everything that was recorded.
    Read,
    /// Predictions, labels and payloads for collectors.
    Ingest,
    /// Acknowledge and resolve incidents.
    Respond,
    /// Request and abort deployments.
    Deploy,
    /// Delete series.
    Delete,
    /// Handle the server itself: have it write down what it holds, or read its files again.
    Operate,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Written into timelines.
    pub name: String,
    permissions: Vec<Permission>,
}

impl Principal {
    /// The person at this machine, who holds every permission.
    pub fn local_operator() -> Self {
        use Permission::{Delete, Deploy, Ingest, Operate, Read, ReadHealth, Respond};
        let permissions = vec![ReadHealth, Read, Ingest, Respond, Deploy, Delete, Operate];
        Self { name: "local operator".into(), permissions }
    }

    /// Whether the principal may do this.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

/// The rules for reaching the server: which names it answers to.
#[derive(Debug, Clone)]
pub struct Access {
    hosts: Vec<String>,
}

impl Access {
    /// Answers to the address it listens on and, on loopback, to `localhost` with the same port.
    pub fn for_listener(address: SocketAddr) -> Self {
        let port = address.port();
        let mut hosts = vec![address.to_string()];
        if address.ip().is_loopback() {
            hosts.extend([format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
        }
        Self { hosts }
    }

    /// The principal behind a request. Tokens and roles come in here.
    fn principal(&self, _headers: &HeaderMap) -> Principal {
        Principal::local_operator()
    }

    /// Refuses names the server does not answer to (a page elsewhere that rebinds its own name to this address), and
    /// requests that a page of another origin sends.
    fn admit(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            return Err(ApiError::new(
                ErrorCode::Forbidden,
                format!("this server does not answer to the host name {host:?}"),
                format!("use {}", self.hosts.join(" or ")),
            ));
        }
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
        let own = origin
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")));
        match own {
            Some(origin) if self.hosts.iter().any(|known| known.eq_ignore_ascii_case(origin)) => Ok(()),
            _ => Err(ApiError::new(
                ErrorCode::Forbidden,
                "pages of other origins may not use this API",
                "open the page that the server itself serves",
            )),
        }
    }
}

/// The outermost layer: admits the request and says who asks.
pub(crate) async fn admit(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    if let Err(refusal) = access.admit(request.headers()) {
        return refusal.into_response();
    }
    let principal = access.principal(request.headers());
    request.extensions_mut().insert(principal);
    next.run(request).await
}

/// The layer of one route: holds the principal to the permission the route names.
pub(crate) async fn require(State(permission): State<Permission>, request: Request, next: Next) -> Response {
    match request.extensions().get::<Principal>() {
        Some(principal) if principal.may(permission) => next.run(request).await,
        _ => ApiError::new(
            ErrorCode::Forbidden,
            format!("this needs the permission {permission:?}"),
            "ask whoever runs this server",
        )
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, host.parse().expect("a header"));
        if let Some(origin) = origin {
            map.insert(header::ORIGIN, origin.parse().expect("a header"));
        }
        map
    }

    #[test]
    fn only_own_names_and_own_pages_come_in() {
        let access = Access::for_listener("127.0.0.1:8420".parse().expect("an address"));
        assert!(access.admit(&headers("127.0.0.1:8420", None)).is_ok());
        assert!(access.admit(&headers("localhost:8420", Some("http://localhost:8420"))).is_ok());
        assert!(access.admit(&headers("rebound.example:8420", None)).is_err());
        assert!(access.admit(&headers("localhost:8420", Some("http://evil.example"))).is_err());
        assert!(access.admit(&headers("localhost:8420", Some("null"))).is_err());
    }
}
