//! The detector as the host sees it: faults with their words, settings, snapshots.

use super::*;
use tandem_sdk::{
    detector::{Member, Watched},
    mapper::{Condition, Range},
    types::MetricType,
};

fn xid(code: u32) -> FaultRule {
    FaultRule {
        code: format!("gpu.xid.{code}"),
        condition: Condition::ChangedTo(Range { low: f64::from(code), high: f64::from(code) }),
        severity: Severity::Critical,
        title: format!("XID {code}"),
        advice: "Restart the node.".into(),
        resting: Some(0.0),
        rest_seconds: 0,
    }
}

fn group(rules: Vec<FaultRule>) -> Group {
    let member = Member {
        name: "gpu.xid".into(),
        unit: "1".into(),
        metric_type: MetricType::Gauge,
        entity: "gpu:0".into(),
        dimensions: vec![],
        fault_rules: rules,
    };
    Group { id: 7, members: vec![member] }
}

fn frame(from: i64, values: &[f64]) -> Frame {
    Frame { group: 7, at: (from..from + values.len() as i64).collect(), value: values.to_vec() }
}

fn told(watch: &mut Watched<FaultWatch>, frame: Frame) -> Vec<(i64, String, bool, Severity)> {
    let observation = watch.observe(vec![frame]).unwrap();
    assert!(observation.scores.is_empty(), "faults are certain: no scores");
    observation.faults.into_iter().map(|fault| (fault.at, fault.code, fault.active, fault.severity)).collect()
}

fn open(config: &str, rules: Vec<FaultRule>) -> Watched<FaultWatch> {
    let mut watch = Watched::open(config).unwrap();
    watch.join(vec![group(rules)], vec![]).unwrap();
    watch
}

#[test]
fn each_rule_of_a_series_tells_its_own_fault_in_order_of_time() {
    let mut watch = open("{}", vec![xid(48), xid(79)]);
    let told = told(&mut watch, frame(0, &[0.0, 79.0, 48.0, 0.0]));
    let told: Vec<_> = told.iter().map(|(at, code, active, _)| (*at, code.as_str(), *active)).collect();
    let expected =
        [(1, "gpu.xid.79", true), (2, "gpu.xid.48", true), (3, "gpu.xid.48", false), (3, "gpu.xid.79", false)];
    assert_eq!(told, expected);
}

#[test]
fn a_restored_watch_tells_nothing_twice_and_forgets_no_end() {
    let mut watch = open("{}", vec![xid(79)]);
    assert_eq!(told(&mut watch, frame(0, &[0.0, 79.0])).len(), 1);
    let states = watch.snapshot(&[]).unwrap();
    let mut restored = Watched::<FaultWatch>::restore("{}", vec![group(vec![xid(79)])], states).unwrap();
    assert_eq!(told(&mut restored, frame(2, &[79.0, 79.0])), []);
    assert_eq!(told(&mut restored, frame(4, &[0.0])).len(), 1);
}

#[test]
fn switching_a_code_off_ends_its_fault_and_switching_it_on_again_tells_it() {
    let mut watch = open("{}", vec![xid(79)]);
    told(&mut watch, frame(0, &[0.0, 79.0]));
    let off = r#"{"off": ["gpu.*"]}"#;
    let mut muted =
        Watched::<FaultWatch>::restore(off, vec![group(vec![xid(79)])], watch.snapshot(&[]).unwrap()).unwrap();
    assert_eq!(told(&mut muted, frame(2, &[79.0, 79.0])), [(2, "gpu.xid.79".into(), false, Severity::Critical)]);
    let mut on =
        Watched::<FaultWatch>::restore("{}", vec![group(vec![xid(79)])], muted.snapshot(&[]).unwrap()).unwrap();
    assert_eq!(told(&mut on, frame(4, &[79.0])), [(4, "gpu.xid.79".into(), true, Severity::Critical)]);
}

#[test]
fn a_rule_that_is_gone_ends_its_fault() {
    let mut watch = open("{}", vec![xid(79)]);
    told(&mut watch, frame(0, &[0.0, 79.0]));
    let states = watch.snapshot(&[]).unwrap();
    let mut other = Watched::<FaultWatch>::restore("{}", vec![group(vec![xid(48)])], states).unwrap();
    let states = other.snapshot(&[]).unwrap();
    assert_eq!(told(&mut other, frame(2, &[79.0, 79.0])), [(2, "gpu.xid.79".into(), false, Severity::Info)]);
    let mut later = Watched::<FaultWatch>::restore("{}", vec![group(vec![xid(48)])], states).unwrap();
    assert_eq!(told(&mut later, frame(2, &[79.0])).len(), 1, "the pending end is part of the state");
}

#[test]
fn a_severity_can_be_changed() {
    let mut watch = open(r#"{"severity": {"gpu.xid.*": "warning"}}"#, vec![xid(79)]);
    assert_eq!(told(&mut watch, frame(0, &[79.0])), [(0, "gpu.xid.79".into(), true, Severity::Warning)]);
}

#[test]
fn history_says_what_the_value_was_and_tells_nothing() {
    let mut rises = xid(1);
    rises.condition = Condition::Rises(60);
    let mut watch = Watched::<FaultWatch>::open("").unwrap();
    watch.join(vec![group(vec![rises])], vec![frame(0, &[5.0, 5.0])]).unwrap();
    assert_eq!(told(&mut watch, frame(2, &[5.0])), []);
    assert_eq!(told(&mut watch, frame(3, &[6.0])).len(), 1);
}

#[test]
fn a_state_that_is_not_understood_is_refused() {
    assert!(FaultWatch::load(&Config::default(), &group(vec![]), b"{").is_err());
    assert!(FaultWatch::load(&Config::default(), &group(vec![]), br#"{"version": 9, "rules": []}"#).is_err());
    assert_eq!(FaultWatch::describe().name, env!("CARGO_PKG_NAME"));
}
