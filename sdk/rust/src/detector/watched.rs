//! The `watch` resource without its handle: the groups of one watch, each with the detector's state.

use super::{Answer, Detector, Frame, Group, GroupState, Observation};
use crate::{config, framing, types::Failure};
use std::collections::BTreeMap;

/// The groups of one watch. Native tests and benchmarks drive it as the host drives the resource.
pub struct Watched<D: Detector> {
    config: D::Config,
    groups: BTreeMap<u32, OneGroup<D>>,
}

struct OneGroup<D> {
    group: Group,
    detector: D,
}

impl<D: Detector> Watched<D> {
    /// A watch without groups. An empty configuration counts as `{}`.
    pub fn open(config: &str) -> Result<Self, Failure> {
        Ok(Self { config: config::parse(config)?, groups: BTreeMap::new() })
    }

    /// A watch that goes on where the snapshots left off; groups without a state begin afresh.
    pub fn restore(config: &str, groups: Vec<Group>, states: Vec<GroupState>) -> Result<Self, Failure> {
        let mut watching = Self::open(config)?;
        let states: BTreeMap<u32, &[u8]> = states.iter().map(|s| (s.group, s.state.as_slice())).collect();
        for group in groups {
            let detector = match states.get(&group.id) {
                Some(framed) => D::load(&watching.config, &group, framing::unwrap(framed)?)?,
                None => D::new(&watching.config, &group)?,
            };
            watching.groups.insert(group.id, OneGroup { group, detector });
        }
        match states.keys().find(|id| !watching.groups.contains_key(id)) {
            Some(id) => Err(Failure::malformed(format!("there is a state for group {id}, but no such group"))),
            None => Ok(watching),
        }
    }

    /// Groups begin to be watched, with history to learn from. A group that is watched already begins afresh.
    pub fn join(&mut self, groups: Vec<Group>, history: Vec<Frame>) -> Result<(), Failure> {
        let mut joining = BTreeMap::new();
        for group in groups {
            let detector = D::new(&self.config, &group)?;
            joining.insert(group.id, OneGroup { group, detector });
        }
        for frame in &history {
            check(&joining, frame)?;
        }
        for frame in &history {
            if let Some(watched) = joining.get_mut(&frame.group) {
                watched.detector.learn(&self.config, &watched.group, frame);
            }
        }
        self.groups.append(&mut joining);
        Ok(())
    }

    /// Groups are no longer watched; unknown ones are passed over.
    pub fn leave(&mut self, groups: &[u32]) {
        for id in groups {
            self.groups.remove(id);
        }
    }

    /// Takes new points. All frames are checked before the first is taken, so that a wrong batch changes nothing.
    pub fn observe(&mut self, batch: Vec<Frame>) -> Result<Observation, Failure> {
        for frame in &batch {
            check(&self.groups, frame)?;
        }
        let mut observation = Observation { scores: Vec::with_capacity(batch.len()), faults: Vec::new() };
        for frame in &batch {
            let Some(watched) = self.groups.get_mut(&frame.group) else { continue };
            let mut answer = Answer::new(frame.group);
            answer.faults = std::mem::take(&mut observation.faults);
            watched.detector.observe(&self.config, &watched.group, frame, &mut answer)?;
            answer.check(watched.group.members.len())?;
            let (scores, faults) = answer.into_parts();
            observation.faults = faults;
            if !scores.at.is_empty() {
                observation.scores.push(scores);
            }
        }
        Ok(observation)
    }

    /// The states of the given groups; of all when the list is empty.
    pub fn snapshot(&self, groups: &[u32]) -> Result<Vec<GroupState>, Failure> {
        let state = |(group, watched): (&u32, &OneGroup<D>)| GroupState {
            group: *group,
            state: framing::wrap(&watched.detector.save()),
        };
        if groups.is_empty() {
            return Ok(self.groups.iter().map(state).collect());
        }
        groups
            .iter()
            .map(|id| self.groups.get(id).map(|watched| state((id, watched))).ok_or_else(|| unknown(*id)))
            .collect()
    }
}

fn unknown(group: u32) -> Failure {
    Failure::malformed(format!("group {group} is not watched; it must join first"))
}

