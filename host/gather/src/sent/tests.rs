//! Bodies of real senders into a store.

use super::*;
use std::path::PathBuf;
use tandem_domain::{
    Timestamp,
    histogram::{Buckets, NativeHistogram, ResetHint, Span},
    metadata::MetricMetadata,
    series::{MetricType, Points, Series},
    target::{Door, TargetStatus},
};
use tandem_store::StoreOptions;
use tandem_wire::{
    otlp::Encoding,
    remote_write::{OutgoingSeries, Protocol, STALE_NAN, encode},
};

struct Fixed(i64);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(self.0)
    }
}

struct Scene {
    receiver: SentReceiver,
    store: Store,
    _folder: tempfile::TempDir,
}

fn scene(now: i64) -> Scene {
    scene_of(now, StoreOptions::default())
}

fn scene_of(now: i64, options: StoreOptions) -> Scene {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), options).expect("a store");
    let receiver = SentReceiver::new(store.clone(), Arc::new(Fixed(now)), Arc::default());
    Scene { receiver, store, _folder: folder }
}

impl Scene {
    fn series(&self) -> Vec<Series> {
        self.store.read().expect("a snapshot").scan::<Series>(.., usize::MAX).expect("read")
    }

    fn points(&self, metric: &str) -> Points {
        let id = self.series().into_iter().find(|series| series.description.metric == metric).expect("it is there").id;
        self.store.read().expect("a snapshot").points(id, Timestamp::MIN, Timestamp::MAX).expect("read")
    }
}

const NOW: i64 = 1_790_000_000_000;

fn outgoing<'a>(labels: &[(&'a str, &'a str)], at: &[Timestamp], value: &[f64]) -> OutgoingSeries<'a> {
    let samples = at.iter().copied().zip(value.iter().copied()).collect();
    OutgoingSeries { labels: labels.to_vec(), samples, histograms: Vec::new(), exemplars: Vec::new(), metadata: None }
}

async fn write(scene: &Scene, protocol: Protocol, series: &[OutgoingSeries<'_>]) -> RemoteWritten {
    let body = encode(protocol, series).expect("it can be written");
    let content_type = protocol.headers()[0].1;
    scene.receiver.remote_write(Some(content_type), Some("snappy"), &body).await.expect("taken")
}

#[tokio::test]
async fn a_series_is_its_target_s_and_one_whichever_version_and_order_it_comes_in() {
    let scene = scene(NOW);
    let sorted = [("__name__", "load"), ("cpu", "0"), ("instance", "a:1"), ("job", "node")];
    let shuffled = [("cpu", "0"), ("job", "node"), ("__name__", "load"), ("instance", "a:1")];
    let up = [("__name__", "up"), ("instance", "a:1"), ("job", "node"), ("rack", "7")];
    let (first, second) = ([Timestamp(NOW - 30_000), Timestamp(NOW - 15_000)], [Timestamp(NOW)]);
    let end = [Timestamp(NOW + 15_000)];
    let stale = [f64::from_bits(STALE_NAN)];
    let done =
        write(&scene, Protocol::V1, &[outgoing(&sorted, &first, &[1.0, 2.0]), outgoing(&up, &second, &[1.0])]).await;
    assert_eq!((done.written.samples, done.rejections.total()), (3, 0));
    write(&scene, Protocol::V2, &[outgoing(&shuffled, &second, &[3.0])]).await;
    write(&scene, Protocol::V1, &[outgoing(&sorted, &end, &stale)]).await;
    let points = scene.points("load");
    assert_eq!(points.at.iter().map(|at| at.0 - NOW).collect::<Vec<_>>(), [-30_000, -15_000, 0, 15_000]);
    assert_eq!(points.value[..3], [1.0, 2.0, 3.0]);
    assert_eq!(points.value[3].to_bits(), STALE_NAN, "the end of a series keeps its bits");
    let kept = scene.series();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|series| series.target.job == "node" && series.target.instance == "a:1"));
    assert_eq!(kept[0].description.labels.iter().collect::<Vec<_>>(), [("cpu", "0")]);
    let status = scene.store.read().expect("a snapshot").get::<TargetStatus>(&("node".into(), "a:1".into()));
    let status = status.expect("read").expect("the target is told");
    assert_eq!((status.door, status.info.labels.get("rack")), (Door::RemoteWrite, Some("7")));
}

