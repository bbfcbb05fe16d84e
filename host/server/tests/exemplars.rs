//! Exemplars beside a real Prometheus: both take the same bodies and scrape the same page, and are asked the same.

mod program;
#[allow(dead_code, unused_imports, reason = "they are those of forwarding, of which only a Prometheus is needed here")]
mod receivers;

use program::{Program, write_config};
use receivers::{Receiver, free_port};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tandem_domain::{
    Timestamp,
    http::{HttpClient, HttpGrant, HttpRequest, HttpResponse},
};
use tandem_egress::EgressClient;
use tandem_tests::{Answer, Peer, ask, own_metric, until};
use tandem_wire::remote_write::{self, Exemplar, OutgoingSeries, Protocol};

fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

async fn post(url: String, protocol: Protocol, series: &[OutgoingSeries<'_>]) -> HttpResponse {
    let grant = HttpGrant { allow: vec!["127.0.0.1".into()], ..HttpGrant::default() };
    let headers = protocol.headers().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let request = HttpRequest {
        method: "POST".into(),
        url,
        headers: headers.to_vec(),
        body: remote_write::encode(protocol, series).expect("short"),
        timeout: Duration::from_secs(20),
        max_response_bytes: 1 << 20,
        follow_redirects: false,
    };
    EgressClient::default().send(&grant, request).await.expect("an answer")
}

/// An answer with all numbers as floats: a whole second is written with and without a point.
fn plain(answer: Value) -> Value {
    match answer {
        Value::Number(number) => Value::from(number.as_f64()),
        Value::Array(values) => values.into_iter().map(plain).collect(),
        Value::Object(map) => map.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        other => other,
    }
}

/// What an API answers to a query string.
async fn asked(method: &str, api: &str, path: &str, query: &str) -> (u16, Value) {
    let (base, prefix) = api.split_once('/').map_or((api, String::new()), |(base, rest)| (base, format!("/{rest}")));
    let answer = match method {
        "GET" => ask("GET", base, &format!("{prefix}/api/v1/{path}?{query}"), "").await,
        _ => posted_form(&format!("http://{base}{prefix}/api/v1/{path}"), query).await,
    };
    let (status, answer) = answer.expect("an answer");
    (status, plain(answer))
}

async fn posted_form(url: &str, form: &str) -> Result<(u16, Value), String> {
    let grant = HttpGrant { allow: vec!["127.0.0.1".into()], ..HttpGrant::default() };
    let request = HttpRequest {
        method: "POST".into(),
        url: url.to_owned(),
        headers: vec![("content-type".into(), b"application/x-www-form-urlencoded".to_vec())],
        body: form.as_bytes().to_vec(),
        timeout: Duration::from_secs(20),
        max_response_bytes: 1 << 20,
        follow_redirects: false,
    };
    let answer = EgressClient::default().send(&grant, request).await.map_err(|error| error.to_string())?;
    if answer.body.is_empty() {
        return Ok((answer.status, Value::Null));
    }
    let body = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    Ok((answer.status, body))
}

fn exemplar<'e>(labels: &[(&'e str, &'e str)], value: f64, at: i64) -> Exemplar<'e> {
    Exemplar { labels: labels.to_vec(), value, at: Timestamp(at) }
}

const LONG: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Bodies with all that can be wrong with an exemplar, none of which fails the body.
fn bodies<'b>(now: i64) -> Vec<Vec<OutgoingSeries<'b>>> {
    let labels = |metric: &'b str, le: &'b str| {
        let mut labels = vec![("__name__", metric), ("instance", "a:1"), ("job", "api"), ("le", le)];
        labels.retain(|(_, value)| !value.is_empty());
        labels
    };
    let of = |metric, le, value: f64, exemplars: Vec<Exemplar<'b>>| OutgoingSeries {
        labels: labels(metric, le),
        samples: vec![(Timestamp(now), value)],
        exemplars,
        ..OutgoingSeries::default()
    };
    let alone = |metric, exemplars| OutgoingSeries { samples: Vec::new(), ..of(metric, "", 0.0, exemplars) };
    let trace = |id: &'b str, at| exemplar(&[("trace_id", id)], 0.25, at);
    vec![
        vec![
            of("latency_bucket", "0.5", 3.0, vec![trace("a", now - 5_000), trace("b", now - 4_000)]),
            of("latency_bucket", "+Inf", 4.0, vec![exemplar(&[("span_id", "é"), ("trace_id", "c")], 7.5, now - 4_500)]),
            of("requests_total", "", 9.0, vec![trace("d", now - 3_001), trace("d", now - 3_001)]),
            of("other_total", "", 1.0, vec![exemplar(&[("trace_id", LONG)], 1.0, now)]),
        ],
        vec![
            // Beside its series, whose sample came before; and beside one that is not there.
            alone("requests_total", vec![trace("late", now - 60_000), trace("e", now - 1_000)]),
            alone("nowhere_total", vec![trace("f", now)]),
            alone("other_total", vec![exemplar(&[("trace_id", "g"), ("empty", "")], f64::INFINITY, now)]),
        ],
        vec![alone("requests_total", vec![trace("h", now - 1_000), trace("e", now - 1_000)])],
    ]
}

