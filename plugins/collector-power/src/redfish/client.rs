//! A few bounded GET requests to one Redfish service.

use serde_json::Value;
use std::cell::Cell;
use tandem_sdk::{
    host::{Http, HttpRequest},
    types::Failure,
};

/// Bound of requests of one call: BMCs answer one at a time, in some tenths of a second each.
const MAXIMUM_REQUESTS: usize = 128;
/// How long one answer may take, in milliseconds: slow BMCs need seconds for `Thermal`.
const ANSWER_TIMEOUT_MS: u32 = 10_000;
/// Where Redfish begins, when the target does not say.
const ROOT: &str = "/redfish/v1/";

/// A client of one service.
pub(crate) struct Client<'h> {
    http: &'h dyn Http,
    origin: String,
    root: String,
    authorization: &'h str,
    requests_left: Cell<usize>,
}

impl<'h> Client<'h> {
    /// # Errors
    /// When the target is no URL of a Redfish service.
    pub(crate) fn new(target: &str, authorization: &'h str, http: &'h dyn Http) -> Result<Self, Failure> {
        let wrong = || {
            Failure::misconfigured(format!(
                "{target:?} is no address of a Redfish service: write it as https://bmc.example/redfish/v1, or leave the target empty to \
                 read this machine"
            ))
        };
        let (scheme, rest) =
            target.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme)).ok_or_else(wrong)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || authority.contains('@') {
            return Err(wrong());
        }
        let root = if path.is_empty() { ROOT.to_owned() } else { format!("/{path}") };
        let requests_left = Cell::new(MAXIMUM_REQUESTS);
        Ok(Self { http, origin: format!("{scheme}://{authority}"), root, authorization, requests_left })
    }

    /// The service root.
    pub(crate) fn root(&self) -> Result<Value, Failure> {
        let root = self.get(&self.root)?;
        if root["Chassis"].is_object() {
            return Ok(root);
        }
        Err(Failure::malformed(format!("{}{} is no Redfish service root: it names no Chassis", self.origin, self.root)))
    }

    /// The paths of a collection's members, at most so many.
    pub(crate) fn members(&self, collection: &Value, maximum: usize) -> Result<Vec<String>, Failure> {
        let path = collection["@odata.id"].as_str().unwrap_or_default();
        let collection = self.get(path)?;
        let members = collection["Members"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(members.iter().filter_map(|member| member["@odata.id"].as_str()).take(maximum).map(str::to_owned).collect())
    }

    /// One resource. Only paths of the same service are followed, whatever an answer says.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        let path = path.split('#').next().unwrap_or(path);
        let url = format!("{}{path}", self.origin);
        if !path.starts_with('/') || path.starts_with("//") {
            return Err(Failure::malformed(format!(
                "{}: the service links to {path:?}, which is no path of its own",
                self.origin
            )));
        }
        let left = self.requests_left.get();
        if left == 0 {
            return Err(Failure::malformed(format!(
                "{}: more than {MAXIMUM_REQUESTS} requests were needed, the rest is left out",
                self.origin
            )));
        }
        self.requests_left.set(left - 1);
        let mut headers =
            vec![("accept".to_owned(), "application/json".to_owned()), ("odata-version".to_owned(), "4.0".to_owned())];
        if !self.authorization.is_empty() {
            headers.push(("authorization".to_owned(), self.authorization.to_owned()));
        }
        let request = HttpRequest { headers, timeout_ms: ANSWER_TIMEOUT_MS, ..HttpRequest::get(&url) };
        let response = self.http.send(request)?;
        match response.status {
            200 => serde_json::from_slice(&response.body)
                .map_err(|error| Failure::malformed(format!("{url} answered no JSON: {error}"))),
            401 | 403 => Err(Failure::refused(format!(
                "{url} answered {}: set `authorization` of collector-power to a user who may read (role ReadOnly)",
                response.status
            ))),
            status => Err(Failure::unreachable(format!("{url} answered {status}"))),
        }
    }
}
