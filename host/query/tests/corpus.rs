//! The cases that Prometheus tests its own language with (`promqltest`), where they are at hand. What is not served is counted;
//! what is served may not become less.

use std::path::PathBuf;
use tandem_domain::series::Labels;
use tandem_query::{
    Engine, Grid, Matcher, Outcome, QueryLimits, STALE_NAN, SelectedSeries, SeriesSource, SourceError, matches,
};

/// Cases that passed when this was last raised.
const PASSED: usize = 999;

#[derive(Default)]
struct Memory(Vec<SelectedSeries>);

impl SeriesSource for Memory {
    fn select(&self, matchers: &[Matcher], start: i64, end: i64, _: usize) -> Result<Vec<SelectedSeries>, SourceError> {
        let fitting = self.0.iter().filter(|series| matches(&series.labels, matchers));
        let cut = |series: &SelectedSeries| {
            let (from, to) = (series.at.partition_point(|at| *at < start), series.at.partition_point(|at| *at <= end));
            let (at, value) = (series.at[from..to.max(from)].to_vec(), series.value[from..to.max(from)].to_vec());
            SelectedSeries { labels: series.labels.clone(), at, value, histograms: Vec::new() }
        };
        Ok(fitting.map(cut).filter(|series| !series.at.is_empty()).collect())
    }
}

/// A duration such as `1h30m`, or a number of seconds, in milliseconds.
fn duration(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some((seconds * 1000.0) as i64);
    }
    let (mut total, mut rest) = (0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let units = [
            ("ms", 1),
            ("s", 1_000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
            ("w", 604_800_000),
            ("y", 31_536_000_000),
        ];
        let (unit, millis) = units.into_iter().find(|(unit, _)| rest[digits..].starts_with(unit))?;
        total += number * millis;
        rest = &rest[digits + unit.len()..];
    }
    Some(total)
}

fn number(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        "inf" | "+inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        "nan" => Some(f64::NAN),
        "stale" => Some(f64::from_bits(STALE_NAN)),
        _ => text.parse().ok(),
    }
}

/// Labels and the rest of a line `name{a="b"} …`.
fn labelled(line: &str) -> Option<(Labels, &str)> {
    let mut pairs = Vec::new();
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    if name_end > 0 {
        pairs.push(("__name__".to_owned(), line[..name_end].to_owned()));
    }
    let mut rest = &line[name_end..];
    if let Some(inside) = rest.strip_prefix('{') {
        let mut inside = inside.trim_start();
        loop {
            if let Some(after) = inside.strip_prefix('}') {
                rest = after;
                break;
            }
            let quoted = |text: &str| -> Option<(String, usize)> {
                let (mut value, mut escaped) = (String::new(), false);
                for (place, c) in text.char_indices().skip(1) {
                    match (escaped, c) {
                        (true, 'n') => value.push('\n'),
                        (true, c) => value.push(c),
                        (false, '\\') => {
                            escaped = true;
                            continue;
                        }
                        (false, c) if c == text.chars().next()? => return Some((value, place + 1)),
                        (false, c) => value.push(c),
                    }
                    escaped = false;
                }
                None
            };
            let name = if inside.starts_with('"') {
                let (name, end) = quoted(inside)?;
                inside = inside[end..].trim_start();
                if !inside.starts_with('=') {
                    pairs.push(("__name__".to_owned(), name));
                    inside = inside.strip_prefix(',').unwrap_or(inside).trim_start();
                    continue;
                }
                name
            } else {
                let end = inside.find('=')?;
                let name = inside[..end].trim().to_owned();
                inside = &inside[end..];
                name
            };
            inside = inside.strip_prefix('=')?.trim_start();
            let (value, end) = quoted(inside)?;
            pairs.push((name, value));
            inside = inside[end..].trim_start();
            inside = inside.strip_prefix(',').unwrap_or(inside).trim_start();
        }
    }
    Some((Labels::new(pairs), rest))
}

