//! Scraping over a real store, with prepared answers.

use super::{
    board::ActiveTarget,
    target::Plan,
    visit::{Ending, TargetVisitor},
    *,
};
use crate::{
    Gather,
    declared::CHANGE_EVERY_MILLIS,
    testing::{Answers, FixedClock, page, ports, ports_over, values},
};
use parking_lot::Mutex;
use std::time::Duration;
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    http::{HttpClient, HttpGrant, HttpRequest, HttpResponse},
    metadata::MetricMetadata,
    ports::BoxFuture,
    series::Series,
    target::{TargetKey, TargetStatus},
};
use tandem_store::{SeriesLimits, Store, StoreOptions};
use tandem_wire::relabel::LabelMap;

/// The visitor of the first target of a job.
fn visitor(ports: &GatherPorts, config: serde_json::Value) -> TargetVisitor {
    let config: ScrapeConfig = serde_json::from_value(config).expect("a config");
    let job = Arc::new(Job::new(&config).expect("valid"));
    let group = config.statics().remove(0);
    let address = [("__address__".to_owned(), group.targets[0].clone())];
    let own: LabelMap = group.labels.into_iter().chain(address).collect();
    let discovered = target::discovered(&config, &own, &LabelMap::default());
    let Plan::Scraped(planned) = target::plan(&config, &job.relabeling, &discovered) else { panic!("no target") };
    let view = Arc::new(ActiveTarget::new(&config.job, &planned, discovered));
    let shared = Shared {
        board: Arc::default(),
        lanes: Arc::default(),
        seed: KeySeed(7),
        declared: KnownMetadata::of(&ports.store),
        incomplete: AtomicUsize::new(0),
    };
    TargetVisitor::new(ports.clone(), Arc::new(shared), job, Arc::new(planned), view)
}

async fn visit(visitor: &mut TargetVisitor) {
    let (_ending, mut told) = watch::channel(Ending::Going);
    assert!(visitor.visit(Timestamp::MIN, &mut told).await);
}

fn status(store: &Store) -> TargetStatus {
    let kept = store.read().expect("reads").get::<TargetStatus>(&("j".into(), "h:1".into()));
    kept.expect("reads").expect("there")
}

fn series(store: &Store) -> Vec<Series> {
    store.read().expect("reads").scan::<Series>(.., 1000).expect("reads")
}

#[tokio::test]
async fn a_target_that_fails_is_a_state_and_its_series_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let down = Err(Failure::passing(FailureCode::Unreachable, "nobody there"));
    let ports = ports(folder.path(), vec![page("a 1\nb 2\n"), page("a 3\n"), down, page("a 4\n")]);
    let mut visitor = visitor(&ports, serde_json::json!({"job": "j", "targets": ["h:1"]}));
    for _ in 0..3 {
        visit(&mut visitor).await;
    }
    assert_eq!(values(&ports.store, "up"), [1.0, 1.0, 0.0]);
    let a = values(&ports.store, "a");
    assert!(a[..2] == [1.0, 3.0] && a[2].is_nan(), "{a:?}");
    let b = values(&ports.store, "b");
    assert!(b[0] == 2.0 && b[1].is_nan() && b.len() == 2, "a series that is gone is ended once: {b:?}");
    let kept = status(&ports.store);
    assert_eq!((kept.failures_in_a_row, kept.last_samples), (1, 1));
    assert_eq!(kept.failure.expect("failed").message, "nobody there");
    visit(&mut visitor).await;
    assert_eq!(values(&ports.store, "a")[3], 4.0);
    assert_eq!(values(&ports.store, "scrape_samples_scraped"), [2.0, 1.0, 0.0, 1.0]);
    assert_eq!(values(&ports.store, "scrape_series_added"), [2.0, 0.0, 0.0, 0.0]);
}

