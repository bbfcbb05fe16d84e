//! The cases that Prometheus tests its own language with (`promqltest`), where they are at hand. What is not served is counted
//! by its reason; what is served may not become less.

mod case;
mod memory;
mod notation;

use case::Case;
use memory::Memory;
use std::{collections::BTreeMap, path::PathBuf};
use tandem_domain::series::Labels;
use tandem_query::{Engine, Grid, QueryLimits, SelectedSeries};

/// Cases that passed when this was last raised.
const PASSED: usize = 2_181;

/// Why a case does not pass.
fn reason(file: &str, why: &str) -> &'static str {
    if file.starts_with("start_timestamps") {
        "start timestamps of samples are not kept (experimental)"
    } else if why.contains("not served") || why.contains("unknown function") {
        "a function that is not served"
    } else if why.contains("parse error") {
        "the parser does not take it"
    } else if file.starts_with("native_histograms") && why.starts_with("expect warn") {
        "Prometheus finds restarts while it counts, and warns of them (its shortcut for histogram_count)"
    } else if why.starts_with("expect") || why.starts_with("an unexpected") {
        "another warning or info"
    } else {
        "another answer"
    }
}

/// All cases of a file: how many there are, and which do not pass and why.
fn run(text: &str) -> (usize, Vec<String>) {
    let (mut memory, mut step) = (Memory::default(), 0);
    let (mut open, mut all, mut failed): (Option<Case>, usize, Vec<String>) = (None, 0, Vec::new());
    let mut loading = false;
    let mut custom: Option<Vec<&str>> = None;
    let mut finish = |open: &mut Option<Case>, memory: &mut Memory, custom: &mut Option<Vec<&str>>, step: i64| {
        if let Some(lines) = custom.take() {
            memory.load_custom(&lines, step);
        }
        if let Some(case) = open.take()
            && let Err(why) = case.check(memory)
        {
            failed.push(format!("{} | {why}", case.text));
        }
    };
    for line in text.lines() {
        let line = line.trim();
        let first = line.split_whitespace().next().unwrap_or_default();
        if first.starts_with('#') {
            continue;
        }
        if first.is_empty() {
            finish(&mut open, &mut memory, &mut custom, step);
            loading = false;
        } else if first == "clear" {
            finish(&mut open, &mut memory, &mut custom, step);
            memory = Memory::default();
        } else if first.starts_with("load") {
            finish(&mut open, &mut memory, &mut custom, step);
            step = line.split_whitespace().nth(1).and_then(notation::duration).unwrap_or(0);
            loading = true;
            custom = (first == "load_with_nhcb").then(Vec::new);
        } else if first.starts_with("eval") {
            finish(&mut open, &mut memory, &mut custom, step);
            loading = false;
            all += 1;
            open = Case::read(line);
        } else if let Some(case) = &mut open {
            case.expect(line.split(" #").next().unwrap_or_default().trim());
        } else if loading {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if memory.load(line, step).is_none() {
                println!("this line of data cannot be read: {line}");
            }
            if let Some(lines) = &mut custom {
                lines.push(line);
            }
        }
    }
    finish(&mut open, &mut memory, &mut custom, step);
    (all, failed)
}

#[test]
fn cases_of_prometheus_pass() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var("TANDEM_SHARED").map_or_else(|_| beside(), PathBuf::from);
    let folder = shared.join("data/prometheus-testdata/promql/promqltest/testdata");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("{} is not at hand (TANDEM_SHARED): the cases of Prometheus were not tested", folder.display());
        return;
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let (mut all, mut passed) = (0, 0);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "test")) {
        let (cases, failed) = run(&std::fs::read_to_string(file).expect("read"));
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        println!("{name}: {} of {cases}", cases - failed.len());
        let is_shown = std::env::var("TANDEM_SHOW_FAILED").is_ok_and(|wanted| name.starts_with(&wanted));
        for why in &failed {
            let why_only = why.split_once(" | ").map_or(why.as_str(), |(_, why)| why);
            *reasons.entry(reason(&name, why_only)).or_default() += 1;
            if is_shown {
                println!("   {why}");
            }
        }
        (all, passed) = (all + cases, passed + cases - failed.len());
    }
    println!("{passed} of {all} cases pass");
    for (reason, count) in reasons {
        println!("   {count} do not: {reason}");
    }
    assert!(passed >= PASSED, "{passed} of {all} cases pass, and {PASSED} did");
}

/// Cases of our own in the same notation, for where Prometheus' are not at hand.
const OWN: &str = r#"
load 1m
  requests_total{job="api",instance="a"} 0+60x10
  requests_total{job="api",instance="b"} 0+120x10
  capacity{job="api"} 10x10
  latency_bucket{le="0.1"} 0+50x10
  latency_bucket{le="1"} 0+90x10
  latency_bucket{le="+Inf"} 0+100x10
  ended 1 1 1 stale

