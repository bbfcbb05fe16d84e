//! Receivers of notifications: `[notify.<name>]`.

use serde::Deserialize;
use std::collections::BTreeMap;
use tandem_domain::Severity;

/// Longest time a receiver can be given for one delivery, in seconds.
const MAX_TIMEOUT_SECONDS: u64 = 120;

/// A webhook that is told when incidents open, come back and resolve.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverConfig {
    /// Where to POST to.
    pub url: String,
    /// Headers to send along, such as `authorization`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Only incidents at least this bad: `info`, `warning` or `critical`.
    #[serde(default = "ReceiverConfig::default_severity")]
    pub min_severity: Severity,
    /// How long one delivery may take.
    #[serde(default = "ReceiverConfig::default_timeout_seconds")]
    pub timeout_seconds: u64,
    /// How long a delivery is tried before it is given up: an old notification misleads.
    #[serde(default = "ReceiverConfig::default_retry_hours")]
    pub retry_hours: u64,
}

impl ReceiverConfig {
    /// A receiver with the defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: BTreeMap::new(),
            min_severity: Self::default_severity(),
            timeout_seconds: Self::default_timeout_seconds(),
            retry_hours: Self::default_retry_hours(),
        }
    }

    fn default_severity() -> Severity {
        Severity::Warning
    }

    fn default_timeout_seconds() -> u64 {
        10
    }

    fn default_retry_hours() -> u64 {
        24
    }

    /// `host:port` of the URL; none when it is not an HTTP address.
    pub fn authority(&self) -> Option<String> {
        let (scheme, rest) = self.url.split_once("://")?;
        let port = match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if authority.is_empty() || authority.starts_with(':') || authority.contains(char::is_whitespace) {
            return None;
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(host, port)| {
            !port.is_empty()
                && port.bytes().all(|byte| byte.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']'))
        });
        Some(if has_port { authority.to_owned() } else { format!("{authority}:{port}") })
    }

    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        if self.authority().is_none() {
            return Err(format!("url = {:?} is no HTTP address; write it like \"https://host/path\"", self.url));
        }
        if !(1..=MAX_TIMEOUT_SECONDS).contains(&self.timeout_seconds) {
            return Err(format!("timeout_seconds must be 1 to {MAX_TIMEOUT_SECONDS}"));
        }
        if !(1..=720).contains(&self.retry_hours) {
            return Err("retry_hours must be 1 to 720".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_is_host_and_port() {
        let authority = |url: &str| ReceiverConfig::new(url).authority();
        assert_eq!(authority("http://127.0.0.1:9999/hook"), Some("127.0.0.1:9999".into()));
        assert_eq!(authority("https://hooks.example/x?y=a:1"), Some("hooks.example:443".into()));
        assert_eq!(authority("http://[::1]:8080"), Some("[::1]:8080".into()));
        assert_eq!(authority("http://[::1]/"), Some("[::1]:80".into()));
        assert_eq!(authority("http://user:pass@h/x"), Some("h:80".into()));
        assert_eq!(authority("ftp://h/x"), None);
        assert_eq!(authority("http:///x"), None);
        assert!(ReceiverConfig::new("hook").validate().is_err());
        assert_eq!(ReceiverConfig::new("http://h").validate(), Ok(()));
    }
}
