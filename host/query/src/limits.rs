//! What a query may use.

use crate::{ErrorKind, QueryError, SampleBudget, SampleShare};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Steps of a range query: Prometheus' own bound, which Grafana keeps to.
const MAX_STEPS: usize = 11_000;
/// Series that one selector may find: a page or an alert that needs more is better served by a recording rule.
const MAX_SERIES: usize = 200_000;
/// Samples held at a time, as Prometheus' `query.max-samples`: 16 bytes each.
const MAX_SAMPLES: usize = 50_000_000;
/// Depth of an expression: each level takes stack, and no person nests deeper.
const MAX_DEPTH: usize = 200;

/// The bounds of one query, and how it is called off.
#[derive(Debug, Clone)]
pub struct QueryLimits {
    /// Steps of a range query.
    pub steps: usize,
    /// Series that one selector may find.
    pub series: usize,
    /// Samples and values held.
    pub samples: usize,
    /// Depth of the expression.
    pub depth: usize,
    /// Set when whoever asked has left.
    pub canceled: Arc<AtomicBool>,
    /// Set when its time is over.
    pub expired: Arc<AtomicBool>,
    /// What it holds of the budget of all queries; given back with the last clone.
    pub share: Arc<SampleShare>,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            steps: MAX_STEPS,
            series: MAX_SERIES,
            samples: MAX_SAMPLES,
            depth: MAX_DEPTH,
            canceled: Arc::default(),
            expired: Arc::default(),
            share: Arc::default(),
        }
    }
}

impl QueryLimits {
    /// Takes a share in a budget.
    #[must_use]
    pub fn within(self, budget: &Arc<SampleBudget>) -> Self {
        Self { share: Arc::new(SampleShare::of(budget)), ..self }
    }

    /// Whether to go on.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.canceled.load(Ordering::Relaxed) {
            return Err(QueryError { kind: ErrorKind::Canceled, message: "query was canceled".into() });
        }
        if self.expired.load(Ordering::Relaxed) {
            let message = "query timed out in expression evaluation".into();
            return Err(QueryError { kind: ErrorKind::Timeout, message });
        }
        Ok(())
    }
}
