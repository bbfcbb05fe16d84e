//! The HTTP face of Tandem: routes with their own shapes, one error map, access, and the server-rendered overview. It holds
//! no rules: every answer is read from the store or asked of a room.

mod access;
mod console;
mod error;
mod ingest;
mod observe;
mod paging;
mod routes;
mod state;
mod time;

pub use access::{Access, Permission, Principal};
pub use ingest::IngestBudget;
pub use observe::MetricsPage;
pub use routes::{openapi, router};
pub use state::{ApiState, Readiness};

/// Serves the routes on a listener until `stop` says so; requests under way come to their end.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: axum::Router,
    mut stop: tokio::sync::watch::Receiver<bool>,
) {
    let stopped = async move {
        // An error means that the server is gone, which is a stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!("the API stopped: {error}");
    }
}
