//! Lines that are kept, found, joined and dropped.

use super::*;
use crate::{Store, StoreOptions, WriteError};
use proptest::prelude::*;
use std::sync::Arc;
use tandem_domain::{
    Severity,
    log::{LogEntry, LogPlace, LogSource, SourcedLog},
    series::Labels,
    target::TargetKey,
};

const NOW: i64 = 1_790_000_000_000;
const ALWAYS: LogRetention = LogRetention { age_millis: i64::MAX / 4, bytes: u64::MAX };

fn open() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (Store::open(folder.path(), StoreOptions::default()).expect("a store"), folder)
}

fn line(at: i64, app: &str, severity: Severity, text: &str) -> SourcedLog {
    let source = LogSource {
        sender: TargetKey { job: "test".into(), instance: "a".into() },
        writer: format!("service:name:{app}"),
        machine: "host:hostname:node-7".into(),
    };
    let attributes = [("trace_id".to_owned(), format!("trace-{at}")), ("unit".to_owned(), "Main".to_owned())];
    let entry = LogEntry {
        at: Timestamp(at),
        severity,
        level: "err".into(),
        host: "node-7".into(),
        app: app.into(),
        text: text.into(),
        attributes: Labels::new(attributes),
    };
    SourcedLog { source: Arc::new(source), entry }
}

fn all() -> LogQuery {
    LogQuery {
        start: Timestamp::MIN,
        end: Timestamp::MAX,
        least: Severity::Info,
        owners: None,
        app: None,
        host: None,
        text: LogText::default(),
        before: LogPlace::END,
        limit: 1_000,
    }
}

fn words(text: &str) -> LogQuery {
    LogQuery { text: LogText { words: vec![text.into()], part: None }, ..all() }
}

async fn keep(store: &Store, lines: Vec<SourcedLog>) {
    let batch = LogBatch::of(lines).expect("encoded");
    store.write(move |tx| tx.append_logs(&batch)).await.expect("kept");
}

fn find(store: &Store, query: &LogQuery) -> Vec<SourcedLog> {
    let (mut query, mut found) = (query.clone(), Vec::new());
    loop {
        let page = store.read().expect("a snapshot").logs(&query).expect("found");
        found.extend(page.lines);
        match page.next {
            Some(next) => {
                assert!(next < query.before, "a page goes on where the one before ended");
                query.before = next;
            }
            None => return found,
        }
    }
}

fn texts(lines: &[SourcedLog]) -> Vec<&str> {
    lines.iter().map(|line| line.entry.text.as_str()).collect()
}

#[tokio::test]
async fn lines_come_back_whole_and_newest_first() {
    let (store, _folder) = open();
    let lines = vec![
        line(NOW, "pay", Severity::Critical, "disk failed on /dev/sda"),
        line(NOW - 5, "shop", Severity::Info, "größer, with \u{1e} a mark"),
        line(NOW - 3 * WINDOW_MILLIS, "pay", Severity::Warning, ""),
    ];
    keep(&store, lines.clone()).await;
    let found = find(&store, &all());
    assert_eq!((&found[0], &found[2]), (&lines[0], &lines[2]));
    assert_eq!(found[1].entry.text, "größer, with   a mark", "what marks attributes cannot stand in a text");
    let kept = store.read().expect("a snapshot").logs_kept().expect("read");
    assert!(kept.entries == 3 && kept.bytes > 0);
}

#[tokio::test]
async fn lines_are_found_by_time_owner_grade_and_words() {
    let (store, _folder) = open();
    let lines = vec![
        line(NOW, "pay", Severity::Critical, "Disk failed: sector 12345"),
        line(NOW - 10, "shop", Severity::Warning, "diskette drive, sector 123456"),
        line(NOW - 20, "shop", Severity::Info, "from 10.0.0.7:9400 took 3ms"),
    ];
    keep(&store, lines).await;
    let apps = |query: &LogQuery| {
        find(&store, query)
            .iter()
            .map(|line| format!("{} {}", line.entry.app, line.entry.at.0 - NOW))
            .collect::<Vec<_>>()
    };
    assert_eq!(apps(&LogQuery { least: Severity::Warning, ..all() }), ["pay 0", "shop -10"]);
    assert_eq!(apps(&LogQuery { start: Timestamp(NOW - 10), end: Timestamp(NOW - 1), ..all() }), ["shop -10"]);
    assert_eq!(apps(&LogQuery { owners: Some(vec!["service:name:shop".into()]), ..all() }), ["shop -10", "shop -20"]);
    assert_eq!(apps(&LogQuery { owners: Some(vec!["host:hostname:node-7".into()]), ..all() }).len(), 3);
    assert!(apps(&LogQuery { owners: Some(vec!["host:hostname:node-8".into()]), ..all() }).is_empty());
    assert_eq!(apps(&LogQuery { app: Some("pay".into()), ..all() }), ["pay 0"]);
    assert!(apps(&LogQuery { host: Some("node-8".into()), ..all() }).is_empty());
    assert_eq!(apps(&words("disk")), ["pay 0"], "whole words in any case");
    assert_eq!(apps(&words("12345")), ["pay 0"]);
    assert_eq!(apps(&words("10.0.0.7:9400")), ["shop -20"], "words with what joins them");
    assert!(apps(&words("0.0.7:940")).is_empty());
    assert_eq!(apps(&words("main")).len(), 3, "values of attributes are looked through");
    assert!(apps(&words("trace_id")).is_empty(), "their names are not");
    assert_eq!(apps(&words(&format!("trace-{}", NOW - 10))), ["shop -10"]);
    let part = |part: &str| LogQuery { text: LogText { words: Vec::new(), part: Some(part.into()) }, ..all() };
    assert_eq!(apps(&part("ISK")), ["pay 0", "shop -10"]);
    assert_eq!(apps(&part("ed: sector 1")), ["pay 0"]);
    assert_eq!(apps(&part("drive, sec")), ["shop -10"]);
    let both = LogText { words: vec!["sector".into()], part: Some("disk".into()) };
    assert_eq!(apps(&LogQuery { text: both, ..all() }), ["pay 0", "shop -10"]);
}

