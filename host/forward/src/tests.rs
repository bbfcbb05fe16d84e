//! Forwards over a store, before a receiver that answers what a test says.

mod receiver;

use crate::{ForwardConfig, ForwardPorts, ForwardRecord, ForwardState, ForwardStatus, Forwards};
use receiver::{Receiver, accepted, answer};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tandem_domain::{
    Timestamp,
    histogram::{Buckets, NativeHistogram, ResetHint, Span},
    series::{HistogramBatch, MetricType, SampleBatch, SeriesDescription, SeriesId},
    target::TargetKey,
    time::Clock,
};
use tandem_store::{Store, StoreOptions};
use tandem_wire::remote_write::STALE_NAN;
use tokio::{sync::watch, task::JoinHandle};

/// When the tests happen.
const NOW: i64 = 1_700_000_000_000;
/// How long something may take to become true.
const PATIENCE: Duration = Duration::from_secs(30);

struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A store, a receiver, and forwards between them.
struct Bench {
    store: Store,
    clock: Arc<SetClock>,
    receiver: Arc<Receiver>,
    _folder: tempfile::TempDir,
}

struct Running {
    forwards: Arc<Forwards>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

fn config(more: &str) -> ForwardConfig {
    let text = format!(
        r#"{{"name": "m", "url": "http://receiver:1/write", "batch_deadline": "10ms", "min_backoff": "1ms",
            "max_backoff": "5ms"{more}}}"#
    );
    let config: ForwardConfig = serde_json::from_str(&text).expect("a config");
    config.validate().expect("a good one");
    config
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), StoreOptions::default()).expect("a store");
        let clock = Arc::new(SetClock(AtomicI64::new(NOW)));
        Self { store, clock, receiver: Arc::new(Receiver::default()), _folder: folder }
    }

    async fn start(&self, configs: Vec<ForwardConfig>) -> Running {
        let ports = ForwardPorts {
            store: self.store.clone(),
            http: self.receiver.clone(),
            clock: self.clock.clone(),
            secrets: Arc::new(|source| Ok(format!("secret of {source:?}"))),
            seed: 7,
        };
        let forwards =
            Arc::new(Forwards::new(ports, configs.into_iter().map(|config| (config, Default::default())).collect()));
        forwards.announce().await.expect("announced");
        let stop = watch::Sender::new(false);
        let task = tokio::spawn(forwards.clone().run(stop.subscribe()));
        Running { forwards, stop, task }
    }

    async fn series(&self, metric: &str, metric_type: MetricType) -> SeriesId {
        let target = TargetKey { job: "node".into(), instance: "h:1".into() };
        let description = SeriesDescription {
            metric: metric.into(),
            metric_type,
            unit: String::new(),
            labels: [("zone".to_owned(), "a".to_owned())].into_iter().collect(),
        };
        self.store.write(move |tx| tx.register_series(&target, &description)).await.expect("registered")
    }

    async fn append(&self, samples: &[(SeriesId, i64, f64)]) {
        let mut batch = SampleBatch::default();
        samples.iter().for_each(|(series, at, value)| batch.push(*series, Timestamp(*at), *value));
        self.store.write(move |tx| tx.append_samples(&batch)).await.expect("appended");
    }

    fn cursor(&self) -> u64 {
        self.store.read().and_then(|read| read.cursor(&ForwardRecord::cursor("m"))).expect("a cursor")
    }
}

impl Running {
    fn status(&self) -> ForwardStatus {
        self.forwards.statuses().remove(0)
    }

