//! A case for those who rank root causes, and their answer. See `wit/root-cause.wit`.

use crate::{Severity, Timestamp, entity::EntityId, relation::RelationKind, series::Labels, verdict::CauseKind};
use serde::{Deserialize, Serialize};

/// An entity that may be to blame or may only suffer; known by its index in the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// Which; unique in the case.
    pub id: EntityId,
    /// Its kind; empty when it is not known.
    pub kind: String,
    /// Anything more.
    pub attributes: Labels,
}

/// What a signal tells of its suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignalClass {
    /// Its own resources and condition.
    Internal,
    /// What others feel of it.
    External,
    /// Not known.
    Unknown,
}

/// A series of a suspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectSignal {
    /// Index of the suspect.
    pub suspect: u32,
    /// Name of the series.
    pub name: String,
    /// What it tells.
    pub class: SignalClass,
}

/// Signals that share their moments; columns one after another. Signals are numbered through all frames of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalFrame {
    /// Ascending.
    pub at: Vec<Timestamp>,
    /// What the columns are.
    pub signals: Vec<SuspectSignal>,
    /// Signal after signal, each as long as `at`; NaN is missing.
    pub value: Vec<f64>,
}

/// The first needs the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectDependency {
    /// Index of who suffers.
    pub dependent: u32,
    /// Index of who is needed.
    pub dependency: u32,
    /// In what way.
    pub kind: RelationKind,
}

/// A change of a suspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectChange {
    /// Index of the suspect.
    pub suspect: u32,
    /// When.
    pub at: Timestamp,
    /// Stable dotted code, such as `deployment.started`.
    pub code: String,
    /// For people.
    pub title: String,
}

/// A fault or alert of a suspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectFault {
    /// Index of the suspect.
    pub suspect: u32,
    /// Stable dotted code.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// For people.
    pub title: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, when it has.
    pub ended_at: Option<Timestamp>,
}

/// A feature, or a model's own output, whose distribution moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftedColumn {
    /// Index of the service or model that is fed with it.
    pub suspect: u32,
    /// Its name.
    pub column: String,
    /// As a multiple of the drift metric's threshold: at least 1 has drifted.
    pub value: f64,
    /// When it was found.
    pub at: Timestamp,
}

/// Everything that is known of one piece of trouble.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Case {
    /// Who may be to blame.
    pub suspects: Vec<Suspect>,
    /// Their signals.
    pub frames: Vec<SignalFrame>,
    /// When the trouble began, as far as it is known.
    pub onset: Option<Timestamp>,
    /// Indices of those whose trouble is to be explained; empty when that is not known.
    pub asked: Vec<u32>,
    /// Who needs whom; there may be cycles.
    pub dependencies: Vec<SuspectDependency>,
    /// What changed.
    pub changes: Vec<SuspectChange>,
    /// What is broken for certain.
    pub faults: Vec<SuspectFault>,
    /// What moved in the data.
    pub drifted: Vec<DriftedColumn>,
    /// Indices of suspects that are alike, group by group.
    pub peers: Vec<Vec<u32>>,
}

/// Which way a signal went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It rose.
    Up,
    /// It fell.
    Down,
}

/// A signal that speaks for a cause.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its number in the case.
    pub signal: u32,
    /// How far it left its course before the onset, in spreads of its own.
    pub score: f64,
    /// Which way.
    pub direction: Direction,
}

/// A suspect that is likely to blame. The lists hold indices of the case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedCause {
    /// Index of the suspect.
    pub suspect: u32,
    /// 0 to 1, relative within the answer.
    pub score: f64,
    /// `Model`, `Data` or `Infrastructure`, or `Unknown` where it cannot be said.
    pub kind: CauseKind,
    /// Strongest first.
    pub signals: Vec<Evidence>,
    /// Changes that speak for it.
    pub changes: Vec<u32>,
    /// Faults that speak for it.
    pub faults: Vec<u32>,
    /// Drifted columns that speak for it.
    pub drifted: Vec<u32>,
    /// Suspects from the asked one to the cause.
    pub path: Vec<u32>,
    /// Why, for people.
    pub sentence: String,
}

