//! Own metrics in the Prometheus text format.

/// Renders the server's own metrics; the server composes the rooms' counters.
pub trait MetricsPage: Send + Sync {
    /// The page as it is now.
    fn render(&self) -> String;
}