#[tokio::test]
async fn what_can_never_be_kept_costs_itself_and_is_counted() {
    let scene = scene(NOW);
    let good = [("__name__", "good"), ("job", "j")];
    let nameless = [("job", "j")];
    let (now, far) = ([Timestamp(NOW)], [Timestamp(NOW + 86_400_000)]);
    let done = write(
        &scene,
        Protocol::V2,
        &[outgoing(&good, &now, &[1.0]), outgoing(&nameless, &now, &[1.0]), outgoing(&good, &far, &[1.0])],
    )
    .await;
    assert_eq!((done.written.samples, done.rejections.total()), (1, 2));
    let told = done.rejections.sentence().expect("told");
    assert!(told.contains("no_name 1") && told.contains("too_new 1"), "{told}");
    let refused = scene.receiver.remote_write(None, None, b"not snappy").await.expect_err("refused");
    assert!(matches!(refused, SentError::Malformed(_)), "{refused}");
    let refused = scene.receiver.remote_write(Some("text/plain"), None, b"").await.expect_err("refused");
    assert!(matches!(refused, SentError::Unsupported(_)), "{refused}");
    assert_eq!(scene.series().len(), 1);
}

#[tokio::test]
async fn increments_are_added_up_and_the_resource_is_the_target() {
    let scene = scene(NOW);
    let body = |at: i64| {
        format!(
            r#"{{"resourceMetrics":[{{"resource":{{"attributes":[
                {{"key":"service.name","value":{{"stringValue":"chat"}}}},
                {{"key":"service.instance.id","value":{{"stringValue":"chat-0"}}}},
                {{"key":"host.name","value":{{"stringValue":"n1"}}}}]}},
              "scopeMetrics":[{{"metrics":[{{"name":"requests","sum":{{"aggregationTemporality":1,"isMonotonic":true,
                "dataPoints":[{{"asInt":"5","startTimeUnixNano":"{}","timeUnixNano":"{}"}}]}}}}]}}]}}]}}"#,
            (at - 1_000) * 1_000_000,
            at * 1_000_000
        )
    };
    for at in [NOW - 2_000, NOW - 1_000, NOW] {
        scene.receiver.otlp_metrics(Encoding::Json, None, body(at).as_bytes()).await.expect("taken");
    }
    assert_eq!(scene.points("requests_total").value, [5.0, 10.0, 15.0]);
    let series = scene.series();
    let requests = series.iter().find(|series| series.description.metric == "requests_total").expect("there");
    assert_eq!((requests.target.job.as_str(), requests.target.instance.as_str()), ("chat", "chat-0"));
    assert_eq!(requests.description.metric_type, MetricType::Counter);
    let status = scene.store.read().expect("a snapshot").get::<TargetStatus>(&("chat".into(), "chat-0".into()));
    assert_eq!(status.expect("read").expect("told").info.labels.get("host_name"), Some("n1"));
}

#[tokio::test]
async fn series_beyond_a_limit_are_refused_by_name_and_the_rest_of_the_body_is_kept() {
    let limits = tandem_store::SeriesLimits { total: 4, per_target: 2, per_metric: 3 };
    let scene = scene_of(NOW, StoreOptions { series: limits, ..StoreOptions::default() });
    let of =
        |metric: &'static str, instance: &'static str| [("__name__", metric), ("instance", instance), ("job", "j")];
    let all = [
        (of("a", "1"), true),
        (of("b", "1"), true),
        (of("c", "1"), false), // of target
        (of("a", "2"), true),
        (of("a", "3"), true),
        (of("a", "4"), false), // in total
    ];
    let at = [Timestamp(NOW)];
    let body: Vec<_> = all.iter().map(|(labels, _)| outgoing(labels, &at, &[1.0])).collect();
    for reasons in ["too_many_series 1, too_many_series_of_target 1", "too_many_series 2"] {
        let done = write(&scene, Protocol::V2, &body).await;
        assert_eq!((done.written.samples, done.rejections.total()), (4, 2));
        let told = done.rejections.sentence().expect("told");
        assert!(told.contains(reasons), "{told}");
        assert!(told.contains("raise limits.series"), "{told}");
    }
    assert_eq!(scene.series().len(), 4);
    assert_eq!(scene.receiver.metrics.rejected().get("too_many_series"), Some(&3));
}

