//! The schedule over a real store, with prepared answers.

use super::*;
use parking_lot::Mutex;
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    http::{HttpRequest, HttpResponse},
    ports::{BoxFuture, Collection, LivePlugin, Payload},
    series::{MetricType, Points, Series, SeriesDescription},
    target::CollectCursor,
};
use tandem_store::{StoreOptions, testing::LossyDisk};

struct Answers(Mutex<Vec<Result<HttpResponse, Failure>>>);

impl HttpClient for Answers {
    fn send<'a>(&'a self, _: &'a HttpGrant, _: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        let mut answers = self.0.lock();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { answer })
    }
}

struct Counting;

impl Collectors for Counting {
    fn collectors(&self) -> Vec<LivePlugin> {
        vec![LivePlugin {
            name: "collector-test".into(),
            digest: "d".into(),
            version: "1.0.0".into(),
            interests: Vec::new(),
        }]
    }
    fn collect<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        now: Timestamp,
        cursor: &'a [u8],
        _: Option<Duration>,
    ) -> BoxFuture<'a, Result<Collection, Failure>> {
        let count = cursor.first().copied().unwrap_or(0) + 1;
        let description = SeriesDescription {
            metric: "visits".into(),
            metric_type: MetricType::Counter,
            unit: String::new(),
            labels: Labels::default(),
        };
        let points = Points { at: vec![now], value: vec![f64::from(count)] };
        Box::pin(async move {
            Ok(Collection { series: vec![(description, points)], cursor: vec![count], ..Collection::default() })
        })
    }
    fn receive<'a>(&'a self, _: &'a str, _: Payload, _: Timestamp) -> BoxFuture<'a, Result<Collection, Failure>> {
        Box::pin(async { Err(Failure::lasting(FailureCode::Unsupported, "no")) })
    }
}

struct FixedClock(Mutex<i64>);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        let mut now = self.0.lock();
        *now += 1000;
        Timestamp(*now)
    }
}

fn ports(folder: &std::path::Path, answers: Vec<Result<HttpResponse, Failure>>) -> GatherPorts {
    let store = Store::open(folder, StoreOptions::default()).expect("opens");
    ports_over(store, Arc::new(Answers(Mutex::new(answers))))
}

fn ports_over(store: Store, http: Arc<dyn HttpClient>) -> GatherPorts {
    GatherPorts {
        store,
        http,
        collectors: Arc::new(Counting),
        clock: Arc::new(FixedClock(Mutex::new(0))),
        metrics: Arc::new(GatherMetrics::default()),
    }
}

fn page(text: &str) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse { status: 200, headers: Vec::new(), body: text.into() })
}

fn values(store: &Store, metric: &str) -> Vec<f64> {
    let read = store.read().expect("reads");
    let all = read.scan::<Series>(.., 100).expect("reads");
    let series = all.iter().find(|series| series.description.metric == metric).expect("registered");
    read.points(series.id, Timestamp::MIN, Timestamp::MAX).expect("points").value
}

#[tokio::test]
async fn a_target_that_fails_is_a_state_and_its_series_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let down = Err(Failure::passing(FailureCode::Unreachable, "nobody there"));
    let ports = ports(folder.path(), vec![page("a 1\nb 2\n"), page("a 3\n"), down]);
    let config: ScrapeConfig =
        serde_json::from_value(serde_json::json!({"job": "j", "targets": ["h:1"]})).expect("a config");
    let assignment = scrape_assignment(&config, "h:1");
    let (mut status, mut known) = (assignment.status, Known::default());
    for _ in 0..3 {
        status = visit(&ports, &assignment.errand, &status, &mut known).await.expect("written");
    }
    assert_eq!(values(&ports.store, "up"), [1.0, 1.0, 0.0]);
    let a = values(&ports.store, "a");
    assert!(a[..2] == [1.0, 3.0] && a[2].is_nan(), "{a:?}");
    let b = values(&ports.store, "b");
    assert!(b[0] == 2.0 && b[1].is_nan() && b.len() == 2, "a series that is gone is ended once: {b:?}");
    let kept = ports
        .store
        .read()
        .expect("reads")
        .get::<TargetStatus>(&("j".into(), "h:1".into()))
        .expect("reads")
        .expect("there");
    assert_eq!(kept.failures_in_a_row, 1);
    assert_eq!(kept.failure.expect("failed").message, "nobody there");
    assert_eq!(kept.last_samples, 1);
}

#[tokio::test]
async fn a_page_over_its_limit_and_a_page_that_is_none_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = ports(folder.path(), vec![page("a 1\nb 2\n"), page("<html>")]);
    let config: ScrapeConfig =
        serde_json::from_value(serde_json::json!({"job": "j", "targets": ["h:1"], "sample_limit": 1}))
            .expect("a config");
    let assignment = scrape_assignment(&config, "h:1");
    let status = visit(&ports, &assignment.errand, &assignment.status, &mut Known::default()).await.expect("written");
    assert!(status.failure.expect("refused").message.contains("sample_limit is 1"));
    let status = visit(&ports, &assignment.errand, &assignment.status, &mut Known::default()).await.expect("written");
    assert!(status.failure.expect("refused").message.contains("not a metrics page"));
}

