//! The room over a real store, with the time passed in.

use super::*;
use crate::{
    alert::{AlertConfig, AlertRoom},
    room::Room,
    testing::{open, reopen, second},
};
use std::sync::atomic::AtomicBool;
use tandem_domain::{
    alert::{Alert, AlertState, ToldAlert},
    series::{Labels, MetricType, SampleBatch, SeriesDescription},
    target::TargetKey,
};
use tandem_query::{Engine, Outcome, StoreSource};

const RULES: &str = "groups:\n- name: heat\n  interval: 1s\n  rules:\n  - record: job:temp:max\n    expr: max by (job) (temp)\n\
    \x20 - alert: Hot\n    expr: job:temp:max > 80\n    for: 3s\n    keep_firing_for: 2s\n    labels: { severity: page }\n\
    \x20   annotations: { summary: '{{ $labels.job }} is at {{ $value }}' }\n";

fn checked(text: &str) -> Vec<CheckedGroup> {
    let groups = tandem_wire::rule_file::read(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    check("rules.yml", groups).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A store with a room over it that is stepped once a second.
struct World {
    store: Store,
    folder: tempfile::TempDir,
    room: RuleRoom,
    sender: watch::Sender<Arc<Vec<CheckedGroup>>>,
    rules: String,
    now: i64,
}

fn room(store: &Store, rules: &str) -> (RuleRoom, watch::Sender<Arc<Vec<CheckedGroup>>>) {
    let (sender, feed) = RuleFeed::new(checked(rules));
    let config =
        RulesConfig { external_labels: [("site".to_owned(), "north".to_owned())].into(), ..RulesConfig::default() };
    (RuleRoom::new(store.clone(), config, "http://127.0.0.1:8420", feed), sender)
}

impl World {
    fn new(rules: &str) -> Self {
        let (store, folder) = open();
        let (room, sender) = room(&store, rules);
        Self { store, folder, room, sender, rules: rules.to_owned(), now: 0 }
    }

    /// One second on: samples of `temp` by instance, and a step.
    async fn second(&mut self, temps: &[(&str, f64)]) {
        self.now += 1;
        // A little before the moment of the group, wherever in the second that is.
        let at = second(self.now).plus_millis(-1_000);
        let temps: Vec<(String, f64)> = temps.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.store
            .write(move |tx| {
                let mut batch = SampleBatch::default();
                for (instance, value) in temps {
                    let series = SeriesDescription {
                        metric: "temp".into(),
                        metric_type: MetricType::Gauge,
                        unit: String::new(),
                        labels: Labels::default(),
                    };
                    let target = TargetKey { job: "gpu".into(), instance };
                    batch.push(tx.register_series(&target, &series)?, at, value);
                }
                tx.append_samples(&batch).map(drop)
            })
            .await
            .unwrap();
        self.room.step(second(self.now)).await.unwrap();
    }

    async fn seconds(&mut self, count: usize, temp: f64) {
        for _ in 0..count {
            self.second(&[("a", temp)]).await;
        }
    }

    /// The server is stopped and starts again after some seconds.
    fn restart(mut self, after: i64) -> Self {
        let World { store, folder, room: old, sender, rules, now } = self;
        drop((store, old, sender));
        let store = reopen(&folder);
        let (room, sender) = room(&store, &rules);
        self = Self { store, folder, room, sender, rules, now: now + after };
        self
    }

    fn states(&self) -> Vec<RuleState> {
        self.store.read().unwrap().scan::<RuleState>(.., 100).unwrap()
    }

    /// Activity and age in whole seconds of the only alert.
    fn alert(&self) -> Option<(Activity, i64)> {
        let states = self.states();
        let mut alerts = states.iter().flat_map(|state| &state.alerts);
        let alert = alerts.next()?;
        assert!(alerts.next().is_none(), "more than one alert");
        Some((alert.activity, second(self.now).millis_since(alert.active_at) / 1_000))
    }

    fn told(&self) -> Vec<ToldAlert> {
        self.store.read().unwrap().log_after::<ToldAlert>(0, 1_000).unwrap().into_iter().map(|(_, told)| told).collect()
    }

    fn words(&self) -> String {
        let word = |told: &ToldAlert| if told.state == AlertState::Firing { 'F' } else { 'R' };
        self.told().iter().map(word).collect()
    }

    fn run(&self, rule: &str) -> RuleRun {
        let groups = self.store.read().unwrap().scan::<GroupState>(.., 100).unwrap();
        groups.into_iter().flat_map(|group| group.rules).find(|run| run.rule.name == rule).unwrap()
    }

    /// What a query finds now.
    fn query(&self, expr: &str) -> Vec<(String, f64)> {
        let source = StoreSource::new(self.store.read().unwrap());
        let answer = Engine::new(&source, QueryLimits::default()).instant(expr, second(self.now).0).unwrap();
        let Outcome::Vector(series) = answer.outcome else { panic!("{answer:?}") };
        let shown = |labels: &Labels| labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(",");
        let mut all: Vec<_> =
            series.iter().map(|(labels, sample)| (shown(labels), sample.value.float().unwrap())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

#[tokio::test]
async fn an_alert_waits_fires_holds_on_and_is_over() {
    let mut world = World::new(RULES);
    world.seconds(2, 50.0).await;
    assert_eq!(world.alert(), None);
    assert_eq!(world.query("job:temp:max"), [("__name__=job:temp:max,job=gpu".to_owned(), 50.0)]);
    world.second(&[("a", 90.0)]).await;
    // The rule saw what the rule before it came to in the same evaluation.
    assert_eq!(world.alert(), Some((Activity::Pending, 0)));
    assert_eq!(world.query("ALERTS{alertstate=\"pending\"}").len(), 1);
    world.seconds(2, 91.0).await;
    assert_eq!((world.alert(), world.words()), (Some((Activity::Pending, 2)), String::new()));
    world.seconds(1, 92.0).await;
    assert_eq!((world.alert(), world.words().as_str()), (Some((Activity::Firing, 3)), "F"));
    let shown = world.query("ALERTS");
    assert_eq!(shown, [("__name__=ALERTS,alertname=Hot,alertstate=firing,job=gpu,severity=page".to_owned(), 1.0)]);
    let since = world.query("ALERTS_FOR_STATE");
    assert_eq!(since[0].0, "__name__=ALERTS_FOR_STATE,alertname=Hot,job=gpu,severity=page");
    assert!((since[0].1 - (second(3).0 / 1_000) as f64).abs() <= 1.0, "{since:?}");
    world.seconds(2, 50.0).await;
    assert_eq!(
        (world.alert().map(|alert| alert.0), world.words().as_str()),
        (Some(Activity::Firing), "F"),
        "it holds on"
    );
    world.seconds(1, 50.0).await;
    assert_eq!((world.alert(), world.words().as_str()), (None, "FR"));
    assert_eq!(world.query("ALERTS"), [], "its series have ended");
    let told = world.told();
    assert_eq!(told[0].annotations.get("summary"), Some("gpu is at 92"));
    assert_eq!(told[0].labels.get("site"), Some("north"), "the labels of the server are put on");
    assert_eq!(told[0].fingerprint, tandem_wire::alertmanager::fingerprint(&told[0].labels));
    assert_eq!((&told[0].fingerprint, told[1].ends_at.is_some()), (&told[1].fingerprint, true));
}

#[tokio::test]
async fn a_flap_within_the_hold_is_no_news_and_one_beyond_it_is() {
    let mut world = World::new(RULES);
    world.seconds(5, 90.0).await;
    for _ in 0..3 {
        world.seconds(1, 50.0).await;
        world.seconds(1, 95.0).await;
    }
    assert_eq!(world.words(), "F");
    world.seconds(4, 50.0).await;
    // While it waits, one good second begins the wait anew.
    world.seconds(3, 90.0).await;
    world.seconds(1, 50.0).await;
    world.seconds(3, 90.0).await;
    assert_eq!((world.words().as_str(), world.alert()), ("FR", Some((Activity::Pending, 2))));
    world.seconds(1, 90.0).await;
    assert_eq!(world.words(), "FRF");
}

#[tokio::test]
async fn a_restart_in_any_state_changes_nothing_but_the_time_that_passed() {
    // While it waits: the second in which nothing was evaluated is no second of waiting.
    let mut world = World::new(RULES);
    world.seconds(2, 90.0).await;
    world = world.restart(0);
    world.seconds(3, 90.0).await;
    assert_eq!(world.alert(), Some((Activity::Pending, 2)));
    world.seconds(1, 90.0).await;
    assert_eq!(world.words(), "F");
    // While it fires, and its data come late.
    world = world.restart(20);
    for _ in 0..5 {
        world.second(&[]).await;
    }
    assert_eq!((world.alert().map(|alert| alert.0), world.words().as_str()), (Some(Activity::Firing), "F"));
    world.seconds(2, 90.0).await;
    assert_eq!(world.words(), "F");
    // While it holds on.
    world.seconds(1, 50.0).await;
    world = world.restart(0);
    world.seconds(2, 90.0).await;
    world.seconds(4, 50.0).await;
    assert_eq!((world.alert(), world.words().as_str()), (None, "FR"));
    // When all is well.
    world = world.restart(5);
    world.seconds(3, 50.0).await;
    assert_eq!((world.alert(), world.words().as_str()), (None, "FR"));
}

#[tokio::test]
async fn what_ended_while_the_server_was_down_ends_when_nobody_sends_it_any_more() {
    let mut world = World::new(RULES);
    world.seconds(5, 90.0).await;
    world = world.restart(600);
    world.second(&[]).await;
    assert_eq!(world.words(), "F", "its data may only be late");
    world.now += 130;
    world.second(&[]).await;
    world.second(&[]).await;
    world.second(&[]).await;
    assert_eq!(world.words(), "FR");
}

#[test]
fn time_without_evaluations_is_no_time_of_waiting() {
    let rule = |wait: i64| tandem_domain::rule::Rule {
        name: "A".into(),
        expr: "up".into(),
        labels: Default::default(),
        kind: tandem_domain::rule::RuleKind::Alerting {
            for_millis: wait * 60_000,
            keep_firing_for_millis: 0,
            annotations: Default::default(),
        },
        line: 1,
    };
    let minute = |minutes: i64| Timestamp(minutes * 60_000);
    let pending = || ActiveAlert {
        labels: Labels::default(),
        annotations: Labels::default(),
        activity: Activity::Pending,
        active_at: minute(0),
        fired_at: None,
        kept_since: None,
        seen_at: minute(3),
        told_at: None,
        told_annotations: Labels::default(),
        value: 1.0,
    };
    let after = |wait: i64, last: i64, now: i64| {
        let mut alerts = vec![pending()];
        rules::after_outage(&rule(wait), &mut alerts, minute(last), minute(now), 60_000);
        alerts.first().map(|alert| alert.active_at.0 / 60_000)
    };
    assert_eq!(after(5, 3, 4), Some(0), "nothing was missed");
    assert_eq!(after(5, 3, 14), Some(10), "ten minutes were");
    assert_eq!(after(30, 3, 14), Some(10), "27 minutes were left, and are");
    assert_eq!(after(30, 25, 40), Some(20), "five minutes were left, ten are as Prometheus has it");
    assert_eq!(after(30, 3, 90), None, "nobody knows what was in more than an hour");
}

#[tokio::test]
async fn series_that_vanish_end_at_once() {
    let mut world = World::new(
        "groups:\n- name: g\n  interval: 1s\n  rules:\n  - record: hot\n    expr: temp > 80\n    labels: { kind: x, job: '' }\n",
    );
    world.second(&[("a", 90.0), ("b", 95.0)]).await;
    world.second(&[("a", 90.0), ("b", 95.0)]).await;
    let series = |world: &World| world.query("hot").into_iter().map(|(labels, _)| labels).collect::<Vec<_>>();
    assert_eq!(series(&world), ["__name__=hot,instance=a,kind=x", "__name__=hot,instance=b,kind=x"]);
    world.second(&[("a", 90.0), ("b", 70.0)]).await;
    assert_eq!(series(&world), ["__name__=hot,instance=a,kind=x"]);
    world = world.restart(1);
    world.second(&[("a", 70.0), ("b", 70.0)]).await;
    world.second(&[("a", 70.0), ("b", 70.0)]).await;
    assert_eq!(series(&world), Vec::<String>::new(), "also after a restart");
}

#[tokio::test]
async fn labels_that_collide_and_limits_are_errors_of_the_rule() {
    let rules = "groups:\n- name: g\n  interval: 1s\n  limit: 1\n  rules:\n\
        \x20 - { record: collides, expr: 'temp', labels: { instance: same } }\n\
        \x20 - { alert: Collides, expr: 'temp > 0', labels: { instance: same } }\n\
        \x20 - { record: many, expr: 'temp' }\n  - { alert: Many, expr: 'temp > 80' }\n  - { record: text, expr: '\"a\"' }\n\
        \x20 - { record: one, expr: '1 + 1' }\n  - { alert: Broken, expr: 'vector(1)', annotations: { x: '{{ query \"up{\" }}' } }\n";
    let mut world = World::new(rules);
    world.second(&[("a", 90.0), ("b", 50.0)]).await;
    world.second(&[("a", 90.0), ("b", 50.0)]).await;
    let error = |world: &World, rule: &str| world.run(rule).last_error.unwrap_or_default();
    assert!(error(&world, "collides").contains("same labelset after applying rule labels"));
    assert!(error(&world, "Collides").contains("same labelset after applying alert labels"));
    assert_eq!(error(&world, "many"), "exceeded limit of 1 with 2 series");
    assert_eq!((error(&world, "Many"), world.words().matches('F').count()), (String::new(), 2), "Many and Broken");
    assert_eq!(error(&world, "text"), "rule result is not a vector or scalar");
    assert_eq!(world.query("one"), [("__name__=one".to_owned(), 2.0)]);
    let broken =
        world.states().into_iter().flat_map(|state| state.alerts).find(|alert| alert.annotations.get("x").is_some());
    assert!(broken.unwrap().annotations.get("x").unwrap().starts_with("<error expanding template"));
    // One too many: as with Prometheus no alert of the rule is left.
    world.second(&[("a", 90.0), ("b", 90.0)]).await;
    assert_eq!(error(&world, "Many"), "exceeded limit of 1 with 2 alerts");
    assert_eq!((world.query("ALERTS{alertname=\"Many\"}"), world.words().matches('R').count()), (vec![], 1));
    let counted = world.room.metrics().samples();
    let failures = counted.iter().find(|sample| sample.name == "tandem_rule_evaluation_failures_total").unwrap();
    assert!(failures.value >= 8.0, "{failures:?}");
}

#[tokio::test]
async fn rules_that_stay_keep_their_state_and_rules_that_go_end() {
    let mut world = World::new(RULES);
    world.seconds(5, 90.0).await;
    assert_eq!(world.words(), "F");
    // Another expression and other annotations: still the same rule.
    let changed = RULES.replace("> 80", "> 70").replace("is at", "has");
    world.sender.send(Arc::new(checked(&changed))).unwrap();
    world.seconds(2, 90.0).await;
    assert_eq!((world.words().as_str(), world.alert().map(|alert| alert.0)), ("F", Some(Activity::Firing)));
    assert_eq!(world.run("Hot").rule.expr, "job:temp:max > 70");
    // Another severity is another alert.
    world.sender.send(Arc::new(checked(&RULES.replace("page", "info")))).unwrap();
    world.seconds(1, 90.0).await;
    assert_eq!((world.words().as_str(), world.alert().map(|alert| alert.0)), ("FR", Some(Activity::Pending)));
    world.seconds(4, 90.0).await;
    world.sender.send(Arc::new(Vec::new())).unwrap();
    world.second(&[("a", 90.0)]).await;
    assert_eq!((world.words().as_str(), world.states()), ("FRFR", vec![]));
    assert_eq!((world.query("ALERTS"), world.query("job:temp:max")), (vec![], vec![]));
    assert_eq!(world.store.read().unwrap().count::<GroupState>().unwrap(), 0);
}

#[tokio::test]
async fn rules_that_went_while_the_server_was_down_end_when_it_starts() {
    let mut world = World::new(RULES);
    world.seconds(5, 90.0).await;
    world.rules = "groups: []\n".into();
    world = world.restart(3);
    world.second(&[("a", 90.0)]).await;
    assert_eq!((world.words().as_str(), world.query("ALERTS")), ("FR", vec![]));
}

#[tokio::test]
async fn missed_evaluations_are_counted_and_not_made_up_for() {
    let mut world = World::new(RULES);
    world.seconds(3, 50.0).await;
    world.now += 10;
    world.seconds(1, 50.0).await;
    let counted = |name: &str| {
        let samples = world.room.metrics().samples();
        samples.into_iter().find(|sample| sample.name == name).map(|sample| sample.value)
    };
    assert_eq!(counted("tandem_rule_group_iterations_missed_total"), Some(10.0));
    assert_eq!(counted("tandem_rule_group_iterations_total"), Some(3.0), "the first second only sets the clock");
}

#[tokio::test]
async fn data_that_arrive_late_are_seen_with_an_offset() {
    let rules = "groups:\n- name: g\n  interval: 1s\n  query_offset: 5s\n  rules:\n  - record: late\n    expr: temp\n";
    let mut world = World::new(rules);
    world.seconds(4, 50.0).await;
    assert_eq!(world.query("late"), []);
    world.seconds(4, 60.0).await;
    assert_eq!(world.query("late offset 5s").len(), 1, "and are written where they belong");
}

#[tokio::test]
async fn the_alert_room_takes_them_in_as_those_that_others_tell() {
    let mut world = World::new(&RULES.replace("max by (job) (temp)", "max by (job, instance) (temp)"));
    let mut alerts = AlertRoom::new(world.store.clone(), AlertConfig::default());
    world.seconds(6, 90.0).await;
    alerts.step(second(world.now)).await.unwrap();
    let alert = |world: &World| world.store.read().unwrap().scan::<Alert>(.., 10).unwrap();
    let open = alert(&world);
    assert_eq!((open.len(), open[0].state, open[0].entity.0.as_str()), (1, AlertState::Firing, "host:a"));
    assert_eq!((open[0].severity, open[0].source.as_str()), (tandem_domain::Severity::Critical, "rules"));
    world.seconds(4, 50.0).await;
    alerts.step(second(world.now)).await.unwrap();
    assert_eq!(alert(&world)[0].state, AlertState::Resolved);
}

#[tokio::test]
async fn an_evaluation_that_is_called_off_keeps_the_state() {
    let mut world = World::new(RULES);
    world.seconds(5, 90.0).await;
    world.room.canceled = Arc::new(AtomicBool::new(true));
    world.seconds(2, 50.0).await;
    assert!(world.run("Hot").last_error.is_some_and(|error| error.contains("canceled")));
    assert_eq!((world.words().as_str(), world.alert().map(|alert| alert.0)), ("F", Some(Activity::Firing)));
}