/// A body that is read, and not committed yet.
async fn under_way(scene: &Scene, series: &[OutgoingSeries<'_>]) -> (body::Body, Rejections) {
    let posted = encode(Protocol::V1, series).expect("it can be written");
    let opened = scene.receiver.open_snappy(&posted).await.expect("opened");
    scene.receiver.read(Protocol::V1, &opened).expect("read")
}

const LOAD: [(&str, &str); 3] = [("__name__", "load"), ("instance", "a:1"), ("job", "node")];

#[tokio::test]
async fn a_late_declaration_loses_no_sample_of_a_body_under_way() {
    let scene = scene(NOW);
    write(&scene, Protocol::V1, &[outgoing(&LOAD, &[Timestamp(NOW - 15_000)], &[1.0])]).await;
    let (body, mut rejections) = under_way(&scene, &[outgoing(&LOAD, &[Timestamp(NOW)], &[2.0])]).await;
    scene.receiver.known.declare("load", MetricType::Gauge, "");
    let kept = scene.receiver.commit(Door::RemoteWrite, body, &mut rejections).await.expect("kept");
    assert_eq!((kept.samples, scene.points("load").value), (1, vec![1.0, 2.0]));
    write(&scene, Protocol::V1, &[outgoing(&LOAD, &[Timestamp(NOW + 15_000)], &[3.0])]).await;
    assert_eq!(scene.series()[0].description.metric_type, MetricType::Gauge, "and it is described anew");
    assert_eq!(scene.points("load").value, [1.0, 2.0, 3.0]);
}

#[tokio::test]
async fn a_series_that_is_forgotten_while_its_body_is_read_is_asked_for_again() {
    let mut scene = scene(NOW);
    scene.receiver.known = KnownSeries::of(2);
    write(&scene, Protocol::V1, &[outgoing(&LOAD, &[Timestamp(NOW - 15_000)], &[1.0])]).await;
    let (body, mut rejections) = under_way(&scene, &[outgoing(&LOAD, &[Timestamp(NOW)], &[2.0])]).await;
    for instance in ["b:1", "c:1", "d:1", "e:1"] {
        let other = [("__name__", "load"), ("instance", instance), ("job", "node")];
        write(&scene, Protocol::V1, &[outgoing(&other, &[Timestamp(NOW)], &[0.0])]).await;
    }
    let refused = scene.receiver.commit(Door::RemoteWrite, body, &mut rejections).await;
    assert!(matches!(refused, Err(SentError::Busy(_))), "{refused:?}");
    write(&scene, Protocol::V1, &[outgoing(&LOAD, &[Timestamp(NOW)], &[2.0])]).await;
    assert_eq!(scene.points("load").value, [1.0, 2.0], "sent again it is the series that it was");
    assert_eq!(scene.series().len(), 5);
}

fn native(counts: &[f64]) -> NativeHistogram {
    let positive = Buckets { spans: vec![Span { offset: 1, length: counts.len() as u32 }], counts: counts.to_vec() };
    let count = counts.iter().sum();
    NativeHistogram {
        schema: 3,
        zero_threshold: 1e-9,
        zero_count: 0.0,
        count,
        sum: count * 0.25,
        positive,
        negative: Buckets::default(),
        custom_bounds: Vec::new(),
        reset: ResetHint::Unknown,
        whole: true,
    }
}

#[tokio::test]
async fn native_histograms_are_kept_as_they_are_sent_and_make_no_other_series() {
    let scene = scene(NOW);
    let labels = [("__name__", "latency_seconds"), ("instance", "a:1"), ("job", "api")];
    let sent = |at: i64, counts: &[f64]| OutgoingSeries {
        histograms: vec![(Timestamp(at), native(counts))],
        ..outgoing(&labels, &[], &[])
    };
    for (protocol, at, counts) in [(Protocol::V1, NOW - 15_000, [1.0, 2.0]), (Protocol::V2, NOW, [2.0, 5.0])] {
        let done = write(&scene, protocol, &[sent(at, &counts), sent(NOW + 86_400_000, &counts)]).await;
        assert_eq!((done.written.samples, done.written.histograms, done.rejections.total()), (0, 1, 1));
    }
    let end = NativeHistogram { sum: f64::from_bits(STALE_NAN), ..native(&[]) };
    let stale = OutgoingSeries { histograms: vec![(Timestamp(NOW + 15_000), end)], ..outgoing(&labels, &[], &[]) };
    write(&scene, Protocol::V2, &[stale]).await;
    let series = scene.series();
    assert_eq!(series.len(), 1, "no series of buckets beside it");
    assert_eq!((series[0].target.job.as_str(), series[0].description.metric_type), ("api", MetricType::Histogram));
    let read = scene.store.read().expect("a snapshot");
    let kept = read.histograms(series[0].id, Timestamp::MIN, Timestamp::MAX).expect("read");
    assert_eq!(kept[..2], [(Timestamp(NOW - 15_000), native(&[1.0, 2.0])), (Timestamp(NOW), native(&[2.0, 5.0]))]);
    assert_eq!(kept[2].1.sum.to_bits(), STALE_NAN, "the end of a series keeps its bits");
}

#[tokio::test]
async fn exponential_histograms_are_kept_natively_and_increments_are_added_up() {
    let scene = scene(NOW);
    let body = |at: i64| {
        format!(
            r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"chat"}}}}]}},
              "scopeMetrics":[{{"metrics":[{{"name":"latency","exponentialHistogram":{{"aggregationTemporality":1,
                "dataPoints":[{{"startTimeUnixNano":"{}","timeUnixNano":"{}","count":"3","sum":4.5,"scale":2,
                  "zeroCount":"1","positive":{{"offset":0,"bucketCounts":["1","1"]}}}}]}}}}]}}]}}]}}"#,
            (at - 1_000) * 1_000_000,
            at * 1_000_000
        )
    };
    for at in [NOW - 1_000, NOW] {
        let taken = scene.receiver.otlp_metrics(Encoding::Json, None, body(at).as_bytes()).await.expect("taken");
        assert_eq!((taken.samples, taken.rejections.total()), (1, 0));
    }
    let series = scene.series();
    assert_eq!(series.len(), 1);
    let read = scene.store.read().expect("a snapshot");
    let kept = read.histograms(series[0].id, Timestamp::MIN, Timestamp::MAX).expect("read");
    let told: Vec<_> = kept.iter().map(|(at, one)| (at.0 - NOW, one.count, one.sum, one.zero_count)).collect();
    assert_eq!(told, [(-1_000, 3.0, 4.5, 1.0), (0, 6.0, 9.0, 2.0)]);
    assert_eq!(kept[1].1.positive.counts, [2.0, 2.0]);
}

