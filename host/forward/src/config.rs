//! Where samples are forwarded, which ones, and how much of them at once.

use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tandem_domain::{period::Period, secret::SecretSource};
use tandem_query::{Matcher, selector};
use tandem_wire::relabel::{RelabelConfig, Relabeling};
use url::Url;

/// Samples of one request at the most: beyond it receivers refuse bodies for their length.
const MOST_SAMPLES_PER_SEND: usize = 100_000;
/// Requests under way at once at the most; a receiver that needs more is better sent longer ones.
const MOST_SHARDS: usize = 64;
/// The longest that a forward may fall behind: as long as samples are kept where nothing else is said.
const LONGEST_KEEP: Duration = Duration::from_secs(30 * 86_400);
/// Headers that the protocol itself sets.
const OWN_HEADERS: [&str; 6] = [
    "content-type",
    "content-encoding",
    "content-length",
    "host",
    "x-prometheus-remote-write-version",
    crate::FORWARDED_BY,
];

/// Which message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum ProtocolChoice {
    /// 2.0, and 1.0 from when the receiver answers that it does not know it.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// `prometheus.WriteRequest`.
    #[serde(rename = "1.0")]
    First,
    /// `io.prometheus.write.v2.Request`.
    #[serde(rename = "2.0")]
    Second,
}

/// A user and where the password lies.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user's name.
    pub username: String,
    /// Where the password lies.
    pub password: SecretSource,
}

/// A receiver of remote write.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardConfig {
    /// By which the forward is known, on disk too: under another name it begins anew.
    pub name: String,
    /// Where remote write is taken.
    pub url: String,
    /// Which message is sent.
    #[serde(default)]
    pub protocol: ProtocolChoice,
    /// Series selectors; a series that fits one of them is sent. All are when there is none.
    #[serde(default, rename = "match")]
    pub select: Vec<String>,
    /// Labels that each series is given where it does not have them.
    #[serde(default)]
    pub external_labels: BTreeMap<String, String>,
    /// Rules that choose and rewrite series on their way out, after `external_labels`, as Prometheus' `write_relabel_configs`.
    #[serde(default, alias = "write_relabel_configs")]
    pub write_relabel: Vec<RelabelConfig>,
    /// Further headers, such as `X-Scope-OrgID`. No place for secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// User and password.
    pub basic: Option<BasicAuth>,
    /// A token.
    pub bearer: Option<SecretSource>,
    /// A file with certificates (PEM) of an authority of your own to trust for this receiver.
    pub authority: Option<PathBuf>,
    /// A file with the certificate (PEM) by which this server shows the receiver who it is.
    pub client_certificate: Option<PathBuf>,
    /// A file with the certificate's key (PEM).
    pub client_key: Option<PathBuf>,
    /// The name that the receiver's certificate must hold, in place of the address's host.
    pub server_name: Option<String>,
    /// Samples of one request.
    #[serde(default = "max_samples_per_send")]
    pub max_samples_per_send: usize,
    /// Requests under way at once; those of one series always come one after another.
    #[serde(default = "max_shards")]
    pub max_shards: usize,
    /// How long samples may wait for a request to fill.
    #[serde(default = "batch_deadline")]
    pub batch_deadline: Period,
    /// How long one request may take.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// First wait before a request is tried again; it doubles from try to try.
    #[serde(default = "min_backoff")]
    pub min_backoff: Period,
    /// Longest such wait, but where the receiver itself asks for a longer one.
    #[serde(default = "max_backoff")]
    pub max_backoff: Period,
    /// How often types and units are told where they do not travel with the samples (1.0).
    #[serde(default = "metadata_interval")]
    pub metadata_interval: Period,
    /// Whether native histograms are sent too. A Prometheus that does not know them refuses whole requests with 500.
    #[serde(default)]
    pub send_native_histograms: bool,
    /// How far it may fall behind; what is older is not sent, and counted.
    #[serde(default = "keep")]
    pub keep: Period,
}

fn max_samples_per_send() -> usize {
    2_000
}

fn max_shards() -> usize {
    8
}

fn batch_deadline() -> Period {
    Period::seconds(5)
}

fn timeout() -> Period {
    Period::seconds(30)
}

fn min_backoff() -> Period {
    Period(Duration::from_millis(30))
}

fn max_backoff() -> Period {
    Period::seconds(5)
}

fn metadata_interval() -> Period {
    Period::seconds(60)
}

fn keep() -> Period {
    Period::seconds(86_400)
}

impl ForwardConfig {
    /// The selectors as matchers.
    pub(crate) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, String> {
        let parsed = |text: &String| selector(text).map_err(|error| format!("match {text:?}: {error}"));
        self.select.iter().map(parsed).collect()
    }

    /// The rules for series on their way out.
    pub(crate) fn relabeling(&self) -> Result<Relabeling, String> {
        Relabeling::compile("write_relabel", &self.write_relabel)
    }

    /// The address as it may be shown: without user, password and query.
    pub fn shown_url(&self) -> String {
        let Ok(mut url) = Url::parse(&self.url) else { return "an address that is none".into() };
        url.set_query(None);
        url.to_string()
    }

    /// `host:port` of the receiver.
    pub(crate) fn receiver(&self) -> Option<String> {
        let url = Url::parse(&self.url).ok()?;
        Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
    }

