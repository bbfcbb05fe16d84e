//! Kubernetes' API server: where it is, who asks, and how it says no.

use super::KubernetesSdConfig;
use crate::{
    GatherPorts,
    scrape::{
        client::{Authorization, ClientConfig, TlsConfig},
        discovery::http::address,
    },
};
use std::{path::Path, time::Duration};
use tandem_domain::{
    Failure, FailureCode,
    http::{BodyParts, HttpRequest},
};
use url::Url;

/// Where a pod finds what its service account may do.
pub(super) const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Longest page of a list, in bytes: 500 objects of at most some 100 KiB.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// Longest time for one page of a list, and for a watch to begin.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);

/// The server does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// It no longer knows the version or the place in a list (410).
    #[error("what was asked for is gone (410)")]
    Gone,
    /// Anything else.
    #[error("{0}")]
    Failed(Failure),
}

/// The server, and how it is spoken to.
pub(super) struct Api {
    base: Url,
    address: String,
    client: ClientConfig,
    ports: GatherPorts,
}

/// Where the server is and how it is spoken to, from inside a cluster.
pub(super) fn in_cluster(
    account: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(String, ClientConfig), String> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let (Some(host), Some(port)) = (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT")) else {
        return Err(
            "it has no api_server, and KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set as they are \
                    in a pod; give api_server = \"https://…\""
                .into(),
        );
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let client = ClientConfig {
        // The token rotates: it is read anew on each use.
        authorization: Some(Authorization {
            kind: "Bearer".into(),
            credentials: None,
            credentials_file: Some(account.join("token")),
        }),
        tls: TlsConfig { ca_file: Some(account.join("ca.crt")), ..TlsConfig::default() },
        follow_redirects: true,
        ..ClientConfig::default()
    };
    Ok((format!("https://{host}:{port}"), client))
}

impl Api {
    pub(super) fn new(config: &KubernetesSdConfig, ports: GatherPorts) -> Result<Self, String> {
        let (base, client) = match &config.api_server {
            Some(base) => (base.clone(), config.client()?),
            None => in_cluster(Path::new(SERVICE_ACCOUNT), |name| std::env::var(name).ok())?,
        };
        let address = address(&base)?;
        let base = format!("{}/", base.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|error| format!("api_server is no address: {error}"))?;
        Ok(Self { base, address, client, ports })
    }

    async fn request(
        &self,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<(HttpRequest, tandem_domain::http::HttpGrant), ApiError> {
        let prepared = self.client.prepare(&self.address).await.map_err(ApiError::Failed)?;
        let wrong = |error: url::ParseError| {
            ApiError::Failed(Failure::lasting(FailureCode::Misconfigured, format!("{path:?}: {error}")))
        };
        let mut url = self.base.join(path).map_err(wrong)?;
        url.query_pairs_mut().extend_pairs(query);
        let mut headers = prepared.headers;
        headers.push(("accept".into(), b"application/json".to_vec()));
        let request = HttpRequest {
            method: "GET".into(),
            url: url.into(),
            headers,
            body: Vec::new(),
            timeout: LONGEST_ANSWER,
            max_response_bytes: MAX_PAGE_BYTES,
            follow_redirects: self.client.follow_redirects,
        };
        Ok((request, prepared.grant))
    }

    /// A page of a list.
    pub(super) async fn get(&self, path: &str, query: &[(&'static str, String)]) -> Result<Vec<u8>, ApiError> {
        let (request, grant) = self.request(path, query).await?;
        let answer = self.ports.http.send(&grant, request).await.map_err(ApiError::Failed)?;
        refused(answer.status, path)?;
        Ok(answer.body)
    }

    /// A watch.
    pub(super) async fn open(
        &self,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<Box<dyn BodyParts>, ApiError> {
        let (request, grant) = self.request(path, query).await?;
        let answer = self.ports.streams.open(&grant, request).await.map_err(ApiError::Failed)?;
        refused(answer.status, path)?;
        Ok(answer.body)
    }
}

fn refused(status: u16, path: &str) -> Result<(), ApiError> {
    let remedy = match status {
        200 => return Ok(()),
        410 => return Err(ApiError::Gone),
        401 => "; give credentials that the server knows",
        403 => "; give the account a role that may list and watch this",
        404 => "; the server has no such objects",
        _ => "",
    };
    let what = format!("the API server answers {status} to {path}{remedy}");
    Err(ApiError::Failed(Failure::passing(FailureCode::Refused, what)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn in_a_pod_server_token_and_authority_are_where_kubernetes_puts_them() {
        let account = tempfile::tempdir().expect("a folder");
        for (name, text) in [("token", "first"), ("ca.crt", "PEM")] {
            std::fs::write(account.path().join(name), text).expect("written");
        }
        let environment = |name: &str| match name {
            "KUBERNETES_SERVICE_HOST" => Some("fd00::1".to_owned()),
            "KUBERNETES_SERVICE_PORT" => Some("443".to_owned()),
            _ => None,
        };
        let (base, client) = in_cluster(account.path(), environment).expect("in a cluster");
        assert_eq!(base, "https://[fd00::1]:443");
        let sent = client.prepare("[fd00::1]:443").await.expect("read");
        assert_eq!(sent.headers, [("authorization".to_owned(), b"Bearer first".to_vec())]);
        assert_eq!(sent.grant.authority_pem.as_deref(), Some("PEM"));
        std::fs::write(account.path().join("token"), "second").expect("written");
        let sent = client.prepare("[fd00::1]:443").await.expect("read");
        assert_eq!(sent.headers[0].1, b"Bearer second", "the token rotates");
        assert!(in_cluster(account.path(), |_| None).expect_err("outside").contains("api_server"));
    }
}
