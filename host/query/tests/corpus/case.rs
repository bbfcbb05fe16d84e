//! One case: a query, and what it must come to.

use crate::{
    memory::Memory,
    notation::{Written, duration, labelled, number, values},
};
use regex::Regex;
use std::collections::BTreeSet;
use tandem_domain::{
    histogram::{HistogramSum, NativeHistogram, ResetHint},
    series::Labels,
};
use tandem_query::{Annotations, Datum, Engine, Grid, Outcome, QueryLimits};

/// A text that must be, or a pattern it must fit.
#[derive(Debug, Clone)]
enum Text {
    Is(String),
    Fits(String),
}

impl Text {
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Is(wanted) => wanted == text,
            Self::Fits(pattern) => Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text)),
        }
    }
}

/// What is said of warnings or infos.
#[derive(Debug, Clone, Default)]
struct Told {
    some: bool,
    none: bool,
    texts: Vec<Text>,
}

impl Told {
    fn check(&self, what: &str, told: &BTreeSet<String>) -> Result<(), String> {
        if (self.some && told.is_empty()) || (self.none && !told.is_empty()) {
            return Err(format!("expect {what}, and it tells {told:?}"));
        }
        if let Some(missing) = self.texts.iter().find(|text| !told.iter().any(|told| text.holds(told))) {
            return Err(format!("expect {what} {missing:?}, and it tells {told:?}"));
        }
        let unexpected = told.iter().find(|told| !self.texts.iter().any(|text| text.holds(told)));
        match unexpected.filter(|_| !self.texts.is_empty()) {
            Some(unexpected) => Err(format!("an unexpected {what}: {unexpected:?}")),
            None => Ok(()),
        }
    }
}

pub struct Case {
    pub text: String,
    grid: Option<Grid>,
    at: i64,
    fails: bool,
    failure: Option<Text>,
    ordered: bool,
    warnings: Told,
    infos: Told,
    text_expected: Option<String>,
    /// Of a range vector, the moments of the values.
    moments: Option<Grid>,
    /// Labels and values; none where the expectation cannot be read.
    expected: Vec<Option<(Labels, Vec<Option<Written>>)>>,
    scalar: Option<f64>,
}

fn close(a: f64, b: f64) -> bool {
    let larger = a.abs().max(b.abs());
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * larger || (a - b).abs() < 1e-300
}

/// Whether two histograms are the same but for rounding; what is known of restarts counts where it is written.
fn alike(found: &NativeHistogram, wanted: &NativeHistogram) -> bool {
    let bare = |histogram: &NativeHistogram| HistogramSum::of(histogram).finish();
    let (one, two) = (bare(found), bare(wanted));
    let sides = |one: &tandem_domain::histogram::Buckets, two: &tandem_domain::histogram::Buckets| {
        one.spans == two.spans && one.counts.iter().zip(&two.counts).all(|(a, b)| close(*a, *b))
    };
    one.schema == two.schema
        && close(one.zero_threshold, two.zero_threshold)
        && close(one.zero_count, two.zero_count)
        && close(one.count, two.count)
        && close(one.sum, two.sum)
        && sides(&one.positive, &two.positive)
        && sides(&one.negative, &two.negative)
        && one.custom_bounds == two.custom_bounds
        && (wanted.reset == ResetHint::Unknown || wanted.reset == found.reset)
}

fn same(found: &Datum, wanted: &Written) -> bool {
    match (found, wanted) {
        (Datum::Float(found), Written::Float(wanted)) => close(*found, *wanted),
        (Datum::Histogram(found), Written::Histogram(wanted)) => alike(found, wanted),
        _ => false,
    }
}

/// Series of an answer with values at moments.
type Columns = Vec<(Labels, Vec<Option<Datum>>)>;

impl Case {
    /// A line `eval instant at 5m EXPR`, `eval range from 0 to 1h step 5m EXPR`, or an `eval_…` of the older notation.
    pub fn read(line: &str) -> Option<Self> {
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
        Some(Self {
            text: words.to_owned(),
            grid,
            at,
            fails: verb == "eval_fail",
            failure: None,
            ordered: verb == "eval_ordered",
            warnings: Told { some: verb == "eval_warn", ..Told::default() },
            infos: Told { some: verb == "eval_info", ..Told::default() },
            text_expected: None,
            moments: None,
            expected: Vec::new(),
            scalar: None,
        })
    }

