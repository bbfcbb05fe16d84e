//! From the server's index to revisions.

use crate::protocol::IndexEntry;
use tandem_sdk::{
    target::{Observation, Phase, RevisionState},
    types::Failure,
};

/// All traffic, in basis points.
const ALL: u32 = 10_000;

/// Model and version as one id.
pub(crate) fn revision_id(model: &str, version: &str) -> String {
    if version.is_empty() { model.to_owned() } else { format!("{model}:{version}") }
}

/// The model of an id.
pub(crate) fn model_of(revision: &str) -> &str {
    revision.rsplit_once(':').map_or(revision, |(model, _)| model)
}

/// Triton says READY, UNAVAILABLE, LOADING, UNLOADING; MLServer READY, UNAVAILABLE, UNKNOWN. A model that was never loaded or
/// was unloaded is not there; one that could not be loaded has a reason.
fn phase(entry: &IndexEntry) -> Phase {
    match entry.state.to_uppercase().as_str() {
        "READY" => Phase::Serving,
        "LOADING" => Phase::Loading,
        "UNAVAILABLE" if !entry.reason.is_empty() && !entry.reason.eq_ignore_ascii_case("unloaded") => Phase::Failed,
        "UNLOADING" | "UNAVAILABLE" => Phase::Gone,
        _ => Phase::Pending,
    }
}

/// One revision per model and version; `versions` is asked for models whose entry names none.
pub(crate) fn revisions(index: &[IndexEntry], versions: impl Fn(&str) -> Vec<String>) -> Vec<RevisionState> {
    let mut found = Vec::new();
    for entry in index {
        let phase = phase(entry);
        let mut named = if entry.version.is_empty() && phase == Phase::Serving {
            versions(&entry.name)
        } else {
            vec![entry.version.clone()]
        };
        if named.is_empty() {
            named.push(String::new());
        }
        let share = if phase == Phase::Serving { ALL } else { 0 };
        found.extend(named.into_iter().map(|version| RevisionState {
            id: revision_id(&entry.name, &version),
            model: entry.name.clone(),
            version,
            phase,
            ready_replicas: u32::from(phase == Phase::Serving),
            desired_basis_points: share,
            observed_basis_points: share,
            message: entry.reason.clone(),
        }));
    }
    found
}

/// Changes when the index does: FNV-1a over its entries (Fowler, Noll, Vo).
pub(crate) fn generation(index: &[IndexEntry]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for entry in index {
        for byte in [&entry.name, &entry.version, &entry.state].into_iter().flat_map(|text| text.bytes().chain([0])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

/// All traffic to one loaded revision is what the protocol does anyway; anything else it cannot do.
pub(crate) fn check_traffic(
    observed: &Observation,
    shares: &[(String, u32)],
    expected_generation: u64,
) -> Result<(), Failure> {
    if observed.generation != expected_generation {
        return Err(Failure::refused("the server's models changed since they were observed; observe again"));
    }
    let [(revision, ALL)] = shares else {
        return Err(Failure::unsupported(
            "the V2 protocol cannot split traffic; give one revision all 10,000 basis points, or put a proxy in front",
        ));
    };
    match observed.revisions.iter().find(|state| state.id == *revision) {
        Some(state) if state.phase == Phase::Serving => Ok(()),
        Some(_) => Err(Failure::refused(format!("{revision} is not ready; traffic never goes to what is not"))),
        None => Err(Failure::refused(format!("the server does not know {revision}"))),
    }
}
