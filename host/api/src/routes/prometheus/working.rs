//! Work on a snapshot, held to a time and called off when whoever asked has left.

use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};
use tandem_query::{ErrorKind, QueryError, QueryLimits, StoreSource};
use tandem_store::Store;

/// How long a query may take: Prometheus allows two minutes, after which no page waits.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(60);

/// Calls a query off when whoever asked has left.
struct CallOff(Arc<AtomicBool>);

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Works on a snapshot, away from the threads that serve.
pub(super) async fn working<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&StoreSource, QueryLimits) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    working_within(store, QUERY_TIMEOUT, work).await
}

/// As [`working`], within a time of its own.
pub(super) async fn working_within<T: Send + 'static>(
    store: &Store,
    timeout: Duration,
    work: impl FnOnce(&StoreSource, QueryLimits) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    let limits = QueryLimits::default();
    let (_call_off, expired) = (CallOff(limits.canceled.clone()), limits.expired.clone());
    let failed = |message: String| QueryError { kind: ErrorKind::Internal, message };
    let store = store.clone();
    let mut working = tokio::task::spawn_blocking(move || {
        let read = store.read().map_err(|error| failed(error.to_string()))?;
        work(&StoreSource::new(read), limits)
    });
    let done = match tokio::time::timeout(timeout, &mut working).await {
        Ok(done) => done,
        Err(_) => {
            // It looks at this between parts, and then answers so itself.
            expired.store(true, Ordering::Relaxed);
            working.await
        }
    };
    done.map_err(|error| failed(format!("the query broke: {error}")))?
}
