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
use tandem_store::StoreOptions;

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
    GatherPorts {
        store: Store::open(folder, StoreOptions::default()).expect("opens"),
        http: Arc::new(Answers(Mutex::new(answers))),
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
