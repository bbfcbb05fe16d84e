//! The port to whoever holds the rule files.

/// Reads the rule files of the server.
pub trait RuleSource: Send + Sync {
    /// Reads them again; blocks while it does.
    fn reload(&self) -> ReloadedRules;
}

/// What a reload came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadedRules {
    /// Groups that are evaluated from now on.
    pub groups: usize,
    /// What is wrong with files that could not be used, each with its lines; what was known of them before goes on.
    pub bad: Vec<String>,
}
