//! How targets and discovery servers are spoken to: TLS, credentials, redirects, by the keys that Prometheus has for it.
//! Files are read anew on each use, so that tokens and certificates rotate without a restart.

use serde::{Deserialize, Deserializer};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};
use tandem_domain::{
    Failure, FailureCode,
    http::{HttpGrant, TlsOptions, TlsVersion},
};

/// Longest file of a credential or certificate, in bytes: a bundle of all public authorities has a quarter of it.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

/// User and password.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    /// The user.
    pub username: String,
    /// A file that holds the user.
    pub username_file: Option<PathBuf>,
    /// The password.
    pub password: Option<Secret>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
}

/// The header `Authorization`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// `Bearer` when absent.
    #[serde(default = "bearer", rename = "type")]
    pub kind: String,
    /// What follows the type.
    pub credentials: Option<Secret>,
    /// A file that holds it.
    pub credentials_file: Option<PathBuf>,
}

fn bearer() -> String {
    "Bearer".into()
}

/// How TLS is spoken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// Certificates (PEM) of the authorities that are trusted, in place of the public ones.
    pub ca: Option<String>,
    /// A file that holds them.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate (PEM).
    pub cert: Option<String>,
    /// A file that holds it.
    pub cert_file: Option<PathBuf>,
    /// The client's key (PEM).
    pub key: Option<Secret>,
    /// A file that holds it.
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate must hold, in place of the address's host.
    pub server_name: Option<String>,
    /// Believes whoever answers.
    pub insecure_skip_verify: bool,
    /// `TLS10`, `TLS11`, `TLS12`, `TLS13`; nothing below 1.2 is ever spoken.
    #[serde(deserialize_with = "version")]
    pub min_version: Option<TlsVersion>,
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TlsVersion>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "TLS10" | "TLS11" | "TLS12" => Ok(Some(TlsVersion::V1_2)),
        "TLS13" => Ok(Some(TlsVersion::V1_3)),
        other => Err(serde::de::Error::custom(format!("{other:?} is no version; give TLS10, TLS11, TLS12 or TLS13"))),
    }
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientConfig {
    pub basic_auth: Option<BasicAuth>,
    pub authorization: Option<Authorization>,
    pub tls: TlsConfig,
    pub follow_redirects: bool,
    /// Where it may go beside the configured address, such as where that redirects to.
    pub allow_http: Vec<String>,
}

/// What one request needs of it.
pub(crate) struct Prepared {
    pub grant: HttpGrant,
    /// Name and value.
    pub headers: Vec<(String, Vec<u8>)>,
}

fn misconfigured(what: String) -> Failure {
    // A file may be written a moment later.
    Failure::passing(FailureCode::Misconfigured, what)
}

async fn file(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| misconfigured(format!("the file {shown} cannot be read: {error}"));
    let bytes = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(misconfigured(format!("the file {shown} has {bytes} bytes, and {MAX_FILE_BYTES} are read")));
    }
    tokio::fs::read_to_string(path).await.map_err(unreadable)
}

/// A literal, or what a file holds without white space around it; none when neither is given.
async fn literal_or_file(literal: Option<&str>, path: Option<&PathBuf>) -> Result<Option<String>, Failure> {
    match (literal, path) {
        (_, Some(path)) => Ok(Some(file(path).await?.trim().to_owned())),
        (literal, None) => Ok(literal.map(str::to_owned)),
    }
}

/// Bytes as base64 with padding, as credentials are written.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

