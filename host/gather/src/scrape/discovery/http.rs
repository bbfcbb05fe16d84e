//! Targets that an HTTP server lists, as JSON: `[{"targets": ["host:port"], "labels": {…}}]`.

use super::{Finder, TargetGroup, Telling};
use crate::{
    Period,
    scrape::{client::ClientConfig, client::with_client_keys},
};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tandem_domain::{
    Failure, FailureCode,
    http::{HttpClient, HttpRequest},
    ports::BoxFuture,
};
use tandem_wire::target_list::{self, ListedGroup};
use url::Url;

/// Longest answer, in bytes: some 100,000 targets with labels.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// Longest time for an answer; the refresh interval where that is shorter.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);
/// The shortest refresh interval.
const SHORTEST_REFRESH: Duration = Duration::from_millis(100);

with_client_keys! {
    /// An HTTP server that lists targets.
    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct HttpSdConfig {
        /// Its address.
        pub url: String,
        /// How often it is asked.
        #[serde(default = "minute")]
        pub refresh_interval: Period,
    }
}

fn minute() -> Period {
    Period::seconds(60)
}

impl HttpSdConfig {
    pub(crate) fn validate(&self) -> Result<(), String> {
        address(&self.url)?;
        if self.refresh_interval.0 < SHORTEST_REFRESH {
            return Err("refresh_interval is below 100ms; give a longer one".into());
        }
        self.client().map(drop)
    }
}

/// `host:port` of an address over HTTP.
pub(super) fn address(url: &str) -> Result<String, String> {
    let wrong = || "url is no address over http or https; give one such as http://127.0.0.1:8080/targets".to_owned();
    let url = Url::parse(url).map_err(|_| wrong())?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Err(wrong()) };
    if ["http", "https"].contains(&url.scheme()) { Ok(format!("{host}:{port}")) } else { Err(wrong()) }
}

pub(super) struct HttpFinder {
    config: HttpSdConfig,
    client: ClientConfig,
    address: String,
    http: Arc<dyn HttpClient>,
}

impl HttpFinder {
    pub(super) fn new(config: HttpSdConfig, http: Arc<dyn HttpClient>) -> Result<Self, String> {
        let (client, address) = (config.client()?, address(&config.url)?);
        Ok(Self { config, client, address, http })
    }

    async fn ask(&self) -> Result<BTreeMap<String, TargetGroup>, Failure> {
        let prepared = self.client.prepare(&self.address).await?;
        let refresh = self.config.refresh_interval.0;
        let mut headers = prepared.headers;
        headers.push(("accept".into(), b"application/json".to_vec()));
        let seconds = refresh.as_secs_f64().to_string();
        headers.push(("x-prometheus-refresh-interval-seconds".into(), seconds.into_bytes()));
        let request = HttpRequest {
            method: "GET".into(),
            url: self.config.url.clone(),
            headers,
            body: Vec::new(),
            timeout: refresh.min(LONGEST_ANSWER),
            max_response_bytes: MAX_ANSWER_BYTES,
            follow_redirects: self.client.follow_redirects,
        };
        let answer = self.http.send(&prepared.grant, request).await?;
        let malformed = |what: String| Failure::passing(FailureCode::Malformed, what);
        if answer.status != 200 {
            return Err(malformed(format!("it answered with status {}; it should answer 200", answer.status)));
        }
        let is_json = |value: &[u8]| value.trim_ascii().to_ascii_lowercase().starts_with(b"application/json");
        let content_type = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !content_type.is_some_and(|(_, value)| is_json(value)) {
            return Err(malformed("its answer is not declared as application/json".into()));
        }
        let listed = target_list::from_json(&answer.body).map_err(|error| malformed(format!("its answer: {error}")))?;
        Ok(self.groups(listed))
    }

    fn groups(&self, listed: Vec<ListedGroup>) -> BTreeMap<String, TargetGroup> {
        let mut groups = BTreeMap::new();
        for (index, listed) in listed.into_iter().enumerate() {
            let mut group = TargetGroup::from(listed);
            group.labels.set("__meta_url", &self.config.url);
            groups.insert(format!("{}:{index}", self.config.url), group);
        }
        groups
    }
}

impl Finder for HttpFinder {
    fn run(self: Box<Self>, telling: Telling) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut failing = false;
            loop {
                match self.ask().await {
                    Ok(groups) => {
                        failing = false;
                        telling.all(groups);
                    }
                    Err(failure) => {
                        if !failing {
                            let server = &self.address;
                            tracing::warn!("targets could not be asked for at {server}; those before stay: {failure}");
                        }
                        failing = true;
                    }
                }
                tokio::time::sleep(self.config.refresh_interval.0).await;
            }
        })
    }
}
