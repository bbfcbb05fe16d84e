//! Queries: at one moment, and over a range.

use super::{
    answer::{answer_bytes, error, success, told},
    parameters::{Parameters, bad, step},
    working::{HeldAnswer, QUERY_TIMEOUT, answering},
};
use crate::state::ApiState;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use std::time::Duration;
use tandem_query::{Answer, Engine, ErrorKind, Grid, Outcome, QueryError};

/// What a query may be told besides what it asks.
struct Options {
    timeout: Duration,
    lookback: Option<i64>,
    /// Series told at the most; none for all.
    limit: Option<usize>,
}

impl Options {
    fn of(parameters: &Parameters) -> Result<Self, QueryError> {
        let duration = |name: &str| match parameters.get(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => {
                let wrong = || bad(name, &format!("cannot parse {text:?} to a valid duration"));
                step(text).map(Some).ok_or_else(wrong)
            }
        };
        let timeout = duration("timeout")?.map_or(QUERY_TIMEOUT, |millis| Duration::from_millis(millis as u64));
        let limit = match parameters.get("limit").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => {
                let limit: usize = text.parse().map_err(|_| bad("limit", "limit must be non-negative"))?;
                Some(limit).filter(|limit| *limit > 0)
            }
        };
        Ok(Self { timeout: timeout.min(QUERY_TIMEOUT), lookback: duration("lookback_delta")?, limit })
    }

    fn engine<'s>(&self, engine: Engine<'s>) -> Engine<'s> {
        match self.lookback {
            Some(millis) => engine.with_lookback(millis),
            None => engine,
        }
    }

    /// Leaves out what is beyond the limit, and says so.
    fn cut(&self, mut answer: Answer) -> Answer {
        let Some(limit) = self.limit else { return answer };
        let is_cut = match &mut answer.outcome {
            Outcome::Vector(series) => {
                let is_cut = series.len() > limit;
                series.truncate(limit);
                is_cut
            }
            Outcome::Matrix(series) => {
                let is_cut = series.len() > limit;
                series.truncate(limit);
                is_cut
            }
            Outcome::Scalar(..) | Outcome::Text(..) => false,
        };
        if is_cut {
            answer.annotations.warnings.insert("results truncated due to limit".to_owned());
        }
        answer
    }
}

/// What is wrong with a query is wrong with the parameter that holds it.
fn of_query(error: QueryError) -> QueryError {
    if error.kind == ErrorKind::BadData { bad("query", &error.message) } else { error }
}

async fn instant(state: &ApiState, parameters: Parameters) -> Result<HeldAnswer, QueryError> {
    let query = parameters.required("query")?.to_owned();
    let at = parameters.moment("time")?.unwrap_or_else(|| state.clock.now().0);
    let options = Options::of(&parameters)?;
    answering(state, options.timeout, move |source, limits| {
        let answer = options.engine(Engine::new(source, limits)).instant(&query, at).map_err(of_query)?;
        answer_bytes(&options.cut(answer))
    })
    .await
}

async fn ranged(state: &ApiState, parameters: Parameters) -> Result<HeldAnswer, QueryError> {
    let query = parameters.required("query")?.to_owned();
    let moment = |name: &str| parameters.moment(name)?.ok_or_else(|| bad(name, "it is missing"));
    let (start, end) = (moment("start")?, moment("end")?);
    if end < start {
        return Err(bad("end", "end timestamp must not be before start time"));
    }
    let text = parameters.required("step")?;
    let step = step(text).ok_or_else(|| {
        let is_number = text.parse::<f64>().is_ok();
        bad(
            "step",
            &if is_number {
                "zero or negative query resolution step widths are not accepted. Try a positive integer".to_owned()
            } else {
                format!("cannot parse {text:?} to a valid duration")
            },
        )
    })?;
    let grid = Grid { start, end, step };
    let options = Options::of(&parameters)?;
    answering(state, options.timeout, move |source, limits| {
        if grid.len() > limits.steps {
            return Err(QueryError { kind: ErrorKind::BadData, message: format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                limits.steps
            )});
        }
        let answer = options.engine(Engine::new(source, limits)).range(&query, grid).map_err(of_query)?;
        answer_bytes(&options.cut(answer))
    })
    .await
}

/// Evaluates a query at one moment (`query`, `time`; `timeout`, `limit`, `lookback_delta`).
#[utoipa::path(get, path = "/prometheus/api/v1/query", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn query(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    told(instant(&state, Parameters::of(asked.as_deref(), b"")).await)
}

/// As GET, with the parameters in a form.
#[utoipa::path(post, path = "/prometheus/api/v1/query", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn post_query(State(state): State<ApiState>, RawQuery(asked): RawQuery, form: String) -> Response {
    told(instant(&state, Parameters::of(asked.as_deref(), form.as_bytes())).await)
}

/// Evaluates a query over a range (`query`, `start`, `end`, `step`; `timeout`, `limit`, `lookback_delta`).
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

fn formatted(parameters: &Parameters) -> Response {
    match parameters.required("query").and_then(|query| tandem_query::formatted(query).map_err(of_query)) {
        Ok(text) => success(text.into()),
        Err(failed) => error(&failed),
    }
}

/// Writes a query in the usual way (`query`).
#[utoipa::path(get, path = "/prometheus/api/v1/format_query", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn format_query(RawQuery(asked): RawQuery) -> Response {
    formatted(&Parameters::of(asked.as_deref(), b""))
}

/// As GET, with the parameters in a form.
#[utoipa::path(post, path = "/prometheus/api/v1/format_query", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn post_format_query(RawQuery(asked): RawQuery, form: String) -> Response {
    formatted(&Parameters::of(asked.as_deref(), form.as_bytes()))
}