#[tokio::test]
async fn a_page_over_its_limit_and_a_page_that_is_none_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = ports(folder.path(), vec![page("a 1\n"), page("a 1\nb 2\n"), page("<html>"), page("a 5\n")]);
    let config = serde_json::json!({"job": "j", "targets": ["h:1"], "sample_limit": 1, "extra_scrape_metrics": true});
    let mut visitor = visitor(&ports, config);
    visit(&mut visitor).await;
    visit(&mut visitor).await;
    assert!(status(&ports.store).failure.expect("refused").message.contains("sample_limit is 1"));
    visit(&mut visitor).await;
    assert!(status(&ports.store).failure.expect("refused").message.contains("not a metrics page"));
    visit(&mut visitor).await;
    let a = values(&ports.store, "a");
    assert!(a.len() == 3 && a[1].is_nan() && a[2] == 5.0, "what a refused page shows has ended, once: {a:?}");
    assert!(series(&ports.store).iter().all(|one| one.description.metric != "b"), "nothing of it is left");
    assert_eq!(values(&ports.store, "scrape_samples_post_metric_relabeling"), [1.0, 2.0, 0.0, 1.0]);
    assert_eq!(values(&ports.store, "scrape_sample_limit"), [1.0; 4]);
    assert_eq!(values(&ports.store, "scrape_body_size_bytes"), [4.0, -1.0, -1.0, 4.0]);
    assert_eq!(values(&ports.store, "scrape_timeout_seconds"), [10.0; 4]);
}

#[tokio::test]
async fn what_is_rejected_is_told_in_the_targets_state_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "good 1\ntomorrow 1 86400000\nlate 1 500\nwide{a=\"1\",b=\"2\"} 1\nno sample\ngood 2\n";
    let ports = ports(folder.path(), vec![page(text), page(text), page("good 1\n")]);
    let mut visitor = visitor(&ports, serde_json::json!({"job": "j", "targets": ["h:1"], "label_limit": 1}));
    for visits in 1..=2_u64 {
        visit(&mut visitor).await;
        let status = status(&ports.store);
        assert_eq!((status.last_samples, status.last_rejected, status.failure.clone()), (2, 4, None));
        let told = status.rejection.clone().expect("told");
        for part in ["1 lines are not samples", "tomorrow by 8639", "1 samples have labels beyond", "1 samples repeat"]
        {
            assert!(told.contains(part), "{told}");
        }
        let counted = |name: &str| ports.metrics.read().iter().find(|(known, ..)| *known == name).expect("a counter").2;
        assert_eq!(counted("tandem_gather_samples_too_new_total"), visits);
        assert_eq!(counted("tandem_gather_samples_beyond_label_limits_total"), visits);
        assert_eq!(counted("tandem_gather_rejected_lines_total"), visits);
    }
    let late = series(&ports.store).into_iter().find(|one| one.description.metric == "late");
    let read = ports.store.read().expect("reads");
    let points = read.points(late.expect("kept").id, Timestamp::MIN, Timestamp::MAX).expect("points");
    assert_eq!(points.at, [Timestamp(500)], "at its own time, not at that of the visit");
    drop(read);
    visit(&mut visitor).await;
    let status = status(&ports.store);
    assert_eq!((status.last_rejected, status.rejection), (0, None));
    assert_eq!(values(&ports.store, "late").len(), 1, "a series with times of its own has no end");
}

