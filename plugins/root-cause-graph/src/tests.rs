//! Small fleets in which one thing or another breaks: what is named, of which kind, and by which way.

mod shared;

use crate::{Config, Graph};
use std::collections::BTreeMap;
use tandem_sdk::{
    root_cause::{
        Case, CauseKind, Change, Dependency, DriftedColumn, Fault, Frame, PeerGroup, Ranking, RootCause, Signal,
        SignalClass, Suspect,
    },
    types::{RelationKind, Severity},
};

const ROWS: usize = 240;
const ONSET: usize = 200;
/// A row every 15 s.
const STEP: i64 = 15_000;

/// A case under construction, by names.
#[derive(Default)]
pub(crate) struct Story {
    case: Parts,
    index: BTreeMap<String, u32>,
    seed: u64,
}

/// The parts of a case that grow.
#[derive(Default)]
struct Parts {
    suspects: Vec<Suspect>,
    signals: Vec<Signal>,
    value: Vec<f64>,
    dependencies: Vec<Dependency>,
    changes: Vec<Change>,
    faults: Vec<Fault>,
    drifted: Vec<DriftedColumn>,
    peers: Vec<PeerGroup>,
    asked: Vec<u32>,
}

pub(crate) fn moment(row: i64) -> i64 {
    1_700_000_000_000 + row * STEP
}

impl Story {
    /// `kind:identity`.
    fn suspect(&mut self, id: &str) -> u32 {
        if let Some(index) = self.index.get(id) {
            return *index;
        }
        let index = self.case.suspects.len() as u32;
        let kind = id.split(':').next().unwrap_or_default().to_owned();
        self.case.suspects.push(Suspect { id: id.into(), kind, attributes: Vec::new() });
        self.index.insert(id.into(), index);
        index
    }

