//! Measures lines of logs: how fast they are kept, what they take, how long searches take. Run by hand:
//! `cargo test --release -p tandem-store --test logs_speed -- --ignored --nocapture`

use std::{sync::Arc, time::Instant};
use tandem_domain::{
    Severity, Timestamp,
    log::{LogEntry, LogPlace, LogSource, SourcedLog},
    series::Labels,
    target::TargetKey,
};
use tandem_store::{LogBatch, LogQuery, LogRetention, LogText, Store, StoreOptions};

const LINES: u64 = 1_000_000;
/// What a collector sends at once.
const BATCH: u64 = 8_192;
const DAY_MILLIS: i64 = 86_400_000;
const END: i64 = 1_790_000_000_000;

/// Lines as services write them: a few sentences with numbers, addresses and traces in them.
fn line(number: u64, sources: &[Arc<LogSource>]) -> SourcedLog {
    // A fixed course of numbers, so that every run measures the same.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ number;
    let source = &sources[(mixed % sources.len() as u64) as usize];
    let text = match mixed >> 5 & 7 {
        0 => format!(
            "GET /api/v1/orders/{} 200 in {} ms from 10.0.{}.{}",
            mixed % 100_000,
            mixed % 997,
            mixed >> 9 & 255,
            mixed >> 17 & 255
        ),
        1 => format!("connection to payments.internal:5432 was reset by peer after {} attempts", mixed % 7),
        2 => format!("cache miss for key user:{}:profile, loading from the database", mixed % 1_000_000),
        3 => format!("request {mixed:016x} finished with status OK in {}.{:03} s", mixed % 9, mixed % 1_000),
        4 => format!("worker {} picked up job {} of queue default", mixed % 64, mixed % 10_000_000),
        5 => format!(
            "model llama-3 replica {} generated {} tokens at {} tokens/s",
            mixed % 16,
            mixed % 4_096,
            mixed % 200
        ),
        6 => format!("heartbeat of node-{} received, lag {} ms", mixed % 500, mixed % 50),
        _ => format!(
            "slow query took {} ms: SELECT * FROM orders WHERE customer_id = {}",
            mixed % 5_000,
            mixed % 1_000_000
        ),
    };
    let rare = number == LINES / 3;
    let attributes = [("trace_id".to_owned(), format!("{:032x}", u128::from(mixed) << 40 | u128::from(number)))];
    let entry = LogEntry {
        at: Timestamp(END - DAY_MILLIS + (number as i64 * DAY_MILLIS) / LINES as i64),
        severity: if mixed.is_multiple_of(50) { Severity::Warning } else { Severity::Info },
        level: if mixed.is_multiple_of(50) { "WARN" } else { "INFO" }.into(),
        host: String::new(),
        app: source.writer.clone(),
        text: if rare { "uncorrectable memory error at page 0xdeadbeef".into() } else { text },
        attributes: Labels::new(attributes),
    };
    SourcedLog { source: source.clone(), entry }
}

fn query(text: LogText) -> LogQuery {
    LogQuery {
        start: Timestamp(END - DAY_MILLIS),
        end: Timestamp(END),
        least: Severity::Info,
        owners: None,
        app: None,
        host: None,
        text,
        before: LogPlace::END,
        limit: 100,
    }
}

/// Follows pages to the end, or to so many; answers pages, lines, and the seconds of the slowest page and of all.
fn follow(store: &Store, mut query: LogQuery, most: usize) -> (usize, usize, f64, f64) {
    let (mut pages, mut lines, mut slowest, began) = (0, 0, 0.0_f64, Instant::now());
    loop {
        let page_began = Instant::now();
        let page = store.read().expect("a snapshot").logs(&query).expect("found");
        slowest = slowest.max(page_began.elapsed().as_secs_f64());
        (pages, lines) = (pages + 1, lines + page.lines.len());
        match page.next {
            Some(next) if pages < most => query.before = next,
            _ => return (pages, lines, slowest, began.elapsed().as_secs_f64()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; run it by hand"]
async fn a_million_lines_of_a_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("a store");
    let sources: Vec<Arc<LogSource>> = (0..40)
        .map(|n| {
            let sender = TargetKey { job: format!("service-{n}"), instance: "a".into() };
            Arc::new(LogSource { sender, writer: format!("service:name:service-{n}"), machine: String::new() })
        })
        .collect();
    let (mut packing, mut writing, mut said) = (0.0, 0.0, 0_usize);
    let mut number = 0;
    while number < LINES {
        let end = (number + BATCH).min(LINES);
        let lines: Vec<SourcedLog> = (number..end).map(|number| line(number, &sources)).collect();
        said += lines.iter().map(|line| line.entry.text.len() + 42).sum::<usize>();
        let began = Instant::now();
        let batch = LogBatch::of(lines).expect("packed");
        packing += began.elapsed().as_secs_f64();
        let began = Instant::now();
        store.write(move |tx| tx.append_logs(&batch)).await.expect("kept");
        writing += began.elapsed().as_secs_f64();
        number = end;
    }
    let kept = store.read().expect("a snapshot").logs_kept().expect("read");
    println!(
        "{LINES} lines, {:.0} MB said, {:.1} MB kept ({:.1} bytes a line), file {:.0} MB; packed at {:.0} lines/s, written at {:.0} lines/s",
        said as f64 / 1e6,
        kept.bytes as f64 / 1e6,
        kept.bytes as f64 / LINES as f64,
        store.metrics().file_bytes as f64 / 1e6,
        LINES as f64 / packing,
        LINES as f64 / writing
    );
    let words = |text: &str| LogText { words: text.split(' ').map(str::to_owned).collect(), part: None };
    let part = |text: &str| LogText { words: Vec::new(), part: Some(text.into()) };
    let searches = [
        ("a rare word", query(words("0xdeadbeef")), usize::MAX),
        (
            "a trace",
            query(words(&format!(
                "{:032x}",
                u128::from((500_000_u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ 500_000) << 40 | 500_000
            ))),
            usize::MAX,
        ),
        ("a word that is not there", query(words("nowhere")), usize::MAX),
        ("two common words, first page", query(words("reset peer")), 1),
        (
            "newest warnings of one service, first page",
            LogQuery {
                least: Severity::Warning,
                owners: Some(vec!["service:name:service-10".into()]),
                ..query(LogText::default())
            },
            1,
        ),
        ("a part that is not there, all pages", query(part("oom-kill")), usize::MAX),
        ("a part that is rare, all pages", query(part("xdeadbee")), usize::MAX),
    ];
    for (what, query, most) in searches {
        let (pages, lines, slowest, all) = follow(&store, query, most);
        println!(
            "{what}: {lines} lines on {pages} pages, slowest page {:.0} ms, all {:.0} ms",
            slowest * 1e3,
            all * 1e3
        );
    }
    let began = Instant::now();
    let retention = LogRetention { age_millis: DAY_MILLIS * 2, bytes: kept.bytes / 2 };
    store.maintain_logs(retention, Timestamp(END)).await.expect("maintained");
    println!("dropping half of it by size: {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
}