impl ClientConfig {
    /// Checks what the shapes alone do not say.
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.basic_auth.is_some() && self.authorization.is_some() {
            return Err("at most one of basic_auth and authorization may be given".into());
        }
        if let Some(authorization) = &self.authorization {
            if authorization.kind.eq_ignore_ascii_case("basic") {
                return Err("authorization.type is basic; give basic_auth in its place".into());
            }
            one_of(
                "authorization.credentials",
                authorization.credentials.is_some(),
                authorization.credentials_file.is_some(),
            )?;
        }
        if let Some(basic) = &self.basic_auth {
            one_of("basic_auth.username", !basic.username.is_empty(), basic.username_file.is_some())?;
            one_of("basic_auth.password", basic.password.is_some(), basic.password_file.is_some())?;
        }
        let tls = &self.tls;
        one_of("tls_config.ca", tls.ca.is_some(), tls.ca_file.is_some())?;
        one_of("tls_config.cert", tls.cert.is_some(), tls.cert_file.is_some())?;
        one_of("tls_config.key", tls.key.is_some(), tls.key_file.is_some())?;
        if (tls.cert.is_some() || tls.cert_file.is_some()) != (tls.key.is_some() || tls.key_file.is_some()) {
            return Err("tls_config has only one of certificate and key; give both".into());
        }
        Ok(())
    }

    /// Reads what is to be read, for one request to `address` (`host:port`).
    ///
    /// # Errors
    /// When a file cannot be read; its text is not told.
    pub(crate) async fn prepare(&self, address: &str) -> Result<Prepared, Failure> {
        let mut headers = Vec::new();
        if let Some(basic) = &self.basic_auth {
            let user = literal_or_file(Some(&basic.username), basic.username_file.as_ref()).await?.unwrap_or_default();
            let literal = basic.password.as_ref().map(|secret| secret.0.as_str());
            let password = literal_or_file(literal, basic.password_file.as_ref()).await?.unwrap_or_default();
            headers.push(format!("Basic {}", base64(format!("{user}:{password}").as_bytes())));
        }
        if let Some(authorization) = &self.authorization {
            let literal = authorization.credentials.as_ref().map(|secret| secret.0.as_str());
            if let Some(credentials) = literal_or_file(literal, authorization.credentials_file.as_ref()).await? {
                headers.push(format!("{} {credentials}", authorization.kind.trim()));
            }
        }
        let (authority_pem, tls) = self.tls().await?;
        // The operator named this address, or who finds it: it is granted by itself.
        let allow = std::iter::once(address.to_owned()).chain(self.allow_http.iter().cloned()).collect();
        Ok(Prepared {
            grant: HttpGrant { allow, authority_pem, tls },
            headers: headers.into_iter().map(|value| ("authorization".to_owned(), value.into_bytes())).collect(),
        })
    }

    async fn tls(&self) -> Result<(Option<String>, TlsOptions), Failure> {
        let tls = &self.tls;
        let authority_pem = literal_or_file(tls.ca.as_deref(), tls.ca_file.as_ref()).await?;
        let certificate = literal_or_file(tls.cert.as_deref(), tls.cert_file.as_ref()).await?;
        let key = literal_or_file(tls.key.as_ref().map(|key| key.0.as_str()), tls.key_file.as_ref()).await?;
        let options = TlsOptions {
            own_authority_only: authority_pem.is_some(),
            identity_pem: certificate.zip(key).map(|(certificate, key)| format!("{certificate}\n{key}\n")),
            server_name: tls.server_name.clone().filter(|name| !name.is_empty()),
            accept_any_certificate: tls.insecure_skip_verify,
            least_version: tls.min_version,
        };
        Ok((authority_pem, options))
    }
}

fn one_of(what: &str, literal: bool, file: bool) -> Result<(), String> {
    if literal && file { Err(format!("{what} and {what}_file are both given; give one")) } else { Ok(()) }
}

