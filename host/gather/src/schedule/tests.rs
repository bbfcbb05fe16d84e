//! The schedule over a real store, with prepared collections.

use super::*;
use crate::testing::{Answers, Counting, page, ports, ports_over, values};
use parking_lot::Mutex;
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    ports::{BoxFuture, Collection, LivePlugin, Payload},
    series::{MetricType, Points, SeriesDescription},
    target::CollectCursor,
};
use tandem_store::{SeriesLimits, StoreOptions, testing::LossyDisk};

#[tokio::test]
async fn a_collectors_cursor_is_kept_with_what_it_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = ports(folder.path(), vec![page("")]);
    let mut assignment = collect_assignment(&CollectConfig::this_machine("collector-test"));
    let mut known = Known::default();
    for _ in 0..3 {
        assignment.status = visit(&ports, &assignment, &mut known).await.expect("written");
    }
    assert_eq!(values(&ports.store, "visits"), [1.0, 2.0, 3.0]);
    let cursor = ports.store.read().expect("reads").get::<CollectCursor>(&("collector-test".into(), "local".into()));
    assert_eq!(cursor.expect("reads").expect("there").cursor, [3]);
}

/// A collector whose answers are prepared: the series it brings, and the length of its cursor in bytes.
struct Prepared(Mutex<Vec<(&'static [&'static str], usize)>>, Mutex<Vec<Option<Duration>>>);