    /// Evenly in 0..1, the same in every run (xorshift64, Marsaglia 2003).
    fn chance(&mut self) -> f64 {
        self.seed = if self.seed == 0 { 88_172_645_463_325_252 } else { self.seed };
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A signal around a level with a twentieth of it as noise; from a row on it is multiplied.
    pub(crate) fn signal(&mut self, id: &str, name: &str, level: f64, factor: f64, from: usize) -> &mut Self {
        let suspect = self.suspect(id);
        self.case.signals.push(Signal { suspect, name: name.into(), class: SignalClass::Unknown });
        for row in 0..ROWS {
            let value = level * (1.0 + 0.1 * (self.chance() - 0.5)) * if row >= from { factor } else { 1.0 };
            self.case.value.push(value);
        }
        self
    }

    /// A signal that is shown no more from a row on.
    fn ends(&mut self, id: &str, name: &str, level: f64, from: usize) -> &mut Self {
        self.signal(id, name, level, 1.0, ROWS);
        let start = self.case.value.len() - ROWS;
        self.case.value[start + from..].fill(f64::NAN);
        self
    }

    /// A signal that goes on as it was.
    pub(crate) fn calm(&mut self, id: &str, name: &str, level: f64) -> &mut Self {
        self.signal(id, name, level, 1.0, ROWS)
    }

    /// Each needs the next.
    pub(crate) fn chain(&mut self, ids: &[&str]) -> &mut Self {
        for pair in ids.windows(2) {
            let (dependent, dependency) = (self.suspect(pair[0]), self.suspect(pair[1]));
            self.case.dependencies.push(Dependency { dependent, dependency, kind: RelationKind::DependsOn });
        }
        self
    }

    fn contains(&mut self, whole: &str, part: &str) -> &mut Self {
        let (dependent, dependency) = (self.suspect(whole), self.suspect(part));
        self.case.dependencies.push(Dependency { dependent, dependency, kind: RelationKind::Contains });
        self
    }

    fn change(&mut self, id: &str, code: &str, row: i64) -> &mut Self {
        let suspect = self.suspect(id);
        self.case.changes.push(Change {
            suspect,
            at: moment(row),
            code: code.into(),
            title: format!("{code} of {id}"),
        });
        self
    }

    fn fault(&mut self, id: &str, code: &str, severity: Severity, row: i64) -> &mut Self {
        let suspect = self.suspect(id);
        let (code, title, started_at) = (code.into(), code.into(), moment(row));
        self.case.faults.push(Fault { suspect, code, severity, title, started_at, ended_at: None });
        self
    }

    fn drift(&mut self, id: &str, column: &str, value: f64) -> &mut Self {
        let suspect = self.suspect(id);
        let at = moment(ONSET as i64 + 10);
        self.case.drifted.push(DriftedColumn { suspect, column: column.into(), value, at });
        self
    }

    fn peers(&mut self, ids: &[String]) -> &mut Self {
        let suspects = ids.iter().map(|id| self.suspect(id)).collect();
        self.case.peers.push(PeerGroup { suspects });
        self
    }

    fn asked(&mut self, id: &str) -> &mut Self {
        let suspect = self.suspect(id);
        self.case.asked.push(suspect);
        self
    }

    pub(crate) fn case(&mut self) -> Case {
        let parts = std::mem::take(&mut self.case);
        Case {
            suspects: parts.suspects,
            frames: vec![Frame {
                at: (0..ROWS as i64).map(moment).collect(),
                signals: parts.signals,
                value: parts.value,
            }],
            onset: Some(moment(ONSET as i64)),
            asked: parts.asked,
            dependencies: parts.dependencies,
            changes: parts.changes,
            faults: parts.faults,
            drifted: parts.drifted,
            peers: parts.peers,
        }
    }

    fn told(&mut self) -> (Case, Ranking) {
        let case = self.case();
        let ranking = Graph::rank(&Config::default(), &case).expect("a ranking");
        (case, ranking)
    }

    /// The first cause by name, its kind and its path, with confidence.
    fn first(&mut self) -> (String, Option<CauseKind>, Vec<String>, bool) {
        let (case, ranking) = self.told();
        let id = |suspect: &u32| case.suspects[*suspect as usize].id.clone();
        let cause = ranking.causes.first().unwrap_or_else(|| panic!("no cause: {ranking:?}"));
        println!("{} {:.2} {}", ranking.confident, ranking.confidence, cause.sentence);
        (id(&cause.suspect), cause.kind, cause.path.iter().map(id).collect(), ranking.confident)
    }
}

/// A chat service over two replicas, each on a GPU of its own host, which are fed by one power supply each; features come
/// from a store on a disk. Everything is calm; what a test adds is on top.
fn fleet() -> Story {
    let mut story = Story::default();
    story.asked("service:chat").calm("service:chat", "model.requests", 50.0);
    for n in ["1", "2"] {
        let (replica, pod, gpu) = (format!("replica:{n}"), format!("pod:{n}"), format!("gpu:{n}"));
        let (host, power, disk) = (format!("host:{n}"), format!("power-supply:{n}"), format!("disk:{n}"));
        story.chain(&["service:chat", &replica, &pod, &gpu]).chain(&[&pod, &host, &power]).chain(&[&host, &disk]);
        story.chain(&[&host, "switch:1"]);
        story.calm(&gpu, "gpu.temperature", 60.0).calm(&host, "host.memory.available", 2e10);
        story.calm(&disk, "disk.temperature", 40.0);
    }
    story.chain(&["service:chat", "model:chat@2"]);
    story
}

#[test]
fn a_gpu_that_is_full_is_to_blame_for_the_latency_above_it() {
    let (cause, kind, path, confident) = fleet()
        .signal("service:chat", "model.latency", 0.2, 3.0, ONSET)
        .signal("replica:1", "model.queue.time", 0.05, 8.0, ONSET)
        .signal("gpu:1", "gpu.utilization", 0.5, 2.0, ONSET)
        .calm("gpu:2", "gpu.utilization", 0.5)
        .first();
    assert_eq!((cause.as_str(), kind, confident), ("gpu:1", Some(CauseKind::Infrastructure), true));
    assert_eq!(path, ["service:chat", "replica:1", "pod:1", "gpu:1"]);
}

#[test]
fn a_new_version_just_before_the_onset_is_to_blame_where_all_below_is_calm() {
    for entity in ["model:chat@2", "service:chat"] {
        let (cause, kind, _, confident) = fleet()
            .signal("service:chat", "model.errors", 0.01, 20.0, ONSET)
            .calm("gpu:1", "gpu.utilization", 0.5)
            .change(entity, "deployment.started", ONSET as i64 - 8)
            .first();
        assert_eq!((cause.as_str(), kind, confident), (entity, Some(CauseKind::Model), true));
    }
}

#[test]
fn a_change_long_before_or_after_is_not_to_blame() {
    for row in [ONSET as i64 - 190, ONSET as i64 + 30] {
        let (cause, kind, _, _) = fleet()
            .signal("service:chat", "model.latency", 0.2, 4.0, ONSET)
            .signal("gpu:1", "gpu.clock.sm", 1.9e9, 0.4, ONSET)
            .change("service:chat", "deployment.started", row)
            .first();
        assert_eq!((cause.as_str(), kind), ("gpu:1", Some(CauseKind::Infrastructure)), "changed at row {row}");
    }
}

#[test]
fn drifted_features_over_healthy_hardware_are_the_datas_fault() {
    let (cause, kind, _, confident) = fleet()
        .signal("service:chat", "model.accuracy", 0.9, 0.7, ONSET)
        .drift("service:chat", "age", 4.0)
        .drift("service:chat", "city", 2.0)
        .first();
    assert_eq!((cause.as_str(), kind, confident), ("service:chat", Some(CauseKind::Data), true));
}

#[test]
fn drift_that_a_fault_on_the_path_explains_is_the_hardwares() {
    let (cause, kind, path, confident) = fleet()
        .chain(&["service:chat", "service:features", "disk:9"])
        .signal("service:chat", "model.accuracy", 0.9, 0.7, ONSET)
        .drift("service:chat", "clicks", 3.0)
        .signal("service:features", "latency", 0.01, 12.0, ONSET)
        .signal("disk:9", "disk.read.latency", 0.002, 30.0, ONSET)
        .fault("disk:9", "disk.media-errors", Severity::Warning, ONSET as i64 - 2)
        .first();
    assert_eq!((cause.as_str(), kind, confident), ("disk:9", Some(CauseKind::Infrastructure), true));
    assert_eq!(path, ["service:chat", "service:features", "disk:9"]);
}

#[test]
fn a_failed_power_supply_explains_the_gpus_that_throttle() {
    let (cause, kind, path, confident) = fleet()
        .chain(&["gpu:1", "host:1"])
        .signal("service:chat", "model.latency", 0.2, 2.0, ONSET)
        .signal("replica:1", "model.latency", 0.2, 2.5, ONSET)
        .signal("gpu:1", "gpu.clock.sm", 1.9e9, 0.6, ONSET)
        .signal("gpu:1", "gpu.power", 600.0, 0.5, ONSET)
        .fault("power-supply:1", "power-supply.failed", Severity::Critical, ONSET as i64 - 1)
        .first();
    assert_eq!((cause.as_str(), kind, confident), ("power-supply:1", Some(CauseKind::Infrastructure), true));
    assert_eq!(path.first().map(String::as_str), Some("service:chat"));
}

#[test]
fn a_fall_counts_as_much_as_a_rise() {
    let (cause, _, _, confident) = fleet()
        .signal("service:chat", "availability", 1.0, 0.8, ONSET)
        .signal("switch:1", "interface.speed", 1e10, 0.01, ONSET)
        .calm("disk:1", "disk.read.bytes", 1e6)
        .first();
    assert_eq!((cause.as_str(), confident), ("switch:1", true));
}

#[test]
fn who_is_odd_inside_and_outside_comes_before_who_is_odd_outside_alone() {
    let mut story = Story::default();
    for (id, cpu, latency) in [("a", 1.0, 6.0), ("b", 4.0, 5.0), ("c", 1.0, 5.5)] {
        story.signal(id, "cpu", 0.3, cpu, ONSET).signal(id, "latency_p90", 0.1, latency, ONSET);
    }
    let (cause, ..) = story.first();
    assert_eq!(cause, "b");
}

#[test]
fn what_all_peers_do_alike_is_load_and_sets_nobody_apart() {
    let gpus: Vec<String> = (1..=4).map(|n| format!("gpu:{n}")).collect();
    let with_load = |own: f64| {
        let mut story = Story::default();
        for gpu in &gpus {
            let factor = if gpu == "gpu:3" { own } else { 1.6 };
            story.signal(gpu, "gpu.utilization", 0.4, factor, ONSET);
        }
        story.peers(&gpus);
        story.told().1
    };
    let alike = with_load(1.6);
    assert!(!alike.confident, "{alike:?}");
    let apart = with_load(0.05);
    assert_eq!(apart.causes[0].suspect, 2, "{apart:?}");
}

#[test]
fn of_two_faults_at_once_both_are_named_first() {
    let (case, ranking) = fleet()
        .signal("service:chat", "model.latency", 0.2, 3.0, ONSET)
        .signal("gpu:1", "gpu.clock.sm", 1.9e9, 0.5, ONSET)
        .signal("host:2", "host.memory.used", 1e9, 6.0, ONSET)
        .told();
    let mut two: Vec<&str> =
        ranking.causes.iter().take(2).map(|cause| case.suspects[cause.suspect as usize].id.as_str()).collect();
    two.sort_unstable();
    assert_eq!(two, ["gpu:1", "host:2"], "{ranking:?}");
}

#[test]
fn a_circle_of_dependencies_comes_to_an_end_and_names_the_hottest_inside() {
    let (cause, ..) = Story::default()
        .chain(&["service:a", "service:b", "service:c", "service:a"])
        .signal("service:a", "latency", 0.1, 3.0, ONSET)
        .signal("service:b", "latency", 0.1, 3.0, ONSET)
        .signal("service:c", "latency", 0.1, 3.0, ONSET)
        .signal("service:c", "cpu", 0.2, 5.0, ONSET)
        .first();
    assert_eq!(cause, "service:c");
}

#[test]
fn a_detector_that_was_late_does_not_matter() {
    let case = |late: i64| {
        let mut case = fleet()
            .signal("service:chat", "model.latency", 0.2, 3.0, ONSET)
            .signal("gpu:1", "gpu.utilization", 0.4, 2.3, ONSET)
            .case();
        case.onset = Some(moment(ONSET as i64 + late));
        Graph::rank(&Config::default(), &case).map(|ranking| ranking.causes[0].suspect).expect("a ranking")
    };
    assert_eq!(case(0), case(20));
}

#[test]
fn an_onset_that_nobody_told_is_found() {
    let mut case = fleet()
        .signal("service:chat", "model.latency", 0.2, 3.0, ONSET)
        .signal("gpu:1", "gpu.utilization", 0.4, 2.3, ONSET - 2)
        .case();
    case.onset = None;
    let ranking = Graph::rank(&Config::default(), &case).expect("a ranking");
    let row = (ranking.onset.expect("found") - moment(0)) / STEP;
    assert!((ONSET as i64 - 2..=ONSET as i64).contains(&row), "row {row}");
    assert!(ranking.confident);
}

#[test]
fn nothing_is_told_as_nothing() {
    let (_, ranking) = fleet().calm("gpu:1", "gpu.utilization", 0.5).told();
    assert!(!ranking.confident && !ranking.doubt.is_empty(), "{ranking:?}");
    let mut unknown = fleet().case();
    unknown.onset = None;
    let ranking = Graph::rank(&Config::default(), &unknown).expect("a ranking");
    assert!(ranking.causes.is_empty() && !ranking.confident && ranking.doubt.contains("no onset"), "{ranking:?}");
}

#[test]
fn one_who_only_suffers_is_not_blamed_with_confidence() {
    let (_, ranking) = fleet()
        .signal("service:chat", "model.errors", 0.01, 20.0, ONSET)
        .fault("service:chat", "objective.burning", Severity::Critical, ONSET as i64 + 4)
        .told();
    assert!(!ranking.confident && ranking.doubt.contains("Nothing that service:chat depends on"), "{ranking:?}");
    assert!(ranking.causes[0].kind.is_none(), "{ranking:?}");
}

#[test]
fn two_that_are_equally_likely_are_told_as_doubt() {
    let mut story = Story::default();
    story.signal("host:a", "cpu", 0.2, 4.0, ONSET).signal("host:b", "cpu", 0.2, 4.0, ONSET);
    let (_, ranking) = story.told();
    assert!(!ranking.confident && ranking.doubt.contains("about equally likely"), "{ranking:?}");
}

#[test]
fn a_configuration_out_of_range_is_the_persons_to_mend() {
    let config = Config { confidence_floor: 2.0, ..Config::default() };
    assert!(Graph::rank(&config, &Story::default().case()).is_err());
}
