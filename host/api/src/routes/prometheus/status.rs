//! What the server says of itself.

use super::answer::success;
use axum::response::Response;
use serde_json::json;

/// Which Prometheus' language and API this is, for clients that ask before they query.
#[utoipa::path(get, path = "/prometheus/api/v1/status/buildinfo", tag = "prometheus", responses((status = OK)))]
pub(crate) async fn build_info() -> Response {
    success(json!({"version": "3.0.0", "application": "tandem", "applicationVersion": env!("CARGO_PKG_VERSION")}))
}
