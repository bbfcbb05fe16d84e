//! The client: addresses checked after they are resolved, redirects by hand, answers bounded.

use reqwest::{
    Client, Method, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HOST, HeaderName, HeaderValue, LOCATION},
    redirect, tls,
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
    http::{
        BodyParts, HttpClient, HttpGrant, HttpRequest, HttpResponse, HttpStream, HttpStreams, TlsOptions, TlsVersion,
    },
    ports::BoxFuture,
};

/// Redirects followed before giving up.
const MAX_REDIRECTS: usize = 5;
/// Longest time for a connection to be made, whatever the request allows.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections kept open to one host: as many as a forward has requests under way at once where nothing else is said, and
/// some more.
const IDLE_CONNECTIONS_PER_HOST: usize = 16;
/// Clients kept, each some 20 KB: one for each grant and named destination in use, so that connections are shared only under
/// the same rights. Destinations given by address need no resolver of their own and share one for each way to speak TLS.
const MAX_CLIENTS: usize = 8_192;
/// Headers that stay behind when a redirect leads to another host.
const CREDENTIAL_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-auth-token"];

/// What connections may be shared by.
#[derive(PartialEq, Eq, Hash)]
struct ClientKey {
    authority_pem: Option<String>,
    tls: TlsOptions,
    /// Grant, host and port, where a name is resolved; an address is checked before each request.
    resolved: Option<(Vec<String>, String, u16)>,
}

/// A client, and when it was last asked for.
struct Kept {
    client: Client,
    used: u64,
}

#[derive(Default)]
struct Clients {
    kept: HashMap<ClientKey, Kept>,
    /// Counts what is asked for.
    uses: u64,
}

impl Clients {
    fn used(&mut self, key: &ClientKey) -> Option<Client> {
        self.uses += 1;
        let kept = self.kept.get_mut(key)?;
        kept.used = self.uses;
        Some(kept.client.clone())
    }

    /// Keeps a client; when there are too many, the half that was not used for longest goes.
    fn keep(&mut self, key: ClientKey, client: Client) {
        if self.kept.len() >= MAX_CLIENTS {
            let mut uses: Vec<u64> = self.kept.values().map(|kept| kept.used).collect();
            uses.sort_unstable();
            let middle = uses[uses.len() / 2];
            self.kept.retain(|_, kept| kept.used > middle);
        }
        self.kept.insert(key, Kept { client, used: self.uses });
    }
}

/// The one HTTP client.
#[derive(Default)]
pub struct EgressClient {
    clients: Mutex<Clients>,
}

impl HttpClient for EgressClient {
    fn send<'a>(&'a self, grant: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        Box::pin(async move {
            let (timeout, url, limit) = (request.timeout, shown(&request.url), request.max_response_bytes);
            let exchange = async {
                let (answer, destination) = self.exchange(grant, request).await?;
                whole(answer, limit, &destination).await
            };
            tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(late(&url, timeout)))
        })
    }
}

impl HttpStreams for EgressClient {
    fn open<'a>(&'a self, grant: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpStream, Failure>> {
        Box::pin(async move {
            let (timeout, url) = (request.timeout, shown(&request.url));
            let head = tokio::time::timeout(timeout, self.exchange(grant, request)).await;
            let (answer, destination) = head.unwrap_or_else(|_| Err(late(&url, timeout)))?;
            let (status, headers) = (answer.status().as_u16(), headers(&answer));
            Ok(HttpStream { status, headers, body: Box::new(Parts { answer, destination }) })
        })
    }
}

/// An answer that is read part by part.
struct Parts {
    answer: reqwest::Response,
    destination: Destination,
}

impl BodyParts for Parts {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, Failure>> {
        Box::pin(async {
            let part = self.answer.chunk().await.map_err(|error| told(&self.destination, &error))?;
            Ok(part.map(|part| part.to_vec()))
        })
    }
}

fn late(url: &str, timeout: Duration) -> Failure {
    let what = format!("{url} did not answer within {:.1} s", timeout.as_secs_f64());
    Failure::passing(FailureCode::Unreachable, what)
}