#[tokio::test]
async fn new_series_beyond_the_stores_limits_are_refused_and_the_rest_of_the_page_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    // Five of them are told of each visit, and are held to no limit.
    let limits = SeriesLimits { total: 100, per_target: 7, per_metric: 1 };
    let store = Store::open(folder.path(), StoreOptions { series: limits, ..StoreOptions::default() }).expect("opens");
    let text = "a 1\nb{x=\"1\"} 2\nb{x=\"2\"} 3\nc 4\n";
    let pages = vec![page("old 1\n"), page(text), page("a 5\nc 6\n"), page("c 7\n"), page("a 8\nc 9\n")];
    let ports = ports_over(store, Arc::new(Answers(Mutex::new(pages))));
    let mut visitor = visitor(&ports, serde_json::json!({"job": "j", "targets": ["h:1"]}));
    visit(&mut visitor).await;
    assert_eq!(series(&ports.store).len(), 6, "one of the page, and five of the visit");
    visit(&mut visitor).await;
    let kept = status(&ports.store);
    assert_eq!((kept.last_samples, kept.last_rejected, kept.failure), (1, 3, None));
    let told = kept.rejection.expect("told");
    assert!(told.contains("3 samples are of new series that are refused, the first: b"), "{told}");
    assert!(told.contains("raise limits.series_per_target"), "{told}");
    assert_eq!((values(&ports.store, "a"), values(&ports.store, "up")), (vec![1.0], vec![1.0, 1.0]));
    assert_eq!(ports.metrics.refused_series().get("too_many_series_of_target"), Some(&3));
    visit(&mut visitor).await;
    let kept = status(&ports.store);
    assert_eq!((kept.last_samples, kept.last_rejected), (1, 1), "known to be refused without being tried");
    assert!(kept.rejection.expect("told").contains("the first: c"));
    // Room is made; what was refused is tried again after some visits.
    let old = series(&ports.store).into_iter().find(|one| one.description.metric == "old").expect("there").id;
    ports.store.write(move |tx| tx.delete_series(&[old], Timestamp(0))).await.expect("deleted");
    for _ in 0..memory::TRIED_AGAIN_AFTER_VISITS {
        visit(&mut visitor).await;
    }
    assert_eq!(status(&ports.store).last_rejected, 0);
    assert_eq!(values(&ports.store, "c").last(), Some(&9.0));
    assert!(ports.metrics.refused_series()["too_many_series_of_target"] > 4);
}

#[tokio::test]
async fn what_a_page_declares_is_kept_when_it_is_new_and_exemplars_with_their_series() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = |help: &str, at: f64| {
        format!("# HELP a {help}\n# TYPE a counter\na_total 1 # {{trace_id=\"x\"}} 2 {at}\n# HELP b Two.\nb 1\n")
    };
    // Another help of the same family is taken after a while only; then without a further change of the page.
    let pages = vec![page(&text("One.", 0.5)), page(&text("One.", 0.5)), page(&text("Another.", 0.75))];
    let clock = Arc::new(FixedClock(Mutex::new(0)));
    let ports = GatherPorts { clock: clock.clone(), ..ports(folder.path(), pages) };
    let mut visitor = visitor(&ports, serde_json::json!({"job": "j", "targets": ["h:1"]}));
    for (later, help) in [(0, "One."), (0, "One."), (0, "One."), (CHANGE_EVERY_MILLIS, "Another.")] {
        *clock.0.lock() += later;
        visit(&mut visitor).await;
        let read = ports.store.read().expect("reads");
        let told = read.scan::<MetricMetadata>(.., 10).expect("reads");
        let told: Vec<_> = told.iter().map(|one| (one.family.as_str(), one.help.as_str())).collect();
        assert_eq!(told, [("a", help), ("b", "Two.")]);
    }
    let id = series(&ports.store).into_iter().find(|one| one.description.metric == "a_total").expect("there").id;
    let read = ports.store.read().expect("reads");
    let found = read.exemplars(id, Timestamp::MIN, Timestamp::MAX).expect("reads");
    assert_eq!(found.iter().map(|one| one.at.0).collect::<Vec<_>>(), [500, 750]);
    assert_eq!(ports.metrics.exemplars.kept(), 2);
}

#[tokio::test]
async fn labels_of_page_and_target_meet_as_prometheus_has_them_meet() {
    let text = "a{job=\"db\",instance=\"d:1\",x=\"1\"} 1\nb{rack=\"2\"} 2\n";
    for honor_labels in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let ports = ports(folder.path(), vec![page(text), page("b{rack=\"2\"} 2\n")]);
        let config = serde_json::json!({"job": "j", "static_configs": [{"targets": ["h:1"], "labels": {"rack": "7"}}],
            "honor_labels": honor_labels});
        let mut visitor = visitor(&ports, config);
        visit(&mut visitor).await;
        let told = |metric: &str| {
            let all = series(&ports.store);
            let one = all.into_iter().find(|one| one.description.metric == metric).expect("registered");
            let labels = one.description.labels.iter().map(|(name, value)| format!("{name}={value}"));
            (one.target.job, one.target.instance, labels.collect::<Vec<_>>().join(","))
        };
        let of = |job: &str, instance: &str, labels: &str| (job.to_owned(), instance.to_owned(), labels.to_owned());
        assert_eq!(told("up"), of("j", "h:1", "rack=7"));
        if honor_labels {
            assert_eq!(told("a"), of("db", "d:1", "rack=7,x=1"));
            assert_eq!(told("b"), of("j", "h:1", "rack=2"));
        } else {
            assert_eq!(told("a"), of("j", "h:1", "exported_instance=d:1,exported_job=db,rack=7,x=1"));
            assert_eq!(told("b"), of("j", "h:1", "exported_rack=2,rack=7"));
        }
        visit(&mut visitor).await;
        assert!(values(&ports.store, "a")[1].is_nan(), "it ends when the page no longer has it, whosever it is");
    }
}

