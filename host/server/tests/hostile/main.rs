//! The whole server under attack: what expands, what never ends, what is too many, what is no request. It answers all the
//! while, its memory stays bounded, what good senders were told is kept, and nothing in it breaks.

mod attacks;
mod client;

use attacks::Attack;
use client::{Program, post};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tandem_tests::{ask, get, own_metric, until};

/// The most memory that the server may ever have had, in kibibytes: bodies under way, opened and decoded, ten thousand
/// connections, the store's cache and its head.
const MOST_RESIDENT_KIB: u64 = 1_500 << 10;
/// Pause of the good sender between two bodies.
const PAUSE: Duration = Duration::from_millis(20);

/// Sends one sample after another, each with a moment of its own, until told to stop; counts those it was told are kept.
async fn send_samples(base: String, stop: Arc<AtomicBool>, kept: Arc<AtomicU64>) {
    let began = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let mut number = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        let line = format!("good v={number} {}", began - 60_000 + number);
        let answer = post(&base, "/write?precision=ms", &[], line.as_bytes()).await;
        if answer.status == Some(204) {
            number += 1;
            kept.store(number, Ordering::SeqCst);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The server answers, and has not taken more memory than it may.
async fn is_well(program: &Program, after: &str) {
    let (status, _) = get(&program.base, "/healthz").await.unwrap_or_else(|error| panic!("after {after}: {error}"));
    assert_eq!(status, 200, "after {after}");
    let peak = program.memory_kib("VmHWM");
    println!("after {after}: {} MiB resident, {} at most", program.memory_kib("VmRSS") >> 10, peak >> 10);
    assert!(peak < MOST_RESIDENT_KIB, "after {after} the server has had {} MiB", peak >> 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_withstands_what_is_thrown_at_it() {
    tandem_server::descriptors::raise();
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path()).await;
    let (stop, kept) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let sending = tokio::spawn(send_samples(program.base.clone(), stop.clone(), kept.clone()));
    let began = std::time::Instant::now();
    let slow = attacks::slow_clients(&program.base).await;
    is_well(&program, "slow clients").await;
    for Attack { name, run } in attacks::all() {
        run(program.base.clone()).await;
        is_well(&program, name).await;
    }
    let idle = attacks::idle_connections(&program.base).await;
    is_well(&program, "idle connections").await;
    drop(idle);
    attacks::floods(&program).await;
    is_well(&program, "floods of datagrams").await;
    // Slow clients are given up, each for what it was slow with.
    let base = program.base.as_str();
    until("slow heads are given up", || async {
        (own_metric(base, "tandem_http_connections_ended_total", "head_timeout").await >= slow.heads as f64)
            .then_some(())
    })
    .await;
    until("slow bodies are given up", || async {
        (own_metric(base, "tandem_http_refusals_total", "408").await >= slow.bodies as f64).then_some(())
    })
    .await;
    slow.stop();
    stop.store(true, Ordering::SeqCst);
    sending.await.expect("no fault");
    for status in ["400", "408", "413", "415"] {
        assert!(own_metric(base, "tandem_http_refusals_total", status).await > 0.0, "{status} is counted");
    }
    for how in ["head_too_long", "no_request"] {
        assert!(own_metric(base, "tandem_http_connections_ended_total", how).await > 0.0, "{how} is counted");
    }
    let kept = kept.load(Ordering::SeqCst);
    let query = "/prometheus/api/v1/query?query=count_over_time(good_v%5B2h%5D)";
    let found = until("the query is answered", || async {
        let (status, answer) = ask("GET", base, query, "").await.ok()?;
        (status == 200).then(|| answer["data"]["result"][0]["value"][1].clone())
    });
    assert_eq!(found.await, kept.to_string(), "every sample that was acknowledged is there");
    assert!(kept > 50, "the good sender came through {kept} times in {} s", began.elapsed().as_secs());
    println!("{kept} samples of the good sender kept in {} s", began.elapsed().as_secs());
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    assert!(!log.contains("panicked"), "{log}");
}
