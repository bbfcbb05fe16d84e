//! The one table of routes: each with the permission it needs. A new resource is its own file and one line here.

mod alert_doors;
mod alerts;
mod deployments;
mod drift;
mod entities;
mod events;
mod explanations;
mod export;
mod findings;
mod forwards;
mod health;
mod hooks;
mod incidents;
mod lifecycle;
mod logs;
mod plugins;
mod predictions;
mod prometheus;
mod senders;
mod series;
mod services;
mod store;
mod targets;
mod unseen;
mod verdict;

pub use export::ExportPlaces;
pub(crate) use plugins::state_word;
pub(crate) use verdict::verdicts_now;

use prometheus::exemplars;

use crate::{
    access::{self, Access, Permission},
    console, ingest,
    serving::ServingMetrics,
    state::ApiState,
    turns::{self, Turns},
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use std::sync::Arc;
use tower_http::{
    CompressionLevel,
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer,
        predicate::{NotForContentType, Predicate, SizeAbove},
    },
    set_header::SetResponseHeaderLayer,
};
use utoipa::OpenApi;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt},
    routes,
};

/// Longest request body, in bytes: some ten thousand predictions of a hundred features.
const MAX_BODY_BYTES: usize = 32 << 20;

/// Answers shorter than this are sent as they are, in bytes: they fit into a packet or two.
const MIN_PACKED_BYTES: u64 = 1_400;

#[derive(OpenApi)]
#[openapi(info(
    title = "Tandem",
    description = "Is the model working, and is the infrastructure behind it healthy? Times are RFC 3339 in answers, and \
                   RFC 3339 or Unix seconds in requests. Lists answer `items` and `next_cursor`."
))]
struct Document;

/// The routes under `/` with their permissions.
fn table() -> OpenApiRouter<ApiState> {
    use Permission::{Delete, Deploy, Ingest, Operate, Read, ReadHealth, Respond};
    let guarded = |permission: Permission, route: UtoipaMethodRouter<ApiState>| {
        route.layer(middleware::from_fn_with_state(permission, access::require))
    };
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(guarded(ReadHealth, routes!(health::alive)))
        .routes(guarded(ReadHealth, routes!(health::ready)))
        .routes(guarded(ReadHealth, routes!(health::metrics)))
        .routes(guarded(Read, routes!(entities::list)))
        .routes(guarded(Read, routes!(entities::one)))
        .routes(guarded(Read, routes!(entities::relations)))
        .routes(guarded(Read, routes!(series::list)))
        .routes(guarded(Read, routes!(series::points)))
        .routes(guarded(Read, routes!(export::export)))
        .routes(guarded(Read, routes!(events::list)))
        .routes(guarded(Read, routes!(logs::list)))
        .routes(guarded(Read, routes!(findings::list)))
        .routes(guarded(Read, routes!(alerts::list)))
        .routes(guarded(Read, routes!(alerts::one)))
        .routes(guarded(Read, routes!(incidents::list)))
        .routes(guarded(Read, routes!(incidents::one)))
        .routes(guarded(Respond, routes!(incidents::acknowledge)))
        .routes(guarded(Respond, routes!(incidents::resolve)))
        .routes(guarded(Read, routes!(plugins::list)))
        .routes(guarded(Read, routes!(plugins::one)))
        .routes(guarded(Read, routes!(targets::list)))
        .routes(guarded(Read, routes!(forwards::list)))
        .routes(guarded(Read, routes!(predictions::list)))
        .routes(guarded(Ingest, routes!(predictions::accept)))
        .routes(guarded(Ingest, routes!(predictions::accept_labels)))
        .routes(guarded(Read, routes!(drift::list)))
        .routes(guarded(Read, routes!(drift::one)))
        .routes(guarded(Read, routes!(deployments::list)))
        .routes(guarded(Read, routes!(deployments::one)))
        .routes(guarded(Deploy, routes!(deployments::request)))
        .routes(guarded(Deploy, routes!(deployments::abort)))
        .routes(guarded(Read, routes!(verdict::all)))
        .routes(guarded(Read, routes!(verdict::history)))
        .routes(guarded(Read, routes!(explanations::one)))
        .routes(guarded(Read, routes!(unseen::list)))
        .routes(guarded(Read, routes!(services::list)))
        .routes(guarded(Operate, routes!(store::flush)))
        .routes(guarded(Ingest, routes!(hooks::receive)))
        .routes(guarded(Ingest, routes!(alert_doors::posted)))
        .routes(guarded(Ingest, routes!(alert_doors::webhook)))
        .routes(guarded(ReadHealth, routes!(alert_doors::ready)))
        .routes(guarded(Read, routes!(prometheus::query::query, prometheus::query::post_query)))
        .routes(guarded(Read, routes!(prometheus::query::query_range, prometheus::query::post_query_range)))
        .routes(guarded(Read, routes!(exemplars::query_exemplars, exemplars::post_query_exemplars)))
        .routes(guarded(Read, routes!(prometheus::query::format_query, prometheus::query::post_format_query)))
        .routes(guarded(Read, routes!(prometheus::series::series, prometheus::series::post_series)))
        .routes(guarded(Read, routes!(prometheus::series::labels, prometheus::series::post_labels)))
        .routes(guarded(Read, routes!(prometheus::series::label_values)))
        .routes(guarded(Read, routes!(prometheus::metadata::metadata)))
        .routes(guarded(Read, routes!(prometheus::series::statistics)))
        .routes(guarded(Delete, routes!(prometheus::admin::delete_series, prometheus::admin::put_delete_series)))
        .routes(guarded(Operate, routes!(lifecycle::reload, lifecycle::put_reload)))
        .routes(guarded(Operate, routes!(lifecycle::prefixed_reload)))
        .routes(guarded(Read, routes!(prometheus::rules::rules)))
        .routes(guarded(Read, routes!(prometheus::rules::alerts)))
        .routes(guarded(Read, routes!(prometheus::status::build_info)))
        .routes(guarded(Read, routes!(prometheus::targets::targets)))
        .routes(guarded(Read, routes!(prometheus::targets::scrape_pools)))
        .routes(guarded(Ingest, routes!(senders::remote_write)))
        .routes(guarded(Ingest, routes!(senders::otlp_metrics)))
        .routes(guarded(Ingest, routes!(senders::otlp_logs)))
        .routes(guarded(Ingest, routes!(senders::influx_v1)))
        .routes(guarded(Ingest, routes!(senders::influx_v2)))
}