eval instant at 10m rate(requests_total[5m])
  {job="api",instance="a"} 1
  {job="api",instance="b"} 2

eval instant at 10m sum by (job) (rate(requests_total[5m])) / on (job) capacity
  {job="api"} 0.3

eval range from 8m to 10m step 1m topk(1, requests_total)
  requests_total{job="api",instance="b"} 960 1080 1200

eval instant at 10m histogram_quantile(0.9, rate(latency_bucket[5m]))
  {} 1

eval instant at 4m ended

eval instant at 4m absent(ended{a="b"})
  {a="b"} 1

eval instant at 10m requests_total + on (job) requests_total
  expect fail

eval instant at 10m max_over_time(sum(requests_total)[5m:1m])
  {} 1800

# A range is open on the left: the sample at its very beginning is not in it.
eval instant at 10m count_over_time(capacity[5m])
  {job="api"} 5
"#;

#[test]
fn cases_of_our_own_pass() {
    let (all, failed) = run(OWN);
    assert_eq!((all, failed), (9, Vec::new()));
}

#[test]
fn a_query_is_held_to_its_limits_and_can_be_called_off() {
    let series = |n: i64| SelectedSeries {
        labels: Labels::new([("__name__".to_owned(), "m".to_owned()), ("n".to_owned(), n.to_string())]),
        at: (0..100).map(|i| i * 1_000).collect(),
        value: vec![1.0; 100],
        histograms: Vec::new(),
    };
    let memory = Memory((0..50).map(series).collect());
    let few = QueryLimits { series: 10, ..QueryLimits::default() };
    assert!(
        Engine::new(&memory, few)
            .instant("m", 50_000)
            .is_err_and(|error| error.message.contains("more than 10 series"))
    );
    let small = QueryLimits { samples: 1_000, ..QueryLimits::default() };
    assert!(
        Engine::new(&memory, small).instant("m[1h]", 99_000).is_err_and(|e| e.message.contains("too many samples"))
    );
    let gone = QueryLimits::default();
    gone.canceled.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = Engine::new(&memory, gone).instant("m", 50_000).expect_err("called off");
    assert_eq!(error.kind.name(), "canceled");
    let engine = Engine::new(&memory, QueryLimits::default());
    let fine = Grid { start: 0, end: 100_000_000, step: 1 };
    assert!(engine.range("m", fine).is_err_and(|error| error.kind.name() == "bad_data"));
    for wrong in ["m[", "sum(", "rate(m)", "{}", "m ++", &"(".repeat(5_000), "foo(m)"] {
        assert_eq!(engine.instant(wrong, 0).expect_err("wrong").kind.name(), "bad_data", "{wrong:.20}");
    }
}

/// Words and signs of the language, from which texts are made that mostly are no queries.
const PIECES: [&str; 46] = [
    "m",
    "sum",
    "rate",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "5m",
    "1",
    "-",
    "+",
    "*",
    "/",
    "^",
    "%",
    "</",
    ">/",
    "==",
    "bool",
    "and",
    "or",
    "on",
    "by",
    "offset",
    "@",
    "start()",
    "step()",
    "anchored",
    "smoothed",
    "fill",
    "group_left",
    "info",
    ",",
    ":",
    "\"",
    "`",
    "'",
    "#",
    "\n",
    "é",
    "a=\"b\"",
    "=~",
    "1e999",
    "topk",
];

#[test]
fn no_text_breaks_the_engine() {
    let memory = Memory::default();
    let engine = Engine::new(&memory, QueryLimits::default());
    let mut state = 12_345_u64;
    for _ in 0..3_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(PIECES[(state >> 33) as usize % PIECES.len()]);
            if state >> 20 & 3 == 0 {
                text.push(' ');
            }
        }
        let _ = engine.instant(&text, 60_000);
    }
    // What takes stack, memory or time by its length is refused, and moments at the ends of time do no harm.
    let chain = |with: &str, count: usize| vec!["m"; count].join(with);
    for long in [chain(" or ", 150), format!("{}m{}", "abs(".repeat(150), ")".repeat(150)), chain(" + ", 190)] {
        assert!(engine.instant(&long, 0).is_ok(), "{long:.30}");
    }
    for long in [chain(" or ", 100_000), chain("-", 100_000), "-".repeat(100_000), "(".repeat(100_000)] {
        assert!(engine.instant(&long, 0).is_err_and(|error| error.kind.name() == "bad_data"), "{long:.30}");
    }
    for text in
        ["m offset 100000y", "m[100000y]", "m[1y:1ms]", "m @ 9e15", "m @ -9e15", "(m offset -100000y)[1000y:1d]"]
    {
        for at in [0, i64::MAX / 4, i64::MIN / 4] {
            let _ = engine.instant(text, at);
        }
    }
}
