//! The client: addresses checked after they are resolved, redirects by hand, answers bounded.

use reqwest::{
    Client, Method, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderName, HeaderValue, LOCATION},
    redirect,
};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tandem_domain::{
    Failure, FailureCode,
    destination::{Destination, DestinationGrant},
    http::{HttpClient, HttpGrant, HttpRequest, HttpResponse},
    ports::BoxFuture,
};

/// Redirects followed before giving up.
const MAX_REDIRECTS: usize = 5;
/// Longest time for a connection to be made, whatever the request allows.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections kept open to one host: as many as a forward has requests under way at once where nothing else is said, and
/// some more.
const IDLE_CONNECTIONS_PER_HOST: usize = 16;
/// Clients kept: one for each grant and destination in use, so that connections are shared only under the same rights.
const MAX_CLIENTS: usize = 1024;
/// Headers that stay behind when a redirect leads to another host.
const CREDENTIAL_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-auth-token"];

type ClientKey = (Vec<String>, Option<String>, String, u16);

/// The one HTTP client.
#[derive(Default)]
pub struct EgressClient {
    clients: Mutex<HashMap<ClientKey, Client>>,
}

impl HttpClient for EgressClient {
    fn send<'a>(&'a self, grant: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        Box::pin(async move {
            let (timeout, shown) = (request.timeout, shown(&request.url));
            tokio::time::timeout(timeout, self.exchange(grant, request)).await.unwrap_or_else(|_| {
                let what = format!("{shown} did not answer within {:.1} s", timeout.as_secs_f64());
                Err(Failure::passing(FailureCode::Unreachable, what))
            })
        })
    }
}

impl EgressClient {
    async fn exchange(&self, http_grant: &HttpGrant, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let misconfigured = |what: String| Failure::lasting(FailureCode::Misconfigured, what);
        let grant = DestinationGrant::parse(&http_grant.allow).map_err(|error| misconfigured(error.to_string()))?;
        let mut url =
            Url::parse(&request.url).map_err(|error| misconfigured(format!("{}: {error}", shown(&request.url))))?;
        let mut method =
            Method::from_bytes(request.method.as_bytes()).map_err(|_| misconfigured("no such method".into()))?;
        let mut headers = request.headers.clone();
        let mut body = request.body.clone();
        for _ in 0..=MAX_REDIRECTS {
            let destination = destination(&url)?;
            if !grant.may_resolve(&destination) {
                return Err(denied(&destination, None));
            }
            let client = self.client(http_grant, &grant, &destination)?;
            let mut outgoing = client.request(method.clone(), url.clone()).body(body.clone());
            for (name, value) in &headers {
                let name =
                    HeaderName::from_bytes(name.as_bytes()).map_err(|_| misconfigured("a header's name".into()))?;
                let value =
                    HeaderValue::from_bytes(value).map_err(|_| misconfigured(format!("the value of header {name}")))?;
                // The client negotiates and undoes compression itself.
                if name != reqwest::header::ACCEPT_ENCODING && name != reqwest::header::HOST {
                    outgoing = outgoing.header(name, value);
                }
            }
            let answer = outgoing.send().await.map_err(|error| told(&destination, &error))?;
            let target = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
            match target {
                Some(target) if request.follow_redirects && answer.status().is_redirection() => {
                    let next = url.join(&target).map_err(|error| {
                        Failure::lasting(
                            FailureCode::Malformed,
                            format!("{} redirects to what is no address: {error}", shown(url.as_str())),
                        )
                    })?;
                    if next.host_str() != url.host_str() || next.port_or_known_default() != url.port_or_known_default()
                    {
                        headers.retain(|(name, _)| !CREDENTIAL_HEADERS.contains(&name.to_lowercase().as_str()));
                    }
                    if answer.status().as_u16() == 303 {
                        (method, body) = (Method::GET, Vec::new());
                    }
                    url = next;
                }
                _ => return whole(answer, request.max_response_bytes, &destination).await,
            }
        }
        Err(Failure::passing(
            FailureCode::Malformed,
            format!("{} redirects more than {MAX_REDIRECTS} times", shown(&request.url)),
        ))
    }

