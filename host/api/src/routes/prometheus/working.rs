//! Work on a snapshot, held to a time and called off when whoever asked has left.

use crate::state::ApiState;
use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};
use tandem_query::{ErrorKind, QueryError, QueryLimits, SampleShare, StoreSource};

/// How long a query may take: Prometheus allows two minutes, after which no page waits.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(60);

/// Calls a query off when whoever asked has left.
struct CallOff(Arc<AtomicBool>);

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Bytes of an answer that count as one sample held: what a sample takes at the least.
const BYTES_OF_A_SAMPLE: usize = 16;

/// An answer's bytes, and what they hold of the budget of samples until they are sent.
pub(super) struct HeldAnswer {
    pub bytes: Vec<u8>,
    pub share: Arc<SampleShare>,
}

/// Works on a snapshot, away from the threads that serve.
pub(super) async fn working<T: Send + 'static>(
    state: &ApiState,
    work: impl FnOnce(&StoreSource, QueryLimits) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    working_within(state, QueryLimits::default(), QUERY_TIMEOUT, work).await
}

/// As [`working`] within a time of its own, for work that holds samples and comes to the bytes of an answer.
pub(super) async fn answering(
    state: &ApiState,
    timeout: Duration,
    work: impl FnOnce(&StoreSource, QueryLimits) -> Result<Vec<u8>, QueryError> + Send + 'static,
) -> Result<HeldAnswer, QueryError> {
    let limits = QueryLimits::default().within(&state.queries);
    let share = limits.share.clone();
    let bytes = working_within(state, limits, timeout, work).await?;
    share.shrink_to(bytes.len() / BYTES_OF_A_SAMPLE);
    Ok(HeldAnswer { bytes, share })
}

async fn working_within<T: Send + 'static>(
    state: &ApiState,
    limits: QueryLimits,
    timeout: Duration,
    work: impl FnOnce(&StoreSource, QueryLimits) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    let (_call_off, expired) = (CallOff(limits.canceled.clone()), limits.expired.clone());
    let failed = |message: String| QueryError { kind: ErrorKind::Internal, message };
    let store = state.store.clone();
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