    /// Whether it leads to this machine at a port, and so to the server that listens there.
    pub fn leads_to_port(&self, port: u16) -> bool {
        let Ok(url) = Url::parse(&self.url) else { return false };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        here && url.port_or_known_default() == Some(port)
    }

    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || !self.name.chars().all(good) {
            return Err(format!("name is {:?}; give one of letters, digits, '-', '_' and '.'", self.name));
        }
        let url = Url::parse(&self.url).map_err(|error| format!("url is no address: {error}"))?;
        if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
            return Err("url must begin with http:// or https:// and name a host".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("url holds a user or password; give basic = { username = …, password = { file = … } }".into());
        }
        self.selectors()?;
        self.relabeling()?;
        if self.client_certificate.is_some() != self.client_key.is_some() {
            return Err("client_certificate and client_key belong together; give both, or none".into());
        }
        if self.client_certificate.is_some() && url.scheme() != "https" {
            return Err("client_certificate is shown over https only; give an https address, or leave it out".into());
        }
        if self.basic.is_some() && self.bearer.is_some() {
            return Err("basic and bearer are both given; the receiver takes one of them".into());
        }
        for name in self.headers.keys().map(|name| name.to_lowercase()) {
            if OWN_HEADERS.contains(&name.as_str()) {
                return Err(format!("headers holds {name:?}, which the protocol itself sets; remove it"));
            }
            if name == "authorization" {
                return Err("headers holds authorization; give basic or bearer, which are read from a file".into());
            }
        }
        if self.external_labels.iter().any(|(name, value)| name.is_empty() || name == "__name__" || value.is_empty()) {
            return Err("external_labels holds an empty name or value, or __name__; remove it".into());
        }
        self.validate_amounts()
    }

    fn validate_amounts(&self) -> Result<(), String> {
        if !(1..=MOST_SAMPLES_PER_SEND).contains(&self.max_samples_per_send) {
            return Err(format!("max_samples_per_send must be 1 to {MOST_SAMPLES_PER_SEND}"));
        }
        if !(1..=MOST_SHARDS).contains(&self.max_shards) {
            return Err(format!("max_shards must be 1 to {MOST_SHARDS}"));
        }
        if self.timeout.0.is_zero() || self.min_backoff.0.is_zero() || self.max_backoff.0 < self.min_backoff.0 {
            return Err(
                "timeout and min_backoff must be more than nothing, and max_backoff at least min_backoff".into()
            );
        }
        if self.metadata_interval.0.is_zero() {
            return Err("metadata_interval must be more than nothing".into());
        }
        if self.keep.0.is_zero() || self.keep.0 > LONGEST_KEEP {
            return Err(format!("keep must be more than nothing and at most {}d", LONGEST_KEEP.as_secs() / 86_400));
        }
        Ok(())
    }
}

/// Checks that no two forwards have one name, which would be one cursor, and that none leads back to this server.
///
/// # Errors
/// The key of the entry, such as `forward.1`, and in words what to do.
pub fn check_forwards(forwards: &[ForwardConfig], own_port: u16) -> Result<(), (String, String)> {
    for (index, forward) in forwards.iter().enumerate() {
        let key = format!("forward.{index}");
        if forwards[..index].iter().any(|earlier| earlier.name == forward.name) {
            return Err((key, format!("the name {:?} is taken by an earlier entry; give another", forward.name)));
        }
        if own_port != 0 && forward.leads_to_port(own_port) {
            let problem = format!(
                "url leads to this server itself (port {own_port}), which would send each sample round for ever; give the \
                 address of another"
            );
            return Err((key, problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(more: &str) -> String {
        let text = format!(r#"{{"name": "m", "url": "http://h:1/write"{more}}}"#);
        let config: ForwardConfig = serde_json::from_str(&text).expect("a config");
        config.validate().expect_err("refused")
    }

    #[test]
    fn what_cannot_work_is_told_with_a_remedy() {
        assert!(problem(r#", "match": ["sum(up)"]"#).contains("no series selector"));
        assert!(problem(r#", "headers": {"Authorization": "x"}"#).contains("basic or bearer"));
        assert!(problem(r#", "headers": {"Content-Type": "x"}"#).contains("the protocol itself"));
        assert!(problem(r#", "write_relabel": [{"regex": "("}]"#).contains("write_relabel.0"));
        assert!(problem(r#", "client_certificate": "c.pem""#).contains("belong together"));
        let both = r#", "client_certificate": "c.pem", "client_key": "k.pem""#;
        assert!(problem(both).contains("over https only"));
        assert!(problem(r#", "max_shards": 0"#).contains("1 to 64"));
        assert!(problem(r#", "keep": "31d""#).contains("at most 30d"));
        assert!(problem(r#", "external_labels": {"__name__": "x"}"#).contains("__name__"));
        let with_user: ForwardConfig =
            serde_json::from_str(r#"{"name": "m", "url": "http://u:secret@h/"}"#).expect("a config");
        let told = with_user.validate().expect_err("refused");
        assert!(told.contains("basic =") && !told.contains("secret"), "{told}");
    }

    #[test]
    fn a_forward_to_this_server_or_of_a_taken_name_is_refused() {
        let config = |name: &str, url: &str| -> ForwardConfig {
            serde_json::from_str(&format!(r#"{{"name": "{name}", "url": "{url}"}}"#)).expect("a config")
        };
        let own = config("a", "http://localhost:8420/prometheus/api/v1/write");
        assert_eq!(check_forwards(std::slice::from_ref(&own), 8420).expect_err("refused").0, "forward.0");
        assert!(check_forwards(std::slice::from_ref(&own), 8421).is_ok());
        assert!(check_forwards(&[config("a", "http://[::1]:9/")], 9).is_err());
        assert!(check_forwards(&[config("a", "http://h:1/"), config("a", "http://h:2/")], 9).is_err());
    }
}
