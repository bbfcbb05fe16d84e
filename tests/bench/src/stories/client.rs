//! What a user can do and see: the doors and the API over HTTP.

use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tandem_story::Deployment;

/// How long an answer may take: a step's body is small.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Drift reports that are looked at: of a handful of services the newest of each is among them.
const NEWEST_REPORTS: usize = 40;
/// Candidates of a cause that are looked at.
const CANDIDATES: usize = 3;

/// What a verdict says of one service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub kind: String,
    /// Whether it stands by it; a verdict that says nothing of its confidence does.
    pub confident: bool,
    /// First the one that is named, then the further causes of its first incident.
    pub entities: Vec<String>,
    pub sentence: String,
    /// Who else may be to blame, with shares of the blame, and why it does not stand by the first: for people.
    pub candidates: String,
}

/// A server over HTTP.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    /// Keys of entities that were asked for.
    keys: BTreeMap<String, BTreeSet<String>>,
}

impl Client {
    pub(crate) fn new(base: String) -> Self {
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().expect("a client");
        Self { http, base: format!("http://{base}"), keys: BTreeMap::new() }
    }

    pub(crate) async fn remote_write(&self, body: Vec<u8>) {
        let request = self.http.post(format!("{}/prometheus/api/v1/write", self.base));
        let request = request.header("content-type", "application/x-protobuf").header("content-encoding", "snappy");
        let answer = request.header("x-prometheus-remote-write-version", "0.1.0").body(body).send().await;
        let answer = answer.expect("the server answers");
        let status = answer.status();
        assert!(status.is_success(), "remote write: {status}: {}", answer.text().await.unwrap_or_default());
    }

    /// Sends JSON lines; every one must be taken.
    pub(crate) async fn lines(&self, path: &str, body: String) {
        let answer =
            self.http.post(format!("{}{path}", self.base)).body(body).send().await.expect("the server answers");
        let status = answer.status();
        let taken = json_of(answer).await.unwrap_or_default();
        assert!(status.is_success() && taken["rejected"] == 0, "{path}: {status}: {taken}");
    }

    pub(crate) async fn deploy(&self, deployment: &Deployment, target: &str) {
        let asked = json!({"plugin": "target-open-inference", "target": target, "service": deployment.service,
                           "model": deployment.model, "version": deployment.version});
        let answer = self
            .http
            .post(format!("{}/api/v1/deployments", self.base))
            .body(asked.to_string())
            .header("content-type", "application/json")
            .send()
            .await;
        let answer = answer.expect("the server answers");
        let status = answer.status();
        assert!(status.is_success(), "deployments: {status}: {}", answer.text().await.unwrap_or_default());
    }

    async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Option<Value> {
        let mut url = reqwest::Url::parse(&self.base).ok()?;
        url.path_segments_mut().ok()?.extend(path);
        let answer = self.http.get(url).query(query).send().await.expect("the server answers");
        if !answer.status().is_success() {
            return None;
        }
        json_of(answer).await
    }

    /// The verdict of every service; none where there is none yet.
    pub(crate) async fn verdicts(&self) -> BTreeMap<String, Said> {
        let told = self.get(&["api", "v1", "verdict"], &[]).await.unwrap_or_default();
        let mut all = BTreeMap::new();
        for verdict in told.as_array().into_iter().flatten() {
            let Some(service) = verdict["service"].as_str() else { continue };
            all.insert(service.to_owned(), self.said(verdict).await);
        }
        all
    }