impl EgressClient {
    /// Sends a request and follows redirects; answers when the head of the last answer is there.
    async fn exchange(
        &self,
        http_grant: &HttpGrant,
        request: HttpRequest,
    ) -> Result<(reqwest::Response, Destination), Failure> {
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
            let mut outgoing = match asked_by_name(&url, http_grant.tls.server_name.as_deref())? {
                Some((asked, host)) => client.request(method.clone(), asked).header(HOST, host),
                None => client.request(method.clone(), url.clone()),
            };
            outgoing = outgoing.body(body.clone());
            for (name, value) in &headers {
                let name =
                    HeaderName::from_bytes(name.as_bytes()).map_err(|_| misconfigured("a header's name".into()))?;
                let value =
                    HeaderValue::from_bytes(value).map_err(|_| misconfigured(format!("the value of header {name}")))?;
                // The client negotiates and undoes compression itself.
                if name != reqwest::header::ACCEPT_ENCODING && name != HOST {
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
                _ => return Ok((answer, destination)),
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
        // A name that the certificate must hold is asked for in place of the address, and so is resolved.
        let by_name = http_grant.tls.server_name.is_some() || destination.host.parse::<IpAddr>().is_err();
        let resolved = by_name.then(|| (http_grant.allow.clone(), destination.host.clone(), destination.port));
        let key = ClientKey { authority_pem: http_grant.authority_pem.clone(), tls: http_grant.tls.clone(), resolved };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.used(&key) {
            return Ok(client);
        }
        let resolver = CheckedResolver { grant: grant.clone(), destination: destination.clone() };
        let client = client_of(http_grant, resolver)?;
        clients.keep(key, client.clone());
        Ok(client)
    }
}

/// A client that speaks TLS as a grant says.
fn client_of(grant: &HttpGrant, resolver: CheckedResolver) -> Result<Client, Failure> {
    let misconfigured = |what: &str| Failure::lasting(FailureCode::Misconfigured, what);
    let mut builder = Client::builder()
        .dns_resolver(Arc::new(resolver))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
        .tls_built_in_root_certs(!grant.tls.own_authority_only)
        .danger_accept_invalid_certs(grant.tls.accept_any_certificate)
        .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = &grant.authority_pem {
        let authorities = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| {
            misconfigured("the authority's certificates are not PEM; give the file with BEGIN CERTIFICATE")
        })?;
        builder = authorities.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
    }
    if let Some(pem) = &grant.tls.identity_pem {
        let identity = reqwest::Identity::from_pem(pem.as_bytes()).map_err(|_| {
            misconfigured("the client's certificate and key are not PEM; give files with BEGIN CERTIFICATE and KEY")
        })?;
        builder = builder.identity(identity);
    }
    if let Some(least) = grant.tls.least_version {
        builder = builder.min_tls_version(match least {
            TlsVersion::V1_2 => tls::Version::TLS_1_2,
            TlsVersion::V1_3 => tls::Version::TLS_1_3,
        });
    }
    // What the library says here holds no secret: it names what is wrong with certificates.
    builder.build().map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Failure::lasting(FailureCode::Misconfigured, format!("TLS cannot be spoken as configured: {cause}"))
    })
}

/// The address to ask for when the certificate must hold another name, and the host that the server is told.
fn asked_by_name(url: &Url, server_name: Option<&str>) -> Result<Option<(Url, String)>, Failure> {
    let Some(name) = server_name.filter(|_| url.scheme() == "https") else { return Ok(None) };
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut asked = url.clone();
    // An address, in whatever way it is written, would be connected to without being checked.
    let named = asked.set_host(Some(name)).is_ok() && matches!(asked.host(), Some(url::Host::Domain(_)));
    if !named {
        let what = format!("server_name is {name:?}; give a host name, such as node-1.example");
        return Err(Failure::lasting(FailureCode::Misconfigured, what));
    }
    Ok(Some((asked, host)))
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
            "{host}:{port} is not granted; to allow it, add allow_http = [\"{host}:{port}\"] to the table in tandem.toml of who asks"
        ),
        Some(ip) => format!(
            "{host} leads to {ip}, which is not granted; to allow it, add allow_http = [\"{ip}\"] to the table in tandem.toml of who asks"
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

fn headers(answer: &reqwest::Response) -> Vec<(String, Vec<u8>)> {
    answer.headers().iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

async fn whole(
    mut answer: reqwest::Response,
    limit: usize,
    destination: &Destination,
) -> Result<HttpResponse, Failure> {
    let status = answer.status().as_u16();
    let headers = headers(&answer);
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