#[tokio::test]
async fn pages_join_to_all_lines_however_blocks_lie_over_each_other() {
    let (store, _folder) = open();
    let mut expected = Vec::new();
    for batch in 0..40_i64 {
        // Each covers two hours, later ones begin before earlier ones end, and many lines share a moment.
        let lines: Vec<_> = (0..50_i64)
            .map(|n| line(NOW - batch * 600_000 - n * 120_000, "pay", Severity::Info, &format!("{batch}/{n}")))
            .collect();
        expected.extend(lines.iter().map(|line| (line.entry.at, line.entry.text.clone())));
        keep(&store, lines).await;
    }
    expected.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    for limit in [1, 7, 1_000] {
        let found = find(&store, &LogQuery { limit, ..all() });
        let moments: Vec<Timestamp> = found.iter().map(|line| line.entry.at).collect();
        assert_eq!(moments, expected.iter().map(|(at, _)| *at).collect::<Vec<_>>());
        let mut told: Vec<&str> = texts(&found);
        told.sort_unstable();
        told.dedup();
        assert_eq!(told.len(), 2_000, "each line once");
    }
}

#[tokio::test]
async fn small_blocks_are_joined_and_nothing_is_lost_by_it() {
    let (store, _folder) = open();
    for n in 0..200 {
        keep(&store, vec![line(NOW - n * 10, "pay", Severity::Info, &format!("line {n}"))]).await;
    }
    let before = find(&store, &LogQuery { limit: 13, ..all() });
    let blocks = |store: &Store| {
        let windows = store.read().expect("a snapshot").scan::<LogWindow>(.., 10).expect("read");
        windows.iter().map(|window| (window.blocks, window.small, window.entries)).collect::<Vec<_>>()
    };
    assert_eq!(blocks(&store), [(200, 200, 200)]);
    store.maintain_logs(ALWAYS, Timestamp(NOW)).await.expect("maintained");
    assert_eq!(blocks(&store), [(1, 1, 200)]);
    assert_eq!(find(&store, &LogQuery { limit: 13, ..all() }), before);
    store.maintain_logs(ALWAYS, Timestamp(NOW + 2 * WINDOW_MILLIS)).await.expect("maintained");
    assert_eq!(blocks(&store), [(1, 1, 200)], "one alone is left as it is");
    assert_eq!(texts(&find(&store, &words("199"))), ["line 199"]);
}

#[tokio::test]
async fn what_is_old_or_too_much_is_dropped_oldest_first() {
    let (store, _folder) = open();
    for hour in 0..5_i64 {
        for n in 0..10_i64 {
            keep(&store, vec![line(NOW - hour * WINDOW_MILLIS - n, "pay", Severity::Info, &format!("{hour}/{n}"))])
                .await;
        }
    }
    let left = |store: &Store| find(store, &all()).len();
    let day = LogRetention { age_millis: 3 * WINDOW_MILLIS, bytes: u64::MAX };
    store.maintain_logs(day, Timestamp(NOW)).await.expect("maintained");
    assert_eq!(left(&store), 40, "the hour that ended more than three hours ago is gone");
    let kept = store.read().expect("a snapshot").logs_kept().expect("read");
    let less = LogRetention { bytes: kept.bytes * 5 / 8, ..ALWAYS };
    store.maintain_logs(less, Timestamp(NOW)).await.expect("maintained");
    let found = find(&store, &all());
    let now = store.read().expect("a snapshot").logs_kept().expect("read");
    assert!(now.bytes <= less.bytes && now.entries as usize == found.len(), "{now:?} of {less:?}");
    assert!((15..35).contains(&found.len()), "{} are left: not much more is dropped than must be", found.len());
    let newest: Vec<String> = (0..4).flat_map(|hour| (0..10).map(move |n| format!("{hour}/{n}"))).collect();
    assert_eq!(texts(&found), newest[..found.len()], "the oldest are dropped");
}

#[tokio::test]
async fn a_change_that_fails_keeps_no_line() {
    let (store, _folder) = open();
    let batch = LogBatch::of(vec![line(NOW, "pay", Severity::Info, "never")]).expect("encoded");
    let refused = store.write(move |tx| {
        tx.append_logs(&batch)?;
        Err::<(), _>(WriteError::Refused("no".into()))
    });
    assert!(refused.await.is_err());
    assert!(find(&store, &all()).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_body_that_is_damaged_is_told_and_harms_nothing(at in 0_usize..400, byte: u8, length in 0_usize..400) {
        let lines = (0..20).map(|n| super::body::Numbered { log: line(NOW + n, "pay", Severity::Info, "text"), offset: n as u64 });
        let encoded = super::body::encode(&lines.collect::<Vec<_>>()).expect("encoded");
        let mut bytes = encoded.bytes;
        let place = at % bytes.len();
        bytes[place] = byte;
        bytes.truncate(length.max(1));
        if let Ok(opened) = super::body::open(&bytes, 1) {
            opened.rows.iter().for_each(|row| drop(opened.line(row)));
        }
    }
}
