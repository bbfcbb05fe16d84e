//! Queries as Prometheus' own HTTP API takes and answers them, so that Grafana and promtool work unchanged.

use crate::{state::ApiState, time};
use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};
use tandem_domain::series::Labels;
use tandem_query::{Answer, Engine, ErrorKind, Grid, Matcher, Outcome, QueryError, QueryLimits, Sample, StoreSource};
use tandem_store::Store;
use url::form_urlencoded;

/// How long a query may take: Prometheus allows two minutes, after which no page waits.
const QUERY_TIMEOUT: Duration = Duration::from_secs(60);

/// Parameters of a query, from the address and, where posted, from the form.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(query: Option<&str>, form: &[u8]) -> Self {
        let asked = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(asked.into_owned().chain(form_urlencoded::parse(form).into_owned()).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &str) -> Result<&str, QueryError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| bad(name, "it is missing"))
    }

    /// Unix seconds or RFC 3339, as milliseconds.
    fn moment(&self, name: &str) -> Result<Option<i64>, QueryError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let moment =
            time::read(text).ok_or_else(|| bad(name, &format!("cannot parse {text:?} to a valid timestamp")))?;
        Ok(Some(moment.0))
    }

    /// The sets of matchers of `match[]`.
    fn selectors(&self) -> Result<Vec<Vec<Matcher>>, QueryError> {
        let given = self.0.iter().filter(|(name, _)| name == "match[]");
        given.map(|(_, text)| tandem_query::selector(text)).collect()
    }
}

fn bad(name: &str, why: &str) -> QueryError {
    QueryError { kind: ErrorKind::BadData, message: format!("invalid parameter {name:?}: {why}") }
}

/// Seconds, or a duration such as `1m30s`, as milliseconds.
fn step(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds > 0.0 && seconds < 1e12).then_some((seconds * 1000.0) as i64);
    }
    let (mut total, mut rest) = (0i64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
        let (unit, millis) = units.into_iter().find(|(unit, _)| rest[digits..].starts_with(unit))?;
        total = total.checked_add(number.checked_mul(millis)?)?;
        rest = &rest[digits + unit.len()..];
    }
    (total > 0).then_some(total)
}

/// Calls a query off when whoever asked has left.
struct CallOff(Arc<AtomicBool>);

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Works on a snapshot, away from the threads that serve.
async fn working<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&StoreSource, QueryLimits) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    let limits = QueryLimits::default();
    let (_call_off, expired) = (CallOff(limits.canceled.clone()), limits.expired.clone());
    let failed = |message: String| QueryError { kind: ErrorKind::Internal, message };
    let store = store.clone();
    let mut working = tokio::task::spawn_blocking(move || {
        let source = store.read().and_then(StoreSource::new).map_err(|error| failed(error.to_string()))?;
        work(&source, limits)
    });
    let done = match tokio::time::timeout(QUERY_TIMEOUT, &mut working).await {
        Ok(done) => done,
        Err(_) => {
            // It looks at this between parts, and then answers so itself.
            expired.store(true, Ordering::Relaxed);
            working.await
        }
    };
    done.map_err(|error| failed(format!("the query broke: {error}")))?
}

fn labels_json(labels: &Labels) -> Value {
    labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<serde_json::Map<_, _>>().into()
}

/// A number as Prometheus writes it: as text, so that infinities and NaN have a place.
fn sample_json(sample: &Sample) -> Value {
    let text = match sample.value {
        value if value == f64::INFINITY => "+Inf".to_owned(),
        value if value == f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    };
    json!([sample.at as f64 / 1000.0, text])
}

fn outcome_json(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Scalar(sample) => json!({"resultType": "scalar", "result": sample_json(sample)}),
        Outcome::Text(at, text) => json!({"resultType": "string", "result": [*at as f64 / 1000.0, text]}),
        Outcome::Vector(series) => {
            let one = |(labels, sample): &(Labels, Sample)| json!({"metric": labels_json(labels), "value": sample_json(sample)});
            json!({"resultType": "vector", "result": series.iter().map(one).collect::<Vec<_>>()})
        }
        Outcome::Matrix(series) => {
            let one = |one: &tandem_query::SampleSeries| {
                let values: Vec<Value> = one.samples.iter().map(sample_json).collect();
                json!({"metric": labels_json(&one.labels), "values": values})
            };
            json!({"resultType": "matrix", "result": series.iter().map(one).collect::<Vec<_>>()})
        }
    }
}

fn success(data: Value) -> Response {
    Json(json!({"status": "success", "data": data})).into_response()
}