    async fn until(&self, what: &str, so: impl Fn(&ForwardStatus) -> bool) {
        let began = std::time::Instant::now();
        while !so(&self.status()) {
            assert!(began.elapsed() < PATIENCE, "waited in vain: {what}: {:#?}", self.status());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn all_settled(&self) {
        self.until("all is settled", |status| status.pending_batches == 0).await;
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.expect("it ends");
    }
}

#[tokio::test]
async fn what_arrives_is_sent_bit_for_bit_and_a_restart_goes_on_where_it_stood() {
    let bench = Bench::new();
    let load = bench.series("load", MetricType::Gauge).await;
    bench.append(&[(load, NOW - 1_000, 0.5)]).await;
    let running = bench.start(vec![config(r#", "external_labels": {"cluster": "c"}"#)]).await;
    bench.append(&[(load, NOW, -0.0), (load, NOW + 1, f64::from_bits(STALE_NAN))]).await;
    running.all_settled().await;
    running.stop().await;
    let labels = "__name__=load,cluster=c,instance=h:1,job=node,zone=a";
    let bits = |value: f64| value.to_bits();
    let mut sent = vec![(labels.to_owned(), NOW, bits(-0.0)), (labels.to_owned(), NOW + 1, STALE_NAN)];
    assert_eq!(bench.receiver.taken(), sent, "what was there before the forward is not sent");
    assert_eq!(bench.cursor(), 2);
    bench.append(&[(load, NOW + 2, 3.0)]).await;
    let running = bench.start(vec![config(r#", "external_labels": {"cluster": "c"}"#)]).await;
    running.all_settled().await;
    running.stop().await;
    sent.push((labels.to_owned(), NOW + 2, bits(3.0)));
    assert_eq!(bench.receiver.taken(), sent, "nothing is lost and nothing comes twice");
}

fn histogram(count: f64) -> NativeHistogram {
    NativeHistogram {
        schema: 2,
        zero_threshold: 1e-9,
        zero_count: 1.0,
        count: count + 1.0,
        sum: count / 8.0,
        positive: Buckets { spans: vec![Span { offset: -3, length: 2 }], counts: vec![count - 1.0, 1.0] },
        negative: Buckets::default(),
        custom_bounds: Vec::new(),
        reset: ResetHint::Unknown,
        whole: true,
    }
}

#[tokio::test]
async fn native_histograms_are_sent_where_they_are_wanted_in_order_and_over_a_restart() {
    for (more, protocol) in [
        (r#", "send_native_histograms": true, "max_samples_per_send": 3"#, "2.0"),
        (r#", "send_native_histograms": true, "protocol": "1.0""#, "1.0"),
        ("", "2.0"),
    ] {
        let bench = Bench::new();
        let latency = bench.series("latency", MetricType::Histogram).await;
        let load = bench.series("load", MetricType::Gauge).await;
        let append = async |from: i64| {
            for at in from..from + 10 {
                let mut batch = HistogramBatch::default();
                batch.push(latency, Timestamp(NOW + at), histogram(at as f64 + 10.0));
                bench.store.write(move |tx| tx.append_histograms(&batch)).await.expect("appended");
            }
            bench.append(&[(load, NOW + from, 1.0)]).await;
        };
        let running = bench.start(vec![config(more)]).await;
        append(0).await;
        running.all_settled().await;
        running.stop().await;
        append(10).await;
        // What waits for long is joined to pieces, and found there.
        for _ in 0..2 {
            bench.store.maintain(Timestamp(NOW + 6 * 3_600_000)).await.expect("maintained");
        }
        let running = bench.start(vec![config(more)]).await;
        running.all_settled().await;
        let labels = "__name__=latency,instance=h:1,job=node,zone=a".to_owned();
        let wanted = if more.is_empty() { 0 } else { 20 };
        let sent: Vec<_> = (0..wanted).map(|at| (labels.clone(), NOW + at, histogram(at as f64 + 10.0))).collect();
        assert_eq!(bench.receiver.histograms(), sent, "{more}");
        assert_eq!(bench.receiver.taken().len(), 2);
        let status = running.status();
        assert_eq!((status.protocol, status.dropped.iter().map(|(_, count)| count).sum::<u64>()), (protocol, 0));
        assert_eq!(status.samples, if more.is_empty() { 1 } else { 11 });
        running.stop().await;
    }
}

#[tokio::test]
async fn only_chosen_series_are_sent_and_the_others_do_not_hold_back_the_log() {
    let bench = Bench::new();
    let (load, heat) = (bench.series("load", MetricType::Gauge).await, bench.series("heat", MetricType::Gauge).await);
    let more =
        r#", "match": ["heat", "{__name__=~\"x.*\"}"], "bearer": {"file": "/t"}, "headers": {"X-Scope-OrgID": "t1"}"#;
    let running = bench.start(vec![config(more)]).await;
    bench.append(&[(load, NOW, 1.0), (heat, NOW, 2.0)]).await;
    bench.append(&[(load, NOW + 1, 1.0)]).await;
    running.all_settled().await;
    running.stop().await;
    assert_eq!(bench.receiver.taken().len(), 1);
    assert_eq!(bench.cursor(), 2);
    let asked = bench.receiver.asked();
    let header = |name: &str| asked[0].headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    assert_eq!(header("X-Scope-OrgID"), Some(b"t1".to_vec()));
    assert_eq!(header("authorization"), Some(b"Bearer secret of File(\"/t\")".to_vec()));
}

#[tokio::test]
async fn a_receiver_that_is_down_or_busy_loses_nothing() {
    let bench = Bench::new();
    let load = bench.series("load", MetricType::Gauge).await;
    let running = bench.start(vec![config("")]).await;
    bench.receiver.answers([None, Some(answer(500, "")), Some(answer(429, "slow down")), Some(answer(503, ""))]);
    bench.append(&[(load, NOW, 1.0)]).await;
    running.until("it says so", |status| status.retries >= 1).await;
    running.all_settled().await;
    let status = running.status();
    assert_eq!((status.samples, status.retries, status.failure.as_deref()), (1, 4, None));
    assert!(status.dropped.iter().all(|(_, count)| *count == 0), "{status:?}");
    assert_eq!(bench.receiver.taken().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_refused_series_costs_itself_and_is_told_with_the_receivers_text() {
    let bench = Bench::new();
    let mut batch = Vec::new();
    for number in 0..100 {
        batch.push((bench.series(&format!("m{number}"), MetricType::Gauge).await, NOW, f64::from(number)));
    }
    bench.receiver.refuse(|samples| samples.iter().any(|(labels, ..)| labels.contains("=m42,")), "m42 is out of order");
    let running = bench.start(vec![config(r#", "protocol": "1.0""#)]).await;
    bench.append(&batch).await;
    running.all_settled().await;
    let status = running.status();
    assert_eq!((status.samples, status.dropped[0]), (99, ("refused", 1)));
    let told = status.last_loss.expect("told");
    assert!(told.contains("400 m42 is out of order"), "{told}");
    running.stop().await;
}

#[tokio::test]
async fn what_no_part_of_a_body_can_mend_is_dropped_after_one_request() {
    let bench = Bench::new();
    let load = bench.series("load", MetricType::Gauge).await;
    bench.receiver.answers([Some(answer(404, "no such tenant"))]);
    let running = bench.start(vec![config(r#", "protocol": "1.0""#)]).await;
    bench.append(&[(load, NOW, 1.0), (load, NOW + 1, 1.0)]).await;
    running.all_settled().await;
    let status = running.status();
    assert_eq!((status.samples, status.dropped[0], status.retries), (0, ("refused", 2), 0));
    assert_eq!(status.last_loss.as_deref(), Some("2 samples refused: 404 no such tenant"));
    running.stop().await;
}

#[tokio::test]
async fn receivers_of_the_old_protocol_are_found_by_415_or_by_their_silence() {
    for old in [answer(415, "unknown"), answer(204, "")] {
        let bench = Bench::new();
        let hits = bench.series("hits_total", MetricType::Counter).await;
        bench.receiver.answers([Some(old)]);
        let running = bench.start(vec![config("")]).await;
        bench.append(&[(hits, NOW, 1.0)]).await;
        running.all_settled().await;
        running.until("types are told", |_| bench.receiver.families() == ["hits_total"]).await;
        assert_eq!((running.status().protocol, running.status().samples), ("1.0", 1));
        let sent: Vec<_> = bench.receiver.asked().iter().map(|asked| asked.headers[0].1.clone()).collect();
        assert!(sent[0].ends_with(b"io.prometheus.write.v2.Request") && !sent[1].ends_with(b"Request"), "{sent:?}");
        running.stop().await;
    }
}

#[tokio::test]
async fn less_written_than_sent_is_counted() {
    let bench = Bench::new();
    let load = bench.series("load", MetricType::Gauge).await;
    bench.receiver.answers([Some(accepted(1))]);
    let running = bench.start(vec![config("")]).await;
    bench.append(&[(load, NOW, 1.0), (load, NOW + 1, 1.0), (load, NOW + 2, 1.0)]).await;
    running.all_settled().await;
    assert_eq!((running.status().samples, running.status().dropped[1]), (1, ("not_written", 2)));
    running.stop().await;
}

#[tokio::test]
async fn what_was_trimmed_from_the_log_comes_from_the_chunks() {
    let bench = Bench::new();
    let load = bench.series("load", MetricType::Gauge).await;
    let running = bench.start(vec![config("")]).await;
    bench.append(&[(load, NOW - 40_000_000, 1.0)]).await;
    running.all_settled().await;
    running.stop().await;
    // Nobody holds the log back: as after falling behind further than it may.
    bench.store.write(|tx| tx.remove_cursor(&ForwardRecord::cursor("m"))).await.expect("removed");
    for step in 1..=5 {
        bench.append(&[(load, NOW - 40_000_000 + step * 1_000_000, step as f64)]).await;
    }
    for _ in 0..2 {
        bench.store.maintain(Timestamp(NOW)).await.expect("flushed and trimmed");
    }
    let first = bench.store.read().and_then(|read| read.samples_after(0, 1)).expect("read");
    assert!(first.is_empty(), "the log was trimmed: {first:?}");
    bench.append(&[(load, NOW, 6.0)]).await;
    let running = bench.start(vec![config("")]).await;
    running.all_settled().await;
    running.until("it has caught up", |status| status.samples >= 6 && status.state == ForwardState::Sending).await;
    assert_eq!(running.status().trimmed_batches, 5);
    running.stop().await;
    let values: Vec<f64> = bench.receiver.taken().into_iter().map(|(_, _, bits)| f64::from_bits(bits)).collect();
    assert!(values.is_sorted(), "{values:?}");
    let mut once = values.clone();
    once.dedup();
    assert_eq!(once, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "nothing is missing");
}

#[tokio::test]
async fn what_was_under_way_at_a_crash_is_cut_into_the_same_requests_again() {
    let bench = Bench::new();
    let mut all = Vec::new();
    for number in 0..50 {
        all.push(bench.series(&format!("m{number}"), MetricType::Gauge).await);
    }
    let small = || vec![config(r#", "protocol": "1.0", "max_samples_per_send": 20, "max_shards": 3"#)];
    bench.receiver.go_down(true);
    let running = bench.start(small()).await;
    for step in 0..4 {
        bench.append(&all.iter().map(|series| (*series, NOW + step, step as f64)).collect::<Vec<_>>()).await;
    }
    running.until("it is tried", |status| status.retries > 2).await;
    let under_way = bench.store.read().and_then(|read| read.get::<ForwardRecord>(&"m".into())).expect("read");
    let through = under_way.expect("kept").sending_through.expect("a round is under way");
    // As a crash does it: nothing more is written down.
    running.task.abort();
    bench.append(&all.iter().map(|series| (*series, NOW + 9, 9.0)).collect::<Vec<_>>()).await;
    let before: Vec<_> = bench.receiver.asked().iter().map(|asked| asked.body.clone()).collect();
    bench.receiver.go_down(false);
    let running = bench.start(small()).await;
    running.all_settled().await;
    running.stop().await;
    let taken = bench.receiver.taken();
    assert_eq!(taken.len(), 250);
    let after: Vec<_> = bench.receiver.asked().iter().skip(before.len()).map(|asked| asked.body.clone()).collect();
    assert!(before.iter().all(|body| after.contains(body)), "a request of before the crash does not come again");
    let later = taken.iter().position(|(_, at, _)| *at == NOW + 9).expect("the new ones came");
    assert!(later >= through as usize * 50, "{later}: the new ones come after the round of before");
}

#[tokio::test]
async fn what_waits_longer_than_it_may_is_given_up_and_told() {
    let bench = Bench::new();
    let load = bench.series("load", MetricType::Gauge).await;
    bench.receiver.go_down(true);
    let running = bench.start(vec![config(r#", "keep": "1h""#)]).await;
    bench.append(&[(load, NOW, 1.0)]).await;
    running.until("it is tried", |status| status.retries > 2).await;
    bench.clock.0.store(NOW + 3 * 3_600_000, Ordering::SeqCst);
    running.all_settled().await;
    let dropped = running.status().dropped;
    assert!(dropped.contains(&("expired", 1)), "{dropped:?}");
    bench.receiver.go_down(false);
    bench.append(&[(load, NOW + 3 * 3_600_000, 2.0)]).await;
    running.until("the next is taken", |status| status.samples == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_loop_is_refused_and_its_place_in_the_log_is_given_up() {
    let bench = Bench::new();
    let load = bench.series("load", MetricType::Gauge).await;
    bench.receiver.answers([Some(answer(508, ""))]);
    let running = bench.start(vec![config("")]).await;
    bench.append(&[(load, NOW, 1.0)]).await;
    running.until("it is refused", |status| status.state == ForwardState::Refused).await;
    let identity = bench.receiver.asked()[0].headers.iter().find(|(n, _)| n == crate::FORWARDED_BY).cloned();
    let identity = String::from_utf8(identity.expect("it names itself").1).expect("text");
    assert!(running.forwards.is_own(&identity) && !running.forwards.is_own("other"));
    running.stop().await;
    assert_eq!(bench.store.read().and_then(|read| read.get::<ForwardRecord>(&"m".into())).expect("read"), None);
}

#[tokio::test]
async fn the_place_of_a_forward_that_is_no_longer_configured_is_given_up() {
    let bench = Bench::new();
    let load = bench.series("load", MetricType::Gauge).await;
    bench.append(&[(load, NOW, 1.0)]).await;
    bench.start(vec![config("")]).await.stop().await;
    assert_eq!(bench.cursor(), 1);
    bench.start(vec![]).await.stop().await;
    assert_eq!(bench.cursor(), 0);
}
