//! Forwarding to real receivers: a Prometheus and a VictoriaMetrics hold what senders were told is kept, exactly, also when
//! the receiver was down and the server was killed in between; and a receiver that stumbles is dealt with as its answer says.

mod program;
mod receivers;

use program::{Program, write_config};
use receivers::{Kind, Receiver, Stumbling, free_port, wait_for_values};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tandem_domain::{
    Timestamp,
    histogram::{Buckets, NativeHistogram, ResetHint, Span},
    http::{HttpClient, HttpGrant, HttpRequest},
    series::MetricType,
};
use tandem_egress::EgressClient;
use tandem_tests::{ask, items, own_metric, until};
use tandem_wire::remote_write::{self, Metadata, OutgoingSeries, Protocol, STALE_NAN};

/// Series of the tests.
const SERIES: usize = 300;

/// What senders were told is kept: moments and values by instance.
type Ledger = BTreeMap<String, Vec<(i64, f64)>>;

fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// Values that a receiver must not bend; those of VictoriaMetrics have few digits, since it keeps decimal numbers.
fn value(kind: Kind, series: usize, step: usize) -> f64 {
    let plain = (series * 1_000 + step) as f64 / 8.0;
    match (kind, series % 7) {
        (Kind::VictoriaMetrics, _) => plain,
        (_, 1) => plain.sqrt() * 1e-9,
        (_, 2) => f64::MIN_POSITIVE / 2.0_f64.powi(step as i32 % 20),
        (_, 3) if step.is_multiple_of(3) => f64::NEG_INFINITY,
        (_, 4) => -0.0,
        (_, 5) => f64::MAX / (step + 1) as f64,
        _ => plain,
    }
}