    /// Objectives that are not kept, and drift that the newest report of a service's version tells, with a sentence for each.
    pub(crate) async fn symptoms(&self) -> BTreeMap<(String, String), String> {
        let mut all = BTreeMap::new();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let services = self.get(&["api", "v1", "services"], &[]).await.unwrap_or_default();
        for service in services["items"].as_array().into_iter().flatten() {
            let objectives = service["objectives"].as_array().into_iter().flatten();
            for burning in objectives.filter(|objective| objective["keeping"] == "burning") {
                all.insert((text(&service["name"]), text(&burning["indicator"])), text(&burning["sentence"]));
            }
        }
        let reports = self.get(&["api", "v1", "drift"], &[("limit", NEWEST_REPORTS.to_string())]).await;
        let mut seen = BTreeSet::new();
        for report in reports.unwrap_or_default()["items"].as_array().into_iter().flatten() {
            let subject = (text(&report["service"]), text(&report["version"]));
            if seen.insert(subject.clone()) && report["state"] == "drifted" {
                let columns = report["moved"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let columns: Vec<&str> = columns.collect();
                let against =
                    report["reference_version"].as_str().map_or(String::new(), |one| format!(", beside {one}"));
                let sentence = format!("version {}{against}: {} moved", subject.1, columns.join(", "));
                all.insert((subject.0, format!("drift of {}", subject.1)), sentence);
            }
        }
        all
    }

    async fn said(&self, verdict: &Value) -> Said {
        let cause = &verdict["cause"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut entities: Vec<String> = cause["entity"].as_str().map(str::to_owned).into_iter().collect();
        let listed = cause["candidates"].as_array().into_iter().flatten();
        entities.extend(listed.filter_map(|candidate| candidate["entity"].as_str().map(str::to_owned)));
        if entities.len() < CANDIDATES
            && let Some(incident) = verdict["infrastructure"]["incidents"].get(0).and_then(Value::as_u64)
            && let Some(incident) = self.get(&["api", "v1", "incidents", &incident.to_string()], &[]).await
        {
            let causes = incident["causes"].as_array().into_iter().flatten();
            entities.extend(causes.filter_map(|cause| cause["entity"].as_str().map(str::to_owned)));
        }
        let mut seen = BTreeSet::new();
        entities.retain(|entity| seen.insert(entity.clone()));
        entities.truncate(CANDIDATES);
        let doubts = cause["confident"] == false || cause["confidence"].as_f64().is_some_and(|share| share < 0.5);
        let share = |candidate: &Value| {
            format!("{} {:.2}", candidate["name"].as_str().unwrap_or("?"), candidate["score"].as_f64().unwrap_or(0.0))
        };
        let listed: Vec<String> = cause["candidates"].as_array().into_iter().flatten().map(share).collect();
        let (confidence, doubt) = (cause["confidence"].as_f64().unwrap_or(0.0), text(&cause["doubt"]));
        let candidates = format!("{}; confidence {confidence:.2} {doubt}", listed.join(", "));
        Said {
            kind: text(&cause["kind"]),
            confident: !doubts,
            entities,
            sentence: text(&cause["sentence"]),
            candidates,
        }
    }

    /// Whether an entity is one of some that are known by `kind:scheme:value`.
    pub(crate) async fn is_one_of(&mut self, entity: &str, wanted: &BTreeSet<String>) -> bool {
        if wanted.contains(entity) || self.keys.get(entity).is_some_and(|keys| !keys.is_disjoint(wanted)) {
            return true;
        }
        // Keys are learned as time goes by: who did not fit is asked for again.
        let Some(known) = self.get(&["api", "v1", "entities", entity], &[]).await else { return false };
        let kind = known["kind"].as_str().unwrap_or_default();
        let keys = known["keys"].as_array().into_iter().flatten();
        let keys: BTreeSet<String> = keys
            .map(|key| {
                let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
                format!("{kind}:{}:{}", text("scheme"), text("value"))
            })
            .collect();
        let fits = !keys.is_disjoint(wanted);
        self.keys.insert(entity.to_owned(), keys);
        fits
    }

    async fn count(&self, list: &str) -> usize {
        let (mut count, mut cursor) = (0, None::<String>);
        loop {
            let mut query = vec![("limit", "1000".to_owned())];
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let Some(page) = self.get(&["api", "v1", list], &query).await else { return count };
            count += page["items"].as_array().map_or(0, Vec::len);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return count,
            }
        }
    }

    /// Findings, alerts and incidents so far.
    pub(crate) async fn counts(&self) -> [usize; 3] {
        [self.count("findings").await, self.count("alerts").await, self.count("incidents").await]
    }
}

async fn json_of(answer: reqwest::Response) -> Option<Value> {
    serde_json::from_slice(&answer.bytes().await.ok()?).ok()
}
