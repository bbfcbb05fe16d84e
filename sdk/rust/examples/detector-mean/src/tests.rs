//! The golden scores that the same detector gives in every language.

use super::*;
use serde_json::Value;
use tandem_sdk::{
    detector::{Member, Observation, Watched},
    types::MetricType,
};

/// What rounding may make different between a running and a whole computation.
const TOLERANCE: f64 = 1e-9;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../../fixtures/detector-mean.json")).unwrap()
}

fn group(id: u64) -> Group {
    let member = Member {
        name: "model.queue.depth".into(),
        unit: "{request}".into(),
        metric_type: MetricType::Gauge,
        entity: "service:chat".into(),
        dimensions: Vec::new(),
        fault_rules: Vec::new(),
    };
    Group { id: id as u32, members: vec![member] }
}

fn numbers(column: &Value) -> Vec<f64> {
    column.as_array().unwrap().iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

fn frames(batch: &Value) -> Vec<Frame> {
    let frame = |frame: &Value| Frame {
        group: frame["group"].as_u64().unwrap() as u32,
        at: frame["at"].as_array().unwrap().iter().map(|at| at.as_i64().unwrap()).collect(),
        value: numbers(&frame["value"]),
    };
    batch.as_array().unwrap().iter().map(frame).collect()
}

fn assert_fits(observed: &Observation, expected: &Value) {
    let expected = expected.as_array().unwrap();
    assert_eq!(observed.scores.len(), expected.len());
    for (scores, expected) in observed.scores.iter().zip(expected) {
        assert_eq!(u64::from(scores.group), expected["group"].as_u64().unwrap());
        assert_eq!(u64::from(scores.warming), expected["warming"].as_u64().unwrap());
        for (name, column) in [("score", &scores.score), ("low", &scores.low), ("high", &scores.high)] {
            let expected = numbers(&expected[name]);
            assert_eq!(column.len(), expected.len(), "{name}");
            for (got, wanted) in column.iter().zip(expected) {
                assert!(
                    (got.is_nan() && wanted.is_nan()) || (got - wanted).abs() < TOLERANCE,
                    "{name}: {got} {wanted}"
                );
            }
        }
    }
}

#[test]
fn scores_are_the_golden_ones_with_and_without_a_snapshot_between_batches() {
    let golden = golden();
    let groups = || -> Vec<Group> {
        golden["groups"].as_array().unwrap().iter().map(|id| group(id.as_u64().unwrap())).collect()
    };
    let mut living = Watched::<DetectorMean>::open("").unwrap();
    living.join(groups(), frames(&golden["history"])).unwrap();
    let mut states = living.snapshot(&[]).unwrap();
    let batches = golden["batches"].as_array().unwrap();
    for (batch, expected) in batches.iter().zip(golden["scores"].as_array().unwrap()) {
        assert_fits(&living.observe(frames(batch)).unwrap(), expected);
        let mut restored = Watched::<DetectorMean>::restore("{}", groups(), states).unwrap();
        assert_fits(&restored.observe(frames(batch)).unwrap(), expected);
        states = restored.snapshot(&[]).unwrap();
    }
}
