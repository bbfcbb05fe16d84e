//! The index against a plain scan, over registrations and removals.

use super::*;
use proptest::prelude::*;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::Timestamp;

fn series(id: u64, (job, instance): (&str, &str), metric: &str, labels: &[(String, String)]) -> Series {
    Series {
        id: SeriesId(id),
        target: TargetKey { job: job.into(), instance: instance.into() },
        description: SeriesDescription {
            metric: metric.into(),
            metric_type: MetricType::Gauge,
            unit: String::new(),
            labels: labels.iter().cloned().collect(),
        },
    }
}

/// What queries see of a series, written down once more and plainly.
fn seen(series: &Series) -> Labels {
    let name = [(METRIC_NAME.to_owned(), series.description.metric.clone())];
    let own = series.description.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let target = [("job", &series.target.job), ("instance", &series.target.instance)];
    Labels::new(name.into_iter().chain(own).chain(target.map(|(name, value)| (name.to_owned(), value.clone()))))
}

fn never(_: SeriesId, _: TimeRange) -> bool {
    false
}

fn test() -> impl Strategy<Value = LabelTest> {
    let value = prop::sample::select(vec!["", "a", "b", "ab", "job", "1"]);
    let pattern = prop::sample::select(vec![
        ".*", ".+", "a|b", "a.*", "a?", "(a|b)1?", ".*b", "", "[ab]+", "|b", "x", "a.+|b", "ab|a.*",
    ]);
    let pattern = pattern.prop_map(|text| Pattern::anchored(Regex::new(&format!("^(?s:{text})$")).expect("a pattern")));
    prop_oneof![
        value.clone().prop_map(|value| LabelTest::Equal(value.into())),
        value.prop_map(|value| LabelTest::NotEqual(value.into())),
        pattern.clone().prop_map(LabelTest::Fits),
        pattern.prop_map(LabelTest::Misses),
    ]
}

fn matchers() -> impl Strategy<Value = Vec<LabelMatcher>> {
    let name = prop::sample::select(vec![METRIC_NAME, "job", "instance", "x", "y", "unknown"]);
    let matcher = (name, test()).prop_map(|(name, test)| LabelMatcher { name: name.into(), test });
    prop::collection::vec(matcher, 0..4)
}

#[derive(Debug, Clone)]
enum Step {
    Register { job: &'static str, metric: &'static str, labels: Vec<(String, String)> },
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop::sample::select(vec!["a", "b", "ab", "a1", "1", "b1"]);
    let name = prop::sample::select(vec!["x", "y", "job", "z"]);
    let label = (name, value.clone()).prop_map(|(name, value)| (name.to_owned(), value.to_owned()));
    let labels = prop::collection::vec(label, 0..4);
    let job = prop::sample::select(vec!["", "job", "a"]);
    prop_oneof![
        4 => (job, value, labels).prop_map(|(job, metric, labels)| Step::Register { job, metric, labels }),
        1 => (0usize..40).prop_map(Step::Remove),
    ]
}