#[tokio::test]
async fn series_are_chosen_and_renamed_by_rules_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "# TYPE a counter\na_total{x=\"1\"} 1\ngo_gc 2\nb{secret=\"s\"} 3\n";
    let typed = "# TYPE a counter\n# TYPE b gauge\na_total{x=\"1\"} 1\ngo_gc 2\nb{secret=\"s\"} 3\n";
    let ports = ports(folder.path(), vec![page(text), page(text), page(typed)]);
    let rules = serde_json::json!([
        {"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"},
        {"regex": "secret", "action": "labeldrop"},
        {"source_labels": ["__name__"], "regex": "a_(.*)", "target_label": "__name__", "replacement": "renamed_$1"}]);
    let config = serde_json::json!({"job": "j", "targets": ["h:1"], "metric_relabel_configs": rules});
    let mut visitor = visitor(&ports, config);
    visit(&mut visitor).await;
    visit(&mut visitor).await;
    assert_eq!(values(&ports.store, "renamed_total"), [1.0, 1.0]);
    assert_eq!(values(&ports.store, "b"), [3.0, 3.0]);
    assert_eq!(values(&ports.store, "scrape_samples_scraped"), [3.0, 3.0]);
    assert_eq!(values(&ports.store, "scrape_samples_post_metric_relabeling"), [2.0, 2.0]);
    assert_eq!(values(&ports.store, "scrape_series_added"), [2.0, 0.0]);
    let of = |metric: &str| series(&ports.store).into_iter().find(|one| one.description.metric == metric);
    assert_eq!(of("go_gc"), None);
    let b = of("b").expect("registered").description;
    assert_eq!((b.labels.len(), b.metric_type), (0, tandem_domain::series::MetricType::Unknown));
    visit(&mut visitor).await;
    assert_eq!(of("b").expect("there").description.metric_type, tandem_domain::series::MetricType::Gauge);
    assert_eq!(values(&ports.store, "b"), [3.0, 3.0, 3.0], "what is declared later is no new series");
}

/// Targets whose name begins with `slow` never answer; the others at once.
#[derive(Default)]
struct Uneven {
    asked_slow: AtomicUsize,
    answered: tokio::sync::Notify,
}

impl HttpClient for Uneven {
    fn send<'a>(&'a self, _: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        Box::pin(async move {
            if request.url.contains("//slow") {
                self.asked_slow.fetch_add(1, Ordering::Relaxed);
                std::future::pending::<()>().await;
            }
            self.answered.notify_one();
            page("a 1\n")
        })
    }
}

/// For what would never come: long enough for any machine, and not asserted on.
const GUARD: Duration = Duration::from_secs(60);

/// Waits until something is so.
async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(GUARD, waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

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
    until("each slow one is asked, and none twice", || {
        (uneven.asked_slow.load(Ordering::Relaxed) == 200).then_some(())
    })
    .await;
    stop.send_replace(true);
    tokio::time::timeout(GUARD, running).await.expect("it ends with visits under way").expect("without a fault");
}