#[tokio::test]
async fn a_collectors_cursor_is_kept_with_what_it_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = ports(folder.path(), vec![page("")]);
    let assignment = collect_assignment(&CollectConfig::this_machine("collector-test"));
    let (mut status, mut known) = (assignment.status, Known::default());
    for _ in 0..3 {
        status = visit(&ports, &assignment.errand, &status, &mut known).await.expect("written");
    }
    assert_eq!(values(&ports.store, "visits"), [1.0, 2.0, 3.0]);
    let cursor = ports.store.read().expect("reads").get::<CollectCursor>(&("collector-test".into(), "local".into()));
    assert_eq!(cursor.expect("reads").expect("there").cursor, [3]);
}

#[test]
fn offsets_are_spread_and_stay_the_same() {
    let key = |n: u32| TargetKey { job: "node".into(), instance: format!("h{n}:9100") };
    let interval = Duration::from_secs(15);
    let offsets: Vec<Duration> = (0..1000).map(|n| offset(&key(n), interval)).collect();
    assert!(offsets.iter().all(|offset| *offset < interval));
    let early = offsets.iter().filter(|offset| offset.as_secs() < 5).count();
    assert!((200..470).contains(&early), "{early} of 1000 in the first third");
    assert_eq!(offset(&key(1), interval), offset(&key(1), interval));
}

fn scraping(config: serde_json::Value) -> Assignment {
    let config: ScrapeConfig = serde_json::from_value(config).expect("a config");
    let target = config.targets[0].clone();
    scrape_assignment(&config, &target)
}

#[tokio::test]
async fn what_is_rejected_is_told_in_the_targets_state_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "good 1\ntomorrow 1 86400000\nlate 1 500\nwide{a=\"1\",b=\"2\"} 1\nno sample\n";
    let ports = ports(folder.path(), vec![page(text), page("good 1\n")]);
    let assignment = scraping(serde_json::json!({"job": "j", "targets": ["h:1"], "label_limit": 1}));
    let mut known = Known::default();
    let status = visit(&ports, &assignment.errand, &assignment.status, &mut known).await.expect("written");
    assert_eq!((status.last_samples, status.last_rejected, status.failure.clone()), (2, 3, None));
    let told = status.rejection.clone().expect("told");
    for part in ["1 lines are not samples", "tomorrow by 86399 s", "wide has 2 labels, and 1 are taken"] {
        assert!(told.contains(part), "{told}");
    }
    let read = ports.store.read().expect("reads");
    let late = read.scan::<Series>(.., 100).expect("reads").into_iter().find(|one| one.description.metric == "late");
    let points = read.points(late.expect("kept").id, Timestamp::MIN, Timestamp::MAX).expect("points");
    assert_eq!(points.at, [Timestamp(500)], "at its own time, not at that of the visit");
    let counted = |name: &str| ports.metrics.read().iter().find(|(known, ..)| *known == name).expect("a counter").2;
    assert_eq!(counted("tandem_gather_samples_too_new_total"), 1);
    assert_eq!(counted("tandem_gather_samples_beyond_label_limits_total"), 1);
    assert_eq!(counted("tandem_gather_rejected_lines_total"), 1);
    let status = visit(&ports, &assignment.errand, &status, &mut known).await.expect("written");
    assert_eq!((status.last_rejected, status.rejection), (0, None));
}

