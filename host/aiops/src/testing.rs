//! What tests of several rooms share: a store in a folder of its own, a clock that is set, plugins written in a few lines.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    frame::{Fault, Frame, Group, GroupId, GroupState, Observation, Scores},
    http::{HttpClient, HttpGrant, HttpRequest, HttpResponse},
    meaning::{Condition, Mapping},
    plugin::{Interest, Scope, Selector},
    ports::{
        BoxFuture, CorrelationDelta, CorrelatorSession, Correlators, Detectors, Grouping, LivePlugin, Mappers,
        OpenedWatch, Query, Watch,
    },
    series::SeriesDescription,
    target::TargetInfo,
};
use tandem_store::{Store, StoreOptions};

/// A store and the folder it lives in.
pub(crate) fn open() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (reopen(&folder), folder)
}

/// The store of a folder again, after the earlier one was dropped.
pub(crate) fn reopen(folder: &tempfile::TempDir) -> Store {
    for _ in 0..200 {
        match Store::open(folder.path(), StoreOptions::default()) {
            Ok(store) => return store,
            // The writer thread of the dropped store still lets go of the file.
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    }
    panic!("the store cannot be opened again");
}

/// A live plugin that wishes to see everything.
pub(crate) fn plugin(name: &str, digest: &str, scopes: &[Scope]) -> LivePlugin {
    let interest = |scope: &Scope| Interest { selector: Selector::default(), scope: *scope, history_seconds: 600 };
    LivePlugin {
        name: name.into(),
        digest: digest.into(),
        version: "1.0.0".into(),
        interests: scopes.iter().map(interest).collect(),
    }
}

type Interpret = dyn Fn(&str, &TargetInfo, &[SeriesDescription]) -> Result<Mapping, Failure> + Send + Sync;

/// Mappers from a function.
pub(crate) struct FakeMappers {
    pub(crate) live: Mutex<Vec<LivePlugin>>,
    pub(crate) interpret: Mutex<Box<Interpret>>,
    pub(crate) calls: Mutex<Vec<(String, usize)>>,
}

impl FakeMappers {
    pub(crate) fn new(
        live: Vec<LivePlugin>,
        interpret: impl Fn(&str, &TargetInfo, &[SeriesDescription]) -> Result<Mapping, Failure> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let interpret: Box<Interpret> = Box::new(interpret);
        Arc::new(Self { live: Mutex::new(live), interpret: Mutex::new(interpret), calls: Mutex::default() })
    }
}

impl Mappers for FakeMappers {
    fn mappers(&self) -> Vec<LivePlugin> {
        self.live.lock().unwrap().clone()
    }
    fn interpret<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a TargetInfo,
        series: &'a [SeriesDescription],
    ) -> BoxFuture<'a, Result<Mapping, Failure>> {
        self.calls.lock().unwrap().push((plugin.to_owned(), series.len()));
        let answer = (self.interpret.lock().unwrap())(plugin, target, series);
        Box::pin(async move { answer })
    }
}

/// A detector whose state is the sum of what each group saw: a point is odd when it is above 100, a fault is on while a
/// value lies in the range of a `within` rule. The sum shows whether a point was lost or counted twice.
#[derive(Default)]
pub(crate) struct FakeDetectors {
    pub(crate) live: Mutex<Vec<LivePlugin>>,
    /// Groups by the name of their first member that cannot be observed.
    pub(crate) broken: Mutex<Vec<String>>,
    /// Whether every call fails.
    pub(crate) down: Mutex<bool>,
    /// Whether saved states are refused.
    pub(crate) refuses: Mutex<bool>,
    /// The last known state of every group, by its first member's entity and name.
    pub(crate) seen: Arc<Mutex<BTreeMap<String, FakeState>>>,
}

#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct FakeState {
    pub(crate) learned: u64,
    pub(crate) observed: u64,
    pub(crate) sum: f64,
    pub(crate) on: Vec<String>,
}

struct FakeWatch {
    groups: BTreeMap<GroupId, (Group, FakeState)>,
    changed: Vec<GroupId>,
    seen: Arc<Mutex<BTreeMap<String, FakeState>>>,
    broken: Vec<String>,
    down: bool,
}

fn down() -> Failure {
    Failure::passing(FailureCode::Internal, "the detector trapped")
}

