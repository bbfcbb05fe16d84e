//! Over a real store, with a metric made of the difference of means and one that always fails.

use super::*;
use crate::monitor::take_predictions;
use tandem_domain::{
    FailureCode,
    drift::{Chunk, ColumnType, ColumnValues, DriftState, Method},
    ports::BoxFuture,
    prediction::FeatureValue,
};
use tandem_store::StoreOptions;

/// Its digest changes with the version that a test gives it.
#[derive(Default)]
struct Means {
    version: std::sync::atomic::AtomicU32,
}

fn mean(chunks: &[Chunk]) -> f64 {
    let ColumnValues::Numbers(values) = &chunks[0].columns[0] else { return 0.0 };
    values.iter().sum::<f64>() / values.len() as f64
}

impl DriftMetrics for Means {
    fn drift_metrics(&self) -> Vec<LivePlugin> {
        let live = |name: &str| LivePlugin {
            name: name.into(),
            digest: self.version.load(std::sync::atomic::Ordering::Relaxed).to_string(),
            version: "1".into(),
            interests: Vec::new(),
        };
        vec![live("drift-broken"), live("drift-mean")]
    }
    fn fit<'a>(
        &'a self,
        plugin: &'a str,
        columns: &'a [ColumnDescription],
        reference: Vec<Chunk>,
        _: u64,
    ) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(async move {
            if plugin == "drift-broken" || columns[0].column_type != ColumnType::Numeric {
                return Err(Failure::lasting(FailureCode::Unsupported, "not this column"));
            }
            Ok(mean(&reference).to_be_bytes().to_vec())
        })
    }
    fn compare<'a>(
        &'a self,
        _: &'a str,
        _: &'a [ColumnDescription],
        fitted: &'a [u8],
        current: Vec<Chunk>,
        _: u64,
    ) -> BoxFuture<'a, Result<Vec<Drift>, Failure>> {
        let value = (mean(&current) - f64::from_be_bytes(fitted.try_into().expect("eight bytes"))).abs();
        let method = Method {
            id: "mean".into(),
            version: "1".into(),
            binning: String::new(),
            log_base: String::new(),
            smoothing: String::new(),
        };
        let drift = Drift {
            column: Some(0),
            value,
            p_value: None,
            threshold: 1.0,
            drifted: value > 1.0,
            reference_count: 0,
            current_count: 0,
            method,
            details: Vec::new(),
        };
        Box::pin(async move { Ok(vec![drift]) })
    }
}

fn rows(from: u64, count: u64, level: f64) -> Vec<Prediction> {
    let row = |id: u64| Prediction {
        band: None,
        service: "chat".into(),
        model: "m".into(),
        version: "1".into(),
        id: id.to_string(),
        at: Timestamp(id as i64),
        replica: String::new(),
        features: [("x".to_owned(), FeatureValue::Number(level + (id % 3) as f64))].into(),
        prediction: FeatureValue::Text("yes".into()),
        score: None,
    };
    (from..from + count).map(row).collect()
}

fn reports(store: &Store) -> Vec<DriftReport> {
    store.read().expect("reads").scan::<DriftReport>(.., 100).expect("reads")
}

fn config() -> DriftConfig {
    DriftConfig {
        reference_rows: 60,
        window_rows: 60,
        report_every_rows: 30,
        look_every_rows: 30,
        ..DriftConfig::default()
    }
}

fn standings(store: &Store) -> Vec<DriftStanding> {
    store.read().expect("reads").scan::<DriftStanding>(.., 100).expect("reads")
}

/// Forgets predictions, as the monitor room does when there are too many.
async fn forget(store: &Store, through: u64) {
    store.write(move |tx| tx.trim_log::<Prediction>(through)).await.expect("trimmed");
}

#[tokio::test]
async fn a_first_report_that_is_due_sooner_than_the_others_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let early = config::WindowsConfig {
        reference_rows: Some(40),
        window_rows: Some(300),
        report_every_rows: Some(300),
        first_report_rows: Some(30),
    };
    let config = DriftConfig { service: [("chat".to_owned(), early)].into(), ..config() };
    let mut room = DriftRoom::new(store.clone(), Arc::new(Means::default()), config);
    take_predictions(&store, rows(1, 69, 0.0)).await.expect("kept");
    room.step(Timestamp(1)).await.expect("steps");
    assert!(reports(&store).is_empty(), "one row is missing");
    take_predictions(&store, rows(70, 1, 0.0)).await.expect("kept");
    room.step(Timestamp(2)).await.expect("steps");
    assert_eq!(reports(&store).len(), 1);
    take_predictions(&store, rows(71, 100, 0.0)).await.expect("kept");
    room.step(Timestamp(60_000)).await.expect("steps");
    assert_eq!(reports(&store).len(), 1, "the second waits for its rows");
}