/// The answer to a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// The onset that the answer is about.
    pub onset: Option<Timestamp>,
    /// Whether the first cause should be believed.
    pub confident: bool,
    /// 0 to 1.
    pub confidence: f64,
    /// Best first.
    pub causes: Vec<RankedCause>,
    /// Why it is not confident; empty when it is.
    pub doubt: String,
}

impl Case {
    /// Signals of all frames together.
    pub fn signals(&self) -> impl Iterator<Item = &SuspectSignal> {
        self.frames.iter().flat_map(|frame| &frame.signals)
    }

    /// What contradicts itself, with its place: a column of another length, moments that do not ascend, an index that leads
    /// nowhere, a name that is there twice.
    pub fn contradiction(&self) -> Option<String> {
        let mut ids: Vec<&EntityId> = self.suspects.iter().map(|suspect| &suspect.id).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Some(format!("there are two suspects {}", pair[0]));
        }
        for (f, frame) in self.frames.iter().enumerate() {
            let (rows, signals, values) = (frame.at.len(), frame.signals.len(), frame.value.len());
            if rows.checked_mul(signals) != Some(values) {
                return Some(format!("frame {f} has {values} values for {signals} signals of {rows} moments"));
            }
            if !frame.at.is_sorted_by(|a, b| a < b) {
                return Some(format!("the moments of frame {f} do not ascend"));
            }
        }
        let named = self.signals().map(|signal| ("a signal", signal.suspect));
        let named = named.chain(self.asked.iter().map(|asked| ("`asked`", *asked)));
        let edges = self.dependencies.iter().flat_map(|edge| [edge.dependent, edge.dependency]);
        let named = named.chain(edges.map(|end| ("a dependency", end)));
        let named = named.chain(self.changes.iter().map(|change| ("a change", change.suspect)));
        let named = named.chain(self.faults.iter().map(|fault| ("a fault", fault.suspect)));
        let named = named.chain(self.drifted.iter().map(|drifted| ("a drifted column", drifted.suspect)));
        let mut named = named.chain(self.peers.iter().flatten().map(|peer| ("a peer group", *peer)));
        let strays = named.find(|(_, suspect)| *suspect as usize >= self.suspects.len());
        strays.map(|(what, suspect)| {
            format!("{what} names suspect {suspect}, but there are only {}", self.suspects.len())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> Case {
        let suspect =
            |id: &str| Suspect { id: EntityId(id.into()), kind: String::new(), attributes: Labels::default() };
        let signal = SuspectSignal { suspect: 1, name: "cpu".into(), class: SignalClass::Unknown };
        let frame =
            SignalFrame { at: vec![Timestamp(1), Timestamp(2)], signals: vec![signal], value: vec![1.0, f64::NAN] };
        Case { suspects: vec![suspect("a"), suspect("b")], frames: vec![frame], asked: vec![0], ..Case::default() }
    }

    #[test]
    fn a_case_says_what_contradicts_itself() {
        assert_eq!(case().contradiction(), None);
        type Break = fn(&mut Case);
        let broken: [(Break, &str); 5] = [
            (|case| case.suspects[1].id = EntityId("a".into()), "two suspects a"),
            (|case| case.frames[0].value.clear(), "frame 0 has 0 values"),
            (|case| case.frames[0].at.reverse(), "moments of frame 0"),
            (|case| case.frames[0].signals[0].suspect = 2, "a signal names suspect 2"),
            (|case| case.peers.push(vec![7]), "a peer group names suspect 7"),
        ];
        for (breaks, told) in broken {
            let mut case = case();
            breaks(&mut case);
            let said = case.contradiction().expect(told);
            assert!(said.contains(told), "{said}");
        }
    }
}