/// Values in Prometheus' short notation: `1 2x3 1+2x4 _ _x3 stale`; none where they are histograms.
fn values(text: &str) -> Option<Vec<Option<f64>>> {
    let mut found = Vec::new();
    for word in text.split_whitespace() {
        if word.contains('{') || word.contains('}') || word.starts_with("@") {
            return None;
        }
        let (body, times) = match word.rsplit_once('x') {
            Some((body, times)) if !body.is_empty() => (body, times.parse::<usize>().ok()?),
            _ => (word, usize::MAX),
        };
        if body == "_" {
            found.extend(std::iter::repeat_n(None, if times == usize::MAX { 1 } else { times }));
            continue;
        }
        if times == usize::MAX {
            found.push(Some(number(body)?));
            continue;
        }
        let split = body
            .char_indices()
            .skip(1)
            .find(|(place, c)| (*c == '+' || *c == '-') && !body[..*place].ends_with(['e', 'E']));
        let (first, step) = match split {
            Some((place, _)) => (number(&body[..place])?, number(&body[place..])?),
            None => (number(body)?, 0.0),
        };
        // Steps add up, as Prometheus' own notation does.
        let mut value = first;
        for _ in 0..=times {
            found.push(Some(value));
            value += step;
        }
    }
    Some(found)
}

struct Case {
    text: String,
    grid: Option<Grid>,
    at: i64,
    fails: bool,
    ordered: bool,
    warns: Option<bool>,
    infos: Option<bool>,
    text_expected: Option<String>,
    /// Labels and values; none where the expectation cannot be read.
    expected: Vec<Option<(Labels, Vec<Option<f64>>)>>,
    scalar: Option<f64>,
}

fn close(a: f64, b: f64) -> bool {
    let larger = a.abs().max(b.abs());
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * larger || (a - b).abs() < 1e-300
}

impl Case {
    fn check(&self, memory: &Memory) -> Result<(), String> {
        let engine = Engine::new(memory, QueryLimits::default());
        let answer = match self.grid {
            Some(grid) => engine.range(&self.text, grid),
            None => engine.instant(&self.text, self.at),
        };
        let answer = match (answer, self.fails) {
            (Err(_), true) => return Ok(()),
            (Ok(_), true) => return Err("it should fail".into()),
            (Err(error), false) => return Err(error.to_string()),
            (Ok(answer), false) => answer,
        };
        for (wanted, told, what) in
            [(self.warns, &answer.annotations.warnings, "warn"), (self.infos, &answer.annotations.infos, "info")]
        {
            if wanted.is_some_and(|wanted| wanted == told.is_empty()) {
                return Err(format!("expect {what} {wanted:?}, and it tells {told:?}"));
            }
        }
        let found: Vec<(Labels, Vec<Option<f64>>)> = match answer.outcome {
            Outcome::Text(_, text) => {
                return if self.text_expected.as_ref() == Some(&text) { Ok(()) } else { Err(format!("text {text:?}")) };
            }
            Outcome::Scalar(sample) => {
                return match self.scalar {
                    Some(wanted) if close(wanted, sample.value) => Ok(()),
                    wanted => Err(format!("scalar {} and not {wanted:?}", sample.value)),
                };
            }
            Outcome::Vector(series) => {
                series.into_iter().map(|(labels, sample)| (labels, vec![Some(sample.value)])).collect()
            }
            Outcome::Matrix(series) => {
                let grid = self.grid;
                let column = |one: tandem_query::SampleSeries| match grid {
                    Some(grid) => {
                        let at = |moment: i64| one.samples.iter().find(|sample| sample.at == moment).map(|s| s.value);
                        (one.labels.clone(), grid.moments().map(at).collect())
                    }
                    None => (one.labels, one.samples.iter().map(|sample| Some(sample.value)).collect()),
                };
                series.into_iter().map(column).collect()
            }
        };
        let mut wanted = Vec::new();
        for one in &self.expected {
            wanted.push(one.clone().ok_or("the expectation is a histogram")?);
        }
        if let Some(scalar) = self.scalar.filter(|_| self.grid.is_none()) {
            return Err(format!("a vector, and not the scalar {scalar}"));
        }
        if found.len() != wanted.len() {
            return Err(format!("{} series and not {}: {found:?}", found.len(), wanted.len()));
        }
        for (place, (labels, values)) in wanted.iter().enumerate() {
            let named = |(other, _): &&(Labels, Vec<Option<f64>>)| other == labels;
            let (_, known) = found.iter().find(named).ok_or_else(|| format!("no series {labels:?} in {found:?}"))?;
            if self.ordered && found[place].0 != *labels {
                return Err(format!("at {place} stands {:?} and not {labels:?}", found[place].0));
            }
            let steps = known.len().max(values.len());
            for step in 0..steps {
                let (a, b) = (known.get(step).copied().flatten(), values.get(step).copied().flatten());
                if !matches!((a, b), (None, None)) && !a.zip(b).is_some_and(|(a, b)| close(a, b)) {
                    return Err(format!("{labels:?} at step {step}: {a:?} and not {b:?}"));
                }
            }
        }
        Ok(())
    }
}

