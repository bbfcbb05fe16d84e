//! What whoever asked should know of an answer besides the answer, in Prometheus' words.

use std::collections::BTreeSet;

/// Kinds kept of one query at the most: beyond it nobody reads them.
const MAX_KEPT: usize = 1_000;

/// Warnings (the answer may be wrong) and infos (the query may be).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotations {
    /// The answer may be wrong.
    pub warnings: BTreeSet<String>,
    /// The query may be.
    pub infos: BTreeSet<String>,
}

impl Annotations {
    pub(crate) fn warn(&mut self, text: &str) {
        if self.warnings.len() < MAX_KEPT {
            self.warnings.insert(format!("PromQL warning: {text}"));
        }
    }

    pub(crate) fn info(&mut self, text: &str) {
        if self.infos.len() < MAX_KEPT {
            self.infos.insert(format!("PromQL info: {text}"));
        }
    }

    /// The first of each kind, and how many more there are, as Prometheus tells them over HTTP.
    pub fn told(&self, most: usize) -> (Vec<String>, Vec<String>) {
        let cut = |all: &BTreeSet<String>, kind: &str| {
            let mut first: Vec<String> = all.iter().take(most).cloned().collect();
            if all.len() > most {
                first.push(format!("{} more {kind} annotations omitted", all.len() - most));
            }
            first
        };
        (cut(&self.warnings, "warning"), cut(&self.infos, "info"))
    }
}
