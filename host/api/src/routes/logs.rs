//! Lines of logs, newest first: by time, entity, grade and words.

use super::entities;
use crate::{
    error::{ApiError, ErrorBody},
    paging::{Page, PageQuery},
    routes::series::moment,
    state::ApiState,
    time,
};
use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use tandem_domain::{
    Severity, Timestamp,
    entity::{EntityAlias, EntityId},
    log::{LogPlace, SourcedLog},
};
use tandem_store::{LogQuery, LogText, ReadError, ReadTx};
use utoipa::{IntoParams, ToSchema};

/// Words of one search; each is looked for by itself.
const MAX_WORDS: usize = 16;
/// Longest text that is looked for, in bytes.
const MAX_TEXT_BYTES: usize = 1_024;

/// A line of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogView {
    at: String,
    /// Who wrote it: a service, or a machine. Absent until it is known as an entity.
    entity: Option<String>,
    /// `info`, `warning` or `critical`.
    #[schema(value_type = String)]
    severity: Severity,
    /// The sender's own word for it: `err`, `WARN`.
    level: String,
    /// The machine, or empty.
    host: String,
    /// The program or service, or empty.
    app: String,
    text: String,
    attributes: BTreeMap<String, String>,
    /// Who sent it.
    job: String,
    instance: String,
}

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogFilter {
    /// First moment; as far back as they are kept when absent.
    start: Option<String>,
    /// Last moment.
    end: Option<String>,
    /// Only of this entity: what a service wrote, or what was written on a machine.
    entity: Option<String>,
    /// The mildest grade: `info`, `warning` or `critical`.
    #[param(value_type = Option<String>)]
    severity: Option<Severity>,
    /// Only of this program or service, by its name.
    app: Option<String>,
    /// Only of this machine, by its name.
    host: Option<String>,
    /// Words, all of which must be there, whole and in any case: in the text or in the value of an attribute.
    text: Option<String>,
    /// A part of the text or of an attribute's value, in any case.
    contains: Option<String>,
}

impl LogFilter {
    fn text(&self) -> Result<LogText, ApiError> {
        let words: Vec<String> = self.text.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect();
        let part = self.contains.clone().filter(|part| !part.is_empty());
        let longest = [&self.text, &self.contains].into_iter().flatten().map(String::len).max().unwrap_or(0);
        if words.len() > MAX_WORDS || longest > MAX_TEXT_BYTES {
            return Err(ApiError::bad_request(
                format!("there are {} words, and the longest text has {longest} bytes", words.len()),
                format!("look for at most {MAX_WORDS} words, and texts of at most {MAX_TEXT_BYTES} bytes"),
            ));
        }
        Ok(LogText { words, part })
    }
}

/// The place in a cursor: milliseconds and number.
fn place(cursor: Option<&str>) -> Result<LogPlace, ApiError> {
    let Some(text) = cursor else { return Ok(LogPlace::END) };
    let read = |text: &str| {
        let (at, sequence) = text.split_once('.')?;
        Some(LogPlace { at: Timestamp(at.parse().ok()?), sequence: sequence.parse().ok()? })
    };
    read(text).ok_or_else(|| {
        ApiError::bad_request(format!("cursor {text:?} is not one of this list"), "pass next_cursor as it came")
    })
}

/// Lines as they are shown, with the entities that their writers are now.
fn shown(read: &ReadTx, lines: Vec<SourcedLog>) -> Result<Vec<LogView>, ReadError> {
    let mut known: HashMap<String, Option<EntityId>> = HashMap::new();
    let mut items = Vec::with_capacity(lines.len());
    for SourcedLog { source, entry } in lines {
        let entity = match known.get(&source.writer) {
            Some(entity) => entity.clone(),
            None => {
                let entity = read.get::<EntityAlias>(&source.writer)?.map(|alias| alias.entity);
                known.insert(source.writer.clone(), entity.clone());
                entity
            }
        };
        items.push(LogView {
            at: time::write(entry.at),
            entity: entity.map(|entity| entity.0),
            severity: entry.severity,
            level: entry.level,
            host: entry.host,
            app: entry.app,
            text: entry.text,
            attributes: entry.attributes.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            job: source.sender.job.clone(),
            instance: source.sender.instance.clone(),
        });
    }
    Ok(items)
}

/// Lines of logs, newest first. A page may be shorter than its limit, or empty, and tell where to go on: one request looks
/// through a bounded amount.
#[utoipa::path(get, path = "/api/v1/logs", tag = "logs", params(LogFilter, PageQuery),
    responses((status = OK, body = Page<LogView>), (status = BAD_REQUEST, body = ErrorBody), (status = NOT_FOUND, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(filter): Query<LogFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<LogView>>, ApiError> {
    let query = LogQuery {
        start: moment("start", filter.start.as_deref())?.unwrap_or(Timestamp::MIN),
        end: moment("end", filter.end.as_deref())?.unwrap_or(Timestamp::MAX),
        least: filter.severity.unwrap_or(Severity::Info),
        owners: None,
        text: filter.text()?,
        before: place(page.cursor.as_deref())?,
        limit: page.limit()?,
        app: filter.app,
        host: filter.host,
    };
    let (store, entity) = (state.store.clone(), filter.entity);
    let looking = tokio::task::spawn_blocking(move || {
        let read = store.read()?;
        let owners = match &entity {
            None => None,
            Some(id) => {
                let entity = entities::find(&read, id)?;
                let entity = entity.ok_or_else(|| ApiError::not_found("entity", id, "/api/v1/entities"))?;
                Some(entity.keys.iter().map(|key| EntityAlias::of(&entity.kind, key)).collect())
            }
        };
        let found = read.logs(&LogQuery { owners, ..query })?;
        let next_cursor = found.next.map(|place| format!("{}.{}", place.at.0, place.sequence));
        Ok(Page { items: shown(&read, found.lines)?, next_cursor })
    });
    let page = looking.await.map_err(|error| ApiError::internal(format!("looking through logs: {error}")))?;
    page.map(Json)
}
