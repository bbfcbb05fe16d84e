//! Rules and their alerts as Prometheus tells them.

use super::{
    answer::{error, labels_json, success},
    parameters::{Parameters, bad},
};
use crate::{state::ApiState, time};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tandem_aiops::rule::{ActiveAlert, Activity, GroupState, Health, RuleRun, RuleState, template::go_float};
use tandem_domain::{
    Timestamp,
    rule::{Rule, RuleKind},
    series::Labels,
};
use tandem_query::{ErrorKind, Matcher, QueryError, matches};
use tandem_store::{ReadError, Store};

/// Groups with their rules' states, in the order they are evaluated.
type Told = Vec<(GroupState, Vec<RuleState>)>;

/// What of all rules is asked for.
struct Asked {
    alerting: bool,
    recording: bool,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    selectors: Vec<Vec<Matcher>>,
    with_alerts: bool,
    limit: Option<usize>,
    after: Option<String>,
}

impl Asked {
    fn of(query: Option<&str>) -> Result<Self, QueryError> {
        let parameters = Parameters::of(query, b"");
        let all = |name: &str| -> Vec<String> {
            parameters.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
        };
        let kind = parameters.get("type").unwrap_or_default().to_lowercase();
        if !["", "alert", "record"].contains(&kind.as_str()) {
            return Err(bad("type", &format!("not supported value {kind:?}")));
        }
        let flag = |name: &str| match parameters.get(name).unwrap_or_default() {
            "" => Ok(false),
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
            other => Err(bad(name, &format!("{other:?} is neither true nor false"))),
        };
        let limit = match parameters.get("group_limit") {
            None => None,
            Some(text) => {
                let limit = text.parse::<usize>().ok().filter(|limit| *limit > 0);
                Some(limit.ok_or_else(|| bad("group_limit", "it must be a whole number above 0"))?)
            }
        };
        let after = parameters.get("group_next_token").map(str::to_owned);
        if after.is_some() && limit.is_none() {
            return Err(bad("group_limit", "it needs to be set when group_next_token is set"));
        }
        Ok(Self {
            alerting: kind != "record",
            recording: kind != "alert",
            names: all("rule_name[]"),
            groups: all("rule_group[]"),
            files: all("file[]"),
            selectors: parameters.selectors()?,
            with_alerts: !flag("exclude_alerts")?,
            limit,
            after,
        })
    }

    fn wants_group(&self, group: &GroupState) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.name))
            && (self.files.is_empty() || self.files.contains(&group.file))
    }

    fn wants(&self, rule: &Rule) -> bool {
        let kind = if rule.is_alerting() { self.alerting } else { self.recording };
        let named = self.names.is_empty() || self.names.contains(&rule.name);
        // A label that is a template can only be told when the rule is evaluated.
        let fixed = || -> Labels {
            let plain = rule.labels.iter().filter(|(_, value)| !value.contains("{{"));
            plain.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        kind && named && (self.selectors.is_empty() || self.selectors.iter().any(|set| matches(&fixed(), set)))
    }
}

/// A moment that may be absent, as Go writes its zero time.
fn moment(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), time::write)
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

fn texts(pairs: &BTreeMap<String, String>) -> Value {
    json!(pairs)
}

fn alert_json(alert: &ActiveAlert) -> Value {
    let mut told = json!({
        "labels": labels_json(&alert.labels),
        "annotations": labels_json(&alert.annotations),
        "state": state_word(alert.activity),
        "activeAt": time::write(alert.active_at),
        "value": go_float(alert.value),
    });
    if let Some(since) = alert.kept_since {
        told["keepFiringSince"] = json!(time::write(since));
    }
    told
}

fn state_word(activity: Activity) -> &'static str {
    match activity {
        Activity::Pending => "pending",
        Activity::Firing => "firing",
    }
}