fn check(index: &LabelIndex, model: &BTreeMap<u64, Series>, sets: &[Vec<LabelMatcher>]) -> Result<(), TestCaseError> {
    let fits = |series: &&Series| {
        let labels = seen(series);
        let fits = |matcher: &LabelMatcher| matcher.test.passes(labels.get(&matcher.name).unwrap_or_default());
        sets.is_empty() || sets.iter().any(|set| set.iter().all(fits))
    };
    let filter = LabelFilter { sets: sets.to_vec(), range: None };
    let expected: Vec<&Series> = model.values().filter(fits).collect();
    let ids: Vec<SeriesId> = expected.iter().map(|series| series.id).collect();
    prop_assert_eq!(index.select(&filter, &never), ids);
    let labels: Vec<Labels> = expected.iter().map(|series| seen(series)).collect();
    let names: BTreeSet<&str> = labels.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
    prop_assert_eq!(index.label_names(&filter, &never), names.into_iter().collect::<Vec<_>>());
    for name in [METRIC_NAME, "job", "x", "unknown"] {
        let values: BTreeSet<&str> = labels.iter().filter_map(|labels| labels.get(name)).collect();
        prop_assert_eq!(index.label_values(name, &filter, &never), values.into_iter().collect::<Vec<_>>());
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_index_finds_what_a_scan_finds(
        steps in prop::collection::vec(step(), 1..60),
        sets in prop::collection::vec(matchers(), 0..3),
    ) {
        let (mut index, mut model) = (LabelIndex::default(), BTreeMap::new());
        let texts = index.symbols.len();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Register { job, metric, labels } => {
                    let one = series(number as u64 + 1, (job, "i:1"), metric, &labels);
                    let known = model.values().find(|other: &&Series| {
                        other.target == one.target && other.description == one.description
                    });
                    prop_assert_eq!(index.find(&one.target, &one.description), known.map(|other| other.id));
                    if known.is_none() {
                        index.insert(&one);
                        model.insert(one.id.0, one);
                    }
                }
                Step::Remove(which) => {
                    if let Some(id) = model.keys().nth(which).copied() {
                        index.remove(SeriesId(id));
                        model.remove(&id);
                    }
                }
            }
            if number % 7 == 0 {
                check(&index, &model, &sets)?;
            }
        }
        check(&index, &model, &sets)?;
        for one in model.values() {
            prop_assert_eq!(index.labels_of(one.id), Some(seen(one)));
            prop_assert_eq!(index.find(&one.target, &one.description), Some(one.id));
            let of_target = index.of_target(&one.target);
            prop_assert_eq!(of_target.iter().filter(|other| other == &one).count(), 1);
        }
        for id in model.keys() {
            index.remove(SeriesId(*id));
        }
        prop_assert_eq!((index.len(), index.symbols.len(), index.names.len()), (0, texts, 0));
    }
}

#[test]
fn only_series_that_have_something_in_the_range_are_found() {
    let mut index = LabelIndex::default();
    for id in 1..=3 {
        index.insert(&series(id, ("job", "i"), &format!("m{id}"), &[]));
    }
    let window = crate::series::WINDOW_MILLIS;
    index.presence_mut(Kind::Floats).add(0, &[1].into_iter().collect());
    index.presence_mut(Kind::Histograms).add(window, &[2].into_iter().collect());
    let between = |start: i64, end: i64| {
        let filter = LabelFilter { sets: Vec::new(), range: Some((Timestamp(start), Timestamp(end))) };
        let found = index.select(&filter, &|id, _| id == SeriesId(3) && end >= 3 * window);
        found.into_iter().map(|id| id.0).collect::<Vec<_>>()
    };
    assert_eq!(between(0, 10), [1]);
    assert_eq!(between(window - 1, window), [1, 2]);
    assert_eq!(between(2 * window, i64::MAX), [3]);
    assert_eq!(between(i64::MIN, i64::MAX), [1, 2, 3]);
    assert_eq!(between(10, 0), [] as [u64; 0]);
}

#[test]
fn the_largest_are_told() {
    let mut index = LabelIndex::default();
    for id in 1..=5 {
        let labels = [("disk".to_owned(), format!("d{id}"))];
        index.insert(&series(id, ("job", "i"), if id < 4 { "many" } else { "few" }, &labels));
    }
    let told = index.statistics(2);
    let entry = |value, name: &str| TopEntry { value, name: name.into() };
    assert_eq!((told.series, told.label_pairs), (5, 2 + 5 + 1 + 1));
    assert_eq!(told.series_by_metric, [entry(3, "many"), entry(2, "few")]);
    assert_eq!(told.values_by_label, [entry(5, "disk"), entry(2, METRIC_NAME)]);
    assert_eq!(told.series_by_pair, [entry(5, "instance=i"), entry(5, "job=job")]);
    assert_eq!(told.series_by_target, [entry(5, "job/i")]);
}
