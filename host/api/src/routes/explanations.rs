//! How an answer about a cause was found, and the same question asked again.

use crate::{
    error::{ApiError, ErrorBody},
    routes::verdict::CandidateView,
    state::ApiState,
    time,
};
use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use tandem_domain::{Failure, Timestamp, cause::Direction};
use tandem_verdict::ask::{Answer, AskedAgain, Explanation, Followed, Origin, ask_again, explain};
use utoipa::{IntoParams, ToSchema};

/// How an answer was found, from samples to sentence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplanationView {
    id: u64,
    service: String,
    asked_at: String,
    onset: Option<String>,
    /// Whether it is the present answer for its service.
    is_current: bool,
    /// Why it was asked.
    triggers: Vec<TriggerView>,
    /// Who was asked.
    plugin: AskedView,
    /// How much the case holds.
    case: CaseSizeView,
    /// Who may be to blame; empty where it could not be asked.
    candidates: Vec<CandidateView>,
    confident: bool,
    confidence: f64,
    doubt: String,
    /// What else is to be known of it: clocks that are off, senders that fell silent.
    caveats: Vec<String>,
    /// Why there is no answer.
    failure: Option<String>,
    /// Faults, changes and drift that the case tells of, for people.
    known: Vec<KnownView>,
    /// Signals that speak for the first candidates, down to their samples.
    signals: Vec<FollowedView>,
    /// What came of asking the same again, where that was wanted.
    again: Option<AgainView>,
}

/// Why a service was thought to be in trouble.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TriggerView {
    /// `symptom`, `incident`, `quality` or `drift`.
    kind: String,
    which: String,
    since: String,
}

/// A plugin that was asked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AskedView {
    name: String,
    version: String,
    digest: String,
}

/// How much a case holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CaseSizeView {
    suspects: usize,
    dependencies: usize,
    signals: usize,
    values: usize,
}

/// Something that is known beside the signals.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KnownView {
    /// `fault`, `change` or `drift`.
    what: &'static str,
    entity: String,
    at: String,
    text: String,
}

/// A signal down to its samples.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FollowedView {
    entity: String,
    name: String,
    #[schema(value_type = String)]
    direction: Direction,
    /// How far it left its course, in spreads of its own.
    score: f64,
    /// Its median before the onset.
    before: Option<f64>,
    /// Its median after it.
    after: Option<f64>,
    /// Moments and values as the case has them.
    points: Vec<(String, Option<f64>)>,
    /// The series it is made of.
    origins: Vec<OriginView>,
}

/// Where a signal comes from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OriginView {
    series: u64,
    metric: Option<String>,
    labels: std::collections::BTreeMap<String, String>,
    job: Option<String>,
    instance: Option<String>,
    meaning: Option<String>,
    unit: Option<String>,
    mapper: Option<String>,
    mapper_digest: Option<String>,
}

/// What came of asking again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgainView {
    plugin_digest: Option<String>,
    /// Whether the plugin is the one that was asked then.
    same_plugin: bool,
    /// Whether it answers the same, to the last digit.
    same_answer: bool,
    /// Why it could not be asked.
    failure: Option<String>,
}

/// Whether to ask again.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgainQuery {
    /// Asks the same case again, and says whether the answer is the same.
    #[serde(default)]
    again: bool,
}

fn number(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

impl From<Origin> for OriginView {
    fn from(origin: Origin) -> Self {
        let (series, meaning) = (origin.series, origin.meaning);
        let labels = series.as_ref().map(|one| one.description.labels.clone()).unwrap_or_default();
        Self {
            series: origin.id.0,
            metric: series.as_ref().map(|one| one.description.metric.clone()),
            labels: labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            job: series.as_ref().map(|one| one.target.job.clone()),
            instance: series.map(|one| one.target.instance),
            meaning: meaning.as_ref().map(|one| one.body.name.clone()),
            unit: meaning.as_ref().map(|one| one.body.unit.clone()),
            mapper: meaning.as_ref().map(|one| one.mapper.clone()),
            mapper_digest: meaning.map(|one| one.mapper_digest),
        }
    }
}

impl From<Followed> for FollowedView {
    fn from(followed: Followed) -> Self {
        let points = followed.at.iter().zip(&followed.value);
        Self {
            entity: followed.entity.0,
            name: followed.name,
            direction: followed.direction,
            score: followed.score,
            before: number(followed.before),
            after: number(followed.after),
            points: points.map(|(at, value)| (time::write(*at), number(*value))).collect(),
            origins: followed.origins.into_iter().map(OriginView::from).collect(),
        }
    }
}

fn known(explanation: &Explanation) -> Vec<KnownView> {
    let case = &explanation.kept.case;
    let told = |what: &'static str, suspect: u32, at: Timestamp, text: String| KnownView {
        what,
        entity: case.suspects.get(suspect as usize).map(|one| one.id.0.clone()).unwrap_or_default(),
        at: time::write(at),
        text,
    };
    let faults = case
        .faults
        .iter()
        .map(|one| told("fault", one.suspect, one.started_at, format!("{} ({})", one.title, one.code)));
    let changes =
        case.changes.iter().map(|one| told("change", one.suspect, one.at, format!("{} ({})", one.title, one.code)));
    let drifted = case.drifted.iter().map(|one| {
        let text = format!("{} has drifted, {:.1} times its threshold", one.column, one.value);
        told("drift", one.suspect, one.at, text)
    });
    faults.chain(changes).chain(drifted).collect()
}

