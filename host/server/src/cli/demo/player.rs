//! Sends the steps of a story, and keeps account of what the server took and refused.

use super::loopback::Loopback;
use anyhow::Context;
use std::{sync::Arc, time::Duration};
use tandem_domain::http::{HttpClient, HttpGrant, HttpRequest};
use tandem_egress::EgressClient;
use tandem_story::{Deployment, Play, Sender, Shown};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest answer that is read, in bytes: what was refused is told line by line.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Predictions or labels in one request.
const ROWS_AT_ONCE: usize = 2_000;
/// Longest part of a refusal that is shown, in characters.
const SHOWN_REFUSAL: usize = 300;

/// What came of what was sent.
#[derive(Debug, Default)]
struct Account {
    samples: u64,
    predictions: u64,
    labels: u64,
    deployments: u64,
    refused: u64,
    last_refusal: String,
}

/// Sends to one server.
pub(super) struct Player {
    http: Arc<dyn HttpClient>,
    grant: HttpGrant,
    base: String,
    sender: Sender,
    /// By target: whether it is shown to be scraped.
    scraped: Vec<bool>,
    loopback: Loopback,
    account: Account,
}

impl Player {
    pub(super) fn new(play: &Play, server: &str, scrape: Vec<String>, loopback: Loopback) -> anyhow::Result<Self> {
        let base = server.trim_end_matches('/').to_owned();
        let authority = tandem_aiops::ReceiverConfig::new(&base).authority();
        let authority =
            authority.with_context(|| format!("--server {server:?} is no address like http://127.0.0.1:8420"))?;
        Ok(Self {
            http: Arc::new(EgressClient::default()),
            grant: HttpGrant { allow: vec![authority], ..HttpGrant::default() },
            base,
            sender: Sender::new(play),
            scraped: play.targets().iter().map(|target| scrape.contains(&target.job)).collect(),
            loopback,
            account: Account::default(),
        })
    }

    /// Sends a step; whether anything of it was taken.
    pub(super) async fn send(&mut self, play: &Play, shown: &Shown) -> bool {
        let is_scraped = |number: u32| self.scraped[play.series()[number as usize].target];
        if self.scraped.contains(&true) {
            let pages = (0..self.scraped.len()).filter(|target| self.scraped[*target]);
            self.loopback.show(pages.map(|target| (target, self.sender.page(play, shown, target))).collect());
        }
        let mut written = shown.clone();
        written.samples.retain(|(number, _)| !is_scraped(*number));
        let mut taken = false;
        match self.sender.remote_write(&written) {
            Ok(body) => {
                let headers = [
                    ("content-type", "application/x-protobuf"),
                    ("content-encoding", "snappy"),
                    ("x-prometheus-remote-write-version", "0.1.0"),
                ];
                if self.post("/prometheus/api/v1/write", &headers, body).await.is_some() {
                    self.account.samples += written.samples.len() as u64;
                    taken = true;
                }
            }
            Err(error) => self.refused(error.to_string()),
        }
        for body in self.sender.predictions(shown, ROWS_AT_ONCE) {
            let accepted = self.lines("/api/v1/predictions", body).await;
            self.account.predictions += accepted;
        }
        for body in self.sender.labels(shown, ROWS_AT_ONCE) {
            let accepted = self.lines("/api/v1/labels", body).await;
            self.account.labels += accepted;
        }
        for deployment in &shown.deployments {
            self.deploy(deployment).await;
        }
        taken
    }

    /// Asks for a deployment to the model repository that stands beside the story on loopback.
    async fn deploy(&mut self, deployment: &Deployment) {
        self.loopback.load(&deployment.model, &deployment.version);
        let asked = serde_json::json!({"plugin": "target-open-inference",
            "target": format!("http://{}", self.loopback.address()), "service": deployment.service,
            "model": deployment.model, "version": deployment.version});
        let json = [("content-type", "application/json")];
        if self.post("/api/v1/deployments", &json, asked.to_string().into_bytes()).await.is_some() {
            self.account.deployments += 1;
        }
    }

    /// Sends JSON lines; how many were accepted.
    async fn lines(&mut self, path: &str, body: String) -> u64 {
        let Some(answer) = self.post(path, &[("content-type", "application/x-ndjson")], body.into_bytes()).await else {
            return 0;
        };
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
        let rejected = answer["rejected"].as_u64().unwrap_or(0) + answer["duplicates"].as_u64().unwrap_or(0);
        if rejected > 0 {
            self.refused(format!("{path}: {rejected} were refused or there already: {}", answer["rejections"]));
        }
        answer["accepted"].as_u64().unwrap_or(0)
    }

    /// The answer, or none with the refusal written down.
    async fn post(&mut self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Option<Vec<u8>> {
        let request = HttpRequest {
            method: "POST".into(),
            url: format!("{}{path}", self.base),
            headers: headers.iter().map(|(name, value)| ((*name).into(), value.as_bytes().to_vec())).collect(),
            body,
            timeout: TIMEOUT,
            max_response_bytes: MAX_ANSWER_BYTES,
            follow_redirects: false,
        };
        match self.http.send(&self.grant, request).await {
            Ok(answer) if (200..300).contains(&answer.status) => Some(answer.body),
            Ok(answer) => {
                self.refused(format!("{path}: {}: {}", answer.status, String::from_utf8_lossy(&answer.body)));
                None
            }
            Err(failure) => {
                self.refused(format!("{path}: {}", failure.message));
                None
            }
        }
    }

    /// The first refusal, and each that says something else, is shown at once.
    fn refused(&mut self, told: String) {
        let told: String = told.chars().take(SHOWN_REFUSAL).collect();
        self.account.refused += 1;
        if self.account.last_refusal != told {
            note!("refused: {told}");
            self.account.last_refusal = told;
        }
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn last_refusal(&self) -> &str {
        &self.account.last_refusal
    }

    pub(super) fn told(&self) -> String {
        let Account { samples, predictions, labels, deployments, refused, .. } = &self.account;
        format!(
            "{samples} samples, {predictions} predictions, {labels} labels, {deployments} deployments taken; {refused} requests refused"
        )
    }
}
