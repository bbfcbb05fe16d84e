//! Descriptors: as many as the machine allows, and how many connections they suffice for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that the server asks for: connections of every kind, the store, scrapes, and some to spare.
const WANTED_DESCRIPTORS: u64 = 65_536;
/// Descriptors that are kept from connections, for the store, scrapes, plugins and listeners.
const KEPT_DESCRIPTORS: u64 = 1_024;
/// Connections at least, where descriptors are few.
const LEAST_CONNECTIONS: usize = 64;

/// Raises the limit of this process as far as it may be, up to `WANTED_DESCRIPTORS`.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED_DESCRIPTORS, |maximum| maximum.min(WANTED_DESCRIPTORS));
    if current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
    {
        tracing::warn!("the limit of descriptors could not be raised to {wanted}: {error}");
    }
}

/// Connections that may be open at a time.
pub(crate) fn connections() -> usize {
    let most = tandem_api::MAX_CONNECTIONS;
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return most };
    let left = usize::try_from(descriptors.saturating_sub(KEPT_DESCRIPTORS)).unwrap_or(most);
    left.clamp(LEAST_CONNECTIONS, most)
}