/// A line `eval instant at 5m EXPR`, `eval range from 0 to 1h step 5m EXPR`, or an `eval_…` of the older notation.
fn case(line: &str) -> Option<Case> {
    let (verb, rest) = line.split_once(char::is_whitespace)?;
    let (kind, rest) = rest.trim_start().split_once(char::is_whitespace)?;
    let mut words = rest.trim_start();
    let mut word = || {
        let (word, after) = words.split_once(char::is_whitespace)?;
        words = after.trim_start();
        Some(word)
    };
    let (mut grid, mut at) = (None, 0);
    if kind == "instant" {
        word()?;
        at = duration(word()?)?;
    } else {
        word()?;
        let start = duration(word()?)?;
        word()?;
        let end = duration(word()?)?;
        word()?;
        grid = Some(Grid { start, end, step: duration(word()?)? });
    }
    Some(Case {
        text: words.to_owned(),
        grid,
        at,
        fails: verb == "eval_fail",
        ordered: verb == "eval_ordered",
        warns: (verb == "eval_warn").then_some(true),
        infos: (verb == "eval_info").then_some(true),
        text_expected: None,
        expected: Vec::new(),
        scalar: None,
    })
}

fn expect(case: &mut Case, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["expect", "fail", ..] | ["expected_fail_message" | "expected_fail_regexp", ..] => case.fails = true,
        ["expect", "ordered", ..] => case.ordered = true,
        ["expect", "warn", ..] => case.warns = Some(true),
        ["expect", "no_warn", ..] => case.warns = Some(false),
        ["expect", "info", ..] => case.infos = Some(true),
        ["expect", "no_info", ..] => case.infos = Some(false),
        ["expect", "string", ..] => {
            let text = line.split_once("string").map(|(_, text)| text.trim()).unwrap_or_default();
            let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
            case.text_expected = Some(inner.replace("\\\\", "\\").replace("\\n", "\n"));
        }
        ["expect", "range", ..] => case.expected.push(None),
        [one] if number(one).is_some() => case.scalar = number(one),
        _ => case.expected.push(labelled(line).and_then(|(labels, rest)| Some((labels, values(rest)?)))),
    }
}

/// All cases of a file: how many there are, and which do not pass and why.
fn run(text: &str) -> (usize, Vec<String>) {
    let (mut memory, mut step) = (Memory::default(), 0);
    let (mut open, mut all, mut failed): (Option<Case>, usize, Vec<String>) = (None, 0, Vec::new());
    let mut loading = false;
    let mut finish = |open: &mut Option<Case>, memory: &Memory| {
        if let Some(case) = open.take()
            && let Err(why) = case.check(memory)
        {
            failed.push(format!("{} | {why}", case.text));
        }
    };
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.starts_with('#') {
            continue;
        }
        let first = line.split_whitespace().next().unwrap_or_default();
        if first.is_empty() {
            finish(&mut open, &memory);
            loading = false;
        } else if first == "clear" {
            finish(&mut open, &memory);
            memory = Memory::default();
        } else if first.starts_with("load") {
            finish(&mut open, &memory);
            step = line.split_whitespace().nth(1).and_then(duration).unwrap_or(0);
            loading = true;
        } else if first.starts_with("eval") {
            finish(&mut open, &memory);
            loading = false;
            all += 1;
            open = case(line);
        } else if let Some(case) = &mut open {
            expect(case, line);
        } else if loading && let Some((labels, rest)) = labelled(line) {
            let values = values(rest).unwrap_or_default().into_iter().enumerate();
            let (at, value) = values.filter_map(|(place, value)| Some((place as i64 * step, value?))).unzip();
            memory.0.push(SelectedSeries { labels, at, value, histograms: Vec::new() });
        }
    }
    finish(&mut open, &memory);
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
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "test")) {
        let (cases, failed) = run(&std::fs::read_to_string(file).expect("read"));
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        println!("{name}: {} of {cases}", cases - failed.len());
        if std::env::var("TANDEM_SHOW_FAILED").is_ok_and(|wanted| name.starts_with(&wanted)) {
            failed.iter().for_each(|why| println!("   {why}"));
        }
        (all, passed) = (all + cases, passed + cases - failed.len());
    }
    println!("{passed} of {all} cases pass");
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
