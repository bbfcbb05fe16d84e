//! Where a secret comes from. The value is read by the server at the edge; it stands in no config and in no log.

use serde::Deserialize;
use std::path::PathBuf;

/// The place of a secret: a file or a variable of the environment, never the config itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SecretSource {
    /// A file; white space around its text does not count.
    File(PathBuf),
    /// A variable of the server's environment.
    Env(String),
}
