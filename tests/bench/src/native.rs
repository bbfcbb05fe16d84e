//! What the native side is given in place of the host's functions.

use tandem_domain::http::{HttpClient, HttpGrant, HttpRequest};
use tandem_egress::EgressClient;
use tandem_sdk::{
    correlator::{Edge, EntityInfo, Query, SeriesInfo},
    host::failure,
    http::{self, Http},
    types::{Failure, FailureCode, Points, Timestamp},
};
use tokio::runtime::Handle;

/// Longest answer that is read, in bytes: the index of a repository is far smaller.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// A house without entities.
pub struct NothingKnown;

fn unknown<T>(what: &str) -> Result<T, Failure> {
    Err(failure(FailureCode::Refused, format!("{what} is not known")))
}

impl Query for NothingKnown {
    fn entity(&self, id: &str) -> Result<EntityInfo, Failure> {
        unknown(id)
    }
    fn neighbours(&self, _: &str, _: u32) -> Result<Vec<Edge>, Failure> {
        Ok(Vec::new())
    }
    fn series_of(&self, _: &str) -> Result<Vec<SeriesInfo>, Failure> {
        Ok(Vec::new())
    }
    fn read(&self, _: u32, _: Timestamp, _: Timestamp) -> Result<Points, Failure> {
        unknown("the series")
    }
}

/// The host's own client, without a sandbox in front.
#[derive(Default)]
pub struct OwnClient(EgressClient);

impl Http for OwnClient {
    fn send(&self, request: http::HttpRequest) -> Result<http::HttpResponse, Failure> {
        let grant = HttpGrant { allow: vec!["127.0.0.1".into()], ..HttpGrant::default() };
        let request = HttpRequest {
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
            body: request.body,
            timeout: std::time::Duration::from_millis(request.timeout_ms.into()),
            max_response_bytes: MAX_RESPONSE_BYTES,
            follow_redirects: false,
        };
        let answer = tokio::task::block_in_place(|| Handle::current().block_on(self.0.send(&grant, request)));
        let answer = answer.map_err(|error| failure(FailureCode::Unreachable, error.message))?;
        let headers = answer.headers.into_iter();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(http::HttpResponse {
            status: answer.status,
            headers: headers.map(|(name, value)| (name, text(value))).collect(),
            body: answer.body,
        })
    }
}
