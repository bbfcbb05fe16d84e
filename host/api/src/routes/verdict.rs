//! The two answers per service.

use crate::{
    error::{ApiError, ErrorBody},
    paging::{self, Page, PageQuery},
    state::ApiState,
    time,
};
use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use tandem_domain::{
    Timestamp,
    cause::Direction,
    entity::EntityId,
    verdict::{Candidate, CandidateSignal, CauseKind, Cost, Grounds, Health, Suggestion, Verdict},
};
use tandem_store::ReadTx;
use utoipa::{IntoParams, ToSchema};

/// Both answers for one service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerdictView {
    service: String,
    at: String,
    model: ModelView,
    infrastructure: InfrastructureView,
    cause: CauseView,
    /// The story that is played, where the service is a demonstration.
    demonstration: Option<String>,
}

/// Is the model working?
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelView {
    /// `ok`, `degraded` or `unknown`.
    #[schema(value_type = String)]
    state: Health,
    since: Option<String>,
    evidence: Vec<String>,
}

/// Is the infrastructure behind it healthy?
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InfrastructureView {
    /// `ok`, `degraded` or `unknown`.
    #[schema(value_type = String)]
    state: Health,
    since: Option<String>,
    /// Active incidents on the service's dependency path.
    incidents: Vec<u64>,
}

/// How the answers hang together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CauseView {
    /// `model`, `data`, `infrastructure`, `both`, `none` or `unknown`.
    #[schema(value_type = String)]
    kind: CauseKind,
    entity: Option<String>,
    sentence: String,
    /// Whether the named cause should be believed.
    confident: bool,
    /// 0 to 1.
    confidence: f64,
    /// Why it is not confident; empty when it is, or when there is nothing to explain.
    doubt: String,
    /// What else is to be known of the answer: clocks that are off, senders that fell silent.
    caveats: Vec<String>,
    /// When the trouble began.
    onset: Option<String>,
    /// Who may be to blame, most likely first.
    candidates: Vec<CandidateView>,
    /// What it has cost so far.
    cost: Option<CostView>,
    /// What to do.
    suggestion: Option<SuggestionView>,
    /// The number by which `/api/v1/explanations/{id}` and `tandem explain` tell how it was found.
    explanation: Option<u64>,
}

/// Something that may be to blame.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CandidateView {
    entity: String,
    name: String,
    /// 0 to 1, relative within the answer.
    score: f64,
    #[schema(value_type = String)]
    kind: CauseKind,
    sentence: String,
    /// From the service down to it.
    path: Vec<String>,
    /// What speaks for it, strongest first.
    signals: Vec<SignalView>,
}

/// A signal that speaks for a candidate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignalView {
    name: String,
    /// How far it left its course, in spreads of its own.
    score: f64,
    /// `up` or `down`.
    #[schema(value_type = String)]
    direction: Direction,
    /// The series it is made of.
    series: Vec<u64>,
}

/// What trouble has cost so far.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CostView {
    failed_requests: f64,
    late_requests: f64,
    wrong_predictions: f64,
    predictions: u64,
}

/// What to do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SuggestionView {
    /// A word for machines.
    action: String,
    /// For people.
    sentence: String,
}

impl From<Candidate> for CandidateView {
    fn from(candidate: Candidate) -> Self {
        let signal = |signal: CandidateSignal| SignalView {
            name: signal.name,
            score: signal.score,
            direction: signal.direction,
            series: signal.series.into_iter().map(|series| series.0).collect(),
        };
        Self {
            entity: candidate.entity.0,
            name: candidate.name,
            score: candidate.score,
            kind: candidate.kind,
            sentence: candidate.sentence,
            path: candidate.path.into_iter().map(|step| step.0).collect(),
            signals: candidate.signals.into_iter().map(signal).collect(),
        }
    }
}

impl CauseView {
    fn of(kind: CauseKind, entity: Option<EntityId>, sentence: String, grounds: Grounds) -> Self {
        let cost = |cost: Cost| CostView {
            failed_requests: cost.failed_requests,
            late_requests: cost.late_requests,
            wrong_predictions: cost.wrong_predictions,
            predictions: cost.predictions,
        };
        let suggestion = |one: Suggestion| SuggestionView { action: one.action, sentence: one.sentence };
        Self {
            kind,
            entity: entity.map(|entity| entity.0),
            sentence,
            confident: grounds.confident,
            confidence: grounds.confidence,
            doubt: grounds.doubt,
            caveats: grounds.caveats,
            onset: time::write_some(grounds.onset),
            candidates: grounds.candidates.into_iter().map(CandidateView::from).collect(),
            cost: grounds.cost.map(cost),
            suggestion: grounds.suggestion.map(suggestion),
            explanation: grounds.case,
        }
    }
}