async fn post(base: &str, series: &[OutgoingSeries<'_>]) -> Option<u16> {
    let body = remote_write::encode(Protocol::V2, series).expect("short");
    post_body(base, "/prometheus/api/v1/write", Protocol::V2, body).await
}

async fn post_body(base: &str, path: &str, protocol: Protocol, body: Vec<u8>) -> Option<u16> {
    let grant = HttpGrant { allow: vec!["127.0.0.1".into()], ..HttpGrant::default() };
    let headers = protocol.headers().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let request = HttpRequest {
        method: "POST".into(),
        url: format!("http://{base}{path}"),
        headers: headers.to_vec(),
        body,
        timeout: Duration::from_secs(20),
        max_response_bytes: 1 << 20,
        follow_redirects: false,
    };
    EgressClient::default().send(&grant, request).await.ok().map(|answer| answer.status)
}

/// Sends one step of all series, and writes down what the server says is kept.
async fn send_step(base: &str, kind: Kind, step: usize, at: i64, ledger: &mut Ledger) {
    let instances: Vec<String> = (0..SERIES).map(|series| format!("host-{series}:1")).collect();
    let metadata = Metadata { family: "forwarded", metric_type: MetricType::Gauge, help: "", unit: "" };
    let series = instances.iter().enumerate().map(|(number, instance)| OutgoingSeries {
        labels: vec![("__name__", "forwarded"), ("instance", instance), ("job", "test")],
        samples: vec![(Timestamp(at), value(kind, number, step))],
        metadata: Some(metadata),
        ..OutgoingSeries::default()
    });
    let status = post(base, &series.collect::<Vec<_>>()).await;
    assert_eq!(status, Some(204), "step {step}");
    for (number, instance) in instances.into_iter().enumerate() {
        ledger.entry(instance).or_default().push((at, value(kind, number, step)));
    }
}

fn forward_to(receiver: &str) -> String {
    format!(
        "[[forward]]\nname = \"far\"\nurl = \"http://{receiver}/api/v1/write\"\nbatch_deadline = \"200ms\"\n\
         max_samples_per_send = 500\nmax_backoff = \"500ms\"\nexternal_labels = {{ cluster = \"c1\" }}\n"
    )
}

async fn settled(base: &str) {
    until("everything is forwarded", || async {
        let forward = items(base, "/api/v1/forwards").await.pop()?;
        (forward["pending_batches"] == 0 && forward["state"] == "sending").then_some(())
    })
    .await;
}

/// Sends, takes the receiver away, kills the server twice, brings the receiver back: it holds exactly what was acknowledged.
async fn nothing_is_lost_on_the_way_to(kind: Kind) {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let Some(receiver) = Receiver::start(kind, folder.path(), port).await else { return };
    write_config(folder.path(), &forward_to(&receiver.address()));
    let (mut ledger, began) = (Ledger::new(), now_millis() - 200_000);
    let at = |step: usize| began + step as i64 * 1_000;
    let mut program = Program::start(folder.path()).await;
    for step in 0..20 {
        send_step(&program.base, kind, step, at(step), &mut ledger).await;
    }
    settled(&program.base).await;
    receiver.stop().await;
    for step in 20..60 {
        send_step(&program.base, kind, step, at(step), &mut ledger).await;
    }
    program.kill().await;
    program = Program::start(folder.path()).await;
    for step in 60..80 {
        send_step(&program.base, kind, step, at(step), &mut ledger).await;
    }
    let receiver = Receiver::start(kind, folder.path(), port).await.expect("it starts again");
    // In the midst of catching up, as far as chance has it.
    program.kill().await;
    program = Program::start(folder.path()).await;
    for step in 80..100 {
        send_step(&program.base, kind, step, at(step), &mut ledger).await;
    }
    settled(&program.base).await;
    wait_for_values(&receiver, &ledger, began, at(100)).await;
    let dropped = own_metric(&program.base, "tandem_forward_dropped_samples_total", "refused").await;
    assert_eq!(dropped, 0.0, "{:#?}", items(&program.base, "/api/v1/forwards").await);
    receiver.no_more_than(SERIES * 100, SERIES * 100).await;
    // The end of a series is known by the bits of one value.
    let ended = now_millis();
    let gone = OutgoingSeries {
        labels: vec![("__name__", "forwarded"), ("instance", "host-0:1"), ("job", "test")],
        samples: vec![(Timestamp(ended), f64::from_bits(STALE_NAN))],
        ..OutgoingSeries::default()
    };
    assert!(receiver.is_there("host-0:1", ended).await, "it is there before its end");
    assert_eq!(post(&program.base, &[gone]).await, Some(204));
    settled(&program.base).await;
    until("the series has ended there", || async {
        (!receiver.is_there("host-0:1", ended + 1).await && receiver.is_there("host-1:1", ended + 1).await)
            .then_some(())
    })
    .await;
    program.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_holds_what_was_acknowledged() {
    nothing_is_lost_on_the_way_to(Kind::Prometheus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_victoria_metrics_holds_what_was_acknowledged() {
    nothing_is_lost_on_the_way_to(Kind::VictoriaMetrics).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_is_busy_or_fails_gets_everything_in_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Stumbling::start().await;
    let slow = "timeout = \"300ms\"\n";
    write_config(folder.path(), &(forward_to(&receiver.address()) + slow));
    let program = Program::start(folder.path()).await;
    let mut ledger = Ledger::new();
    send_step(&program.base, Kind::Prometheus, 0, now_millis(), &mut ledger).await;
    until("it has stumbled and is told", || async {
        let forward = items(&program.base, "/api/v1/forwards").await.pop()?;
        forward["failure"].as_str().filter(|why| why.contains("did not answer within")).map(drop)
    })
    .await;
    let (_, ready) = tandem_tests::ask("GET", &program.base, "/readyz", "").await.expect("answers");
    assert_eq!(ready["ready"], true, "a receiver that is down does not make the server unready");
    assert!(ready["forwards_failing"][0].as_str().is_some_and(|told| told.starts_with("far: ")), "{ready}");
    receiver.recover();
    settled(&program.base).await;
    assert_eq!(receiver.samples(), SERIES);
    assert!(receiver.stumbled() >= 3, "it hung, was busy and failed: {}", receiver.stumbled());
    assert_eq!(own_metric(&program.base, "tandem_forward_samples_total", "far").await, SERIES as f64);
    program.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_to_this_very_server_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let looping = forward_to(&format!("127.0.0.1:{port}")).replace("/api/v1/write", "/prometheus/api/v1/write");
    write_config(folder.path(), &looping);
    // The address is not in the file, so that only the body can tell.
    let listen = ["--listen".to_owned(), format!("127.0.0.1:{port}")];
    let program = Program::start_with(folder.path(), &listen).await;
    send_step(&program.base, Kind::Prometheus, 0, now_millis(), &mut Ledger::new()).await;
    until("it is refused", || async {
        let forward = items(&program.base, "/api/v1/forwards").await.pop()?;
        (forward["state"] == "refused").then_some(())
    })
    .await;
    assert_eq!(own_metric(&program.base, "tandem_sent_samples_total", "").await, SERIES as f64, "nothing came round");
    program.kill().await;
}

fn histogram(step: usize) -> NativeHistogram {
    let counts = vec![step as f64 + 1.0, 2.0, (step * step) as f64];
    NativeHistogram {
        schema: 3,
        zero_threshold: 1e-6,
        zero_count: 1.0,
        count: 1.0 + counts.iter().sum::<f64>(),
        sum: step as f64 * 1.5,
        positive: Buckets { spans: vec![Span { offset: -4, length: 2 }, Span { offset: 3, length: 1 }], counts },
        negative: Buckets::default(),
        custom_bounds: Vec::new(),
        reset: ResetHint::Unknown,
        whole: true,
    }
}

/// What an API answers to a query, with all numbers as floats of 14 digits: the bounds of buckets differ in their last bit, since
/// Prometheus has them in a table.
async fn answered(api: &str, query: &str) -> serde_json::Value {
    fn plain(answer: serde_json::Value) -> serde_json::Value {
        match answer {
            serde_json::Value::Number(number) => serde_json::Value::from(number.as_f64()),
            serde_json::Value::String(text) => match text.parse::<f64>() {
                Ok(number) => format!("{number:.13e}").into(),
                Err(_) => text.into(),
            },
            serde_json::Value::Array(values) => values.into_iter().map(plain).collect(),
            serde_json::Value::Object(map) => map.into_iter().map(|(name, value)| (name, plain(value))).collect(),
            other => other,
        }
    }
    let (base, prefix) = api.split_once('/').unwrap_or((api, ""));
    let slash = if prefix.is_empty() { "" } else { "/" };
    let (status, answer) = ask("GET", base, &format!("{slash}{prefix}/api/v1/{query}"), "").await.expect("an answer");
    assert_eq!(status, 200, "{answer}");
    plain(answer["data"]["result"].clone())
}

#[tokio::test]
async fn native_histograms_reach_a_prometheus_that_takes_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let start = async || Receiver::start_prometheus(folder.path(), port, "global: {}\n", "native-histograms").await;
    let Some(receiver) = start().await else { return };
    let forward = forward_to(&receiver.address())
        .replace("external_labels = { cluster = \"c1\" }", "send_native_histograms = true");
    write_config(folder.path(), &forward);
    let mut program = Program::start(folder.path()).await;
    let began = now_millis() - 200_000;
    let send = async |base: &str, steps: std::ops::Range<usize>| {
        for step in steps {
            let at = Timestamp(began + step as i64 * 1_000);
            let labels = |metric, instance| vec![("__name__", metric), ("instance", instance), ("job", "test")];
            let of = |instance| OutgoingSeries {
                labels: labels("latency", instance),
                histograms: vec![(at, histogram(step))],
                ..OutgoingSeries::default()
            };
            let float =
                OutgoingSeries { labels: labels("load", "a:1"), samples: vec![(at, 1.0)], ..OutgoingSeries::default() };
            assert_eq!(post(base, &[of("a:1"), of("b:1"), float]).await, Some(204));
        }
    };
    send(&program.base, 0..20).await;
    settled(&program.base).await;
    receiver.stop().await;
    send(&program.base, 20..40).await;
    program.kill().await;
    program = Program::start(folder.path()).await;
    let receiver = start().await.expect("it starts again");
    send(&program.base, 40..60).await;
    settled(&program.base).await;
    let tandem = format!("{}/prometheus", program.base);
    // Between two samples, so that both languages see the same in their ranges.
    let at = (began + 59_500) as f64 / 1_000.0;
    for query in [
        format!("query?query=latency[2m]&time={at}"),
        format!("query?query=histogram_sum(sum(latency))&time={at}"),
        format!("query?query=histogram_count(rate(latency[30s]))&time={at}"),
        format!("query?query=count_over_time(load[2m])&time={at}"),
    ] {
        let (theirs, ours) = (answered(&receiver.address(), &query).await, answered(&tandem, &query).await);
        assert_eq!(theirs, ours, "{query}");
        assert!(theirs.as_array().is_some_and(|found| !found.is_empty()), "{query}");
    }
    let whole = answered(&receiver.address(), &format!("query?query=latency[2m]&time={at}")).await;
    assert_eq!(whole[1]["histograms"].as_array().map(Vec::len), Some(60), "none is missing");
    // What was under way at the kill is sent again, and refused by a receiver that has it.
    let forward = items(&program.base, "/api/v1/forwards").await.remove(0);
    for reason in ["deleted", "expired", "not_written", "refused"] {
        assert_eq!(forward["dropped"][reason], 0, "{forward:#?}");
    }
    program.kill().await;
}