#[tokio::test]
async fn a_shift_is_reported_a_failed_metric_is_a_failed_line_and_nothing_is_reported_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let mut room = DriftRoom::new(store.clone(), Arc::new(Means::default()), config());
    take_predictions(&store, rows(1, 80, 0.0)).await.expect("kept");
    room.step(Timestamp(1)).await.expect("steps");
    assert!(reports(&store).is_empty(), "twenty rows in the window are not enough");
    take_predictions(&store, rows(81, 20, 0.0)).await.expect("kept");
    room.step(Timestamp(2)).await.expect("steps");
    room.step(Timestamp(3)).await.expect("steps");
    assert_eq!(reports(&store).iter().map(|r| r.state).collect::<Vec<_>>(), [DriftState::Stable]);
    take_predictions(&store, rows(101, 60, 9.0)).await.expect("kept");
    room.step(Timestamp(4)).await.expect("steps");
    let all = reports(&store);
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].state, DriftState::Drifted);
    assert_eq!(all[1].reference, (Timestamp(1), Timestamp(60)));
    let failed: Vec<&ColumnDrift> = all[1].columns.iter().filter(|line| line.outcome.is_err()).collect();
    let standing = &standings(&store)[0];
    assert_eq!((standing.state, standing.since, standing.report), (DriftState::Drifted, Timestamp(4), all[1].id));
    assert_eq!((room.counts.reports.get(), room.counts.drifted.get(), room.counts.unread.get()), (2, 1, 0));
    assert_eq!(failed.len(), 3, "the broken metric fails for both columns, the other for the categorical one");
}

#[tokio::test]
async fn a_reference_that_was_partly_forgotten_is_said_to_be_and_a_new_one_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let mut room = DriftRoom::new(store.clone(), Arc::new(Means::default()), config());
    take_predictions(&store, rows(1, 80, 0.0)).await.expect("kept");
    room.step(Timestamp(1)).await.expect("steps");
    forget(&store, 40).await;
    take_predictions(&store, rows(81, 20, 0.0)).await.expect("kept");
    room.step(Timestamp(2)).await.expect("steps");
    let all = reports(&store);
    assert_eq!((all.len(), all[0].state), (1, DriftState::InsufficientData));
    let why = all[0].columns[0].outcome.clone().expect_err("no measurement").message;
    assert!(why.contains("40 of the 60 predictions") && why.contains("the 40 latest"), "{why}");
    take_predictions(&store, rows(101, 80, 0.0)).await.expect("kept");
    room.step(Timestamp(3)).await.expect("steps");
    let all = reports(&store);
    assert_eq!((all.len(), all[1].state), (2, DriftState::Stable));
    assert_eq!(all[1].reference, (Timestamp(61), Timestamp(120)), "the new reference");
}

#[tokio::test]
async fn a_metric_that_changed_does_not_fit_a_part_of_the_reference() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let means = Arc::new(Means::default());
    let mut room = DriftRoom::new(store.clone(), means.clone(), config());
    take_predictions(&store, rows(1, 100, 0.0)).await.expect("kept");
    room.step(Timestamp(1)).await.expect("steps");
    forget(&store, 1).await;
    take_predictions(&store, rows(101, 30, 0.0)).await.expect("kept");
    room.step(Timestamp(2)).await.expect("steps");
    means.version.store(1, std::sync::atomic::Ordering::Relaxed);
    take_predictions(&store, rows(131, 30, 0.0)).await.expect("kept");
    room.step(Timestamp(3)).await.expect("steps");
    let all = reports(&store);
    let states: Vec<DriftState> = all.iter().map(|report| report.state).collect();
    assert_eq!(states, [DriftState::Stable, DriftState::Stable, DriftState::Failed], "what is fitted stays fitted");
    let why = all[2].columns.iter().find(|line| line.plugin == "drift-mean").expect("a line").outcome.clone();
    let why = why.expect_err("not fitted").message;
    assert!(why.contains("changed since it fitted") && why.contains("1 of its 60 rows"), "{why}");
}

#[tokio::test]
async fn columns_with_too_few_values_are_not_measured_and_that_values_are_missing_is_drift() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let mut room = DriftRoom::new(store.clone(), Arc::new(Means::default()), config());
    take_predictions(&store, rows(1, 60, 0.0)).await.expect("kept");
    let mut empty = rows(61, 40, 0.0);
    for row in &mut empty {
        row.features.clear();
        row.prediction = FeatureValue::Missing;
    }
    empty[0].features.insert("x".into(), FeatureValue::Number(1.0));
    take_predictions(&store, empty).await.expect("kept");
    room.step(Timestamp(1)).await.expect("steps");
    let all = reports(&store);
    assert_eq!((all.len(), all[0].state), (1, DriftState::Drifted));
    assert_eq!(all[0].moved(), ["x", "prediction"]);
    let line = all[0].columns.iter().find(|line| line.column.as_deref() == Some("x")).expect("a line");
    let why = line.outcome.clone().expect_err("not measured").message;
    assert!(why.starts_with("1 rows of the current window have a value for x"), "{why}");
}

fn report_at(service: &str, at: i64, state: DriftState) -> DriftReport {
    let subject = DriftSubject::of(&Prediction { service: service.into(), ..rows(1, 1, 0.0).remove(0) });
    report_of(&subject, state, Vec::new(), (Timestamp(0), Timestamp(0)), Timestamp(at))
}