#[tokio::test]
async fn the_same_bodies_are_answered_as_prometheus_answers_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start_prometheus(folder.path(), free_port(), "global: {}\n", "exemplar-storage").await;
    let Some(prometheus) = receiver else { return };
    write_config(folder.path(), "");
    let mut program = Program::start(folder.path()).await;
    let now = now_millis() / 1_000 * 1_000;
    for body in bodies(now) {
        for api in [prometheus.address(), format!("{}/prometheus", program.base)] {
            let answer = post(format!("http://{api}/api/v1/write"), Protocol::V1, &body).await;
            assert_eq!(answer.status, 204, "{api}: {}", String::from_utf8_lossy(&answer.body));
        }
    }
    let from = |millis: i64| (now + millis) as f64 / 1_000.0;
    let (all, some) =
        (format!("start={}&end={}", from(-600_000), from(0)), format!("start={}&end={}", from(-4_500), from(-3_001)));
    let mut told = 0;
    for restarted in [false, true] {
        if restarted {
            program.kill().await;
            program = Program::start(folder.path()).await;
        }
        let tandem = format!("{}/prometheus", program.base);
        for query in [
            "requests_total",
            "nowhere_total",
            "other_total",
            "1+%2B+1",
            "histogram_quantile(0.9,sum+by(le)(rate(latency_bucket[5m])))",
            "sum(requests_total)+/+sum(%7Ble%3D%220.5%22%7D)+%2B+requests_total",
            "max_over_time(rate(%7B__name__%3D~%22.*_total%22,job!%3D%22x%22%7D[1m])[10m:1m])",
            "latency_bucket%7Ble%3D%22%2BInf%22%7D+offset+1h+or+topk(scalar(other_total),requests_total)",
            "sum(",
            "",
        ] {
            for time in [&all, &some, "end=1&start=2", "start=x"] {
                for method in ["GET", "POST"] {
                    let asking = format!("query={query}&{time}");
                    let (their_status, theirs) = asked(method, &prometheus.address(), "query_exemplars", &asking).await;
                    let (our_status, mut ours) = asked(method, &tandem, "query_exemplars", &asking).await;
                    assert_eq!(our_status, their_status, "{asking}: {ours} {theirs}");
                    if theirs["status"] == "error" {
                        // What is wrong with an expression each parser says in its own words.
                        ours["error"] = theirs["error"].clone();
                    }
                    assert_eq!(ours, theirs, "{method} {asking}");
                    told += theirs["data"].as_array().map_or(0, Vec::len);
                }
            }
        }
    }
    assert!(told > 40, "only {told} series were told");
    let refused = |reason: &'static str| own_metric(&program.base, "tandem_sent_exemplars_refused_total", reason);
    // Counters begin anew with the program: the bodies are sent to it again.
    for body in bodies(now) {
        post(format!("http://{}/prometheus/api/v1/write", program.base), Protocol::V1, &body).await;
    }
    assert_eq!((refused("too_long").await, refused("without_series").await), (1.0, 1.0));
    assert!(refused("out_of_order").await >= 2.0);
}

#[tokio::test]
async fn what_was_written_is_counted_in_the_header() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let program = Program::start(folder.path()).await;
    let now = now_millis();
    let mut written = Vec::new();
    for body in bodies(now) {
        let answer = post(format!("http://{}/prometheus/api/v1/write", program.base), Protocol::V2, &body).await;
        assert_eq!(answer.status, 204, "{}", String::from_utf8_lossy(&answer.body));
        let name = "x-prometheus-remote-write-exemplars-written";
        let header = answer.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).expect("the header");
        written.push(String::from_utf8_lossy(&header.1).into_owned());
    }
    // The same again is there already; the too long one, the late ones and that of no series are not.
    assert_eq!(written, ["5", "2", "1"]);
}