#[tokio::test]
async fn targets_of_a_file_come_and_go_and_those_of_the_same_labels_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("data"), StoreOptions::default()).expect("opens");
    let ports = ports_over(store.clone(), Arc::new(Uneven::default()));
    let file = folder.path().join("targets.json");
    let list = |text: &str| std::fs::write(&file, text).expect("written");
    list(r#"[{"targets": ["h:1", "h:2", "h:1", "away:1"], "labels": {"rack": "7"}}]"#);
    let configs = serde_json::json!([
        {"job": "files", "interval": "100ms", "file_sd_configs": [{"files": [file]}],
         "relabel_configs": [{"source_labels": ["__address__"], "regex": "away.*", "action": "drop"}]},
        {"job": "same", "interval": "100ms", "targets": ["h:9"], "relabel_configs": [
            {"target_label": "job", "replacement": "files"}, {"target_label": "instance", "replacement": "h:1"},
            {"target_label": "rack", "replacement": "7"}]}]);
    let configs: Vec<ScrapeConfig> = serde_json::from_value(configs).expect("configs");
    let mut gather = Gather::new(ports, &configs, &[]);
    gather.announce().await.expect("written");
    let board = gather.board();
    let stop = watch::Sender::new(false);
    let running = tokio::spawn(gather.run(stop.subscribe()));

    let pools = until("one of the two is refused", || {
        let pools = board.pools();
        let visited = pools.values().flat_map(|pool| &pool.active).filter(|target| target.last().at.is_some());
        (visited.count() == 2 && pools["files"].active.len() + pools["same"].active.len() == 3).then_some(pools)
    })
    .await;
    let refused: Vec<_> =
        pools.values().flat_map(|pool| &pool.active).filter_map(|target| target.last().error).collect();
    assert!(refused.len() == 1 && refused[0].contains("the same labels as http://h:"), "{refused:?}");
    assert_eq!(pools["files"].dropped[0].get("__address__"), "away:1");
    assert_eq!(pools["files"].dropped_count, 1);

    list(r#"[{"targets": ["h:2"], "labels": {"rack": "7"}}]"#);
    until("the first goes", || (board.pools()["files"].active.len() == 1).then_some(())).await;
    let kept: Vec<TargetKey> = store
        .read()
        .expect("reads")
        .scan::<TargetStatus>(.., 10)
        .expect("reads")
        .into_iter()
        .map(|status| status.info.key)
        .collect();
    assert!(kept.iter().any(|key| key.instance == "h:2"), "{kept:?}");
    stop.send_replace(true);
    tokio::time::timeout(GUARD, running).await.expect("it ends").expect("without a fault");
}

#[tokio::test]
async fn a_target_that_goes_ends_its_series_and_a_shutdown_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    for (ending, ends) in [(Ending::Removed, true), (Ending::Shutdown, false)] {
        let ports = ports(&folder.path().join(format!("{ends}")), vec![page("a 1\n")]);
        let mut visitor = visitor(&ports, serde_json::json!({"job": "j", "targets": ["h:1"], "interval": "200ms"}));
        visit(&mut visitor).await;
        let (sender, told) = watch::channel(ending);
        visitor.keep_visiting(1_000_000, told).await;
        drop(sender);
        for metric in ["a", "up"] {
            let values = values(&ports.store, metric);
            assert_eq!(values.last().expect("a sample").is_nan(), ends, "{metric}: {values:?}");
        }
        let kept = ports.store.read().expect("reads").scan::<TargetStatus>(.., 10).expect("reads");
        assert_eq!(kept.is_empty(), ends);
    }
}

#[tokio::test]
async fn with_more_targets_than_the_limit_none_is_scraped() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = ports(folder.path(), vec![page("a 1\n")]);
    let config = serde_json::json!({"job": "j", "targets": ["h:1", "h:2"], "target_limit": 1});
    let mut visitor = visitor(&ports, config.clone());
    let job = Job::new(&serde_json::from_value(config).expect("a config")).expect("valid");
    job.hold_to_limit(1);
    assert_eq!(job.refused(), None);
    job.hold_to_limit(2);
    assert!(job.refused().expect("refused").contains("target_limit is 1 and the job has 2 targets"));
    visitor.set_job(job);
    visit(&mut visitor).await;
    assert_eq!(values(&ports.store, "up"), [0.0]);
    assert!(status(&ports.store).failure.expect("refused").message.contains("target_limit"));
}