fn error(error: &QueryError) -> Response {
    let status = match error.kind {
        ErrorKind::BadData => StatusCode::BAD_REQUEST,
        ErrorKind::Execution => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Timeout | ErrorKind::Canceled => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = json!({"status": "error", "errorType": error.kind.name(), "error": error.message});
    (status, Json(body)).into_response()
}

fn told(answer: Result<Answer, QueryError>) -> Response {
    match answer {
        Err(failed) => error(&failed),
        Ok(answer) => {
            let mut body = json!({"status": "success", "data": outcome_json(&answer.outcome)});
            for (name, texts) in [("warnings", &answer.annotations.warnings), ("infos", &answer.annotations.infos)] {
                if !texts.is_empty() {
                    body[name] = json!(texts);
                }
            }
            Json(body).into_response()
        }
    }
}

async fn instant(state: &ApiState, parameters: Parameters) -> Result<Answer, QueryError> {
    let query = parameters.required("query")?.to_owned();
    let at = parameters.moment("time")?.unwrap_or_else(|| state.clock.now().0);
    working(&state.store, move |source, limits| Engine::new(source, limits).instant(&query, at)).await
}

async fn ranged(state: &ApiState, parameters: Parameters) -> Result<Answer, QueryError> {
    let query = parameters.required("query")?.to_owned();
    let moment = |name: &str| parameters.moment(name)?.ok_or_else(|| bad(name, "it is missing"));
    let (start, end) = (moment("start")?, moment("end")?);
    let text = parameters.required("step")?;
    let step = step(text).ok_or_else(|| bad("step", &format!("{text:?} is no positive duration")))?;
    let grid = Grid { start, end, step };
    working(&state.store, move |source, limits| Engine::new(source, limits).range(&query, grid)).await
}

/// Evaluates a query at one moment (`query`, `time`).
#[utoipa::path(get, path = "/prometheus/api/v1/query", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn query(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    told(instant(&state, Parameters::of(asked.as_deref(), b"")).await)
}

/// As GET, with the parameters in a form.
#[utoipa::path(post, path = "/prometheus/api/v1/query", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn post_query(State(state): State<ApiState>, RawQuery(asked): RawQuery, form: String) -> Response {
    told(instant(&state, Parameters::of(asked.as_deref(), form.as_bytes())).await)
}

/// Evaluates a query over a range (`query`, `start`, `end`, `step`).
#[utoipa::path(get, path = "/prometheus/api/v1/query_range", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn query_range(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    told(ranged(&state, Parameters::of(asked.as_deref(), b"")).await)
}

/// As GET, with the parameters in a form.
#[utoipa::path(post, path = "/prometheus/api/v1/query_range", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn post_query_range(
    State(state): State<ApiState>,
    RawQuery(asked): RawQuery,
    form: String,
) -> Response {
    told(ranged(&state, Parameters::of(asked.as_deref(), form.as_bytes())).await)
}

/// Something of the labels of series that fit `match[]`.
async fn of_labels(
    state: &ApiState,
    asked: Option<&str>,
    of: impl Fn(&Labels) -> Vec<Value> + Send + 'static,
) -> Response {
    let selectors = match Parameters::of(asked, b"").selectors() {
        Ok(selectors) => selectors,
        Err(failed) => return error(&failed),
    };
    let found = working(&state.store, move |source, _| {
        let all: Vec<Value> = source.labels(&selectors).flat_map(&of).collect();
        Ok(all)
    });
    match found.await {
        Ok(found) => success(found.into()),
        Err(failed) => error(&failed),
    }
}

/// The values that are texts, each once and sorted.
async fn distinct(
    state: &ApiState,
    asked: Option<&str>,
    of: impl Fn(&Labels) -> Vec<String> + Send + 'static,
) -> Response {
    let selectors = match Parameters::of(asked, b"").selectors() {
        Ok(selectors) => selectors,
        Err(failed) => return error(&failed),
    };
    let found = working(&state.store, move |source, _| {
        let all: BTreeSet<String> = source.labels(&selectors).flat_map(&of).collect();
        Ok(all)
    });
    match found.await {
        Ok(found) => success(json!(found)),
        Err(failed) => error(&failed),
    }
}

/// The labels of the series that fit `match[]`.
#[utoipa::path(get, path = "/prometheus/api/v1/series", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn series(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    if !Parameters::of(asked.as_deref(), b"").0.iter().any(|(name, _)| name == "match[]") {
        return error(&bad("match[]", "no match[] parameter provided"));
    }
    of_labels(&state, asked.as_deref(), |labels| vec![labels_json(labels)]).await
}

/// The names of labels.
#[utoipa::path(get, path = "/prometheus/api/v1/labels", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn labels(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    distinct(&state, asked.as_deref(), |labels| labels.iter().map(|(name, _)| name.to_owned()).collect()).await
}

/// The values of a label.
#[utoipa::path(get, path = "/prometheus/api/v1/label/{name}/values", tag = "prometheus", params(("name" = String, Path)),
    responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn label_values(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    RawQuery(asked): RawQuery,
) -> Response {
    distinct(&state, asked.as_deref(), move |labels| labels.get(&name).map(str::to_owned).into_iter().collect()).await
}

/// Which Prometheus' language and API this is, for clients that ask before they query.
#[utoipa::path(get, path = "/prometheus/api/v1/status/buildinfo", tag = "prometheus", responses((status = OK)))]
pub(crate) async fn build_info() -> Response {
    success(json!({"version": "3.0.0", "application": "tandem", "applicationVersion": env!("CARGO_PKG_VERSION")}))
}