impl From<Verdict> for VerdictView {
    fn from(verdict: Verdict) -> Self {
        Self {
            service: verdict.service,
            at: time::write(verdict.at),
            model: ModelView {
                state: verdict.model.state,
                since: time::write_some(verdict.model.since),
                evidence: verdict.model.evidence,
            },
            infrastructure: InfrastructureView {
                state: verdict.infrastructure.state,
                since: time::write_some(verdict.infrastructure.since),
                incidents: verdict.infrastructure.incidents,
            },
            cause: CauseView::of(verdict.cause, verdict.cause_entity, verdict.sentence, verdict.grounds),
            demonstration: verdict.demonstration,
        }
    }
}

/// All verdicts; also what the overview shows.
pub(crate) fn verdicts_now(read: &ReadTx, at: Timestamp) -> Result<Vec<Verdict>, ApiError> {
    tandem_verdict::verdicts(read, None, at).map_err(|error| ApiError::internal(error.to_string()))
}

/// For which service.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VerdictQuery {
    /// Only this service.
    service: Option<String>,
    /// As it was said at this moment, RFC 3339 or Unix seconds; now when absent.
    at: Option<String>,
}

/// Of which service, and how far back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// The service.
    service: String,
}

fn moment(text: &str) -> Result<Timestamp, ApiError> {
    let hint = "give RFC 3339, such as 2026-11-24T15:00:00Z, or Unix seconds";
    time::read(text).ok_or_else(|| ApiError::bad_request(format!("at = {text:?} is no moment"), hint))
}

/// What was said at a moment.
fn said(read: &ReadTx, service: Option<&str>, at: Timestamp) -> Result<Vec<Verdict>, ApiError> {
    Ok(match service {
        Some(service) => tandem_verdict::as_of(read, service, at)?.into_iter().collect(),
        None => tandem_verdict::all_as_of(read, at)?,
    })
}

/// The verdict of every service, or of one: of now, or as it was said at a moment, with when it was first said.
#[utoipa::path(get, path = "/api/v1/verdict", tag = "verdict", params(VerdictQuery),
    responses((status = OK, body = Vec<VerdictView>), (status = NOT_FOUND, body = ErrorBody)))]
pub(crate) async fn all(
    State(state): State<ApiState>,
    Query(query): Query<VerdictQuery>,
) -> Result<Json<Vec<VerdictView>>, ApiError> {
    let past = query.at.as_deref().map(moment).transpose()?;
    let at = state.clock.now();
    let service = query.service.clone();
    let found = tokio::task::spawn_blocking(move || {
        let read = state.store.read()?;
        if let Some(past) = past.filter(|past| *past < at) {
            return said(&read, service.as_deref(), past);
        }
        tandem_verdict::verdicts(&read, service.as_deref(), at).map_err(|error| ApiError::internal(error.to_string()))
    })
    .await
    .map_err(|error| ApiError::internal(error.to_string()))??;
    match query.service {
        Some(service) if found.is_empty() => Err(ApiError::not_found("service", service, "/api/v1/verdict")),
        _ => Ok(Json(found.into_iter().map(VerdictView::from).collect())),
    }
}

/// What was said of a service, newest first: each verdict that differed from the one before it.
#[utoipa::path(get, path = "/api/v1/verdict/history", tag = "verdict", params(HistoryQuery, PageQuery),
    responses((status = OK, body = Page<VerdictView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn history(
    State(state): State<ApiState>,
    Query(query): Query<HistoryQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<VerdictView>>, ApiError> {
    page.number()?;
    let read = state.store.read()?;
    let page = paging::fill(
        &page,
        |before, limit| {
            let before = before.and_then(|text| text.parse().ok()).map_or(Timestamp::MAX, Timestamp);
            Ok(tandem_verdict::before(&read, &query.service, before, limit)?)
        },
        |verdict| verdict.at.0.to_string(),
        |verdict| Some(verdict.into()),
    )?;
    Ok(Json(page))
}
