//! Stories as a whole: every bundled one plays, the same seed gives the same, effects follow causes, and slips of the pen are
//! told with file and key.

use std::collections::BTreeMap;
use tandem_domain::{Timestamp, prediction::FeatureValue};
use tandem_story::{Library, Play, Shown};

const START: Timestamp = Timestamp(1_764_000_000_000);

fn play(name: &str, seed: u64) -> Play {
    Play::new(&Library::bundled(), name, seed, START).unwrap_or_else(|error| panic!("{error}"))
}

/// Values by metric and a text in the labels, one list for each step.
struct Seen {
    play: Play,
    steps: Vec<Shown>,
}

impl Seen {
    fn of(name: &str, seed: u64) -> Self {
        let mut play = play(name, seed);
        let steps = std::iter::from_fn(|| play.step()).collect();
        Self { play, steps }
    }

    /// The mean over the steps of a stretch of minutes of a metric's series that a text picks.
    fn mean(&self, metric: &str, picks: &str, minutes: std::ops::Range<i64>) -> f64 {
        let numbers: Vec<u32> = (0_u32..)
            .zip(self.play.series())
            .filter(|(_, series)| {
                let target = &self.play.targets()[series.target];
                let labels = || series.labels.iter().chain(target.labels.iter());
                series.metric == metric
                    && (target.instance.contains(picks) || labels().any(|(_, value)| value.contains(picks)))
            })
            .map(|(number, _)| number)
            .collect();
        assert!(!numbers.is_empty(), "no {metric} with {picks}");
        let in_time = |shown: &&Shown| minutes.contains(&(shown.at.millis_since(START) / 60_000));
        let values = self.steps.iter().filter(in_time).flat_map(|shown| &shown.samples);
        let (sum, count) =
            values.filter(|(number, _)| numbers.contains(number)).fold((0.0, 0), |(s, c), (_, v)| (s + v, c + 1));
        sum / f64::from(count.max(1))
    }

    /// What a counter rose by in a second of a stretch of minutes.
    fn rate(&self, metric: &str, picks: &str, minutes: std::ops::Range<i64>) -> f64 {
        let (from, to) = (minutes.start, minutes.end);
        (self.mean(metric, picks, to - 1..to) - self.mean(metric, picks, from..from + 1))
            / ((to - 1 - from) * 60) as f64
    }
}

/// Where the stories lie that are played for the benchmark alone.
const OTHERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/bench/stories");

#[test]
fn every_story_of_the_benchmark_makes_sense_and_begins() {
    let mut library = Library::bundled();
    let names = library.add_folder(OTHERS.as_ref()).expect("they can be read");
    assert!(names.len() >= 70, "{}", names.len());
    for name in names {
        let mut play = Play::new(&library, &name, 1, START).unwrap_or_else(|error| panic!("{error}"));
        assert!(play.step().is_some_and(|shown| !shown.samples.is_empty()), "{name} shows nothing");
    }
}

