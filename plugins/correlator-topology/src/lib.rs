//! Puts alerts together that hang on one cause, by time and dependency, and ranks the causes. See `README.md`.

mod causes;
mod config;
mod grouping;
mod nature;
mod record;
mod telling;
mod topology;

use config::Config;
use grouping::Update;
use record::State;
use tandem_sdk::{
    about::Description,
    correlator::{Correlator, Delta, Grouping, Query},
    log,
    types::{Failure, RelationKind},
};
use topology::{CachedGraph, Edge, Graph, Link};

/// The version of the state's JSON; another one is refused.
const STATE_VERSION: u32 = 1;

/// A session.
pub struct Topology {
    config: Config,
    state: State,
}

/// The host's graph.
struct HostGraph<'q>(&'q dyn Query);

impl Graph for HostGraph<'_> {
    fn edges_of(&self, id: &str) -> Vec<Edge> {
        if id.is_empty() {
            return Vec::new();
        }
        let edges = self.0.neighbours(id, 1).unwrap_or_else(|failure| {
            // An entity that is not known has no relations; its alerts are grouped all the same.
            log::debug(format!("no relations of {id}: {}", failure.message));
            Vec::new()
        });
        let link = |kind: RelationKind| match kind {
            RelationKind::RunsOn => Link::RunsOn,
            RelationKind::Contains => Link::Contains,
            RelationKind::PoweredBy => Link::PoweredBy,
            RelationKind::ConnectedTo => Link::ConnectedTo,
            RelationKind::StoredOn => Link::StoredOn,
            RelationKind::DependsOn => Link::DependsOn,
        };
        let edges = edges.into_iter();
        edges.map(|e| Edge { dependent: e.dependent, dependency: e.dependency, link: link(e.kind) }).collect()
    }

    fn kind_and_name(&self, id: &str) -> Option<(String, String)> {
        self.0.entity(id).ok().filter(|entity| !entity.name.is_empty()).map(|entity| (entity.kind, entity.name))
    }
}

impl Topology {
    /// Takes a delta in and tells what changed.
    fn advance(&mut self, delta: &Delta, graph: &dyn Graph) -> Vec<Grouping> {
        let graph = CachedGraph::new(graph);
        let outcome = Update::run(&self.config, &graph, &mut self.state, delta);
        let mut told = Vec::new();
        for key in &outcome.changed {
            let Some(incident) = self.state.incidents.get(key) else { continue };
            let grouping = telling::tell(&self.config, &self.state, &graph, key, incident);
            let hash = hash(&grouping);
            if let Some(incident) = self.state.incidents.get_mut(key).filter(|incident| incident.told != hash) {
                incident.told = hash;
                told.push(grouping);
            }
        }
        told.extend(outcome.merged.iter().map(|(key, into)| telling::tell_merged(key, into)));
        told
    }
}

/// 64-bit FNV-1a (Fowler, Noll, Vo) over all that is told, to notice that nothing changed.
fn hash(grouping: &Grouping) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    add(grouping.title.as_bytes());
    grouping.fingerprints.iter().for_each(|fingerprint| add(fingerprint.as_bytes()));
    grouping.findings.iter().for_each(|finding| add(&finding.to_le_bytes()));
    for cause in &grouping.causes {
        add(cause.entity.as_bytes());
        add(cause.sentence.as_bytes());
        add(&cause.score.to_le_bytes());
        for signal in &cause.signals {
            add(signal.name.as_bytes());
            add(&signal.score.to_le_bytes());
        }
    }
    hash
}

impl Correlator for Topology {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "correlator-topology".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Groups alerts into incidents by time and dependency path, and ranks causes, the deepest alerting \
                      dependency first."
                    .into(),
            config_schema: config::SCHEMA.into(),
            interests: vec![],
            capabilities: vec![],
        }
    }

    fn new(config: &Config) -> Result<Self, Failure> {
        if config.window_seconds == 0 || config.max_hops == 0 {
            return Err(Failure::misconfigured("window_seconds and max_hops must be at least 1"));
        }
        Ok(Self { config: config.clone(), state: State { version: STATE_VERSION, ..State::default() } })
    }

    fn update(&mut self, delta: &Delta, query: &dyn Query) -> Result<Vec<Grouping>, Failure> {
        Ok(self.advance(delta, &HostGraph(query)))
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(&self.state).expect("strings and whole numbers are always written")
    }

    fn load(config: &Config, state: &[u8]) -> Result<Self, Failure> {
        let refused = |why: String| Failure::unsupported(format!("the state {why}; open a new session"));
        let mut state: State = serde_json::from_slice(state).map_err(|error| refused(format!("is broken: {error}")))?;
        if state.version != STATE_VERSION {
            return Err(refused(format!("is of version {}", state.version)));
        }
        state.index_all();
        Ok(Self { state, ..Self::new(config)? })
    }
}

tandem_sdk::correlator!(Topology);

#[cfg(test)]
mod tests;