#[tokio::test]
async fn reports_are_bounded_and_the_latest_of_a_quiet_service_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let dropped = store
        .write(|tx| {
            write_report(tx, report_at("quiet", 0, DriftState::Stable))?;
            let busy = (1..=KEPT_REPORTS as i64 + 9).map(|at| report_at("busy", at, DriftState::Stable));
            busy.map(|report| write_report(tx, report)).sum::<Result<u64, _>>()
        })
        .await
        .expect("written");
    let read = store.read().expect("reads");
    assert_eq!((dropped, read.count::<DriftReport>().expect("reads")), (9, KEPT_REPORTS + 1));
    assert!(read.get::<DriftReport>(&1).expect("reads").is_some(), "the latest of the quiet one");
    drop(read);
    let dropped =
        store.write(|tx| write_report(tx, report_at("quiet", 9_999, DriftState::Stable))).await.expect("written");
    let read = store.read().expect("reads");
    assert_eq!((dropped, read.count::<DriftReport>().expect("reads")), (2, KEPT_REPORTS));
    assert!(read.get::<DriftReport>(&1).expect("reads").is_none());
}

#[test]
fn a_standing_holds_since_the_first_report_of_its_state_without_a_gap() {
    let hour = |count: i64| count * 3_600_000;
    let mut standing = DriftStanding::after(None, &report_at("chat", hour(1), DriftState::Stable));
    for (at, state, since) in [
        (2, DriftState::Drifted, 2),
        (3, DriftState::Drifted, 2),
        (27, DriftState::Drifted, 2),
        (52, DriftState::Drifted, 52),
        (53, DriftState::Stable, 53),
    ] {
        standing = DriftStanding::after(Some(&standing), &report_at("chat", hour(at), state));
        assert_eq!((standing.since, standing.at), (Timestamp(hour(since)), Timestamp(hour(at))));
    }
}

/// Rows of a version whose answers lie at a level, while its features are as ever.
fn rows_of(version: &str, from: u64, count: u64, answers: f64) -> Vec<Prediction> {
    let of = |row: Prediction| Prediction { version: version.into(), prediction: FeatureValue::Number(answers), ..row };
    rows(from, count, 0.0).into_iter().map(of).collect()
}

#[tokio::test]
async fn a_new_version_is_held_against_the_last_rows_of_the_one_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let mut room = DriftRoom::new(
        store.clone(),
        Arc::new(Means::default()),
        DriftConfig { reference_rows: 100, window_rows: 100, ..config() },
    );
    take_predictions(&store, rows_of("1", 1, 150, 0.0)).await.expect("kept");
    room.step(Timestamp(1)).await.expect("steps");
    // A version that answers otherwise from its first row on.
    take_predictions(&store, rows_of("2", 151, 40, 5.0)).await.expect("kept");
    room.step(Timestamp(60_000)).await.expect("steps");
    let latest = |version: &str| {
        let all = reports(&store).into_iter().rev();
        all.into_iter().find(|report| report.version == version).expect("a report")
    };
    let bad = latest("2");
    assert_eq!((bad.reference_version.as_deref(), bad.state), (Some("1"), DriftState::Drifted));
    assert_eq!((bad.moved(), bad.reference), (vec!["prediction"], (Timestamp(51), Timestamp(150))));
    // One that answers as the last did, good or bad.
    take_predictions(&store, rows_of("2", 191, 60, 5.0)).await.expect("kept");
    take_predictions(&store, rows_of("3", 251, 40, 5.0)).await.expect("kept");
    room.step(Timestamp(120_000)).await.expect("steps");
    let same = latest("3");
    assert_eq!((same.reference_version.as_deref(), same.state), (Some("2"), DriftState::Stable));
    assert_eq!(latest("1").reference_version, None);
}

#[tokio::test]
async fn between_reports_only_news_that_two_looks_agree_on_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let config = DriftConfig { report_every_rows: 1_000, window_rows: 60, look_every_rows: 30, ..config() };
    let mut room = DriftRoom::new(store.clone(), Arc::new(Means::default()), config);
    take_predictions(&store, rows_of("1", 1, 120, 0.0)).await.expect("kept");
    room.step(Timestamp(0)).await.expect("steps");
    let states = |store: &Store| reports(store).iter().map(|report| report.state).collect::<Vec<_>>();
    assert_eq!(states(&store), [DriftState::Stable], "the window has moved on once");
    for (look, rows) in [(1, 121), (2, 151)] {
        take_predictions(&store, rows_of("1", rows, 30, 9.0)).await.expect("kept");
        room.step(Timestamp(look * 60_000)).await.expect("steps");
    }
    assert_eq!(states(&store), [DriftState::Stable, DriftState::Drifted]);
    take_predictions(&store, rows_of("1", 181, 30, 9.0)).await.expect("kept");
    room.step(Timestamp(180_000)).await.expect("steps");
    assert_eq!(states(&store).len(), 2, "no news");
}