/// Gives a configuration the keys of a client beside its own, and a way to read them together.
macro_rules! with_client_keys {
    ($(#[$attribute:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        $(#[$attribute])*
        pub struct $name {
            $($fields)*
            /// User and password.
            #[serde(default)]
            pub basic_auth: Option<crate::scrape::client::BasicAuth>,
            /// The header `Authorization`.
            #[serde(default)]
            pub authorization: Option<crate::scrape::client::Authorization>,
            /// An older way to write `authorization.credentials`.
            #[serde(default)]
            pub bearer_token: Option<crate::scrape::client::Secret>,
            /// An older way to write `authorization.credentials_file`.
            #[serde(default)]
            pub bearer_token_file: Option<std::path::PathBuf>,
            /// How TLS is spoken.
            #[serde(default)]
            pub tls_config: crate::scrape::client::TlsConfig,
            /// Whether redirects are followed; they are when absent.
            #[serde(default)]
            pub follow_redirects: Option<bool>,
            /// Where it may go beside the given address, such as where that redirects to: `host`, `host:port`, `*.suffix`, an
            /// address or a CIDR.
            #[serde(default)]
            pub allow_http: Vec<String>,
        }

        impl $name {
            /// The keys of the client, the older ones as the newer.
            pub(crate) fn client(&self) -> Result<crate::scrape::client::ClientConfig, String> {
                let older = self.bearer_token.is_some() || self.bearer_token_file.is_some();
                if older && self.authorization.is_some() {
                    return Err("bearer_token is given beside authorization; give one".into());
                }
                let authorization = if older {
                    Some(crate::scrape::client::Authorization {
                        kind: "Bearer".into(),
                        credentials: self.bearer_token.clone(),
                        credentials_file: self.bearer_token_file.clone(),
                    })
                } else {
                    self.authorization.clone()
                };
                let client = crate::scrape::client::ClientConfig {
                    basic_auth: self.basic_auth.clone(),
                    authorization,
                    tls: self.tls_config.clone(),
                    follow_redirects: self.follow_redirects.unwrap_or(true),
                    allow_http: self.allow_http.clone(),
                };
                client.validate()?;
                Ok(client)
            }
        }
    };
}
pub(crate) use with_client_keys;

/// Parameters of an address: each name with its values.
pub(crate) type UrlParameters = BTreeMap<String, Vec<String>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn credentials_are_read_anew_and_never_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let token = folder.path().join("token");
        std::fs::write(&token, "first\n").expect("written");
        let authorization = Authorization { kind: bearer(), credentials: None, credentials_file: Some(token.clone()) };
        let client = ClientConfig { authorization: Some(authorization), ..ClientConfig::default() };
        let sent = |prepared: Prepared| String::from_utf8(prepared.headers[0].1.clone()).expect("text");
        assert_eq!(sent(client.prepare("h:1").await.expect("read")), "Bearer first");
        std::fs::write(&token, "second").expect("written");
        assert_eq!(sent(client.prepare("h:1").await.expect("read")), "Bearer second");
        std::fs::remove_file(&token).expect("removed");
        let said = client.prepare("h:1").await.err().expect("gone");
        assert!(said.message.contains("token cannot be read"), "{said}");

        let basic = BasicAuth { username: "ann".into(), password: Some(Secret("top".into())), ..BasicAuth::default() };
        let client = ClientConfig { basic_auth: Some(basic), ..ClientConfig::default() };
        assert_eq!(sent(client.prepare("h:1").await.expect("read")), "Basic YW5uOnRvcA==");
        assert!(!format!("{client:?}").contains("top"), "{client:?}");
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        let read = |json: &str| serde_json::from_str::<TlsConfig>(json).map_err(|error| error.to_string());
        let validated =
            |json: &str| ClientConfig { tls: read(json).expect("a config"), ..ClientConfig::default() }.validate();
        assert!(validated(r#"{"cert_file": "a"}"#).expect_err("half").contains("give both"));
        assert!(validated(r#"{"ca": "a", "ca_file": "b"}"#).expect_err("twice").contains("tls_config.ca"));
        assert!(read(r#"{"min_version": "SSL3"}"#).expect_err("none").contains("TLS12"));
        assert_eq!(validated(r#"{"min_version": "TLS13", "insecure_skip_verify": true}"#), Ok(()));
    }
}