impl Collectors for Prepared {
    fn collectors(&self) -> Vec<LivePlugin> {
        Counting.collectors()
    }
    fn collect<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        now: Timestamp,
        _: &'a [u8],
        timeout: Option<Duration>,
    ) -> BoxFuture<'a, Result<Collection, Failure>> {
        self.1.lock().push(timeout);
        let (names, cursor_bytes) = self.0.lock().remove(0);
        let one = |name: &&str| {
            let description = SeriesDescription {
                metric: (*name).to_owned(),
                metric_type: MetricType::Gauge,
                unit: String::new(),
                labels: Labels::default(),
            };
            (description, Points { at: vec![now], value: vec![1.0] })
        };
        let series = names.iter().map(one).collect();
        let cursor = vec![0; cursor_bytes];
        Box::pin(async move { Ok(Collection { series, cursor, ..Collection::default() }) })
    }
    fn receive<'a>(&'a self, _: &'a str, _: Payload, _: Timestamp) -> BoxFuture<'a, Result<Collection, Failure>> {
        Box::pin(async { Err(Failure::lasting(FailureCode::Malformed, "no payload of mine")) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_ended_while_nothing_could_be_written_is_ended_afterwards() {
    let disk = LossyDisk::default();
    let backend = disk.clone();
    let store = Store::open_with_backend(move || Box::new(backend.clone()), StoreOptions::default()).expect("opens");
    let answers = vec![(["a", "b"].as_slice(), 1), (["a"].as_slice(), 8 << 20), (["a"].as_slice(), 1)];
    let collectors = Arc::new(Prepared(Mutex::new(answers), Mutex::default()));
    let ports = GatherPorts { collectors, ..ports_over(store, Arc::new(Answers(Mutex::new(vec![page("")])))) };
    let assignment = collect_assignment(&CollectConfig::this_machine("collector-test"));
    let mut known = Known::default();
    visit(&ports, &assignment, &mut known).await.expect("written");
    disk.limit_bytes(Some(disk.len_bytes()));
    assert!(visit(&ports, &assignment, &mut known).await.is_none(), "the disk is full");
    disk.limit_bytes(None);
    visit(&ports, &assignment, &mut known).await.expect("written");
    let b = values(&ports.store, "b");
    assert!(b.len() == 2 && b[0] == 1.0 && b[1].is_nan(), "{b:?}");
    assert_eq!(values(&ports.store, "a"), [1.0, 1.0]);
}

#[tokio::test]
async fn new_series_beyond_the_stores_limits_are_refused_and_the_rest_of_a_collection_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    // Three of them are told of each collection, and are held to no limit.
    let series = SeriesLimits { total: 5, ..SeriesLimits::default() };
    let store = Store::open(folder.path(), StoreOptions { series, ..StoreOptions::default() }).expect("opens");
    let answers = vec![(["a", "b"].as_slice(), 1), (["a", "b", "c", "d"].as_slice(), 1), (["a"].as_slice(), 1)];
    let collectors = Arc::new(Prepared(Mutex::new(answers), Mutex::default()));
    let ports = GatherPorts { collectors, ..ports_over(store, Arc::new(Answers(Mutex::new(vec![page("")])))) };
    let (assignment, mut known) =
        (collect_assignment(&CollectConfig::this_machine("collector-test")), Known::default());
    let mut rejected = Vec::new();
    for _ in 0..3 {
        let status = visit(&ports, &assignment, &mut known).await.expect("written");
        let kept = ports.store.read().expect("reads").scan::<TargetStatus>(.., 10).expect("reads");
        assert_eq!(kept, std::slice::from_ref(&status), "what is told is what is kept");
        rejected.push((status.last_samples, status.last_rejected, status.rejection));
    }
    let told = rejected[1].2.take().expect("told");
    assert!(told.contains("2 samples are of new series that are refused, the first: c"), "{told}");
    assert_eq!(rejected, [(2, 0, None), (2, 2, None), (1, 0, None)]);
    assert_eq!((values(&ports.store, "b").len(), values(&ports.store, "up").len()), (3, 3), "and its end");
    assert_eq!(ports.metrics.refused_series().get("too_many_series"), Some(&2));
}

#[tokio::test]
async fn the_time_for_a_collection_is_the_operators_to_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let collectors = Arc::new(Prepared(Mutex::new(vec![(&[], 0), (&[], 0)]), Mutex::default()));
    let ports = GatherPorts { collectors: collectors.clone(), ..ports(folder.path(), vec![page("")]) };
    for text in [r#"{"plugin": "collector-test", "timeout": "2m"}"#, r#"{"plugin": "collector-test"}"#] {
        let assignment = collect_assignment(&serde_json::from_str(text).expect("a config"));
        visit(&ports, &assignment, &mut Known::default()).await.expect("written");
    }
    assert_eq!(*collectors.1.lock(), [Some(Duration::from_secs(120)), None]);
}

#[tokio::test]
async fn a_refused_push_is_a_state_of_the_plugins_push_target() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = ports(folder.path(), vec![page("")]);
    let collectors = Arc::new(Prepared(Mutex::default(), Mutex::default()));
    let receiver = crate::Receiver::new(ports.store.clone(), collectors, ports.clock.clone(), ports.metrics.clone());
    let payload = Payload { path: "/hooks/collector-test".into(), headers: Vec::new(), body: Vec::new() };
    for _ in 0..2 {
        let refused = receiver.receive("collector-test", payload.clone()).await.expect_err("refused");
        assert_eq!(refused.message, "no payload of mine");
    }
    receiver.receive("collector-nobody", payload).await.expect_err("there is none");
    let kept = ports.store.read().expect("reads").scan::<TargetStatus>(.., 10).expect("reads");
    assert_eq!(kept.len(), 1, "a plugin that is not there has no target");
    assert_eq!((kept[0].door, kept[0].info.key.instance.as_str()), (Door::Push, "push"));
    assert_eq!((kept[0].failures_in_a_row, kept[0].last_success_at), (2, None));
    assert_eq!(kept[0].failure.as_ref().expect("why").message, "no payload of mine");
}

#[test]
fn a_collection_that_is_given_twice_is_made_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = CollectConfig::this_machine("collector-test");
    let gather = Gather::new(ports(folder.path(), vec![page("")]), &[], &[here.clone(), here]);
    assert_eq!(gather.collections.len(), 1);
}