#[tokio::test]
async fn lines_are_kept_and_bad_ones_named() {
    let scene = scene(NOW);
    let lines = format!("cpu,host=n1 usage=0.5,idle=99i {}\nno line\n", NOW / 1000);
    let taken = scene.receiver.influx(Some("s"), None, lines.as_bytes()).await.expect("taken");
    assert_eq!((taken.samples, taken.rejections.total()), (2, 1));
    assert_eq!(scene.points("cpu_idle").value, [99.0]);
    assert!(matches!(scene.receiver.influx(Some("weeks"), None, b"").await, Err(SentError::Malformed(_))));
}

/// Points with exemplars: of a sum, of a histogram with buckets, and of an exponential one.
fn traced(at: i64) -> String {
    let nanos = |millis: i64| millis * 1_000_000;
    let exemplar = |trace: &str, value: &str, millis: i64, attributes: &str| {
        format!(
            r#"{{"traceId":"{trace}","spanId":"00f067aa0ba902b7","timeUnixNano":"{}",{value},"filteredAttributes":[{attributes}]}}"#,
            nanos(millis)
        )
    };
    let attribute = |name: &str, value: &str| format!(r#"{{"key":"{name}","value":{{"stringValue":"{value}"}}}}"#);
    let (user, long) = (attribute("user", "u"), attribute("long", &"x".repeat(110)));
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"chat"}}}}]}},
          "scopeMetrics":[{{"metrics":[
            {{"name":"requests","description":"All of them.","sum":{{"aggregationTemporality":2,"isMonotonic":true,
              "dataPoints":[{{"asInt":"5","timeUnixNano":"{at}","exemplars":[{later},{sooner}]}}]}}}},
            {{"name":"latency","unit":"s","description":"How long.","histogram":{{"aggregationTemporality":2,
              "dataPoints":[{{"timeUnixNano":"{at}","count":"3","sum":4,"explicitBounds":[0.5,2],
                "bucketCounts":["1","1","1"],"exemplars":[{low},{high}]}}]}}}},
            {{"name":"size","exponentialHistogram":{{"aggregationTemporality":2,
              "dataPoints":[{{"timeUnixNano":"{at}","count":"1","sum":1,"scale":2,
                "positive":{{"offset":0,"bucketCounts":["1"]}},"exemplars":[{low}]}}]}}}}]}}]}}]}}"#,
        at = nanos(at),
        later = exemplar("0af7651916cd43dd8448eb211c80319c", r#""asInt":"2""#, at - 10, &user),
        sooner = exemplar("00000000000000000000000000000000", r#""asDouble":1.5"#, at - 20, &long),
        low = exemplar("1af7651916cd43dd8448eb211c80319c", r#""asDouble":0.5"#, at - 30, ""),
        high = exemplar("2af7651916cd43dd8448eb211c80319c", r#""asDouble":9"#, at - 40, ""),
    )
}

#[tokio::test]
async fn exemplars_of_otlp_go_with_their_series_and_what_is_declared_is_kept_once() {
    let scene = scene(NOW);
    for _ in 0..2 {
        let taken = scene.receiver.otlp_metrics(Encoding::Json, None, traced(NOW).as_bytes()).await.expect("taken");
        assert_eq!(taken.rejections.sentence(), None);
    }
    let read = scene.store.read().expect("a snapshot");
    let of = |metric: &str, le: Option<&str>| {
        let fits = |one: &&Series| one.description.metric == metric && one.description.labels.get("le") == le;
        let all = scene.series();
        let id = all.iter().find(fits).expect("it is there").id;
        let found = read.exemplars(id, Timestamp::MIN, Timestamp::MAX).expect("read");
        let told = |one: &tandem_domain::exemplar::Exemplar| {
            let labels: Vec<_> = one.labels.iter().map(|(name, value)| format!("{name}={}", &value[..1])).collect();
            (labels.join(","), one.value, one.at.0 - NOW)
        };
        found.iter().map(told).collect::<Vec<_>>()
    };
    let of_sum = of("requests_total", None);
    assert_eq!(of_sum, [("span_id=0".into(), 1.5, -20), ("span_id=0,trace_id=0,user=u".into(), 2.0, -10)]);
    let one = |value: f64, at: i64, trace: &str| vec![(format!("span_id=0,trace_id={trace}"), value, at)];
    assert_eq!(of("latency_seconds_bucket", Some("0.5")), one(0.5, -30, "1"), "a bound belongs to its bucket");
    assert_eq!(of("latency_seconds_bucket", Some("2")), []);
    assert_eq!(of("latency_seconds_bucket", Some("+Inf")), one(9.0, -40, "2"));
    assert_eq!(of("size", None), one(0.5, -30, "1"));
    assert_eq!((scene.receiver.metrics.exemplars.kept(), scene.store.metrics().exemplars), (5, 5));
    let refused: u64 = scene.receiver.metrics.exemplars.refused().iter().map(|(_, count)| count).sum();
    assert_eq!(refused, 1, "of two of one series sent again the older one is out of order");
    let told = read.scan::<MetricMetadata>(.., 10).expect("read");
    let told: Vec<_> = told.iter().map(|one| (one.family.as_str(), one.help.as_str(), one.unit.as_str())).collect();
    assert_eq!(
        told,
        [("latency_seconds", "How long.", "seconds"), ("requests_total", "All of them.", ""), ("size", "", "")]
    );
}

/// What a real Prometheus posted, when it is at hand: nothing lost, nothing twice.
#[tokio::test]
async fn recorded_remote_writes_are_kept_whole() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var("TANDEM_SHARED").map_or_else(|_| beside(), PathBuf::from);
    let folder = shared.join("data/captures/remote_write");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("{} is not at hand (TANDEM_SHARED): the recorded bodies were not tested", folder.display());
        return;
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "pb"));
    files.sort();
    assert!(!files.is_empty(), "{} holds no bodies", folder.display());
    let limits = WireLimits::default();
    let (mut now, mut samples) = (i64::MIN, 0);
    for file in &files {
        let body = wire_remote_write::open(&std::fs::read(file).expect("read"), &limits).expect("opened");
        let decoded = wire_remote_write::decode(Protocol::V1, &body, KeySeed(1), &limits).expect("decoded");
        now = decoded.at.iter().map(|at| at.0).max().unwrap_or(now).max(now);
    }
    let scene = scene(now);
    for file in &files {
        let body = std::fs::read(file).expect("read");
        let done = scene.receiver.remote_write(None, Some("snappy"), &body).await.expect("taken");
        assert!(done.rejections.is_empty(), "{:?}", done.rejections.sentence());
        samples += done.written.samples;
    }
    assert_eq!((samples, scene.series().len()), (41_712, 1_352));
    let told = scene.store.read().expect("a snapshot").scan::<MetricMetadata>(.., usize::MAX).expect("read");
    assert!(told.len() > 100 && told.iter().all(|one| !one.family.is_empty()), "{} families are told", told.len());
    assert!(told.iter().any(|one| one.metric_type == MetricType::Counter && !one.help.is_empty()));
    let typed = scene.series().iter().filter(|s| s.description.metric_type != MetricType::Unknown).count();
    assert!(typed > 1_000, "only {typed} series have the type that the sender declared");
}