/// A page with all kinds of what is declared, and exemplars with a time and without.
fn page(now: i64, hits: u32) -> String {
    let at = |millis: i64| (now + millis) as f64 / 1_000.0;
    format!(
        "# HELP hits Hits \\\"per\\\" door,\\nall \\\\ of them.\n# TYPE hits counter\n\
         hits_total{{door=\"a\"}} {hits} # {{trace_id=\"t{hits}\",span_id=\"s\"}} 1.5 {}\n\
         hits_total{{door=\"b\"}} 7 # {{trace_id=\"untimed\"}} 2\n\
         # TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\n# HELP wait_seconds How long.\n\
         wait_seconds_bucket{{le=\"0.1\"}} 1 # {{trace_id=\"w\"}} 0.05 {}\nwait_seconds_bucket{{le=\"+Inf\"}} 2\n\
         wait_seconds_count 2\nwait_seconds_sum 9\n# HELP plain Nothing else.\n# TYPE plain unknown\nplain 1\n# EOF\n",
        at(i64::from(hits)),
        at(-3_600_000),
    )
}

#[tokio::test]
async fn a_page_is_read_as_prometheus_reads_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let now = now_millis() / 1_000 * 1_000;
    let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let exporter = Peer::answering(move |_| Answer::of_kind(open_metrics, page(now, 1))).await;
    let address = exporter.address();
    let config = format!(
        "scrape_configs:\n- job_name: app\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\n  static_configs: [{{ targets: [\"{address}\"] }}]\n"
    );
    let receiver = Receiver::start_prometheus(folder.path(), free_port(), &config, "exemplar-storage").await;
    let Some(prometheus) = receiver else { return };
    write_config(
        folder.path(),
        &format!("[[scrape]]\njob = \"app\"\ntargets = [\"{address}\"]\ninterval = \"500ms\"\n"),
    );
    let program = Program::start(folder.path()).await;
    let tandem = format!("{}/prometheus", program.base);
    let timed = format!("query=%7Bjob%3D%22app%22,door!%3D%22b%22%7D&start=0&end={}", now / 1_000 + 600);
    let found = |api: String, series: usize, of_first: usize| {
        let timed = timed.clone();
        async move {
            let (_, answer) = asked("GET", &api, "query_exemplars", &timed).await;
            let data = answer["data"].as_array()?;
            let enough = data.len() >= series && data[0]["exemplars"].as_array()?.len() >= of_first;
            enough.then(|| answer.clone())
        }
    };
    for hits in [1_u32, 2] {
        exporter.respond(move |_| Answer::of_kind(open_metrics, page(now, hits)));
        let theirs = until("Prometheus has it", || found(prometheus.address(), 2, hits as usize)).await;
        let ours = until("the server has it", || found(tandem.clone(), 2, hits as usize)).await;
        assert_eq!(ours, theirs);
    }
    let untimed = format!("query=hits_total%7Bdoor%3D%22b%22%7D&start=0&end={}", now / 1_000 + 600);
    for api in [prometheus.address(), tandem.clone()] {
        let (_, answer) = asked("GET", &api, "query_exemplars", &untimed).await;
        let exemplars = answer["data"][0]["exemplars"].as_array().expect("there").clone();
        assert_eq!(exemplars.len(), 1, "shown at each visit, and kept once: {api}: {answer}");
        assert_eq!((&exemplars[0]["labels"]["trace_id"], &exemplars[0]["value"]), (&"untimed".into(), &"2".into()));
    }
    for family in ["hits", "wait_seconds", "plain"] {
        let asking = format!("metric={family}");
        let theirs = asked("GET", &prometheus.address(), "metadata", &asking).await;
        assert_eq!(asked("GET", &tandem, "metadata", &asking).await, theirs);
        assert_eq!(theirs.1["data"][family].as_array().map(Vec::len), Some(1), "{theirs:?}");
    }
    let (_, all) = asked("GET", &tandem, "metadata", "").await;
    assert!(all["data"].get("hits_total").is_none(), "a family is told once: {all}");
}
