//! Root causes: who plainly broke is named first whatever the order of the case, calm is told as calm, the same case gets the
//! same answer, and nonsense gets a word instead of a trap.

use crate::{Numbers, assert_unbroken, loaded};
use tandem_domain::{
    Severity, Timestamp,
    cause::{
        Case, DriftedColumn, Ranking, SignalClass, SignalFrame, Suspect, SuspectChange, SuspectDependency,
        SuspectFault, SuspectSignal,
    },
    entity::EntityId,
    ports::RootCauses,
    relation::RelationKind,
    series::Labels,
};
use tandem_tests::sandbox::NOW;

const ROWS: usize = 240;
const ONSET_ROW: usize = 180;
/// Two services over two replicas and a database; the database breaks.
const NAMES: [&str; 5] = ["shop", "search", "replica-1", "replica-2", "database"];
const BROKEN: usize = 4;
const EDGES: [(usize, usize); 5] = [(0, 2), (0, 3), (1, 4), (2, 4), (3, 4)];

fn at(row: usize) -> Timestamp {
    NOW.plus_millis(15_000 * row as i64)
}

/// Load and latency of everything with noise; from the onset on the database's processor is busy and all that wait for it
/// are slow, the further up the less.
fn case(order: [usize; 5], broken: bool) -> Case {
    let place = |name: usize| order.iter().position(|n| *n == name).expect("an order of all") as u32;
    let mut suspects: Vec<Suspect> = Vec::new();
    let (mut signals, mut value) = (Vec::new(), Vec::new());
    for (index, name) in order.into_iter().enumerate() {
        suspects.push(Suspect { id: EntityId(NAMES[name].into()), kind: String::new(), attributes: Labels::default() });
        let mut numbers = Numbers(name as u64 + 7);
        let felt = [0.3, 0.5, 0.7, 0.7, 1.0][name];
        for (signal, class, shift) in [
            ("cpu.utilization", SignalClass::Internal, if name == BROKEN { 0.6 } else { 0.0 }),
            ("latency", SignalClass::External, felt),
        ] {
            signals.push(SuspectSignal { suspect: index as u32, name: signal.into(), class });
            value.extend((0..ROWS).map(|row| {
                let noise = numbers.unit() * 0.05;
                0.2 + noise + if broken && row >= ONSET_ROW { shift } else { 0.0 }
            }));
        }
    }
    let edge = |(a, b): (usize, usize)| SuspectDependency {
        dependent: place(a),
        dependency: place(b),
        kind: RelationKind::DependsOn,
    };
    Case {
        suspects,
        frames: vec![SignalFrame { at: (0..ROWS).map(at).collect(), signals, value }],
        onset: Some(at(ONSET_ROW)),
        dependencies: EDGES.map(edge).to_vec(),
        ..Case::default()
    }
}