    /// A line of what it must come to.
    pub fn expect(&mut self, line: &str) {
        let text = line.split_once("msg:").map(|(_, text)| Text::Is(text.trim().to_owned()));
        let text = text.or_else(|| line.split_once("regex:").map(|(_, text)| Text::Fits(text.trim().to_owned())));
        let words: Vec<&str> = line.split_whitespace().collect();
        let some = |told: &mut Told, text: Option<Text>| {
            told.some = true;
            told.texts.extend(text);
        };
        match words.as_slice() {
            ["expect", "fail", ..] => (self.fails, self.failure) = (true, text),
            ["expected_fail_message" | "expected_fail_regexp", ..] => self.fails = true,
            ["expect", "ordered", ..] => self.ordered = true,
            ["expect", "warn", ..] => some(&mut self.warnings, text),
            ["expect", "no_warn", ..] => self.warnings.none = true,
            ["expect", "info", ..] => some(&mut self.infos, text),
            ["expect", "no_info", ..] => self.infos.none = true,
            ["expect", "string", ..] => {
                let text = line.split_once("string").map(|(_, text)| text.trim()).unwrap_or_default();
                let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
                let is_raw = text.starts_with('`');
                let plain = inner.replace("\\\\", "\\").replace("\\n", "\n").replace("\\\"", "\"");
                self.text_expected = Some(if is_raw { inner.to_owned() } else { plain });
            }
            ["expect", "range", "vector", "from", start, "to", end, "step", step] => {
                let times = (duration(start), duration(end), duration(step));
                if let (Some(start), Some(end), Some(step)) = times {
                    self.moments = Some(Grid { start, end, step });
                }
            }
            [one] if number(one).is_some() => self.scalar = number(one),
            _ => self.expected.push(labelled(line).and_then(|(labels, rest)| Some((labels, values(rest)?)))),
        }
    }

    pub fn check(&self, memory: &Memory) -> Result<(), String> {
        let engine = Engine::new(memory, QueryLimits::default());
        let answer = match self.grid {
            Some(grid) => engine.range(&self.text, grid),
            None => engine.instant(&self.text, self.at),
        };
        let answer = match (answer, self.fails) {
            (Err(error), true) => {
                let is_right = self.failure.as_ref().is_none_or(|wanted| wanted.holds(&error.message));
                let is_served = !error.message.contains("not served");
                return if is_right && is_served { Ok(()) } else { Err(format!("fails otherwise: {error}")) };
            }
            (Ok(_), true) => return Err("it should fail".into()),
            (Err(error), false) => return Err(error.to_string()),
            (Ok(answer), false) => answer,
        };
        let Annotations { warnings, infos } = &answer.annotations;
        self.warnings.check("warn", warnings)?;
        self.infos.check("info", infos)?;
        self.check_outcome(answer.outcome)
    }

    fn check_outcome(&self, outcome: Outcome) -> Result<(), String> {
        let found: Columns = match outcome {
            Outcome::Text(_, text) => {
                return if self.text_expected.as_ref() == Some(&text) { Ok(()) } else { Err(format!("text {text:?}")) };
            }
            Outcome::Scalar(_, value) => {
                return match self.scalar {
                    Some(wanted) if close(wanted, value) => Ok(()),
                    wanted => Err(format!("scalar {value} and not {wanted:?}")),
                };
            }
            Outcome::Vector(series) => {
                series.into_iter().map(|(labels, sample)| (labels, vec![Some(sample.value)])).collect()
            }
            Outcome::Matrix(series) => {
                let moments = self.grid.or(self.moments);
                let column = |one: tandem_query::SampleSeries| {
                    let at = |moment: i64| {
                        one.samples.iter().find(|sample| sample.at == moment).map(|sample| sample.value.clone())
                    };
                    match moments {
                        Some(grid) => (one.labels.clone(), grid.moments().map(at).collect()),
                        None => (one.labels.clone(), one.samples.iter().map(|one| Some(one.value.clone())).collect()),
                    }
                };
                series.into_iter().map(column).collect()
            }
        };
        let mut wanted = Vec::new();
        for one in &self.expected {
            wanted.push(one.clone().ok_or("the expectation cannot be read")?);
        }
        // A number over a range is told as a series without labels.
        if let Some(scalar) = self.scalar {
            return Err(format!("a vector, and not the scalar {scalar}"));
        }
        self.compare(&found, &wanted)
    }

    fn compare(&self, found: &Columns, wanted: &[(Labels, Vec<Option<Written>>)]) -> Result<(), String> {
        if found.len() != wanted.len() {
            return Err(format!("{} series and not {}: {found:?}", found.len(), wanted.len()));
        }
        for (place, (labels, values)) in wanted.iter().enumerate() {
            let named = |(other, _): &&(Labels, Vec<Option<Datum>>)| other == labels;
            let (_, known) = found.iter().find(named).ok_or_else(|| format!("no series {labels:?} in {found:?}"))?;
            if self.ordered && found[place].0 != *labels {
                return Err(format!("at {place} stands {:?} and not {labels:?}", found[place].0));
            }
            let steps = if self.grid.is_some() { known.len() } else { known.len().max(values.len()) };
            for step in 0..steps.max(values.len()) {
                let (a, b) = (known.get(step).and_then(Option::as_ref), values.get(step).and_then(Option::as_ref));
                if !matches!((a, b), (None, None)) && !a.zip(b).is_some_and(|(a, b)| same(a, b)) {
                    return Err(format!("{labels:?} at step {step}: {a:?} and not {b:?}"));
                }
            }
        }
        Ok(())
    }
}
