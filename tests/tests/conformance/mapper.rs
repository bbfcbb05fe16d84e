//! Mappers: pure, so the same series give the same meaning, in whatever order they are shown, and nonsense gives none.

use crate::{Numbers, assert_unbroken, loaded};
use tandem_domain::{
    meaning::Mapping,
    plugin::Interest,
    ports::{Collectors, Mappers},
    series::{Labels, MetricType, SeriesDescription},
    target::{TargetInfo, TargetKey},
};
use tandem_tests::sandbox::NOW;

fn target() -> TargetInfo {
    let labels = [("service", "chat"), ("powered_by", "rack7")];
    TargetInfo {
        key: TargetKey { job: "conformance".into(), instance: "10.0.0.7:9100".into() },
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

fn series(metric: &str, metric_type: MetricType, labels: &[(String, String)]) -> SeriesDescription {
    let labels: Labels = labels.iter().cloned().collect();
    SeriesDescription { metric: metric.into(), metric_type, unit: String::new(), labels }
}

/// Series that fit what a plugin asked for, with labels that exporters give, and some that no exporter would.
fn shown(interests: &[Interest], numbers: &mut Numbers) -> Vec<SeriesDescription> {
    let names = interests.iter().flat_map(|interest| &interest.selector.metrics);
    let values =
        ["", "0", "1", "nvme0n1", "eth0", "GPU-1", "rack7", "NaN", "/", "ä\u{202e}\u{0}", "18446744073709551616"];
    let keys = ["gpu", "UUID", "device", "instance", "mountpoint", "ups", "name", "model_name", "nodename", "id", "x"];
    let types = [MetricType::Gauge, MetricType::Counter, MetricType::Info, MetricType::Unknown, MetricType::Histogram];
    let mut shown = Vec::new();
    for name in names {
        for _ in 0..3 {
            let labels: Vec<(String, String)> = (0..numbers.next() % 6)
                .map(|_| {
                    let key = keys[(numbers.next() % keys.len() as u64) as usize];
                    (key.to_owned(), values[(numbers.next() % values.len() as u64) as usize].to_owned())
                })
                .collect();
            let metric = name.replace('*', ["", "a", "total"][(numbers.next() % 3) as usize]);
            shown.push(series(&metric, types[(numbers.next() % 5) as usize], &labels));
        }
    }
    shown.push(series("nobody_has_heard_of_this", MetricType::Gauge, &[]));
    shown.push(series("", MetricType::Unknown, &[(String::new(), "x".repeat(4_000))]));
    shown
}

/// What was said of each series, by the series and not by its place in the list.
fn by_series(mapping: &Mapping, shown: &[SeriesDescription]) -> Vec<String> {
    let mut said: Vec<String> = mapping
        .meanings
        .iter()
        .map(|meaning| {
            let entity = &mapping.topology.entities[meaning.entity as usize];
            format!("{:?} {:?} {:?}", shown[meaning.series as usize], entity.kind, meaning.body)
        })
        .collect();
    said.sort();
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_series_mean_the_same_in_any_order_and_nonsense_means_nothing() {
    let (runtime, _data) = loaded().await;
    let mut numbers = Numbers(0x7a6d_0001);
    for plugin in runtime.mappers() {
        assert!(!plugin.interests.is_empty(), "{} wishes to see nothing", plugin.name);
        assert!(runtime.interpret(&plugin.name, &target(), &[]).await.expect("nothing is fine").meanings.is_empty());
        for _ in 0..20 {
            let shown = shown(&plugin.interests, &mut numbers);
            let first = runtime.interpret(&plugin.name, &target(), &shown).await.expect("a mapping");
            let again = runtime.interpret(&plugin.name, &target(), &shown).await.expect("a mapping");
            assert_eq!(first, again, "{} varies", plugin.name);
            let reversed: Vec<_> = shown.iter().rev().cloned().collect();
            let other = runtime.interpret(&plugin.name, &target(), &reversed).await.expect("a mapping");
            assert_eq!(by_series(&first, &shown).len(), by_series(&other, &reversed).len(), "{}: order", plugin.name);
            let strange = shown.len() - 2;
            let strange = first.meanings.iter().find(|meaning| meaning.series as usize >= strange);
            assert_eq!(strange, None, "{} gives a meaning to what it cannot know", plugin.name);
        }
    }
    assert_unbroken(&runtime);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_answer_is_a_failure_with_a_reason() {
    let (runtime, _data) = loaded().await;
    for plugin in runtime.collectors() {
        for target in ["http://127.0.0.1:9/", "no address at all", "http://[::1"] {
            if let Err(failure) = runtime.collect(&plugin.name, target, NOW, &[], None).await {
                assert!(failure.message.contains(&plugin.name), "{failure}");
                assert!(!failure.message.contains("gave no reason"), "{failure}");
            }
        }
        // A cursor that another version wrote.
        let _ = runtime.collect(&plugin.name, "", NOW, b"\xff\x00no cursor", None).await;
    }
    assert_unbroken(&runtime);
}
