//! Tells faults that are certain: evaluates the rules that mappers gave to series. No statistics. See `README.md`.

mod config;
mod rules;

use config::Config;
use rules::RuleState;
use tandem_sdk::{
    about::{Description, Interest, Scope, Selector},
    detector::{Answer, Detector, Fault, Frame, Group},
    mapper::FaultRule,
    types::{Failure, Severity, Timestamp},
};

/// The version of the state's JSON; another one is refused.
const STATE_VERSION: u32 = 1;

/// One group: the rules of its series, member after member.
#[derive(Debug, Default)]
pub struct FaultWatch {
    rules: Vec<WatchedRule>,
    /// Faults that were told of rules which the mapper no longer gives; their end is told with the next point.
    left_over: Vec<Kept>,
}

#[derive(Debug)]
struct WatchedRule {
    member: usize,
    rule: FaultRule,
    state: RuleState,
}

/// A rule's state on its way through a snapshot.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Kept {
    member: usize,
    code: String,
    /// The bits of the last value, so that nothing is lost in the text.
    seen: Option<u64>,
    active: bool,
    reported: bool,
    last_event_ms: i64,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Snapshot {
    version: u32,
    rules: Vec<Kept>,
}

impl FaultWatch {
    fn fresh(group: &Group) -> Self {
        let rules = group.members.iter().enumerate().flat_map(|(member, described)| {
            described.fault_rules.iter().map(move |rule| WatchedRule {
                member,
                rule: rule.clone(),
                state: RuleState::default(),
            })
        });
        Self { rules: rules.collect(), left_over: Vec::new() }
    }

    fn end_left_over(&mut self, group: u32, at: Timestamp, answer: &mut Answer) {
        answer.faults.extend(self.left_over.drain(..).map(|kept| Fault {
            group,
            member: kept.member as u32,
            at,
            severity: Severity::Info,
            title: format!("{} is no longer watched", kept.code),
            advice: String::new(),
            code: kept.code,
            active: false,
            value: kept.seen.map_or(f64::NAN, f64::from_bits),
        }));
    }
}

impl Detector for FaultWatch {
    type Config = Config;

    fn describe() -> Description {
        let with_rules = Selector { metrics: vec![], entity_kinds: vec![], labels: vec![], with_fault_rules: true };
        Description {
            name: "detector-fault".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Tells faults by the rules that mappers gave to series, such as an XID, a failed disk or a UPS on \
                      battery."
                    .into(),
            config_schema: config::SCHEMA.into(),
            interests: vec![Interest { selector: with_rules, scope: Scope::Series, history_seconds: 0 }],
            capabilities: vec![],
        }
    }

    fn new(_: &Config, group: &Group) -> Result<Self, Failure> {
        Ok(Self::fresh(group))
    }

    fn learn(&mut self, _: &Config, _: &Group, frame: &Frame) {
        for watched in &mut self.rules {
            for (at, value) in frame.points(watched.member) {
                watched.state.step(&watched.rule, at, value);
            }
            watched.state.settle_after_history(&watched.rule);
        }
    }

    fn observe(&mut self, config: &Config, group: &Group, frame: &Frame, answer: &mut Answer) -> Result<(), Failure> {
        let own = answer.faults.len();
        if let Some(first) = frame.at.first() {
            self.end_left_over(group.id, *first, answer);
        }
        for WatchedRule { member, rule, state } in &mut self.rules {
            let off = config.is_off(&rule.code);
            for (at, value) in frame.points(*member) {
                state.step(rule, at, value);
                let Some(active) = state.report(off) else { continue };
                answer.faults.push(Fault {
                    group: group.id,
                    member: *member as u32,
                    at,
                    code: rule.code.clone(),
                    active,
                    severity: config.severity_of(&rule.code, rule.severity),
                    title: rule.title.clone(),
                    advice: rule.advice.clone(),
                    value,
                });
            }
        }
        answer.faults[own..].sort_by_key(|fault| fault.at);
        Ok(())
    }

    fn save(&self) -> Vec<u8> {
        let kept = self.rules.iter().map(|watched| Kept {
            member: watched.member,
            code: watched.rule.code.clone(),
            seen: watched.state.seen.map(f64::to_bits),
            active: watched.state.active,
            reported: watched.state.reported,
            last_event_ms: watched.state.last_event_ms,
        });
        let snapshot = Snapshot { version: STATE_VERSION, rules: kept.chain(self.left_over.iter().cloned()).collect() };
        serde_json::to_vec(&snapshot).expect("strings and numbers are always written")
    }

    fn load(_: &Config, group: &Group, state: &[u8]) -> Result<Self, Failure> {
        let refused =
            |why: String| Failure::unsupported(format!("the state of group {} {why}; open it afresh", group.id));
        let snapshot: Snapshot =
            serde_json::from_slice(state).map_err(|error| refused(format!("is broken: {error}")))?;
        if snapshot.version != STATE_VERSION {
            return Err(refused(format!("is of version {}", snapshot.version)));
        }
        let mut watch = Self::fresh(group);
        for kept in snapshot.rules {
            let fits = |watched: &&mut WatchedRule| watched.member == kept.member && watched.rule.code == kept.code;
            match watch.rules.iter_mut().find(fits) {
                Some(watched) => {
                    watched.state = RuleState {
                        seen: kept.seen.map(f64::from_bits),
                        active: kept.active,
                        reported: kept.reported,
                        last_event_ms: kept.last_event_ms,
                    }
                }
                None if kept.reported => watch.left_over.push(kept),
                None => {}
            }
        }
        Ok(watch)
    }
}

tandem_sdk::detector!(FaultWatch);

#[cfg(test)]
mod tests;
