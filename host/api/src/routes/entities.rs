//! Entities and how they hang together.

use crate::{
    error::{ApiError, ErrorBody},
    paging::{self, Page, PageQuery},
    state::ApiState,
    time,
};
use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Bound};
use tandem_domain::{
    entity::{Entity, EntityAlias, EntityId, KeyStrength},
    relation::{Relation, RelationKind},
};
use tandem_store::ReadTx;
use utoipa::{IntoParams, ToSchema};

/// How many merges are followed before giving up; a chain longer than this is a fault.
const MAX_MERGE_STEPS: usize = 16;

/// A thing that can be healthy or not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntityView {
    /// `kind:identity`.
    id: String,
    kind: String,
    name: String,
    /// Every name by which it is known, strongest first.
    keys: Vec<KeyView>,
    attributes: BTreeMap<String, String>,
    first_seen_at: String,
    last_seen_at: String,
}

/// One name by which an entity is known.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyView {
    scheme: String,
    value: String,
    unique: bool,
}

impl From<Entity> for EntityView {
    fn from(entity: Entity) -> Self {
        Self {
            id: entity.id.0,
            kind: entity.kind,
            name: entity.name,
            keys: entity
                .keys
                .into_iter()
                .map(|key| KeyView {
                    scheme: key.scheme,
                    value: key.value,
                    unique: key.strength == KeyStrength::Unique,
                })
                .collect(),
            attributes: entity.attributes.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            first_seen_at: time::write(entity.first_seen_at),
            last_seen_at: time::write(entity.last_seen_at),
        }
    }
}

/// Which entities.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntityFilter {
    /// Only this kind.
    kind: Option<String>,
    /// Only those whose id or name holds this text.
    search: Option<String>,
}

/// All entities, by id.
#[utoipa::path(get, path = "/api/v1/entities", tag = "entities", params(EntityFilter, PageQuery),
    responses((status = OK, body = Page<EntityView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(filter): Query<EntityFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<EntityView>>, ApiError> {
    let read = state.store.read()?;
    let page = paging::fill(
        &page,
        |after, limit| Ok(read.scan::<Entity>(after_key(after.map(str::to_owned)), limit)?),
        |entity| entity.id.0.clone(),
        |entity| {
            let fits = entity.merged_into.is_none()
                && filter.kind.as_ref().is_none_or(|kind| *kind == entity.kind)
                && filter.search.as_ref().is_none_or(|text| entity.id.0.contains(text) || entity.name.contains(text));
            fits.then(|| entity.into())
        },
    )?;
    Ok(Json(page))
}

/// One entity, by its id or by `kind:scheme:value` of any of its keys.
#[utoipa::path(get, path = "/api/v1/entities/{id}", tag = "entities", params(("id" = String, Path)),
    responses((status = OK, body = EntityView), (status = NOT_FOUND, body = ErrorBody)))]
pub(crate) async fn one(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<EntityView>, ApiError> {
    let read = state.store.read()?;
    let entity = find(&read, &id)?.ok_or_else(|| ApiError::not_found("entity", &id, "/api/v1/entities"))?;
    Ok(Json(entity.into()))
}

/// The entity behind an id or alias, merges followed.
pub(crate) fn find(read: &ReadTx, id: &str) -> Result<Option<Entity>, ApiError> {
    let mut id = id.to_owned();
    if let Some(alias) = read.get::<EntityAlias>(&id)? {
        id = alias.entity.0;
    }
    for _ in 0..MAX_MERGE_STEPS {
        match read.get::<Entity>(&id)? {
            Some(Entity { merged_into: Some(next), .. }) => id = next.0,
            other => return Ok(other),
        }
    }
    Err(ApiError::internal(format!("entity {id} is merged in a circle")))
}

/// How one entity hangs on another: the dependent suffers when the dependency fails.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RelationView {
    dependent: String,
    dependency: String,
    /// `runs-on`, `contains`, `powered-by`, `connected-to`, `stored-on` or `depends-on`.
    #[schema(value_type = String)]
    kind: RelationKind,
    /// The plugin or person that said so.
    source: String,
    seen_at: String,
}

/// Which relations.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RelationFilter {
    /// Only those at one end of which this entity stands.
    entity: Option<String>,
}

/// All relations, by dependent and dependency.
#[utoipa::path(get, path = "/api/v1/relations", tag = "entities", params(RelationFilter, PageQuery),
    responses((status = OK, body = Page<RelationView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn relations(
    State(state): State<ApiState>,
    Query(filter): Query<RelationFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<RelationView>>, ApiError> {
    let read = state.store.read()?;
    let wanted = filter.entity.as_ref().map(|id| find(&read, id)).transpose()?.flatten().map(|e| e.id);
    if filter.entity.is_some() && wanted.is_none() {
        return Err(ApiError::not_found("entity", filter.entity.unwrap_or_default(), "/api/v1/entities"));
    }
    let page = paging::fill(
        &page,
        |after, limit| {
            let after = after.and_then(|text| text.split_once('\n')).map(|(a, b)| (a.to_owned(), b.to_owned()));
            Ok(read.scan::<Relation>(after_key(after), limit)?)
        },
        |relation| format!("{}\n{}", relation.dependent, relation.dependency),
        |relation| {
            let touches = |id: &EntityId| relation.dependent == *id || relation.dependency == *id;
            wanted.as_ref().is_none_or(touches).then(|| RelationView {
                dependent: relation.dependent.0.clone(),
                dependency: relation.dependency.0.clone(),
                kind: relation.kind,
                source: relation.source.clone(),
                seen_at: time::write(relation.seen_at),
            })
        },
    )?;
    Ok(Json(page))
}

/// Everything after a key; everything when there is none.
pub(crate) fn after_key<K>(after: Option<K>) -> (Bound<K>, Bound<K>) {
    (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

/// Everything before a key; everything when there is none.
pub(crate) fn before_key<K>(before: Option<K>) -> (Bound<K>, Bound<K>) {
    (Bound::Unbounded, before.map_or(Bound::Unbounded, Bound::Excluded))
}