/// The OpenAPI document, made from the handlers.
pub fn openapi() -> utoipa::openapi::OpenApi {
    table().into_openapi()
}

/// The whole router.
pub fn router(state: ApiState, access: Access) -> Router {
    let (budget, serving) = (state.ingest.clone(), state.serving.clone());
    let (router, document) = table().split_for_parts();
    let document = Arc::new(document);
    let read = middleware::from_fn_with_state(Permission::Read, access::require);
    let respond = middleware::from_fn_with_state(Permission::Respond, access::require);
    router
        .route("/api/v1/openapi.json", get(move || async move { Json((*document).clone()) }).layer(read.clone()))
        .route("/", get(console::overview).layer(read.clone()))
        .route("/incidents/{id}", get(console::incident).layer(read.clone()))
        .route("/incidents/{id}/acknowledge", post(console::acknowledge).layer(respond.clone()))
        .route("/incidents/{id}/resolve", post(console::resolve).layer(respond))
        .route("/console.css", get(console::style).layer(read))
        .fallback(health::no_such_route)
        .with_state(state)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(Turns::default(), turns::wait))
        .layer(middleware::from_fn_with_state(budget, ingest::arrive))
        .layer(middleware::from_fn_with_state(Arc::new(access), access::admit))
        .layer(SetResponseHeaderLayer::overriding(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
        ))
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer(compressed())
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn_with_state(serving, count))
}

/// Packs answers for who takes gzip: texts that are long enough, piece by piece as they are sent, so that it costs no more memory
/// than some windows of the packer. Live events go out as they come, and files of samples are packed already.
fn compressed() -> CompressionLayer<impl Predicate> {
    let worth = SizeAbove::new(MIN_PACKED_BYTES)
        .and(NotForContentType::const_new("text/event-stream"))
        .and(NotForContentType::const_new("application/vnd.apache.parquet"))
        .and(NotForContentType::IMAGES);
    CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest).compress_when(worth)
}

/// The outermost layer: counts answers.
async fn count(State(serving): State<Arc<ServingMetrics>>, request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    serving.answered(answer.status().as_u16());
    answer
}