    fn client(
        &self,
        http_grant: &HttpGrant,
        grant: &DestinationGrant,
        destination: &Destination,
    ) -> Result<Client, Failure> {
        let key =
            (http_grant.allow.clone(), http_grant.authority_pem.clone(), destination.host.clone(), destination.port);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        let checked = CheckedResolver { grant: grant.clone(), destination: destination.clone() };
        let mut builder = Client::builder()
            .dns_resolver(Arc::new(checked))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
            .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &http_grant.authority_pem {
            let authorities = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| {
                Failure::lasting(
                    FailureCode::Misconfigured,
                    "the authority's certificates are not PEM; give the file with BEGIN CERTIFICATE",
                )
            })?;
            builder = authorities.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = builder.build().map_err(|error| Failure::lasting(FailureCode::Internal, error.to_string()))?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// Resolves with the system's resolver and hands on only the addresses that the grant covers.
#[derive(Clone)]
struct CheckedResolver {
    grant: DestinationGrant,
    destination: Destination,
}

/// Nothing that a name resolved to is granted.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct AddressDenied(String);

impl Resolve for CheckedResolver {
    fn resolve(&self, _: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let Destination { host, port } = &this.destination;
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), *port)).await?.collect();
            let granted: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|address| this.grant.allows_address(&this.destination, *address))
                .collect();
            if granted.is_empty() {
                let first = found.first().map(SocketAddr::ip);
                return Err(Box::new(AddressDenied(denied(&this.destination, first).message)) as _);
            }
            Ok(Box::new(granted.into_iter()) as Addrs)
        })
    }
}

fn destination(url: &Url) -> Result<Destination, Failure> {
    let malformed =
        |what: &str| Failure::lasting(FailureCode::Misconfigured, format!("{}: {what}", shown(url.as_str())));
    if !["http", "https"].contains(&url.scheme()) {
        return Err(malformed("only http and https go out"));
    }
    let host = url.host_str().ok_or_else(|| malformed("the address names no host"))?;
    let port = url.port_or_known_default().ok_or_else(|| malformed("the address names no port"))?;
    Ok(Destination { host: host.trim_matches(['[', ']']).to_lowercase(), port })
}

/// A refusal that prints the line to add.
fn denied(destination: &Destination, address: Option<IpAddr>) -> Failure {
    let Destination { host, port } = destination;
    let message = match address {
        None => format!(
            "{host}:{port} is not granted; to allow it, add allow_http = [\"{host}:{port}\"] to the plugin's table in tandem.toml"
        ),
        Some(ip) => format!(
            "{host} leads to {ip}, which is not granted; to allow it, add allow_http = [\"{ip}\"] to the plugin's table in tandem.toml"
        ),
    };
    Failure::lasting(FailureCode::Refused, message)
}

fn told(destination: &Destination, error: &reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut last = String::new();
    while let Some(inner) = cause {
        if let Some(denial) = inner.downcast_ref::<AddressDenied>() {
            return Failure::lasting(FailureCode::Refused, denial.to_string());
        }
        last = inner.to_string();
        cause = inner.source();
    }
    let Destination { host, port } = destination;
    let what = if error.is_connect() { "no connection" } else { "the exchange broke" };
    Failure::passing(FailureCode::Unreachable, format!("{host}:{port}: {what}: {last}"))
}

async fn whole(
    mut answer: reqwest::Response,
    limit: usize,
    destination: &Destination,
) -> Result<HttpResponse, Failure> {
    let status = answer.status().as_u16();
    let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| told(destination, &error))? {
        if body.len() + part.len() > limit {
            let Destination { host, port } = destination;
            return Err(Failure::lasting(
                FailureCode::Malformed,
                format!("{host}:{port} answers more than {limit} bytes; the rest was not read"),
            ));
        }
        body.extend_from_slice(&part);
    }
    Ok(HttpResponse { status, headers, body })
}

/// An address without what may be secret: user, password and query.
fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) => {
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.set_query(None);
            parsed.to_string()
        }
        Err(_) => "an address that is none".into(),
    }
}

#[cfg(test)]
mod tests;