fn named(case: &Case, ranking: &Ranking) -> Vec<String> {
    ranking.causes.iter().map(|cause| case.suspects[cause.suspect as usize].id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_plainly_broke_is_named_first_and_the_same_case_gets_the_same_answer() {
    let (runtime, _data) = loaded().await;
    for plugin in runtime.root_causes() {
        let name = &plugin.name;
        let (straight, turned) = (case([0, 1, 2, 3, 4], true), case([4, 2, 0, 3, 1], true));
        let first = runtime.rank(name, &straight).await.expect("a ranking");
        assert_eq!(named(&straight, &first).first().map(String::as_str), Some("database"), "{name}: {first:?}");
        assert!(first.confident && first.doubt.is_empty(), "{name} is not confident of the plainest case: {first:?}");
        let cause = &first.causes[0];
        assert!(!cause.sentence.is_empty() && !cause.signals.is_empty(), "{name} says not why: {cause:?}");
        let other = runtime.rank(name, &turned).await.expect("a ranking");
        assert_eq!(named(&turned, &other).first(), Some(&"database".to_owned()), "{name} minds the order of suspects");
        let again = runtime.rank(name, &straight).await.expect("a ranking");
        assert_eq!(first, again, "{name} answers otherwise to the same case");
        let calm = runtime.rank(name, &case([0, 1, 2, 3, 4], false)).await.expect("a ranking");
        assert!(!calm.confident, "{name} is sure of a cause where nothing happened: {calm:?}");
    }
    assert_unbroken(&runtime);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_onset_that_nobody_told_is_found_or_said_to_be_unknown() {
    let (runtime, _data) = loaded().await;
    for plugin in runtime.root_causes() {
        let unknown = Case { onset: None, ..case([0, 1, 2, 3, 4], true) };
        let ranking = runtime.rank(&plugin.name, &unknown).await.expect("a ranking");
        match ranking.onset {
            Some(onset) => {
                let off = onset.millis_since(at(ONSET_ROW)).abs();
                assert!(off <= 10 * 15_000, "{}: the onset is {off} ms off", plugin.name);
            }
            None => assert!(!ranking.confident, "{} is sure without an onset", plugin.name),
        }
    }
    assert_unbroken(&runtime);
}

/// Cases that make no sense, or next to none.
fn nonsense() -> Vec<(&'static str, Case)> {
    let whole = || case([0, 1, 2, 3, 4], true);
    let filled = |value: f64| {
        let mut case = whole();
        case.frames[0].value.fill(value);
        case
    };
    let mut wild = whole();
    for (i, value) in wild.frames[0].value.iter_mut().enumerate() {
        *value = [f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::NAN, 0.0][i % 7];
    }
    let mut rows = whole();
    rows.frames[0].at.clear();
    rows.frames[0].value.clear();
    let mut knotted = whole();
    let edge = |dependent, dependency| SuspectDependency { dependent, dependency, kind: RelationKind::RunsOn };
    knotted.dependencies = (0..5).flat_map(|a| (0..5).map(move |b| edge(a, b))).collect();
    let mut odd = whole();
    odd.asked = vec![0, 0, 4];
    odd.peers = vec![vec![], vec![0], vec![0, 1, 2, 3, 4, 4]];
    odd.drifted = vec![DriftedColumn { suspect: 0, column: String::new(), value: f64::NAN, at: Timestamp(i64::MAX) }];
    odd.changes =
        vec![SuspectChange { suspect: 1, at: Timestamp(i64::MIN), code: String::new(), title: String::new() }];
    odd.faults = vec![SuspectFault {
        suspect: 2,
        code: String::new(),
        severity: Severity::Critical,
        title: "\u{0}→".repeat(500),
        started_at: Timestamp(i64::MAX),
        ended_at: Some(Timestamp(i64::MIN)),
    }];
    vec![
        ("nothing", Case::default()),
        ("only suspects", Case { frames: Vec::new(), ..whole() }),
        ("no rows", rows),
        ("nothing but gaps", filled(f64::NAN)),
        ("constants", filled(3.0)),
        ("no numbers", filled(f64::INFINITY)),
        ("wild", wild),
        ("cycles and edges to oneself", knotted),
        ("an onset before all", Case { onset: Some(Timestamp(i64::MIN)), ..whole() }),
        ("an onset after all", Case { onset: Some(Timestamp(i64::MAX)), ..whole() }),
        ("odd events", odd),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_gets_a_word_instead_of_a_trap() {
    let (runtime, _data) = loaded().await;
    for plugin in runtime.root_causes() {
        let name = &plugin.name;
        for (what, case) in nonsense() {
            match runtime.rank(name, &case).await {
                Ok(ranking) => assert!(ranking.confident || !ranking.doubt.is_empty(), "{name}, {what}: {ranking:?}"),
                Err(failure) => assert!(failure.message.contains(name.as_str()), "{what}: {failure}"),
            }
        }
        let nothing = runtime.rank(name, &Case::default()).await.expect("an empty case is no failure");
        assert!(nothing.causes.is_empty() && !nothing.confident, "{name} finds causes in nothing: {nothing:?}");
    }
    assert_unbroken(&runtime);
}