impl Detectors for FakeDetectors {
    fn detectors(&self) -> Vec<LivePlugin> {
        self.live.lock().unwrap().clone()
    }
    fn open<'a>(
        &'a self,
        _plugin: &'a str,
        restored: Vec<(Group, GroupState)>,
    ) -> BoxFuture<'a, Result<OpenedWatch, Failure>> {
        Box::pin(async move {
            if *self.down.lock().unwrap() {
                return Err(down());
            }
            let mut watch = FakeWatch {
                groups: BTreeMap::new(),
                changed: vec![],
                seen: self.seen.clone(),
                broken: self.broken.lock().unwrap().clone(),
                down: false,
            };
            let mut refused = vec![];
            for (group, state) in restored {
                if *self.refuses.lock().unwrap() {
                    refused.push((group.id, Failure::lasting(FailureCode::Unsupported, "an older state")));
                    continue;
                }
                let state = serde_json::from_slice(&state.state).unwrap();
                watch.groups.insert(group.id, (group, state));
            }
            Ok(OpenedWatch { watch: Box::new(watch), refused })
        })
    }
}

impl FakeWatch {
    fn observe_one(&mut self, frame: &Frame, answer: &mut Observation) {
        let Some((group, state)) = self.groups.get_mut(&frame.group) else { panic!("an unknown group") };
        let points = frame.at.len();
        let mut scores = Scores {
            group: frame.group,
            at: frame.at.clone(),
            score: vec![],
            low: vec![0.0; points],
            high: vec![100.0; points],
            attributions: vec![],
            warming: 0,
        };
        for (row, at) in frame.at.iter().enumerate() {
            state.observed += 1;
            let values: Vec<f64> = (0..group.members.len()).map(|m| frame.value[m * points + row]).collect();
            state.sum += values.iter().filter(|value| !value.is_nan()).sum::<f64>();
            scores.score.push(if values.iter().any(|value| *value > 100.0) { 2.0 } else { 0.0 });
            for (member, value) in values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                for rule in &group.members[member].fault_rules {
                    let Condition::Within(range) = rule.condition else { continue };
                    let (is_on, was_on) = (range.contains(*value), state.on.contains(&rule.code));
                    if is_on == was_on {
                        continue;
                    }
                    state.on.retain(|code| code != &rule.code);
                    if is_on {
                        state.on.push(rule.code.clone());
                    }
                    answer.faults.push(Fault {
                        group: frame.group,
                        member: member as u32,
                        at: *at,
                        code: rule.code.clone(),
                        active: is_on,
                        severity: rule.severity,
                        title: rule.title.clone(),
                        advice: rule.advice.clone(),
                        value: *value,
                    });
                }
            }
        }
        let first = &group.members[0];
        self.seen.lock().unwrap().insert(format!("{}/{}", first.entity, first.name), state.clone());
        self.changed.push(frame.group);
        answer.scores.push(scores);
    }
}

impl Watch for FakeWatch {
    fn join<'a>(&'a mut self, groups: Vec<Group>, history: Vec<Frame>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            if let Some(group) = groups.iter().find(|group| group.members[0].name == "unjoinable") {
                return Err(Failure::lasting(FailureCode::Malformed, format!("{:?} breaks the guest", group.id)));
            }
            for group in groups {
                self.changed.push(group.id);
                self.groups.insert(group.id, (group, FakeState::default()));
            }
            for frame in history {
                let (_, state) = self.groups.get_mut(&frame.group).unwrap();
                state.learned += frame.at.len() as u64;
            }
            Ok(())
        })
    }
    fn leave<'a>(&'a mut self, groups: Vec<GroupId>) -> BoxFuture<'a, Result<(), Failure>> {
        groups.iter().for_each(|id| drop(self.groups.remove(id)));
        Box::pin(async { Ok(()) })
    }
    fn observe<'a>(&'a mut self, frames: Vec<Frame>) -> BoxFuture<'a, Result<Observation, Failure>> {
        Box::pin(async move {
            if self.down {
                return Err(down());
            }
            let mut answer = Observation::default();
            for frame in &frames {
                if self.broken.contains(&self.groups[&frame.group].0.members[0].name) {
                    self.groups.remove(&frame.group);
                    answer.failed.push((frame.group, Failure::lasting(FailureCode::Internal, "it traps")));
                } else {
                    self.observe_one(frame, &mut answer);
                }
            }
            Ok(answer)
        })
    }
    fn snapshot<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<GroupState>, Failure>> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort();
        changed.dedup();
        let state = |id: GroupId| {
            let (_, state) = self.groups.get(&id)?;
            Some(GroupState { group: id, state: serde_json::to_vec(state).unwrap() })
        };
        let states = changed.into_iter().filter_map(state).collect();
        Box::pin(async move { Ok(states) })
    }
}