fn rule_json(run: &RuleRun, state: Option<&RuleState>, with_alerts: bool) -> Value {
    let health = match run.health {
        Health::Unknown => "unknown",
        Health::Ok => "ok",
        Health::Err => "err",
    };
    let mut told = json!({
        "name": run.rule.name,
        "query": tandem_query::canonical(&run.rule.expr),
        "health": health,
        "evaluationTime": run.seconds,
        "lastEvaluation": moment(run.evaluated_at),
    });
    if let Some(error) = &run.last_error {
        told["lastError"] = json!(error);
    }
    let alerts = state.map(|state| state.alerts.as_slice()).unwrap_or_default();
    match &run.rule.kind {
        RuleKind::Recording => {
            told["type"] = json!("recording");
            if !run.rule.labels.is_empty() {
                told["labels"] = texts(&run.rule.labels);
            }
        }
        RuleKind::Alerting { for_millis, keep_firing_for_millis, annotations } => {
            let worst = alerts.iter().map(|alert| alert.activity).max_by_key(|activity| *activity == Activity::Firing);
            told["type"] = json!("alerting");
            told["state"] = json!(worst.map_or("inactive", state_word));
            told["duration"] = json!(seconds(*for_millis));
            told["keepFiringFor"] = json!(seconds(*keep_firing_for_millis));
            told["labels"] = texts(&run.rule.labels);
            told["annotations"] = texts(annotations);
            let shown: Vec<Value> = if with_alerts { alerts.iter().map(alert_json).collect() } else { Vec::new() };
            told["alerts"] = json!(shown);
        }
    }
    told
}

/// Everything that is known of rules, from one snapshot, away from the threads that serve.
async fn read(store: &Store) -> Result<Told, QueryError> {
    let store = store.clone();
    let reading = tokio::task::spawn_blocking(move || -> Result<Told, ReadError> {
        let read = store.read()?;
        let mut groups = read.scan::<GroupState>(.., usize::MAX)?;
        groups.sort_by_key(|group| group.place);
        let states = |group: &GroupState| -> Result<Vec<RuleState>, ReadError> {
            group.rules.iter().filter_map(|run| read.get::<RuleState>(&run.id).transpose()).collect()
        };
        groups
            .into_iter()
            .map(|group| {
                let states = states(&group)?;
                Ok((group, states))
            })
            .collect()
    });
    let failed = |message: String| QueryError { kind: ErrorKind::Internal, message };
    reading.await.map_err(|error| failed(format!("reading broke: {error}")))?.map_err(|error| failed(error.to_string()))
}

/// What names a group in `group_next_token`.
fn token(group: &GroupState) -> String {
    format!("{};{}", group.file, group.name)
}

fn groups_json(told: &Told, asked: &Asked) -> Result<Value, QueryError> {
    let mut wanted: Vec<&(GroupState, Vec<RuleState>)> =
        told.iter().filter(|(group, _)| asked.wants_group(group)).collect();
    if let Some(after) = &asked.after {
        let place = wanted.iter().position(|(group, _)| token(group) == *after);
        let place = place.ok_or_else(|| bad("group_next_token", "there is no such group any more"))?;
        wanted.drain(..=place);
    }
    let mut shown = Vec::new();
    let mut next = None;
    let mut last: Option<&GroupState> = None;
    for (group, states) in wanted {
        let of = |run: &RuleRun| states.iter().find(|state| state.id == run.id);
        let runs = group.rules.iter().filter(|run| asked.wants(&run.rule));
        let rules: Vec<Value> = runs.map(|run| rule_json(run, of(run), asked.with_alerts)).collect();
        if rules.is_empty() && !group.rules.is_empty() {
            continue;
        }
        if asked.limit.is_some_and(|limit| shown.len() == limit) {
            next = last.map(token);
            break;
        }
        last = Some(group);
        shown.push(json!({
            "name": group.name,
            "file": group.file,
            "rules": rules,
            "interval": seconds(group.interval_millis),
            "limit": group.limit,
            "evaluationTime": group.seconds,
            "lastEvaluation": moment(group.evaluated_at),
        }));
    }
    let mut data = json!({"groups": shown});
    if let Some(next) = next {
        data["groupNextToken"] = json!(next);
    }
    Ok(data)
}

/// The rules by group (`type`, `rule_name[]`, `rule_group[]`, `file[]`, `match[]`, `exclude_alerts`, `group_limit`,
/// `group_next_token`).
#[utoipa::path(get, path = "/prometheus/api/v1/rules", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn rules(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    let told = async {
        let asked = Asked::of(asked.as_deref())?;
        groups_json(&read(&state.store).await?, &asked)
    };
    match told.await {
        Ok(data) => success(data),
        Err(failed) => error(&failed),
    }
}

/// The alerts of all rules that are pending or firing.
#[utoipa::path(get, path = "/prometheus/api/v1/alerts", tag = "prometheus", responses((status = OK)))]
pub(crate) async fn alerts(State(state): State<ApiState>) -> Response {
    match read(&state.store).await {
        Ok(told) => {
            let all = told.iter().flat_map(|(_, states)| states).flat_map(|state| &state.alerts);
            success(json!({"alerts": all.map(alert_json).collect::<Vec<Value>>()}))
        }
        Err(failed) => error(&failed),
    }
}
