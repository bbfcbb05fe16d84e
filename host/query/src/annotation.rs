//! What whoever asked should know of an answer besides the answer, in Prometheus' words.

use std::collections::BTreeSet;

/// Kinds told of one query at the most, as Prometheus does over HTTP.
const MAX_TOLD: usize = 10;

/// Warnings (the answer may be wrong) and infos (the query may be).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotations {
    /// The answer may be wrong.
    pub warnings: BTreeSet<String>,
    /// The query may be.
    pub infos: BTreeSet<String>,
}

impl Annotations {
    pub(crate) fn warn(&mut self, text: String) {
        if self.warnings.len() < MAX_TOLD {
            self.warnings.insert(format!("PromQL warning: {text}"));
        }
    }

    pub(crate) fn info(&mut self, text: String) {
        if self.infos.len() < MAX_TOLD {
            self.infos.insert(format!("PromQL info: {text}"));
        }
    }
}