/// A correlator that puts all alerts of one host label together, or fails.
#[derive(Default)]
pub(crate) struct FakeCorrelators {
    pub(crate) live: Mutex<Vec<LivePlugin>>,
    pub(crate) down: Arc<Mutex<bool>>,
    /// Names of what was read through the query, to see that it works.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    pub(crate) deltas: Arc<Mutex<Vec<CorrelationDelta>>>,
}

struct FakeSession {
    members: BTreeMap<String, Vec<String>>,
    down: Arc<Mutex<bool>>,
    asked: Arc<Mutex<Vec<String>>>,
    deltas: Arc<Mutex<Vec<CorrelationDelta>>>,
}

impl Correlators for FakeCorrelators {
    fn correlators(&self) -> Vec<LivePlugin> {
        self.live.lock().unwrap().clone()
    }
    fn open<'a>(
        &'a self,
        _plugin: &'a str,
        state: Option<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Box<dyn CorrelatorSession>, Failure>> {
        Box::pin(async move {
            let members = state.map(|state| serde_json::from_slice(&state).unwrap()).unwrap_or_default();
            let (down, asked, deltas) = (self.down.clone(), self.asked.clone(), self.deltas.clone());
            Ok(Box::new(FakeSession { members, down, asked, deltas }) as Box<dyn CorrelatorSession>)
        })
    }
}

impl CorrelatorSession for FakeSession {
    fn update<'a>(
        &'a mut self,
        delta: CorrelationDelta,
        query: Arc<dyn Query>,
    ) -> BoxFuture<'a, Result<Vec<Grouping>, Failure>> {
        Box::pin(async move {
            if *self.down.lock().unwrap() {
                return Err(down());
            }
            let mut changed = BTreeMap::new();
            for alert in &delta.alerts {
                let entity = query.entity(&alert.entity);
                self.asked.lock().unwrap().extend(entity.map(|entity| entity.name));
                let key = alert.labels.get("site").unwrap_or("none").to_owned();
                let members = self.members.entry(key.clone()).or_default();
                if !members.contains(&alert.fingerprint.0) {
                    members.push(alert.fingerprint.0.clone());
                }
                let cause = tandem_domain::incident::Cause {
                    entity: alert.entity.clone(),
                    score: 1.0,
                    signals: vec![],
                    sentence: "It broke first.".into(),
                };
                let grouping = Grouping {
                    title: format!("Trouble at {key}"),
                    fingerprints: members.clone(),
                    findings: vec![],
                    causes: vec![cause],
                    merged_into: None,
                    key: key.clone(),
                };
                changed.insert(key, grouping);
            }
            self.deltas.lock().unwrap().push(delta);
            Ok(changed.into_values().collect())
        })
    }
    fn snapshot<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        let state = serde_json::to_vec(&self.members).unwrap();
        Box::pin(async move { Ok(state) })
    }
}

/// Receivers by host: what each answers, and what each got.
#[derive(Default)]
pub(crate) struct FakeHttp {
    pub(crate) answers: Mutex<BTreeMap<String, Result<u16, Failure>>>,
    pub(crate) got: Mutex<Vec<(String, HttpRequest)>>,
}

impl HttpClient for FakeHttp {
    fn send<'a>(&'a self, grant: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        let host = grant.allow.first().cloned().unwrap_or_default();
        let answer = self.answers.lock().unwrap().get(&host).cloned().unwrap_or(Ok(200));
        self.got.lock().unwrap().push((host, request));
        Box::pin(async move { answer.map(|status| HttpResponse { status, headers: vec![], body: vec![] }) })
    }
}

/// A moment some seconds after a fixed one.
pub(crate) fn second(seconds: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + seconds * 1_000)
}