fn view(explanation: Explanation, again: Option<AgainView>) -> ExplanationView {
    let known = known(&explanation);
    let Explanation { kept, answer, is_current, followed } = explanation;
    let triggers = kept.triggers.iter().map(|trigger| TriggerView {
        kind: serde_json::to_value(trigger.kind)
            .ok()
            .and_then(|kind| Some(kind.as_str()?.to_owned()))
            .unwrap_or_default(),
        which: trigger.which.clone(),
        since: time::write(trigger.since),
    });
    let (failure, answer) = match answer {
        Ok(answer) => (None, answer),
        Err(failure) => {
            let nothing = Answer { confident: false, confidence: 0.0, doubt: String::new(), candidates: Vec::new() };
            (Some(failure.message), nothing)
        }
    };
    ExplanationView {
        id: kept.id,
        asked_at: time::write(kept.asked_at),
        onset: time::write_some(kept.case.onset),
        is_current,
        triggers: triggers.collect(),
        case: CaseSizeView {
            suspects: kept.case.suspects.len(),
            dependencies: kept.case.dependencies.len(),
            signals: kept.case.signals().count(),
            values: kept.case.frames.iter().map(|frame| frame.value.len()).sum(),
        },
        plugin: AskedView { name: kept.plugin, version: kept.plugin_version, digest: kept.plugin_digest },
        service: kept.service,
        candidates: answer.candidates.into_iter().map(CandidateView::from).collect(),
        confident: answer.confident,
        confidence: answer.confidence,
        doubt: answer.doubt,
        caveats: kept.caveats,
        failure,
        known,
        signals: followed.into_iter().map(FollowedView::from).collect(),
        again,
    }
}

fn again(asked: Result<AskedAgain, Failure>) -> AgainView {
    match asked {
        Ok(asked) => AgainView {
            plugin_digest: Some(asked.plugin_digest),
            same_plugin: asked.same_plugin,
            same_answer: asked.same_answer,
            failure: asked.outcome.err().map(|failure| failure.message),
        },
        Err(failure) => {
            AgainView { plugin_digest: None, same_plugin: false, same_answer: false, failure: Some(failure.message) }
        }
    }
}

/// How an answer was found, step by step; its number stands in a verdict as `explanation`.
#[utoipa::path(get, path = "/api/v1/explanations/{id}", tag = "verdict",
    params(("id" = u64, Path, description = "The number of the explanation."), AgainQuery),
    responses((status = OK, body = ExplanationView), (status = NOT_FOUND, body = ErrorBody)))]
pub(crate) async fn one(
    State(state): State<ApiState>,
    Path(id): Path<u64>,
    Query(query): Query<AgainQuery>,
) -> Result<Json<ExplanationView>, ApiError> {
    let store = state.store.clone();
    let found = tokio::task::spawn_blocking(move || {
        explain(&store.read()?, id).map_err(|error| ApiError::internal(error.to_string()))
    });
    let found = found.await.map_err(|error| ApiError::internal(error.to_string()))??;
    let explanation = found.ok_or_else(|| ApiError::not_found("explanation", id.to_string(), "/api/v1/verdict"))?;
    let asked = match query.again {
        true => Some(again(ask_again(state.root_causes.as_ref(), &explanation.kept).await)),
        false => None,
    };
    Ok(Json(view(explanation, asked)))
}
