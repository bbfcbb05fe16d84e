//! Counters of the rooms, for `/metrics`: each room adds its own, this is how they are shown.

pub use tandem_domain::count::Count;

/// One value as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSample {
    /// Full name, `_total` at the end of counters.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Labels.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl MetricSample {
    /// Without labels.
    pub fn plain(name: &'static str, help: &'static str, count: &Count) -> Self {
        Self { name, help, labels: Vec::new(), value: count.get() as f64 }
    }
}
