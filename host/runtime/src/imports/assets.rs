//! Files that travel beside a plugin, in one flat folder.

use super::HostState;
use crate::bindings::{wit, wit_assets::Host};

/// Longest asset, in bytes: tables and small models.
const MAX_ASSET_BYTES: u64 = 64 << 20;

fn failure(code: wit::FailureCode, message: String) -> wit::Failure {
    wit::Failure { code, message, retry: false }
}

impl Host for HostState {
    fn read(&mut self, name: String) -> Result<Vec<u8>, wit::Failure> {
        let flat = !name.is_empty() && !name.contains(['/', '\\']) && name != "." && name != "..";
        let Some(folder) = self.context.assets.as_ref().filter(|_| flat) else {
            return Err(failure(
                wit::FailureCode::Misconfigured,
                format!("there is no asset {name:?}; assets lie in <plugin>.assets/ beside the component"),
            ));
        };
        let path = folder.join(&name);
        let data = std::fs::symlink_metadata(&path).map_err(|_| {
            failure(wit::FailureCode::Misconfigured, format!("there is no asset {name:?} in {}", folder.display()))
        })?;
        if !data.is_file() || data.len() > MAX_ASSET_BYTES {
            return Err(failure(
                wit::FailureCode::Refused,
                format!("asset {name:?} is no plain file of at most {MAX_ASSET_BYTES} bytes"),
            ));
        }
        std::fs::read(&path).map_err(|error| failure(wit::FailureCode::Unreachable, format!("asset {name:?}: {error}")))
    }

    fn names(&mut self) -> Vec<String> {
        let entries = self.context.assets.as_ref().and_then(|folder| std::fs::read_dir(folder).ok());
        let files =
            entries.into_iter().flatten().flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let mut names: Vec<String> = files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}