/// One value for each member and moment, and moments that do not go back.
fn check<D>(groups: &BTreeMap<u32, OneGroup<D>>, frame: &Frame) -> Result<(), Failure> {
    let members = groups.get(&frame.group).ok_or_else(|| unknown(frame.group))?.group.members.len();
    if members.checked_mul(frame.at.len()) != Some(frame.value.len()) {
        return Err(Failure::malformed(format!(
            "the frame of group {} has {} values for {} moments of {members} members",
            frame.group,
            frame.value.len(),
            frame.at.len()
        )));
    }
    if !frame.at.is_sorted() {
        return Err(Failure::malformed(format!("the moments of the frame of group {} go back in time", frame.group)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        about::Description,
        detector::{Fault, Member},
        types::{FailureCode, MetricType, Severity},
    };

    /// Scores each point by its distance to the last one seen, over the configured step; a value over 100 is a fault.
    struct Step {
        last: Option<f64>,
    }

    #[derive(serde::Deserialize)]
    #[serde(default)]
    struct Config {
        step: f64,
    }

    impl Default for Config {
        fn default() -> Self {
            Self { step: 1.0 }
        }
    }

    impl Detector for Step {
        type Config = Config;

        fn describe() -> Description {
            Description {
                name: "detector-step".into(),
                version: "1.0.0".into(),
                summary: "For the tests.".into(),
                config_schema: String::new(),
                interests: Vec::new(),
                capabilities: Vec::new(),
            }
        }

        fn new(_: &Config, group: &Group) -> Result<Self, Failure> {
            match group.members.as_slice() {
                [_] => Ok(Self { last: None }),
                _ => Err(Failure::unsupported("one member only")),
            }
        }

        fn learn(&mut self, _: &Config, _: &Group, frame: &Frame) {
            self.last = frame.column(0).last().copied().or(self.last);
        }

        fn observe(
            &mut self,
            config: &Config,
            group: &Group,
            frame: &Frame,
            answer: &mut Answer,
        ) -> Result<(), Failure> {
            for (at, value) in frame.points(0) {
                match self.last {
                    Some(last) => answer.push(at, (value - last).abs() / config.step, last, last),
                    None => answer.push_warming(at),
                }
                if value > 100.0 {
                    answer.faults.push(Fault {
                        group: group.id,
                        member: 0,
                        at,
                        code: "test.over".into(),
                        active: true,
                        severity: Severity::Warning,
                        title: "over 100".into(),
                        advice: "Nothing.".into(),
                        value,
                    });
                }
                self.last = Some(value);
            }
            Ok(())
        }

        fn save(&self) -> Vec<u8> {
            self.last.unwrap_or(f64::NAN).to_le_bytes().to_vec()
        }

        fn load(_: &Config, _: &Group, state: &[u8]) -> Result<Self, Failure> {
            let bytes = state.try_into().map_err(|_| Failure::unsupported("not 8 bytes"))?;
            Ok(Self { last: Some(f64::from_le_bytes(bytes)).filter(|last| !last.is_nan()) })
        }
    }

    fn group(id: u32) -> Group {
        let member = Member {
            name: "test.value".into(),
            unit: "1".into(),
            metric_type: MetricType::Gauge,
            entity: "host:a".into(),
            dimensions: Vec::new(),
            fault_rules: Vec::new(),
        };
        Group { id, members: vec![member] }
    }

    fn frame(group: u32, at: &[i64], value: &[f64]) -> Frame {
        Frame { group, at: at.to_vec(), value: value.to_vec() }
    }

    fn watching() -> Watched<Step> {
        let mut watching = Watched::open(r#"{"step": 2.0}"#).expect("a good configuration");
        watching.join(vec![group(1), group(2)], vec![frame(1, &[1, 2], &[3.0, 4.0])]).expect("good groups");
        watching
    }

    #[test]
    fn history_is_learnt_and_groups_are_kept_apart() {
        let mut watching = watching();
        let observation =
            watching.observe(vec![frame(2, &[10], &[7.0]), frame(1, &[10, 20], &[8.0, 8.0])]).expect("fine");
        assert_eq!(observation.scores.len(), 2);
        assert_eq!((observation.scores[0].group, observation.scores[0].warming), (2, 1));
        assert_eq!(observation.scores[1].score, [2.0, 0.0]);
        assert_eq!(observation.scores[1].warming, 0);
    }

    #[test]
    fn faults_of_all_frames_are_gathered() {
        let frames = vec![frame(1, &[10], &[101.0]), frame(2, &[10, 20], &[7.0, 102.0])];
        let observation = watching().observe(frames).expect("fine");
        assert_eq!(
            observation.faults.iter().map(|fault| (fault.group, fault.value)).collect::<Vec<_>>(),
            [(1, 101.0), (2, 102.0)]
        );
    }

    #[test]
    fn a_wrong_batch_changes_nothing() {
        let mut watching = watching();
        let before = watching.snapshot(&[]).expect("all groups");
        for wrong in [frame(9, &[10], &[1.0]), frame(2, &[10, 20], &[1.0]), frame(2, &[20, 10], &[1.0, 2.0])] {
            let failure = watching.observe(vec![frame(1, &[10], &[50.0]), wrong]).expect_err("a wrong frame");
            assert_eq!(failure.code, FailureCode::Malformed);
        }
        assert_eq!(watching.snapshot(&[]).expect("all groups"), before);
    }

    #[test]
    fn a_restored_watch_goes_on_where_it_left_off() {
        let mut watching = watching();
        let states = watching.snapshot(&[]).expect("all groups");
        let mut restored: Watched<Step> =
            Watched::restore(r#"{"step": 2.0}"#, vec![group(1), group(2), group(3)], states).expect("own states");
        let batch = || vec![frame(1, &[10, 20], &[5.0, 9.0]), frame(2, &[10], &[1.0])];
        assert_eq!(restored.observe(batch()).expect("fine"), watching.observe(batch()).expect("fine"));
        assert_eq!(restored.observe(vec![frame(3, &[10], &[1.0])]).expect("fine").scores[0].warming, 1);
    }

    #[test]
    fn states_that_do_not_fit_are_refused() {
        let state = |group, state: &[u8]| vec![GroupState { group, state: state.to_vec() }];
        let restore = |states: Vec<GroupState>| Watched::<Step>::restore("", vec![group(1)], states).map(|_| ());
        assert_eq!(restore(state(1, &[7, 0])).expect_err("another frame").code, FailureCode::Unsupported);
        assert_eq!(restore(state(1, &[1, 0])).expect_err("too short").code, FailureCode::Unsupported);
        assert_eq!(restore(state(4, &[1, 0])).expect_err("no such group").code, FailureCode::Malformed);
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let mut watching = watching();
        watching.leave(&[1, 77]);
        assert_eq!(watching.snapshot(&[]).expect("the rest").len(), 1);
        assert_eq!(watching.snapshot(&[1]).expect_err("gone").code, FailureCode::Malformed);
    }
}
