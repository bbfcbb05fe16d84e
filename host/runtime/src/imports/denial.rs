//! What one instance was refused for want of a grant: counted, remembered for error messages, and kept for whoever reports
//! the call, because what a guest makes of a refusal says less than what the host knows of it.

use super::GuestLog;
use crate::UsageCounters;
use parking_lot::Mutex;
use std::sync::Arc;
use tandem_domain::Failure;

/// Cheap to clone; all clones belong to one instance.
#[derive(Debug, Clone)]
pub(crate) struct Denials {
    log: GuestLog,
    usage: Arc<UsageCounters>,
    last: Arc<Mutex<Option<Failure>>>,
}

impl Denials {
    pub(super) fn new(log: GuestLog, usage: Arc<UsageCounters>) -> Self {
        Self { log, usage, last: Arc::default() }
    }

    /// A request was refused.
    pub(super) fn note(&self, failure: Failure) {
        self.usage.count_denial();
        self.log.remember(&failure.message);
        *self.last.lock() = Some(failure);
    }

    /// The last refusal, which is forgotten by this.
    pub(crate) fn take(&self) -> Option<Failure> {
        self.last.lock().take()
    }
}