#[tokio::test]
async fn honored_labels_say_whose_a_series_is_and_others_are_labels() {
    let text = "a{job=\"db\",instance=\"d:1\",x=\"1\"} 1\nb 2\nc{job=\"j\",instance=\"h:1\"} 3\n";
    for honor_labels in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let ports = ports(folder.path(), vec![page(text), page("b 2\n")]);
        let assignment = scraping(serde_json::json!({"job": "j", "targets": ["h:1"], "honor_labels": honor_labels}));
        let mut known = Known::default();
        let status = visit(&ports, &assignment.errand, &assignment.status, &mut known).await.expect("written");
        let read = ports.store.read().expect("reads");
        let series = read.scan::<Series>(.., 100).expect("reads");
        let of = |metric: &str| series.iter().find(|one| one.description.metric == metric).expect("registered").clone();
        let (a, c) = (of("a"), of("c"));
        let visited = TargetKey { job: "j".into(), instance: "h:1".into() };
        assert_eq!((&of("b").target, &c.target), (&visited, &visited));
        let names = |one: &Series| one.description.labels.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        if honor_labels {
            assert_eq!(a.target, TargetKey { job: "db".into(), instance: "d:1".into() });
            assert_eq!((names(&a), names(&c)), (vec!["x".to_owned()], vec![]));
        } else {
            assert_eq!(a.target, visited);
            assert_eq!(names(&a), ["instance", "job", "x"]);
        }
        drop(read);
        visit(&ports, &assignment.errand, &status, &mut known).await.expect("written");
        assert!(values(&ports.store, "a")[1].is_nan(), "it ends when the page no longer has it, whosever it is");
    }
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
    let (status, mut known) = (assignment.status, Known::default());
    visit(&ports, &assignment.errand, &status, &mut known).await.expect("written");
    disk.limit_bytes(Some(disk.len_bytes()));
    assert!(visit(&ports, &assignment.errand, &status, &mut known).await.is_none(), "the disk is full");
    disk.limit_bytes(None);
    visit(&ports, &assignment.errand, &status, &mut known).await.expect("written");
    let b = values(&ports.store, "b");
    assert!(b.len() == 2 && b[0] == 1.0 && b[1].is_nan(), "{b:?}");
    assert_eq!(values(&ports.store, "a"), [1.0, 1.0]);
}

#[tokio::test]
async fn the_time_for_a_collection_is_the_operators_to_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let collectors = Arc::new(Prepared(Mutex::new(vec![(&[], 0), (&[], 0)]), Mutex::default()));
    let ports = GatherPorts { collectors: collectors.clone(), ..ports(folder.path(), vec![page("")]) };
    for text in [r#"{"plugin": "collector-test", "timeout": "2m"}"#, r#"{"plugin": "collector-test"}"#] {
        let assignment = collect_assignment(&serde_json::from_str(text).expect("a config"));
        visit(&ports, &assignment.errand, &assignment.status, &mut Known::default()).await.expect("written");
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

/// Targets whose name begins with `slow` never answer; the others at once.
#[derive(Default)]
struct Uneven {
    asked_slow: std::sync::atomic::AtomicUsize,
    answered: tokio::sync::Notify,
}

impl HttpClient for Uneven {
    fn send<'a>(&'a self, _: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        Box::pin(async move {
            if request.url.contains("//slow") {
                self.asked_slow.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                std::future::pending::<()>().await;
            }
            self.answered.notify_one();
            page("a 1\n")
        })
    }
}

/// For what would never come: long enough for any machine, and not asserted on.
const GUARD: Duration = Duration::from_secs(60);

#[tokio::test]
async fn slow_targets_keep_no_other_waiting_and_shutdown_cuts_them_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let uneven = Arc::new(Uneven::default());
    let ports = ports_over(store, uneven.clone());
    let mut targets: Vec<String> = (0..200).map(|number| format!("slow{number}:1")).collect();
    targets.push("quick:1".into());
    let config = serde_json::json!({"job": "j", "targets": targets, "interval": "200ms"});
    let config: ScrapeConfig = serde_json::from_value(config).expect("a config");
    let gather = Gather::new(ports, &[config], &[]);
    let stop = watch::Sender::new(false);
    let running = tokio::spawn(gather.run(stop.subscribe()));
    for _ in 0..3 {
        tokio::time::timeout(GUARD, uneven.answered.notified()).await.expect("the quick target is visited again");
    }
    assert_eq!(uneven.asked_slow.load(std::sync::atomic::Ordering::Relaxed), 200, "each once: none is visited twice");
    stop.send_replace(true);
    tokio::time::timeout(GUARD, running).await.expect("it ends with visits under way").expect("without a fault");
}

#[test]
fn targets_that_were_slow_wait_among_slow_ones() {
    let lanes = Lanes::new();
    let mut status = scraping(serde_json::json!({"job": "j", "targets": ["h:1"]})).status;
    assert!(std::ptr::eq(lanes.of(&status), &raw const lanes.quick));
    status.last_duration_millis = SLOW_VISIT_MILLIS + 1;
    assert!(std::ptr::eq(lanes.of(&status), &raw const lanes.slow));
}

#[test]
fn a_target_that_is_given_twice_is_visited_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let config: ScrapeConfig =
        serde_json::from_value(serde_json::json!({"job": "j", "targets": ["h:1", "h:2", "h:1"]})).expect("a config");
    let gather = Gather::new(ports(folder.path(), vec![page("")]), &[config.clone(), config], &[]);
    let planned: Vec<&str> = gather.assignments.iter().map(|one| one.status.info.key.instance.as_str()).collect();
    assert_eq!(planned, ["h:1", "h:2"]);
}

#[test]
fn visits_that_were_left_out_are_counted() {
    let interval = Duration::from_secs(15);
    assert_eq!(left_out(interval, interval), 0);
    assert_eq!(left_out(4 * interval, interval), 3);
    assert_eq!(left_out(Duration::ZERO, interval), 0);
}