#[test]
fn every_bundled_story_plays_and_its_series_are_distinct_and_mostly_there() {
    let library = Library::bundled();
    let list = library.list().expect("stories");
    assert!(list.len() >= 20, "{}", list.len());
    for about in list.iter().filter(|about| !about.long) {
        let mut play = play(&about.name, 3);
        let distinct: std::collections::BTreeSet<_> =
            play.series().iter().map(|series| (series.target, &series.metric, &series.labels)).collect();
        assert_eq!(distinct.len(), play.series().len(), "{}: two series are one", about.name);
        assert!((300..3_000).contains(&play.series().len()), "{}: {} series", about.name, play.series().len());
        let (series, shown) = (play.series().len(), play.step().expect("a step"));
        assert!(shown.samples.len() * 100 > series * 95, "{}: {} of {series}", about.name, shown.samples.len());
        for (number, value) in &shown.samples {
            assert!(value.is_finite(), "{}: {:?} is {value}", about.name, play.series()[*number as usize]);
        }
        let faults = play.truths().len();
        assert_eq!(faults == 0, about.name.starts_with("nothing"), "{}", about.name);
        for truth in play.truths() {
            assert!(!truth.services.is_empty() && !truth.entities.is_empty(), "{}: {truth:?}", about.name);
            assert!(truth.felt < truth.until && truth.felt > 30 * 60_000, "{}: {truth:?}", about.name);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_and_another_seed_another() {
    let steps = |seed: u64| {
        let mut play = play("power-psu", seed);
        (0..5).filter_map(|_| play.step()).collect::<Vec<_>>()
    };
    assert_eq!(steps(1), steps(1));
    assert_ne!(steps(1), steps(2));
    let (one, other) = (play("gpu-off-bus", 1), play("gpu-off-bus", 2));
    assert_ne!(one.truths(), other.truths());
}

#[test]
fn adding_a_signal_changes_no_other() {
    let mut library = Library::bundled();
    let text = "title = \"t\"\nabout = \"a\"\nfleet = \"shop\"\nlasts = \"5m\"\n";
    library.add_story("plain", text);
    library.add_story("more", format!("{text}[[kind]]\nname = \"host\"\nvariables = \"more = noise + wander\"\n"));
    let first = |name: &str| {
        let mut play = Play::new(&library, name, 5, START).expect("a story");
        play.step().expect("a step").samples
    };
    assert_eq!(first("plain"), first("more"));
}

#[test]
fn a_lost_gpu_takes_its_series_and_its_replica_and_the_others_take_the_load() {
    let seen = Seen::of("gpu-off-bus", 4);
    let truth = &seen.play.truths()[0];
    let service = truth.services.first().expect("a service").clone();
    let uuid = truth.entities.iter().find_map(|key| key.strip_prefix("gpu:uuid:")).expect("a GPU").to_owned();
    let (before, after) = (truth.from / 60_000 - 2, truth.from / 60_000 + 3);
    assert_eq!(seen.mean("DCGM_FI_DEV_XID_ERRORS", &uuid, after..after + 1), 79.0);
    assert!(seen.mean("DCGM_FI_DEV_GPU_UTIL", &uuid, before..before + 1) > 5.0);
    assert_eq!(seen.mean("DCGM_FI_DEV_GPU_UTIL", &uuid, after..after + 1), 0.0, "it says nothing");
    assert_eq!(seen.mean("up", &uuid, after..after + 1), 0.0, "its replica is down");
    assert_eq!(seen.mean("up", &service, after..after + 1), 0.75, "three of four are up");
    assert_eq!(truth.services.len(), 1, "one GPU carries one service");
}

#[test]
fn a_power_supply_that_fails_slows_the_gpus_of_its_host_and_no_others() {
    let seen = Seen::of("power-psu", 6);
    let truth = &seen.play.truths()[0];
    let host = truth.entities.iter().find_map(|key| key.strip_prefix("host:hostname:")).expect("a host").to_owned();
    let (before, after) = (truth.from / 60_000 - 3, truth.from / 60_000 + 3);
    let clock = |minute: i64, host: &str| seen.mean("DCGM_FI_DEV_SM_CLOCK", host, minute..minute + 2);
    assert!(clock(after, &host) < 0.9 * clock(before, &host), "{} {}", clock(after, &host), clock(before, &host));
    let other = if host == "node-01" { "node-02" } else { "node-01" };
    assert!(clock(after, other) > 0.98 * clock(before, other));
    assert_eq!(seen.mean("DCGM_FI_DEV_POWER_VIOLATION", &host, 5..30), 0.0, "nobody throttles before");
}

#[test]
fn lost_packets_are_seen_on_the_interface_and_felt_by_requests() {
    let seen = Seen::of("packet-loss-nic", 2);
    let truth = &seen.play.truths()[0];
    let host = truth.entities.iter().find_map(|key| key.strip_prefix("host:address:")).expect("a host").to_owned();
    let minute = truth.from / 60_000;
    let (before, after) = (minute - 12..minute - 1, minute + 2..minute + 13);
    for metric in ["node_netstat_Tcp_RetransSegs", "node_network_receive_errs_total"] {
        let (was, is) = (seen.rate(metric, &host, before.clone()), seen.rate(metric, &host, after.clone()));
        assert!(is > 10.0 * was && is > 1.0, "{metric}: {was} {is}");
    }
}

#[test]
fn answers_come_with_labels_and_a_bad_version_is_worse_than_the_old_one() {
    let seen = Seen::of("bad-version", 1);
    let truth = &seen.play.truths()[0];
    let labels: BTreeMap<&str, &FeatureValue> =
        seen.steps.iter().flat_map(|shown| &shown.labels).map(|label| (label.id.as_str(), &label.label)).collect();
    let right = |version: &str| {
        let of_version = seen.steps.iter().flat_map(|shown| &shown.predictions);
        let joined = of_version
            .filter(|one| one.service == "ranker" && one.version == version)
            .filter_map(|one| Some(*labels.get(one.id.as_str())? == &one.prediction));
        let (count, right) = joined.fold((0, 0), |(count, right), is| (count + 1, right + usize::from(is)));
        assert!(count > 500, "{count} labels of version {version}");
        right as f64 / count as f64
    };
    let (old, new) = (right("7"), right("8"));
    assert!(old > 0.75 && new < 0.6, "{old} {new}");
    let deployed: Vec<i64> =
        seen.steps.iter().flat_map(|shown| &shown.deployments).map(|deployment| deployment.at).collect();
    assert_eq!(deployed, [truth.from]);
}

#[test]
fn missing_features_are_sent_as_missing() {
    let seen = Seen::of("upstream-nulls", 1);
    let truth = &seen.play.truths()[0];
    let missing = |after: bool| {
        let rows = seen.steps.iter().flat_map(|shown| &shown.predictions);
        let is_then = |at: i64| if after { at > truth.from + 60_000 } else { at < truth.from - 60_000 };
        let rows = rows.filter(|one| one.service == "ranker" && is_then(one.at.millis_since(START)));
        let (count, missing) =
            rows.fold((0, 0), |(c, m), one| (c + 1, m + usize::from(one.features["price"] == FeatureValue::Missing)));
        missing as f64 / f64::from(count)
    };
    assert_eq!(missing(false), 0.0);
    assert!((0.75..0.85).contains(&missing(true)), "{}", missing(true));
}

#[test]
fn slips_of_the_pen_are_told_with_file_and_key() {
    let head = "title = \"t\"\nabout = \"a\"\nlasts = \"10m\"\n";
    let kind = |more: &str| format!("{head}[[kind]]\nname = \"host\"\n{more}\n");
    let told = |text: String| {
        let mut library = Library::default();
        library.add_story("mine", text);
        Play::new(&library, "mine", 1, START).expect_err("it is refused").to_string()
    };
    for (text, says) in [
        ("title = 1".to_owned(), "mine: line 1"),
        (format!("{head}what = 1\n"), "unknown field `what`"),
        (format!("{head}fleet = \"none\"\n"), "there is no fleet \"none\""),
        (kind("count = 100000"), "kind.host: 20001 parts, and at most 20000"),
        (kind(""), "kind.host: say count = 4"),
        (kind("per = \"rack\""), "there is no kind \"rack\" before this"),
        (kind("count = 2\nvariables = \"busy = gpu.busy\""), "kind.host.variables: busy: there is no kind \"gpu\""),
        (kind("count = 2\nvariables = \"busy = lod\""), "host has no variable \"lod\"; it has busy"),
        (kind("count = 2\nvariables = \"noise = 1\""), "cannot name a variable"),
        (kind("count = 2\ntitle = \"n\""), "two parts have the same name"),
        (kind("count = 2\ntitle = \"n-{number\""), "is not closed"),
        (format!("{head}step = \"1ms\"\n"), "step must be 1s to 1h"),
        (format!("{}lasts = \"500d\"\n", head.replace("lasts = \"10m\"\n", "")), "at most 100000 are played"),
        (
            kind(
                "count = 2\n[[fault]]\nat = \"5m\"\non = \"host:any\"\ncause = \"infrastructure\"\nset = { x = \"1\" }",
            ),
            "fault.0: set.x",
        ),
        (
            kind("count = 2\n[[fault]]\nat = \"5m\"\non = \"gpu:any\"\ncause = \"infrastructure\""),
            "on = \"gpu:any\": there is no kind",
        ),
        (
            kind("count = 2\n[[fault]]\nat = \"50m\"\non = \"host:any\"\ncause = \"infrastructure\""),
            "begins when the story is over",
        ),
        (kind("count = 2\n[[page]]\njob = \"j\"\nper = \"host\"\ninstance = \"x\""), "same job and instance"),
        (
            kind(
                "count = 2\n[[page]]\njob = \"j\"\nper = \"host\"\ninstance = \"{name}\"\n[[page.of]]\nseries = \"m = wander\"",
            ),
            "have a memory",
        ),
    ] {
        let told = told(text.clone());
        assert!(told.starts_with("mine: ") && told.contains(says), "{text}\n→ {told}");
    }
}
